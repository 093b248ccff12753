"""Rows that are ours and of the past: the ledger's last word about an order must be the state its row is in.

Owns that comparison and its consequence. A digest cannot tell a row from what it was yesterday: whoever keeps an old
row and writes it back would have it leave again, or leave although cancelled. Source: docs/bad-days.md, "Altered rows".
"""

from __future__ import annotations

import logging
from typing import Final

from vaguemestre_core.orders import MAY_LEAVE, TERMINAL, OrderEvent, OrderState
from vaguemestre_core.records import AGENT_ACTOR, Change
from vaguemestre_queue import rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row

_log = logging.getLogger(__name__)
CODE: Final = "ROW_SET_BACK"
_STOPPED: Final = TERMINAL - {OrderState.SENT}
_LAST_WORD: Final = (
    "SELECT l.after FROM ledger AS l WHERE l.order_id = {} AND l.after IS NOT NULL ORDER BY l.seq DESC LIMIT 1"
)
_LEAVING: Final = ", ".join(f"'{state.value}'" for state in sorted(MAY_LEAVE))


def last_word(connection: Connection, order_id: str) -> str | None:
    """Return the last state the ledger gave an order, or None when it knows none."""
    found = connection.run(_LAST_WORD.format("?"), [order_id])
    return rows.as_text(found[0][0]) if found else None


def goes_on(connection: Connection, context: Context, row: Row, changes: list[Change]) -> bool:
    """Say whether an order that may leave is where the ledger left it; one that is not is stopped or doubted.

    What had been stopped is stopped again; all else is looked up at the service before anything leaves. An order that
    the ledger does not know, lines being lost, is as its row says: the chain tells the loss.
    """
    order_id = rows.as_text(row["order_id"])
    told = last_word(connection, order_id)
    if told is None or told == row["state"]:
        return True
    last = OrderState(told)
    _log.error("order.set_back", extra={"order_id": order_id, "code": CODE})
    detail = (("cause", CODE), ("last_known", last.value))
    if last in _STOPPED:
        transitions.transition(connection, context, row, OrderEvent.CANCEL, AGENT_ACTOR, changes, detail=detail)
        return False
    now_us = rows.to_us(context.clock.now())
    columns: Row = {"doubt_since_us": now_us, "next_attempt_at_us": 0, "failure_code": CODE}
    transitions.transition(
        connection, context, row, OrderEvent.INCARNATED, AGENT_ACTOR, changes, columns=columns, detail=detail
    )
    return False


def look(connection: Connection, context: Context, changes: list[Change]) -> int:
    """Look at all that may leave; return how many orders had been set back."""
    found = connection.run(
        f"{rows.SELECT} AS o WHERE o.quarantined = 0 AND o.state IN ({_LEAVING}) "
        f"AND ({_LAST_WORD.format('o.order_id')}) <> o.state"
    )
    count = 0
    for cells in found:
        row, mac = rows.row_of(cells)
        if rows.is_authentic(context.sealer, row, mac):
            count += not goes_on(connection, context, row, changes)
    return count
