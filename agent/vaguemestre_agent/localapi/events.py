"""One client's event stream: its active orders first, then numbered changes, resumable, never unbounded in memory.

The stream pulls: a commit only wakes it, and it reads the changes after the last number it wrote, page by page. A
reader that does not read stops the pulling and is disconnected. Cancellation is safe at any await.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_agent.localapi.mapping import line_to_wire, order_to_wire
from vaguemestre_agent.localapi.readerport import ScanEvent, SeenProfessional, SeenReaders
from vaguemestre_agent.localapi.readers import card_to_wire, readers_to_wire, scan_event_to_wire
from vaguemestre_api import wire
from vaguemestre_api.codec import to_json
from vaguemestre_api.sse import write_event, write_heartbeat
from vaguemestre_core.errors import NotFound
from vaguemestre_core.orders import TERMINAL, OrderId, OrderState
from vaguemestre_core.readerports import ProcessState
from vaguemestre_core.records import Change, Client, LedgerEntry, Order, OrderFilter, Scope

ACTIVE = frozenset(OrderState) - TERMINAL
# What a person scans while the stream waits for its reader; the oldest are dropped.
MOST_SCANS = 32


class EventStream:
    """Writes one stream.

    Args:
        backend: the services.
        client: whose events.
        write: sends bytes; raises ConnectionError when the reader is gone.
        limits: pages, heartbeat, patience with a slow reader.
        ended: says that the agent stops or the reader left: the stream ends and the client resumes later.
    """

    def __init__(
        self,
        backend: Backend,
        client: Client,
        write: Callable[[bytes], Awaitable[None]],
        limits: ApiLimits,
        ended: Callable[[], bool],
    ) -> None:
        self._backend = backend
        self._client = client
        self._raw_write = write
        self._limits = limits
        self._ended = ended
        self._wake = asyncio.Event()
        self._revoked = False
        # A workstation without readers tells none.
        self._shown = SeenReaders(state=ProcessState.OFF, trouble=None, readers=())
        self._cards_shown: dict[str, SeenProfessional] = {}
        self._scans: deque[ScanEvent] = deque(maxlen=MOST_SCANS)

    async def run(self, after: int | None) -> None:
        """Write until the agent stops, the reader leaves (ConnectionError) or is too slow (TimeoutError).

        Args:
            after: number of the last change the client has seen, None for a fresh start.
        """
        stop_listening = self._backend.listen(self._changed)
        stop_watching = self._backend.readers.listen(self.wake)
        stop_scans = self._backend.readers.listen_scans(self._client, self._scanned)
        try:
            # After listening: a revocation since the authentication is seen here, a later one is told.
            if any(
                known.client_id == self._client.client_id and known.revoked_at
                for known in await self._backend.clients()
            ):
                return
            cursor = await self._start(after)
            while not self._is_over():
                self._wake.clear()
                cursor = await self._catch_up(cursor)
                await self._tell_readers()
                await self._tell_scans()
                await self._wait(cursor)
        finally:
            stop_scans()
            stop_watching()
            stop_listening()

    def wake(self) -> None:
        """Look again now: something may have ended."""
        self._wake.set()

    def _scanned(self, event: ScanEvent) -> None:
        self._scans.append(event)
        self._wake.set()

    def _changed(self, change: Change) -> None:
        if change.entry.kind == "client.revoked" and change.entry.client_id == self._client.client_id:
            self._revoked = True
        self._wake.set()

    def _is_over(self) -> bool:
        return self._revoked or self._ended()

    async def _start(self, after: int | None) -> int:
        """Decide between resuming and a full state; return the number to go on from."""
        last = await self._backend.last_change()
        if after is not None:
            oldest = await self._backend.first_change()
            if after > last:
                await self._write(write_event("resync", to_json(wire.Resync(reason="ahead"))))
            elif after + 1 < oldest:
                await self._write(write_event("resync", to_json(wire.Resync(reason="gap"))))
            else:
                return after
        await self._snapshot(last)
        return last

    async def _snapshot(self, at: int) -> None:
        """Write the active orders, in parts; only the last part carries the number, so a cut one is read again."""
        before: OrderId | None = None
        page = self._limits.page
        while True:
            orders = await self._backend.orders(
                self._client,
                OrderFilter(
                    client_id=None if Scope.ADMIN in self._client.scopes else self._client.client_id,
                    states=ACTIVE,
                    limit=page,
                    after=before,
                ),
            )
            last = len(orders) < page
            part = wire.Snapshot(orders=tuple(order_to_wire(order) for order in orders), last=last, at=at)
            await self._write(write_event("snapshot", to_json(part), at if last else None))
            if last:
                return
            before = orders[-1].order_id

    async def _catch_up(self, cursor: int) -> int:
        """Write what was committed after ``cursor``; return the number reached."""
        while True:
            last = await self._backend.last_change()
            if last <= cursor:
                return cursor
            entries = await self._backend.changes(self._client, cursor, self._limits.page)
            orders = await self._orders_of(entries)
            for entry in entries:
                if self._is_over():
                    return cursor
                order = None if entry.order_id is None else orders.get(entry.order_id)
                change = wire.Change(line=line_to_wire(entry), order=None if order is None else order_to_wire(order))
                await self._write(write_event("change", to_json(change), entry.seq))
            if len(entries) < self._limits.page:
                return max(last, entries[-1].seq) if entries else last
            cursor = entries[-1].seq
            if self._is_over():
                return cursor

    async def _tell_readers(self) -> None:
        """Write readers and professionals' cards when they are not as last written; no number: nothing is resumed.

        By level: a slow reader of the stream misses what passed in between, never how it ended.
        """
        seen = self._backend.readers.now()
        if seen != self._shown:
            self._shown = seen
            await self._write(write_event("readers", to_json(readers_to_wire(seen))))
        cards = self._backend.readers.cards(self._client)
        before = self._cards_shown
        self._cards_shown = {card.card_id: card.professional for card in cards if card.professional is not None}
        for card in cards:
            if card.professional is not None and card.professional != before.get(card.card_id):
                await self._write(write_event("card", to_json(card_to_wire(card))))

    async def _tell_scans(self) -> None:
        """Write the codes scanned since the last look; without number: a code is told once, to who listens then."""
        while self._scans and not self._is_over():
            event = self._scans.popleft()
            await self._write(write_event("scan", to_json(scan_event_to_wire(event))))

    async def _orders_of(self, entries: Sequence[LedgerEntry]) -> dict[OrderId, Order]:
        found: dict[OrderId, Order] = {}
        for order_id in dict.fromkeys(entry.order_id for entry in entries):
            if order_id is None:
                continue
            try:
                found[order_id] = await self._backend.order(self._client, order_id)
            except NotFound:
                continue  # visible line, order gone or not visible: the change says null
        return found

    async def _wait(self, cursor: int) -> None:
        """Wait for a commit; after a silence, write a heartbeat that moves the reader's number forward."""
        try:
            async with asyncio.timeout(self._limits.heartbeat_s):
                await self._wake.wait()
        except TimeoutError:
            await self._write(write_heartbeat(cursor))

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(self._limits.stream_write_s):
            await self._raw_write(data)
