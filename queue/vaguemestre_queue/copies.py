"""What the store gives to its second copy, and what it remembers of bodies it destroyed: ``CopySourcePort``.

Reading only, but for a small memory; copying never stands in the way of accepting.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderId
from vaguemestre_core.records import Change
from vaguemestre_core.secondcopy import CopyMemory, Listed
from vaguemestre_queue import copylist, meta, rows
from vaguemestre_queue.connection import Connection, SqlRow, Value
from vaguemestre_queue.context import Context
from vaguemestre_queue.writer import Writer

_PAGE: Final = 200
_MEMORY: Final = "second_copy"  # meta: away since and last copied, microseconds or a dash
_TABLE: Final = "destroyed_bodies"
Read = Callable[[str, Sequence[Value]], Awaitable[list[SqlRow]]]


def note_destroyed(connection: Connection, context: Context, order_id: str) -> None:
    """Remember that an order's bodies were destroyed: its copy elsewhere goes too, even if that place is away now."""
    name = copylist.copy_name(order_id)
    mac = context.sealer.authenticate(_TABLE, [name])
    connection.run("INSERT OR IGNORE INTO destroyed_bodies VALUES (?, ?)", [name, mac])


class StoreCopies:
    """Gives sealed documents of one open store.

    Args:
        context: keys.
        writer: runs what writes.
        read: reads through the reading connection.
    """

    def __init__(self, context: Context, writer: Writer, read: Read) -> None:
        self._context = context
        self._writer = writer
        self._read = read

    async def mark(self) -> int:
        """Return the number of the last ledger line: nothing about a document changes without one."""
        return rows.as_int((await self._read("SELECT coalesce(max(seq), 0) FROM ledger", []))[0][0])

    async def wanted(self) -> list[Listed]:
        """Return the orders whose given document is kept, oldest first."""
        select = rows.SELECT.replace("SELECT ", "SELECT seq, ", 1)
        kept = "EXISTS (SELECT 1 FROM bodies AS b WHERE b.order_id = orders.order_id AND b.role = 'given')"
        found: list[Listed] = []
        after = 0
        while page := await self._read(f"{select} WHERE seq > ? AND {kept} ORDER BY seq LIMIT {_PAGE}", [after]):
            after = rows.as_int(page[-1][0])
            for _, *cells in page:
                row, mac = rows.row_of(tuple(cells))
                if rows.is_authentic(self._context.sealer, row, mac):
                    order_id = OrderId(rows.as_text(row["order_id"]))
                    line = copylist.line_of(tuple(cells))
                    found.append(Listed(order_id=order_id, name=copylist.copy_name(order_id), line=line))
        return found

    async def destroyed(self, names: Sequence[str]) -> frozenset[str]:
        """Return those names whose body this store destroyed; a mark that is not ours destroys nothing."""
        found: set[str] = set()
        for start in range(0, len(names), _PAGE):
            page = list(names[start : start + _PAGE])
            marks = ", ".join("?" for _ in page)
            for name, mac in await self._read(f"SELECT name, mac FROM destroyed_bodies WHERE name IN ({marks})", page):
                if self._context.sealer.is_authentic(_TABLE, [name], mac):
                    found.add(rows.as_text(name))
        return frozenset(found)

    async def envelope(self, order_id: OrderId) -> bytes | None:
        """Return what was given, still sealed."""
        found = await self._read(
            "SELECT b.envelope, o.given_digest FROM bodies AS b JOIN orders AS o USING (order_id) "
            "WHERE b.order_id = ? AND b.role = 'given'",
            [order_id],
        )
        if not found:
            return None
        sealed = rows.as_bytes(found[0][0])
        return sealed if hashlib.sha256(sealed).digest() == found[0][1] else None

    async def sealed_list(self, lines: Iterable[str]) -> bytes:
        """Return a sealed list."""
        return await asyncio.to_thread(copylist.seal, list(lines), self._context.sealer)

    async def lines_of(self, lists: Sequence[bytes]) -> dict[str, str]:
        """Return the lines of the first list that opens; none when all are damaged or were sealed to other keys."""
        try:
            return await asyncio.to_thread(copylist.unseal_first, lists, self._context.sealer)
        except StoreError as error:
            if error.code not in {"COPY_LIST_UNREADABLE", "BODY_UNREADABLE"}:
                raise
            return {}

    async def remember(self, memory: CopyMemory) -> None:
        """Keep two instants."""
        instants = (memory.away_since, memory.last_copied_at)
        text = " ".join("-" if instant is None else str(rows.to_us(instant)) for instant in instants)

        def work(connection: Connection, _: list[Change]) -> None:
            meta.write(connection, _MEMORY, text)

        await asyncio.wrap_future(self._writer.submit(work))

    async def recalled(self) -> CopyMemory:
        """Return the two instants."""
        found = await self._read("SELECT value FROM meta WHERE key = ?", [_MEMORY])
        if not found:
            return CopyMemory()
        away, copied = (
            None if part == "-" else rows.from_us(int(part)) for part in rows.as_text(found[0][0]).split(" ")
        )
        return CopyMemory(away_since=away, last_copied_at=copied)
