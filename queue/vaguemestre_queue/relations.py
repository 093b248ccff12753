"""The orders of one document together: what is at the service, what a verdict must decide first, what is outdated.

Owns how a version names the one before it. A version is linked when nothing before it is still open, never by a guess;
what it replaces is what our own orders say is there. Source: docs/architecture.md, "Correcting".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.changes import CHANGES
from vaguemestre_core.document_state import version_there
from vaguemestre_core.orders import (
    TERMINAL,
    DocumentId,
    HoldKind,
    OrderEvent,
    OrderId,
    OrderKind,
    OrderState,
    WaitReason,
    can,
)
from vaguemestre_core.records import AGENT_ACTOR, GONE_THERE, Actor, Change, Order
from vaguemestre_core.redaction import Personal
from vaguemestre_queue import rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row

ERASED: Final = "erased"  # in place of a pseudonym; no pseudonym looks like it
_STOPPED: Final = frozenset({OrderState.CANCELLED, OrderState.SUPERSEDED, OrderState.ABANDONED, OrderState.REJECTED})
_MAKES_OR_ENDS: Final = rows.CONTENT | {OrderKind.DMP_DELETE.value}
_OVER: Final = ", ".join(f"'{state.value}'" for state in sorted(TERMINAL))
# Nothing of the same document is open before it: its own fate depends on no verdict to come.
IS_FREE: Final = (
    "NOT EXISTS (SELECT 1 FROM orders AS e WHERE e.document_id = orders.document_id AND e.seq < orders.seq "
    f"AND (e.quarantined = 1 OR e.state NOT IN ({_OVER})))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a document's orders say together.

    Attributes:
        settled: none is open.
        there: the order whose version is at the service now, or None.
        last_version: highest version number that was ever there; 0: none.
    """

    settled: bool
    there: Row | None
    last_version: int


def of_document(connection: Connection, context: Context, document_id: DocumentId) -> list[Row]:
    """Return a document's orders, oldest first. Raises StoreError ROW_NOT_AUTHENTIC."""
    found = connection.run(f"{rows.SELECT} WHERE document_id = ? ORDER BY seq", [document_id])
    return [transitions.checked(context, cells) for cells in found]


def before(connection: Connection, context: Context, row: Row) -> list[Row]:
    """Return the orders of the same document accepted before this one. Raises StoreError ROW_NOT_AUTHENTIC."""
    orders = of_document(connection, context, DocumentId(rows.as_text(row["document_id"])))
    return orders[: next(number for number, other in enumerate(orders) if other["order_id"] == row["order_id"])]


def state_of(row: Row) -> OrderState:
    """Return the state of a row."""
    return OrderState(rows.as_text(row["state"]))


def is_set_aside(row: Row) -> bool:
    """Say whether an order is what a person left of a row that was not ours: nothing in it counts."""
    return state_of(row) is OrderState.ABANDONED and HoldKind.INTEGRITY in rows.holds_of(row["holds"])


def lane_of(context: Context, patient: str, set_id: str) -> str:
    """Return the lane of a patient's pseudonym and a setId: what shares one leaves one after the other."""
    return context.sealer.pseudonym("lane", Personal(f"{patient}\x1f{set_id}"))


def is_change(row: Row) -> bool:
    """Say whether an order changes, without a body, a version that is there."""
    return row["kind"] in CHANGES


def wanted(orders: Sequence[Row]) -> Row:
    """Return the last version a client wanted; every document begins with one."""
    return next(row for row in reversed(orders) if rows.is_content(row))


def is_being_deleted(orders: Sequence[Row]) -> bool:
    """Say whether the last of these orders that counts deletes, or deleted, the document."""
    counts = (row for row in reversed(orders) if state_of(row) not in _STOPPED and row["kind"] in _MAKES_OR_ENDS)
    last = next(counts, None)
    return last is not None and last["kind"] == OrderKind.DMP_DELETE


def standing(orders: Sequence[Row]) -> Standing:
    """Return what these orders, oldest first, say together."""
    sent = [row for row in orders if state_of(row) is OrderState.SENT]
    there = version_there([rows.order_of(row) for row in sent])
    return Standing(
        settled=all(state_of(row) in TERMINAL for row in orders),
        there=None if there is None else next(row for row in sent if row["order_id"] == there.order_id),
        last_version=max((rows.as_int(row["version"]) for row in sent if rows.is_content(row)), default=0),
    )


def linked(row: Row, earlier: Sequence[Row]) -> Row:
    """Return the columns by which a version names the one before it, as far as that is known."""
    now = standing(earlier)
    if not now.settled:
        return {"waiting": WaitReason.PREDECESSOR.value}
    there = now.there
    return {
        "waiting": None,
        "kind": (OrderKind.DMP_SUBMIT if there is None else OrderKind.DMP_REPLACE).value,
        "version": now.last_version + 1,
        "predecessor": None if there is None else there["order_id"],
        "predecessor_unique_id": None if there is None else there["unique_id"],
    }


def materialise(connection: Connection, context: Context, row: Row, changes: list[Change]) -> Row:
    """Link an order that may be prepared now; return it as it is now."""
    columns = linked(row, before(connection, context, row))
    if all(row[name] == value for name, value in columns.items()):
        return row
    detail = (("kind", rows.as_text(columns["kind"])), ("version", str(columns["version"])))
    return transitions.touch(connection, context, row, "order.linked", AGENT_ACTOR, changes, columns, detail)


def make_room(
    connection: Connection, context: Context, orders: Sequence[Row], by: str, actor: Actor, changes: list[Change]
) -> Row | None:
    """Supersede all that has not left, for a newer wish; return the version that was superseded, or None."""
    superseded: Row | None = None
    for row in orders:
        if can(state_of(row), OrderEvent.SUPERSEDE):
            detail = (("by", by),)
            transitions.transition(connection, context, row, OrderEvent.SUPERSEDE, actor, changes, detail=detail)
            superseded = row if rows.is_content(row) else superseded
    return superseded


def predecessor_gone(connection: Connection, context: Context, order_id: OrderId, changes: list[Change]) -> Order:
    """Remember that the version replaced is no longer there, and let this one be built again without naming it.

    Raises Conflict TRANSITION_ILLEGAL when the order is no longer CLAIMED.
    """
    row = transitions.load(connection, context, order_id)
    for other in before(connection, context, row):
        if other["order_id"] == row["predecessor"]:
            receipt = [pair for pair in rows.pairs_of(other["receipt"]) if pair != GONE_THERE]
            columns: Row = {"receipt": rows.pairs_json([*receipt, GONE_THERE])}
            transitions.touch(connection, context, other, "order.gone_there", AGENT_ACTOR, changes, columns)
    new = transitions.transition(
        connection,
        context,
        row,
        OrderEvent.PREDECESSOR_GONE,
        AGENT_ACTOR,
        changes,
        columns={"next_attempt_at_us": 0, **unprepared(connection, row)},
    )
    return rows.order_of(new)


def unprepared(connection: Connection, row: Row) -> Row:
    """Forget what was built of an order; return the columns that say so: it is built anew, with fresh identifiers."""
    connection.run("DELETE FROM bodies WHERE order_id = ? AND role IN ('prepared', 'signature')", [row["order_id"]])
    return {"prepared_digest": None, "signature_digest": None, "frozen_ids": None}
