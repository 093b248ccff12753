"""Idempotency keys: which order a client's key stands for, scoped to the client."""

from __future__ import annotations

from vaguemestre_core.errors import Conflict
from vaguemestre_core.orders import ClientId, OrderId
from vaguemestre_queue import rows
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context


def known(connection: Connection, client_id: ClientId, key: str | None, digest: str) -> OrderId | None:
    """Return the order of a key already used for the same request, or None. Raises Conflict IDEMPOTENCY_MISMATCH."""
    if key is None:
        return None
    found = connection.run(
        "SELECT request_digest, order_id FROM idempotency WHERE client_id = ? AND key = ?", [client_id, key]
    )
    if not found:
        return None
    if found[0][0] != digest:
        raise Conflict("IDEMPOTENCY_MISMATCH")
    return OrderId(rows.as_text(found[0][1]))


def remember(
    connection: Connection, context: Context, client_id: ClientId, key: str | None, digest: str, order_id: str
) -> None:
    """Let a key stand for an order from now on."""
    if key is not None:
        connection.run(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)",
            [client_id, key, digest, order_id, rows.to_us(context.clock.now())],
        )
