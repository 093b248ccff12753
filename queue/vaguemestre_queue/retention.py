"""How long bodies stay: orders that are over are marked, and their bodies destroyed once the time has really passed.

Two clocks must agree. The wall clock may jump a year ahead and come back; *kept time* cannot: it grows with the
boot-time clock, and by at most ``LONGEST_GAP_S`` for each time the machine was off. It may be slow, never early.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import TERMINAL, DocumentId, OrderId
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.records import AGENT_ACTOR, Change
from vaguemestre_queue import bodies, copies, meta, relations, rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row

DAY_S: Final = 86400
LONGEST_GAP_S: Final = 3 * DAY_S  # credited for one time off, whatever the wall clock says
KEPT: Final = "kept_time"  # meta: seconds counted; wall clock, boot clock and boot at the last count
_OVER: Final = ", ".join(f"'{state.value}'" for state in sorted(TERMINAL))


def kept_s(connection: Connection, clock: ClockPort) -> int:
    """Count the time since the last count, in the caller's transaction; return the kept time, seconds."""
    now_us, boot_s, boot_id = rows.to_us(clock.now()), clock.boot_s(), clock.boot_id()
    known = meta.read(connection, KEPT)
    total = 0.0
    if known is not None:
        total_text, last_us, last_boot_s, last_boot_id = known.split(" ", 3)
        total = float(total_text)
        if boot_id and boot_id == last_boot_id:
            total += max(0.0, boot_s - float(last_boot_s))
        else:
            total += min(max(0.0, (now_us - int(last_us)) / 1e6), LONGEST_GAP_S)
    meta.write(connection, KEPT, f"{total:.3f} {now_us} {boot_s:.3f} {boot_id}")
    return int(total)


def mark_ended(connection: Connection, now_s: int) -> None:
    """Remember since when orders that are over, and have bodies, were seen to be so.

    So too for deletions of documents of which a reference is kept: they carry nothing, and end its reason.
    """
    connection.run(
        "INSERT INTO ended SELECT DISTINCT b.order_id, ? FROM bodies AS b JOIN orders AS o USING (order_id) "
        f"WHERE b.role <> 'reference' AND o.state IN ({_OVER}) "
        "AND NOT EXISTS (SELECT 1 FROM ended AS e WHERE e.order_id = b.order_id)",
        [now_s],
    )
    connection.run(
        "INSERT INTO ended SELECT d.order_id, ? FROM orders AS d WHERE d.kind = 'dmp.delete' AND d.state = 'sent' "
        "AND EXISTS (SELECT 1 FROM orders AS o JOIN bodies AS b USING (order_id) "
        "WHERE o.document_id = d.document_id AND o.seq < d.seq AND b.role = 'reference') "
        "AND NOT EXISTS (SELECT 1 FROM ended AS e WHERE e.order_id = d.order_id)",
        [now_s],
    )


def destroy(connection: Connection, context: Context, days: int, batch: int, changes: list[Change]) -> int:
    """Destroy the bodies of a batch of orders that are over since that many days; return how many orders.

    One whose document has an order under way is left: a replacement, a deletion or a change of visibility may need it.
    A row that is not ours is never a reason to destroy anything.
    """
    now_s = kept_s(connection, context.clock)
    mark_ended(connection, now_s)
    found = connection.run(
        f"SELECT {', '.join(f'o.{name}' for name in rows.COLUMNS)}, o.mac FROM ended AS e JOIN orders AS o "
        "USING (order_id) WHERE e.kept_s <= ? AND o.state_at_us <= ? AND NOT EXISTS (SELECT 1 FROM orders AS x "
        f"WHERE x.document_id = o.document_id AND (x.quarantined = 1 OR x.state NOT IN ({_OVER}))) "
        "ORDER BY e.kept_s LIMIT ?",
        [now_s - days * DAY_S, rows.to_us(context.clock.now() - timedelta(days=days)), batch],
    )
    count = 0
    for cells in found:
        row, _ = rows.row_of(cells)
        orders = _ours(connection, context, row)
        standing = relations.standing(orders)
        if not orders or not standing.settled:
            connection.run("DELETE FROM ended WHERE order_id = ?", [row["order_id"]])  # counted anew
            continue
        there = None if standing.there is None else standing.there["order_id"]
        for other in orders:
            if other["order_id"] not in {there, row["order_id"]}:
                _drop_reference(connection, context, other, days, changes)
        _let_go(connection, context, row, days, changes, is_there=row["order_id"] == there)
        count += 1
    return count


def _ours(connection: Connection, context: Context, row: Row) -> list[Row]:
    """Return all orders of the document, or none when one of them is not ours."""
    try:
        return relations.of_document(connection, context, DocumentId(rows.as_text(row["document_id"])))
    except StoreError as error:
        if error.code != "ROW_NOT_AUTHENTIC":
            raise
        return []


def _let_go(
    connection: Connection, context: Context, row: Row, days: int, changes: list[Change], *, is_there: bool
) -> None:
    """Destroy an order's bodies; of a version that is at the service, what a change of it needs is kept."""
    order_id = OrderId(rows.as_text(row["order_id"]))
    columns = bodies.reduce_to_reference(connection, context, order_id) if is_there else None
    roles = destroy_bodies(connection, context, row, keep_reference=columns is not None)
    if columns is None:
        if roles:
            _tell_destroyed(connection, context, row, days, roles, changes)
        return
    detail = (("days", str(days)), ("kept", bodies.REFERENCE), ("roles", ",".join([*roles, bodies.PREPARED])))
    transitions.touch(connection, context, row, "order.body_destroyed", AGENT_ACTOR, changes, columns, detail)


def _drop_reference(connection: Connection, context: Context, row: Row, days: int, changes: list[Change]) -> None:
    """Destroy the reference of a version that is no longer at the service."""
    where = "WHERE order_id = ? AND role = 'reference'"
    if connection.run(f"SELECT 1 FROM bodies {where}", [row["order_id"]]):
        connection.run(f"DELETE FROM bodies {where}", [row["order_id"]])
        _tell_destroyed(connection, context, row, days, [bodies.REFERENCE], changes)


def _tell_destroyed(
    connection: Connection, context: Context, row: Row, days: int, roles: list[str], changes: list[Change]
) -> None:
    detail = (("days", str(days)), ("roles", ",".join(roles)))
    transitions.tell(connection, context, row, "order.body_destroyed", AGENT_ACTOR, changes, detail=detail)


def destroy_bodies(connection: Connection, context: Context, row: Row, *, keep_reference: bool = False) -> list[str]:
    """Delete an order's bodies and its mark; return the roles that were there. ``secure_delete`` overwrites them.

    Its copy in a second place goes at the next pass there.
    """
    order_id = row["order_id"]
    kept = bodies.REFERENCE if keep_reference else ""
    where = "WHERE order_id = ? AND role <> ?"
    found = connection.run(f"SELECT role FROM bodies {where} ORDER BY role", [order_id, kept])
    connection.run(f"DELETE FROM bodies {where}", [order_id, kept])
    connection.run("DELETE FROM ended WHERE order_id = ?", [order_id])
    copies.note_destroyed(connection, context, rows.as_text(order_id))
    return [rows.as_text(role) for (role,) in found]


def is_old(connection: Connection, clock: ClockPort, name: str, days: int) -> bool:
    """Say whether a thing seen under that name has been there for that many days; the first time only remembers it."""
    now_s = kept_s(connection, clock)
    key = f"seen:{name}"
    seen = meta.read(connection, key)
    if seen is None:
        meta.write(connection, key, str(now_s))
        return False
    return now_s - int(seen) >= days * DAY_S
