"""The store's side of keeping: ``KeepingPort`` over the writer's thread, the reading connection and the folder."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import Anchor, ErasureReason, ErasureReport, WaitingChoice
from vaguemestre_core.records import Actor, Change
from vaguemestre_core.redaction import Personal
from vaguemestre_queue import anchors, erasure, ledger, retention, rows
from vaguemestre_queue.checkpoints import Checkpoints
from vaguemestre_queue.connection import Connection, SqlRow, Value, transaction
from vaguemestre_queue.context import Context
from vaguemestre_queue.writer import Writer

ASIDE: Final = "aside-"  # folder of a store that a restoration put aside
DAMAGED: Final = "damaged-"  # folder of a store that a salvage put aside
# What else of a store may lie beside it: copies of migrations, and what a killed restoration or salvage left.
_LEFT: Final = (f"{ASIDE}*", f"{DAMAGED}*", "salvage.tmp")
_PAGE: Final = 1000
Read = Callable[[str, Sequence[Value]], Awaitable[list[SqlRow]]]


class StoreKeeping:
    """Keeps and lets go of one open store.

    Args:
        context: keys and clock.
        writer: runs what writes.
        read: reads through the reading connection.
        checkpoints: empties the log in the writer's thread.
        database: the store's file; its folder holds the anchors.
    """

    def __init__(self, context: Context, writer: Writer, read: Read, checkpoints: Checkpoints, database: Path) -> None:
        self._context = context
        self._writer = writer
        self._read = read
        self._checkpoints = checkpoints
        self._database = database
        self._anchors = database.with_name(anchors.ANCHORS_FILE)

    async def destroy_ended(self, days: int, batch: int) -> int:
        """Destroy the bodies of a batch of orders; see ``retention.destroy``."""
        context = self._context

        def work(connection: Connection, changes: list[Change]) -> int:
            return retention.destroy(connection, context, days, batch, changes)

        return await asyncio.wrap_future(self._writer.submit(work))

    async def sealed_to(self) -> frozenset[str]:
        """Return the labels of all the keys that some body here was sealed to."""
        found = await self._read("SELECT DISTINCT recipients FROM bodies", [])
        return frozenset(label for (cell,) in found for label, _ in rows.pairs_of(cell))

    async def destroy_copies(self, days: int) -> int:
        """Remove copies of the database that have been there long enough.

        Raises:
            StoreError: STORE_IO_ERROR, one cannot be removed; the others are gone.
        """
        stays: OSError | None = None
        count = 0
        for copy in await asyncio.to_thread(self._copies):
            if await self._is_old(copy.name, days):
                try:
                    await asyncio.to_thread(_remove, copy)
                except OSError as error:  # in use, or not ours to remove
                    stays = error
                    continue
                count += 1
        if stays is not None:
            raise StoreError("STORE_IO_ERROR") from stays
        return count

    async def _is_old(self, name: str, days: int) -> bool:
        clock = self._context.clock

        def work(connection: Connection, _: list[Change]) -> bool:
            return retention.is_old(connection, clock, name, days)

        return await asyncio.wrap_future(self._writer.submit(work))

    def _copies(self) -> list[Path]:
        folder = self._database.parent
        name = self._database.name
        patterns = (f"{name}.before-*", f"{name}.restoring", *_LEFT)
        return sorted(path for pattern in patterns for path in folder.glob(pattern))

    async def erase(
        self, patient_keys: Sequence[Personal], waiting: WaitingChoice, reason: ErasureReason, actor: Actor
    ) -> ErasureReport:
        """Erase what is kept about a patient; see ``erasure.erase``."""
        context = self._context

        def work(connection: Connection, changes: list[Change]) -> ErasureReport:
            return erasure.erase(connection, context, patient_keys, waiting, reason, actor, changes)

        report = await asyncio.wrap_future(self._writer.submit(work))
        return replace(report, log_emptied=await self.empty_log())

    async def empty_log(self) -> bool:
        """Copy the log into the database and empty it."""

        def work(connection: Connection, _: list[Change]) -> Future[bool]:
            return self._checkpoints.ask_to_empty()

        return await asyncio.wrap_future(await asyncio.wrap_future(self._writer.submit(work)))

    async def sign_head(self) -> None:
        """Sign the head in the database, then keep it in the folder."""
        context = self._context

        def work(connection: Connection, _: list[Change]) -> anchors.Head | None:
            return anchors.sign(connection, context)

        head = await asyncio.wrap_future(self._writer.submit(work))
        if head is not None:
            with contextlib.suppress(OSError, StoreError):  # the one before stays; a forged file is told by verify
                await asyncio.to_thread(anchors.add_to_folder, self._anchors, head)

    def sign_last_head(self, connection: Connection) -> None:
        """Sign the head at the end, when the writer's thread has stopped."""
        with transaction(connection):
            head = anchors.sign(connection, self._context)
        if head is not None:
            with contextlib.suppress(OSError, StoreError):
                anchors.add_to_folder(self._anchors, head)

    async def _known(self, outside: Sequence[Anchor], select: str) -> list[Anchor]:
        sealer = self._context.sealer
        signed = await self._read(select, ())
        inside = await asyncio.to_thread(anchors.of_rows, signed, sealer)
        folder = await asyncio.to_thread(anchors.of_folder, self._anchors, sealer)
        return sorted([*inside, *folder, *outside], key=lambda anchor: anchor.seq)

    async def contradiction(self, outside: Sequence[Anchor]) -> str | None:
        """Compare the newest anchors of the database, and all others, with their lines."""
        try:
            lines = rows.as_int((await self._read("SELECT coalesce(max(seq), 0) FROM ledger", ()))[0][0])
            for anchor in await self._known(outside, anchors.NEWEST):
                found = await self._read("SELECT digest FROM ledger WHERE seq = ?", (anchor.seq,))
                anchors.require(anchor, rows.as_bytes(found[0][0]) if found else None, lines)
        except StoreError as error:
            if not error.code.startswith("LEDGER_"):
                raise
            return error.code
        return None

    async def verify(self, outside: Sequence[Anchor]) -> tuple[int, str]:
        """Recompute the chain; hold it against every anchor."""
        wanted = await self._known(outside, anchors.SELECT)
        seqs = {anchor.seq for anchor in wanted}
        met: dict[int, bytes] = {}
        check = ledger.ChainCheck()
        while True:
            found = await self._read(f"{ledger.SELECT} WHERE seq > ? ORDER BY seq LIMIT {_PAGE}", (check.lines,))
            for row in found:
                check.take(row)
                if check.lines in seqs:
                    met[check.lines] = check.digest
            if len(found) < _PAGE:
                break
        for anchor in wanted:
            anchors.require(anchor, met.get(anchor.seq), check.lines)
        return check.lines, check.digest.hex()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
