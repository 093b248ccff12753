"""Strikes of an order: failures that it alone can be blamed for. At the limit it is held, for a person to decide.

The count is outside the digest of a row: who forges it can only make an order wait for a person.
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.orders import HoldKind
from vaguemestre_core.records import AGENT_ACTOR, Change
from vaguemestre_queue import rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row

# An order on its way each time the agent is killed: it may be what kills it. Far above what power cuts explain.
RESTARTS: Final = 20


def strike(connection: Connection, context: Context, row: Row, limit: int, code: str, changes: list[Change]) -> Row:
    """Count one more strike; at the limit hold the order, if it can still be held."""
    return _count(connection, context, row, "strikes", limit, code, changes)


def restarted(connection: Connection, context: Context, row: Row, changes: list[Change]) -> Row:
    """Count one more restart of the agent while the order was leaving; far too many hold it."""
    return _count(connection, context, row, "restarts", RESTARTS, "AGENT_KILLED", changes)


def _count(
    connection: Connection, context: Context, row: Row, column: str, limit: int, code: str, changes: list[Change]
) -> Row:
    order_id = row["order_id"]
    connection.run(f"UPDATE orders SET {column} = {column} + 1 WHERE order_id = ?", [order_id])
    count = rows.as_int(connection.run(f"SELECT {column} FROM orders WHERE order_id = ?", [order_id])[0][0])
    if count < limit or rows.as_text(row["state"]) not in transitions.CAN_BE_HELD:
        return row
    return transitions.put_hold(connection, context, row, HoldKind.TROUBLE, AGENT_ACTOR, code, changes)
