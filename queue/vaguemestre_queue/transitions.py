"""Changing an order: one transition of the table, compare-and-set, with its ledger line, in one transaction.

The only place that updates the orders table. A row that is not authentic is never changed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vaguemestre_core.errors import Conflict, NotFound, StoreError
from vaguemestre_core.orders import (
    ASKED_NOW,
    CANCEL_ASKED_ONLY,
    MAY_LEAVE,
    SETTLED,
    HoldKind,
    OrderEvent,
    OrderId,
    OrderKind,
    OrderState,
    can,
    next_state,
)
from vaguemestre_core.records import AGENT_ACTOR, Actor, CancelAnswer, Change, Order, OrderPatch, event_kind
from vaguemestre_queue import given, ledger, rows, tallies
from vaguemestre_queue.connection import Connection, Value
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row

Pairs = tuple[tuple[str, str], ...]
# Columns a patch may set to NULL (or to their empty value).
_EMPTY: Final[dict[str, Value]] = {
    "waiting": None,
    "failure_code": None,
    "service_code": None,
    "doubt_since_us": None,
    "next_attempt_at_us": 0,
}
# What may make a version or a change that did not leave useless: any version or deletion, a change of its own kind, and
# for a version a change of visibility.
_WISHES: Final = (
    "n.state NOT IN ('sent', 'cancelled', 'superseded', 'abandoned') "
    "AND (n.kind IN ('dmp.submit', 'dmp.replace', 'dmp.delete') OR n.kind = o.kind "
    "OR (n.kind = 'dmp.visibility' AND o.kind IN ('dmp.submit', 'dmp.replace')))"
)
_VERSIONS: Final = "n.state NOT IN ('cancelled', 'superseded', 'abandoned') AND n.kind IN ('dmp.submit', 'dmp.replace')"


def load(connection: Connection, context: Context, order_id: OrderId) -> Row:
    """Return an order's row. Raises NotFound ORDER_UNKNOWN, StoreError ROW_NOT_AUTHENTIC."""
    found = connection.run(f"{rows.SELECT} WHERE order_id = ?", [order_id])
    if not found:
        raise NotFound("ORDER_UNKNOWN")
    return checked(context, found[0])


def checked(context: Context, cells: Sequence[Value]) -> Row:
    """Return a selected row. Raises StoreError ROW_NOT_AUTHENTIC."""
    row, mac = rows.row_of(tuple(cells))
    if not rows.is_authentic(context.sealer, row, mac):
        raise StoreError("ROW_NOT_AUTHENTIC")
    return row


def insert(connection: Connection, context: Context, row: Row) -> Row:
    """Insert a new order's row with its digest, under the holds that stand for all; return it as inserted."""
    holds = rows.holds_of(row["holds"]) | context.standing_holds
    row = {**row, "holds": rows.holds_text(holds)}
    connection.run(rows.INSERT, [*(row[column] for column in rows.COLUMNS), rows.mac_of(context.sealer, row)])
    return row


def save(connection: Connection, context: Context, row: Row, changed: Row) -> Row:
    """Write changed columns by compare-and-set on the revision; return the new row."""
    revision = rows.as_int(row["revision"])
    new: Row = {**row, **changed, "revision": revision + 1, "incarnation": context.incarnation}
    names = [column for column in rows.COLUMNS if new[column] != row[column]]
    sets = ", ".join(f"{name} = ?" for name in names)
    connection.run(
        f"UPDATE orders SET {sets}, mac = ? WHERE order_id = ? AND revision = ? AND state = ?",
        [
            *(new[name] for name in names),
            rows.mac_of(context.sealer, new),
            row["order_id"],
            revision,
            row["state"],
        ],
    )
    if connection.changed() != 1:
        raise Conflict("STATE_CHANGED")
    return new


def patch_columns(row: Row, patch: OrderPatch | None) -> Row:
    """Return the columns that a patch changes."""
    if patch is None:
        return {}
    changed: Row = {name: _EMPTY[name] for name in patch.clear}
    for name, instant in (
        ("not_before_us", patch.not_before),
        ("undo_until_us", patch.undo_until),
        ("next_attempt_at_us", patch.next_attempt_at),
        ("doubt_since_us", patch.doubt_since),
    ):
        if instant is not None:
            changed[name] = rows.to_us(instant)
    for name, text in (
        ("waiting", patch.waiting),
        ("failure_code", patch.failure_code),
        ("service_code", patch.service_code),
    ):
        if text is not None:
            changed[name] = str(text)
    if patch.attempts_plus:
        changed["attempts"] = rows.as_int(row["attempts"]) + patch.attempts_plus
    if patch.frozen_ids is not None:
        changed["frozen_ids"] = rows.frozen_json(patch.frozen_ids)
    if patch.receipt is not None:
        changed["receipt"] = rows.pairs_json(patch.receipt)
    if patch.cancel_requested is not None:
        changed["cancel_requested"] = int(patch.cancel_requested)
    return changed


def transition(
    connection: Connection,
    context: Context,
    row: Row,
    event: OrderEvent,
    actor: Actor,
    changes: list[Change],
    *,
    columns: Row | None = None,
    detail: Pairs = (),
) -> Row:
    """Apply one event to a loaded row; return the new row. Raises Conflict TRANSITION_ILLEGAL.

    An order whose cancellation was asked is cancelled in the same transaction when the event would let it leave again:
    whoever chose the event may have read the order before it was asked. One that did not leave after all, while a newer
    version, or the deletion, was accepted gives way likewise.
    """
    before = OrderState(rows.as_text(row["state"]))
    after = next_state(before, event)
    if after is None:
        raise Conflict("TRANSITION_ILLEGAL", state=before.value, event=event.value)
    now = context.clock.now()
    if event in ASKED_NOW:
        columns = {**(columns or {}), "holds": rows.holds_text(rows.holds_of(row["holds"]) - {HoldKind.TROUBLE})}
        connection.run(
            "UPDATE orders SET asked_now = 1, strikes = 0, restarts = 0 WHERE order_id = ?", [row["order_id"]]
        )
    new = save(connection, context, row, {**(columns or {}), "state": after.value, "state_at_us": rows.to_us(now)})
    if after in tallies.ENDS:
        detail = (*detail, *tallies.pairs_of_end(new))
    tell(connection, context, new, event_kind(event), actor, changes, before=before, after=after, detail=detail)
    if new["cancel_requested"] and after in MAY_LEAVE:
        asked = (("cause", "asked"),)
        return transition(connection, context, new, OrderEvent.CANCEL, AGENT_ACTOR, changes, detail=asked)
    if before in CANCEL_ASKED_ONLY and can(after, OrderEvent.SUPERSEDE):
        newer = _newer_wish(connection, context, new)
        if newer is not None:
            return _give_way(connection, context, new, newer, changes)
    return new


def _newest_after(connection: Connection, row: Row, which: str) -> tuple[Row, Value] | None:
    """Return the newest order ``n`` of the document of ``row`` (``o``) after it, with its mac, or None."""
    columns = ", ".join(f"n.{column}" for column in rows.COLUMNS)
    found = connection.run(
        f"SELECT {columns}, n.mac FROM orders AS n JOIN orders AS o ON o.document_id = n.document_id "
        f"AND n.seq > o.seq WHERE o.order_id = ? AND {which} ORDER BY n.seq DESC LIMIT 1",
        [row["order_id"]],
    )
    return rows.row_of(tuple(found[0])) if found else None


def _newer_wish(connection: Connection, context: Context, row: Row) -> Row | None:
    """Return the newer order of the same document that makes this one useless, or None."""
    found = _newest_after(connection, row, _WISHES)
    if found is None:
        return None
    if found[0]["kind"] == OrderKind.DMP_VISIBILITY and rows.is_content(row):
        # A version between the two is what the change is about: this one gives way to that version, whose content the
        # change may then take over, or which is there already.
        found = _newest_after(connection, row, _VERSIONS) or found
    newer, mac = found
    # One that is not ours replaces nothing, except a version: that of which it was made may have been corrected.
    return newer if rows.is_content(newer) or rows.is_authentic(context.sealer, newer, mac) else None


def _give_way(connection: Connection, context: Context, row: Row, newer: Row, changes: list[Change]) -> Row:
    """End an order that did not leave after all: a deletion cancels it, a newer version or visibility replaces it."""
    by = (("by", rows.as_text(newer["order_id"])),)
    if newer["kind"] == OrderKind.DMP_DELETE:
        return transition(connection, context, row, OrderEvent.CANCEL, AGENT_ACTOR, changes, detail=by)
    ended = transition(connection, context, row, OrderEvent.SUPERSEDE, AGENT_ACTOR, changes, detail=by)
    if newer["kind"] == OrderKind.DMP_VISIBILITY and row["kind"] != newer["kind"]:
        # Nothing is there to change: the document leaves with the visibility that was asked meanwhile.
        holds = rows.holds_of(row["holds"]) | rows.holds_of(newer["holds"])
        columns: Row = {
            "kind": OrderKind.DMP_SUBMIT.value,
            "holds": rows.holds_text(holds),
            "given_digest": row["given_digest"],
            "request_digest": row["request_digest"],
            "next_attempt_at_us": 0,
        }
        took = (("instead_of", rows.as_text(row["order_id"])),)
        touch(connection, context, newer, "order.took_over", AGENT_ACTOR, changes, columns, took)
        given.copy(connection, row, newer)
    return ended


def tell(
    connection: Connection,
    context: Context,
    row: Row,
    kind: str,
    actor: Actor,
    changes: list[Change],
    *,
    detail: Pairs,
    before: OrderState | None = None,
    after: OrderState | None = None,
) -> None:
    """Write a ledger line about an order; without states it says that nothing of the row changed."""
    entry = ledger.append(
        connection,
        ledger.Line(
            at=context.clock.now(),
            kind=kind,
            actor=actor,
            order_id=rows.as_text(row["order_id"]),
            client_id=rows.as_text(row["client_id"]),
            client_ref=rows.as_text(row["client_ref"]),
            before=before,
            after=after,
            detail=detail,
        ),
    )
    changes.append(Change(entry=entry, order=rows.order_of(row)))


def touch(
    connection: Connection,
    context: Context,
    row: Row,
    kind: str,
    actor: Actor,
    changes: list[Change],
    columns: Row,
    detail: Pairs = (),
) -> Row:
    """Change columns without changing the state, with a ledger line of that kind."""
    state = OrderState(rows.as_text(row["state"]))
    new = save(connection, context, row, columns)
    tell(connection, context, new, kind, actor, changes, before=state, after=state, detail=detail)
    return new


def cancel(
    connection: Connection, context: Context, order_id: OrderId, actor: Actor, changes: list[Change]
) -> tuple[CancelAnswer, Order]:
    """Cancel if nothing left; else record that it was asked, or say that it is too late."""
    row = load(connection, context, order_id)
    state = OrderState(rows.as_text(row["state"]))
    if can(state, OrderEvent.CANCEL):
        row = transition(connection, context, row, OrderEvent.CANCEL, actor, changes)
        return CancelAnswer.CANCELLED, rows.order_of(row)
    if state is OrderState.CANCELLED:
        return CancelAnswer.CANCELLED, rows.order_of(row)
    if state in CANCEL_ASKED_ONLY:
        if not row["cancel_requested"]:
            row = touch(connection, context, row, "order.cancel_asked", actor, changes, {"cancel_requested": 1})
        return CancelAnswer.ASKED, rows.order_of(row)
    return CancelAnswer.TOO_LATE, rows.order_of(row)


# States in which a hold keeps something from leaving, or may: what is on the wire can come back.
CAN_BE_HELD: Final = frozenset(OrderState) - SETTLED


def put_hold(
    connection: Connection, context: Context, row: Row, hold: HoldKind, actor: Actor, cause: str, changes: list[Change]
) -> Row:
    """Hold an order; a CLAIMED one goes back to READY so that nothing leaves. Raises Conflict TOO_LATE.

    One that is SENDING or IN_DOUBT keeps the hold: it does not stop the bytes under way, only the next try.
    """
    state = OrderState(rows.as_text(row["state"]))
    holds = rows.holds_of(row["holds"])
    if hold in holds:
        return row
    if state not in CAN_BE_HELD:
        raise Conflict("TOO_LATE", state=state.value)
    detail = (("hold", hold.value), ("cause", cause))
    if state is OrderState.CLAIMED:
        row = transition(connection, context, row, OrderEvent.UNCLAIM, actor, changes, detail=detail)
    columns: Row = {"holds": rows.holds_text(holds | {hold})}
    return touch(connection, context, row, "order.held", actor, changes, columns, detail)


def lift_hold(
    connection: Connection, context: Context, row: Row, hold: HoldKind, actor: Actor, cause: str, changes: list[Change]
) -> Row:
    """Lift a hold; lifting an absent one changes nothing. Lifted, trouble is counted anew."""
    holds = rows.holds_of(row["holds"])
    if hold not in holds:
        return row
    if hold is HoldKind.TROUBLE:
        connection.run("UPDATE orders SET strikes = 0, restarts = 0 WHERE order_id = ?", [row["order_id"]])
    detail = (("hold", hold.value), ("cause", cause))
    columns: Row = {"holds": rows.holds_text(holds - {hold})}
    return touch(connection, context, row, "order.hold_lifted", actor, changes, columns, detail)
