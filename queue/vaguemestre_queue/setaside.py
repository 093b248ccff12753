"""Rows and documents that somebody else wrote: never sent, and a person's way out of them.

A document is about the patient in the lane of its wanted order, which the digest of that row covers: what ``documents``
says must agree. A row that is not ours is set aside by a person, who becomes the author of what is left of it: an
ABANDONED order in which nothing of the forged one counts. Source: docs/bad-days.md, "Altered rows".
"""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre_core.errors import NotFound, StoreError
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderKind, OrderState
from vaguemestre_core.records import AGENT_ACTOR, Actor, Change, Order, Schedule
from vaguemestre_queue import ledger, relations, rows, setback, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row


def patient_of(connection: Connection, context: Context, order_id: OrderId) -> str:
    """Return the pseudonym of the patient an order's document is about.

    Raises:
        NotFound: ORDER_UNKNOWN.
        StoreError: DOCUMENT_NOT_AUTHENTIC, the document was given to another patient outside the agent.
    """
    found = connection.run(
        "SELECT d.document_id, d.patient FROM orders AS o JOIN documents AS d USING (document_id) WHERE o.order_id = ?",
        [order_id],
    )
    if not found:
        raise NotFound("ORDER_UNKNOWN")
    patient = rows.as_text(found[0][1])
    if not _is_about(context, _ours(connection, context, rows.as_text(found[0][0])), patient):
        raise StoreError("DOCUMENT_NOT_AUTHENTIC")
    return patient


def _ours(connection: Connection, context: Context, document_id: str) -> list[Row]:
    """Return the document's orders that are ours, oldest first."""
    found = connection.run(f"{rows.SELECT} WHERE document_id = ? ORDER BY seq", [document_id])
    pairs = [rows.row_of(cells) for cells in found]
    return [row for row, mac in pairs if rows.is_authentic(context.sealer, row, mac)]


def _is_about(context: Context, orders: Sequence[Row], patient: str) -> bool:
    """Say whether the last version wanted is about that patient."""
    versions = [row for row in orders if rows.is_content(row) and not relations.is_set_aside(row)]
    if not versions or relations.ERASED in (patient, versions[-1]["lane"]):
        return not versions or patient == versions[-1]["lane"]
    return versions[-1]["lane"] == relations.lane_of(context, patient, rows.as_text(versions[-1]["set_id"]))


def hold_if_altered(connection: Connection, context: Context, row: Row, changes: list[Change]) -> bool:
    """Hold an order whose document is no longer the one that was accepted; say whether it was."""
    try:
        patient_of(connection, context, OrderId(rows.as_text(row["order_id"])))
    except StoreError as error:
        if error.code != "DOCUMENT_NOT_AUTHENTIC":
            raise
        transitions.put_hold(connection, context, row, HoldKind.INTEGRITY, AGENT_ACTOR, error.code, changes)
        return True
    return False


def set_aside(
    connection: Connection, context: Context, order_id: OrderId, reason: str, actor: Actor, changes: list[Change]
) -> Order:
    """Give up, on a person's word, an order whose row or document was altered; what is left of it never leaves.

    Raises:
        NotFound: ORDER_UNKNOWN.
        Conflict: TRANSITION_ILLEGAL, the row is ours and in a state that is not given up so.
    """
    found = connection.run(f"{rows.SELECT} WHERE order_id = ?", [order_id])
    if not found:
        raise NotFound("ORDER_UNKNOWN")
    row, mac = rows.row_of(found[0])
    detail = (("reason", reason), ("verdict", "abandon"))
    if rows.is_authentic(context.sealer, row, mac):
        event = OrderEvent.ABANDON
        return rows.order_of(transitions.transition(connection, context, row, event, actor, changes, detail=detail))
    last_known = setback.last_word(connection, order_id) or "unknown"  # to know before giving it again
    clean = _emptied(connection, context, row, actor, last_known)
    connection.run(
        f"UPDATE orders SET {', '.join(f'{name} = ?' for name in rows.COLUMNS)}, quarantined = 0, mac = ? "
        "WHERE order_id = ?",
        [*(clean[name] for name in rows.COLUMNS), rows.mac_of(context.sealer, clean), order_id],
    )
    order = rows.order_of(clean)
    line = ledger.Line(
        at=context.clock.now(),
        kind="order.set_aside",
        actor=actor,
        order_id=order.order_id,
        client_id=order.client_id,
        client_ref=order.client_ref,
        after=OrderState.ABANDONED,
        detail=(*detail, ("last_known", last_known)),
    )
    changes.append(Change(entry=ledger.append(connection, line), order=order))
    return order


def _emptied(connection: Connection, context: Context, row: Row, actor: Actor, last_known: str) -> Row:
    """Return a row that keeps the forged one's place and nothing of its word."""
    now = context.clock.now()
    # A fact of the document's own row where there is one: only its place is taken from the forged one.
    document = connection.run(
        "SELECT client_id, client_ref, set_id FROM documents WHERE document_id = ?", [row["document_id"]]
    )
    client_id, client_ref, set_id = document[0]
    texts = {name: value for name, value in row.items() if isinstance(value, str)}
    at_once = Schedule(not_before=now, undo_until=now, undo_s=0.0)
    return {
        **rows.born(now, at_once, boot_s=0.0, boot_id="", incarnation=context.incarnation, actor=actor),
        "order_id": row["order_id"],
        "document_id": row["document_id"],
        "client_id": client_id,
        "client_ref": client_ref,
        "kind": OrderKind.DMP_SUBMIT.value,
        "state": OrderState.ABANDONED.value,
        "version": 1,
        "set_id": set_id,
        "unique_id": texts.get("unique_id", ""),
        "type_code": texts.get("type_code", ""),
        "professional": texts.get("professional", ""),
        "lane": "",
        "guard_facts": "{}",
        "request_digest": "",
        "holds": HoldKind.INTEGRITY.value,
        "failure_code": "ROW_NOT_AUTHENTIC",
        "fact_version": 0,
        "receipt": rows.pairs_json([("last_known", last_known)]),
        "given_digest": b"",
        "revision": rows.as_int(row["revision"]) + 1 if isinstance(row["revision"], int) else 1,
    }


def believe_again(connection: Connection, context: Context) -> int:
    """Take back orders set aside whose rows are ours: the mark itself is outside the digest; return how many."""
    found = connection.run(f"{rows.SELECT} WHERE quarantined = 1")
    count = 0
    for cells in found:
        row, mac = rows.row_of(cells)
        if rows.is_authentic(context.sealer, row, mac):
            connection.run("UPDATE orders SET quarantined = 0 WHERE order_id = ?", [row["order_id"]])
            line = ledger.Line(
                at=context.clock.now(),
                kind="order.believed_again",
                actor=AGENT_ACTOR,
                order_id=rows.as_text(row["order_id"]),
            )
            ledger.append(connection, line)
            count += 1
    return count
