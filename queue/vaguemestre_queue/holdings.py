"""The documents that a snapshot holds, opened one after the other, for export. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderId
from vaguemestre_core.records import Order, StoredBody
from vaguemestre_queue import acceptance, bodies, rows
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One version of a document.

    Attributes:
        order: the order it was given with.
        given: what the client gave, or None when it was destroyed or cannot be opened.
        prepared: what was built of it, or None when it was not, or no longer is.
        gone: a code saying why there is no ``given``: BODY_GONE, BODY_UNREADABLE; None when there is.
    """

    order: Order
    given: StoredBody | None = field(repr=False)
    prepared: bytes | None = field(repr=False)
    gone: str | None


def held(connection: Connection, context: Context, since: datetime, until: datetime) -> Iterator[Holding]:
    """Give the versions accepted from ``since`` on and before ``until``, oldest first; rows not ours are left out."""
    after = 0
    select = rows.SELECT.replace("SELECT ", "SELECT seq, ", 1)
    bounds = [rows.to_us(since), rows.to_us(until)]
    condition = "seq > ? AND accepted_at_us >= ? AND accepted_at_us < ?"
    while page := connection.run(f"{select} WHERE {condition} ORDER BY seq LIMIT 100", [after, *bounds]):
        for seq, *cells in page:
            after = rows.as_int(seq)
            row, mac = rows.row_of(tuple(cells))
            if rows.is_content(row) and rows.is_authentic(context.sealer, row, mac):
                yield _holding(connection, context, row)


def _holding(connection: Connection, context: Context, row: Row) -> Holding:
    order = rows.order_of(row)
    gone: str | None = None
    given: StoredBody | None = None
    prepared: bytes | None = None
    try:
        opened = _open(connection, context, order.order_id, bodies.GIVEN)
        given = None if opened is None else acceptance.unframe(opened)
        prepared = _open(connection, context, order.order_id, bodies.PREPARED)
    except StoreError as error:
        if error.code not in {"BODY_GONE", "BODY_UNREADABLE"}:
            raise
        gone = None if given is not None else error.code
    return Holding(order=order, given=given, prepared=prepared, gone=gone)


def _open(connection: Connection, context: Context, order_id: OrderId, role: str) -> bytes | None:
    sealed = bodies.fetch(connection, context, order_id, role)
    return None if sealed is None else context.sealer.open(sealed)
