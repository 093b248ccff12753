"""The persistent send queue as the services see it: ``StorePort`` over one writer thread and a reading connection.

Owns who runs where and when to answer; SQL lives in the modules it calls; nothing here knows a service.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite

from vaguemestre_core.changes import ChangeAccepted, ChangeRequest
from vaguemestre_core.clocks import ClockJump, ClockReading, EveningHour
from vaguemestre_core.errors import Conflict, NotFound, StoreError
from vaguemestre_core.orders import ClientId, HoldKind, OrderEvent, OrderId, OrderState
from vaguemestre_core.records import (
    AGENT_ACTOR,
    Acceptance,
    Accepted,
    Actor,
    CancelAnswer,
    Change,
    LedgerEntry,
    Order,
    OrderFilter,
    OrderPatch,
    RecoveryReport,
)
from vaguemestre_core.turns import SendingRight
from vaguemestre_queue import acceptance as accepting
from vaguemestre_queue import (
    changing,
    ledger,
    meta,
    relations,
    rows,
    scheduling,
    selecting,
    setaside,
    strikes,
    timekeeping,
    transitions,
)
from vaguemestre_queue.bodystore import BodyStore
from vaguemestre_queue.checkpoints import Checkpoints
from vaguemestre_queue.clientstore import ClientStore
from vaguemestre_queue.connection import Connection, Value, map_error, transaction
from vaguemestre_queue.context import Context
from vaguemestre_queue.copies import StoreCopies
from vaguemestre_queue.factstore import FactStore
from vaguemestre_queue.hidden import HiddenStore
from vaguemestre_queue.keeping import StoreKeeping
from vaguemestre_queue.memory import Memory
from vaguemestre_queue.soundness import Soundness
from vaguemestre_queue.tallies import TallyStore
from vaguemestre_queue.writer import Writer

T = TypeVar("T")


class Store(BodyStore, ClientStore, FactStore, TallyStore, HiddenStore):
    """The send queue of one workstation. Made by ``vaguemestre_queue.opening.open_store``."""

    def __init__(
        self,
        context: Context,
        connection: Connection,
        reader: aiosqlite.Connection,
        database: Path,
        memory: Memory,
        report: RecoveryReport,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._context = context
        self._reader = reader
        self._memory = memory
        self._recovery = report
        self._loop = loop
        self._connection = connection
        self._listeners: list[Callable[[Change], None]] = []
        hit = context.failpoints.hit
        checkpoints = Checkpoints(connection)
        self._writer = Writer(
            connection,
            self._committed,
            before_commit=partial(hit, "store.before_commit"),
            after_commit=partial(hit, "store.after_commit"),
            rest=checkpoints.after_answers,
        )
        self._soundness = Soundness(database)
        self._keeping = StoreKeeping(context, self._writer, self._read, checkpoints, database)
        self._copies = StoreCopies(context, self._writer, self._read)

    @property
    def recovery(self) -> RecoveryReport:
        """What was put right at opening."""
        return self._recovery

    @property
    def keeping(self) -> StoreKeeping:
        """What keeps and lets go."""
        return self._keeping

    @property
    def copies(self) -> StoreCopies:
        """What a second copy of the documents needs."""
        return self._copies

    @property
    def store_id(self) -> str:
        """The store's id: the same in all its copies."""
        return self._memory.store_id

    def start(self) -> None:
        """Start the writer thread."""
        self._writer.start()

    async def close(self) -> None:
        """Finish the work given, write a clean stop, close both connections."""
        await asyncio.to_thread(self._writer.stop)
        await self._reader.close()
        await asyncio.to_thread(self._last_words)

    def _last_words(self) -> None:
        with contextlib.suppress(StoreError):
            with transaction(self._connection):
                meta.write(self._connection, "clean_stop", "1")
            self._keeping.sign_last_head(self._connection)
            self._memory.remember(self._connection)
        self._connection.close()

    def _committed(self, changes: list[Change]) -> None:
        self._memory.committed(self._connection, changes)
        if changes:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._tell, changes)

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            for listener in tuple(self._listeners):
                listener(change)

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call the listener after each commit, on the loop, in commit order; return the function that stops it."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    async def _write(self, work: Callable[[Connection, list[Change]], T]) -> T:
        """Run a piece of work in the writer; a cancelled caller leaves it to finish."""
        try:
            return await asyncio.wrap_future(self._writer.submit(work))
        except StoreError as error:
            self._soundness.note(error)
            raise

    async def _read(self, sql: str, params: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        try:
            async with self._reader.execute(sql, params) as cursor:
                return [tuple(row) for row in await cursor.fetchall()]
        except aiosqlite.Error as error:
            failure = map_error(error)
            self._soundness.note(failure)
            raise failure from error

    @property
    def trouble(self) -> str | None:
        """Code of what ails the file, or None."""
        return self._soundness.trouble

    async def try_out(self) -> None:
        """Try again what failed, for real; raise what is still there."""
        if self._soundness.trouble is not None:
            await self._write(lambda c, _: self._soundness.try_out(c))
            self._soundness.cured()

    def _shown(self, cells: tuple[Value, ...]) -> Order:
        """Return an order for display: one whose row is not ours shows the integrity hold."""
        row, mac = rows.row_of(cells)
        if not rows.is_authentic(self._context.sealer, row, mac):
            row = {**row, "holds": HoldKind.INTEGRITY.value}  # nothing else in it is believed
        return rows.order_of(row)

    # Accepting

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Make an order durable, or replay the answer of the same request."""
        context = self._context
        self._soundness.require_undamaged()
        sealed = await self._seal(accepting.frame(acceptance))
        context.failpoints.hit("accept.sealed")
        try:
            accepted = await self._write(lambda c, out: accepting.accept(c, context, acceptance, sealed, out))
        except StoreError as error:
            if error.code == "ROW_NOT_AUTHENTIC":  # told in the ledger and counted, so that a person sets it aside
                where, ref = "client_id = ? AND client_ref = ?", [acceptance.client_id, acceptance.client_ref]
                await self._write(lambda c, _: scheduling.authentic_rows(c, context, where, ref))
            raise
        context.failpoints.hit("accept.durable")
        return accepted

    async def accept_change(self, request: ChangeRequest) -> ChangeAccepted:
        """Make a deletion or a change of visibility durable, or replay it."""
        accepted = await self._write(lambda c, out: changing.accept(c, self._context, request, out))
        self._context.failpoints.hit("accept.durable")
        return accepted

    # Reading

    async def order(self, order_id: OrderId) -> Order:
        """Return an order."""
        found = await self._read(f"{rows.SELECT} WHERE order_id = ?", [order_id])
        if not found:
            raise NotFound("ORDER_UNKNOWN")
        return self._shown(found[0])

    async def orders(self, selection: OrderFilter) -> Sequence[Order]:
        """Return the orders selected, newest first."""
        condition, params = selecting.condition(selection)
        found = await self._read(f"{rows.SELECT} {condition}ORDER BY seq DESC LIMIT ?", [*params, selection.limit])
        return [self._shown(cells) for cells in found]

    async def title(self, order_id: OrderId) -> str | None:
        """Return the sealed display title of an order's document, or None when it cannot be opened."""
        found = await self._read(
            "SELECT d.title FROM orders AS o JOIN documents AS d USING (document_id) WHERE o.order_id = ?", [order_id]
        )
        return self._context.sealer.open_card(rows.as_bytes(found[0][0])) if found else None

    async def counts(self) -> dict[str, int]:
        """Return the number of orders by state, and of those set aside under ``quarantined``."""
        found = await self._read("SELECT state || '', count(*) FROM orders GROUP BY state || ''")
        counts = {rows.as_text(state): rows.as_int(count) for state, count in found}
        quarantined = await self._read("SELECT count(*) FROM orders WHERE quarantined = 1")
        return {**counts, "quarantined": rows.as_int(quarantined[0][0])}

    async def ledger(
        self, after: int, *, client_id: ClientId | None = None, limit: int = 1000
    ) -> Sequence[LedgerEntry]:
        """Return ledger lines after that number, oldest first."""
        if client_id is None:
            found = await self._read(f"{ledger.SELECT} WHERE seq > ? ORDER BY seq LIMIT ?", [after, limit])
        else:
            found = await self._read(
                f"{ledger.SELECT} WHERE seq > ? AND client_id = ? ORDER BY seq LIMIT ?", [after, client_id, limit]
            )
        return [ledger.entry_of(row) for row in found]

    async def note(
        self, kind: str, actor: Actor, *, client_id: ClientId | None = None, detail: tuple[tuple[str, str], ...] = ()
    ) -> LedgerEntry:
        """Write a ledger line that is about no order (a session, a pairing)."""
        line = ledger.Line(at=self._context.clock.now(), kind=kind, actor=actor, client_id=client_id, detail=detail)

        def work(connection: Connection, changes: list[Change]) -> LedgerEntry:
            entry = ledger.append(connection, line)
            changes.append(Change(entry=entry, order=None))
            return entry

        return await self._write(work)

    async def last_line(self) -> int:
        """Return the number of the last ledger line, 0 when there is none."""
        return rows.as_int((await self._read("SELECT coalesce(max(seq), 0) FROM ledger"))[0][0])

    async def verify_ledger(self) -> tuple[int, str]:
        """Recompute the chain and hold it against our anchors; return the number of lines and the head."""
        return await self._keeping.verify(())

    async def next_instant(self) -> datetime | None:
        """Return the next instant at which something becomes due, or None."""
        now = self._context.clock.now()
        return await self._write(lambda c, _: scheduling.next_instant(c, now))

    # Changing one order

    async def apply(
        self,
        order_id: OrderId,
        event: OrderEvent,
        actor: Actor,
        *,
        expect: frozenset[OrderState] | None = None,
        patch: OrderPatch | None = None,
        detail: tuple[tuple[str, str], ...] = (),
    ) -> Order:
        """Apply one transition by compare-and-set, with its ledger line, in one transaction."""
        context = self._context

        def work(connection: Connection, changes: list[Change]) -> Order:
            row = transitions.load(connection, context, order_id)
            if expect is not None and scheduling.state_of(row) not in expect:
                raise Conflict("STATE_CHANGED", state=scheduling.state_of(row).value)
            columns = transitions.patch_columns(row, patch)
            new = transitions.transition(
                connection, context, row, event, actor, changes, columns=columns, detail=detail
            )
            return rows.order_of(new)

        order = await self._write(work)
        context.failpoints.hit(f"applied.{event.value}")
        return order

    async def touch(
        self, order_id: OrderId, expect: OrderState, patch: OrderPatch, kind: str, detail: tuple[tuple[str, str], ...]
    ) -> Order:
        """Change columns without changing the state, with a ledger line of that kind."""
        context = self._context

        def work(connection: Connection, changes: list[Change]) -> Order:
            row = transitions.load(connection, context, order_id)
            if scheduling.state_of(row) is not expect:
                raise Conflict("STATE_CHANGED", state=scheduling.state_of(row).value)
            columns = transitions.patch_columns(row, patch)
            return rows.order_of(
                transitions.touch(connection, context, row, kind, AGENT_ACTOR, changes, columns, detail)
            )

        return await self._write(work)

    async def set_aside(self, order_id: OrderId, reason: str, actor: Actor) -> Order:
        """Give up, on a person's word, an order whose row or document was altered outside the agent."""
        return await self._write(lambda c, out: setaside.set_aside(c, self._context, order_id, reason, actor, out))

    async def predecessor_gone(self, order_id: OrderId) -> Order:
        """Let a claimed replacement be built again without naming a version that is no longer there."""
        return await self._write(lambda c, out: relations.predecessor_gone(c, self._context, order_id, out))

    async def strike(self, order_id: OrderId, limit: int, code: str) -> Order:
        """Count a failure that an order alone is blamed for; at the limit it is held for a person."""
        context = self._context

        def work(connection: Connection, changes: list[Change]) -> Order:
            row = transitions.load(connection, context, order_id)
            return rows.order_of(strikes.strike(connection, context, row, limit, code, changes))

        return await self._write(work)

    async def cancel(self, order_id: OrderId, actor: Actor) -> tuple[CancelAnswer, Order]:
        """Cancel, or record that it was asked, or say that it is too late."""
        return await self._write(lambda c, out: transitions.cancel(c, self._context, order_id, actor, out))

    async def put_hold(self, order_id: OrderId, hold: HoldKind, actor: Actor, cause: str) -> Order:
        """Hold an order that has not left."""
        return await self._hold(transitions.put_hold, order_id, hold, actor, cause)

    async def lift_hold(self, order_id: OrderId, hold: HoldKind, actor: Actor, cause: str) -> Order:
        """Lift a hold; lifting an absent one changes nothing."""
        return await self._hold(transitions.lift_hold, order_id, hold, actor, cause)

    async def _hold(
        self,
        change: Callable[[Connection, Context, rows.Row, HoldKind, Actor, str, list[Change]], rows.Row],
        order_id: OrderId,
        hold: HoldKind,
        actor: Actor,
        cause: str,
    ) -> Order:
        context = self._context

        def work(connection: Connection, changes: list[Change]) -> Order:
            row = transitions.load(connection, context, order_id)
            return rows.order_of(change(connection, context, row, hold, actor, cause, changes))

        return await self._write(work)

    # Moving

    async def due(self, now: datetime, boot_s: float, boot_id: str, limit: int) -> int:
        """Make READY the deferred orders whose time and undo minutes have passed on both clocks."""
        made = await self._write(lambda c, out: scheduling.due(c, self._context, now, boot_s, boot_id, limit, out))
        if made:
            self._context.failpoints.hit("applied.due")
        return made

    async def refresh_overdue(self, now: datetime, boot_s: float, boot_id: str, older_than: datetime) -> int:
        """Give fresh undo minutes to orders whose time passed while nobody was there."""
        return await self._write(
            lambda c, out: scheduling.refresh_overdue(c, self._context, now, boot_s, boot_id, older_than, out)
        )

    async def keep_time(self, reading: ClockReading, evening: EveningHour | None) -> ClockJump | None:
        """Move what waits when the wall clock was moved."""
        return await self._write(lambda c, out: timekeeping.keep_time(c, self._context, reading, evening, out))

    async def patient_left(self, client_id: ClientId, now: datetime) -> int:
        """Bring forward that client's between-two-patients orders."""
        return await self._write(lambda c, out: scheduling.patient_left(c, self._context, client_id, now, out))

    async def preparing(self, limit: int) -> Sequence[Order]:
        """Return orders that may be prepared, oldest first."""
        now = self._context.clock.now()
        return await self._write(lambda c, out: scheduling.preparing(c, self._context, now, limit, out))

    async def claim(
        self,
        service: str,
        rights: Sequence[SendingRight],
        now: datetime,
        *,
        avoid: frozenset[OrderId] = frozenset(),
    ) -> Order | None:
        """Take the next order that may leave now, of the first of these rights that has one, or None."""
        self._soundness.require_undamaged()
        order = await self._write(lambda c, out: scheduling.claim(c, self._context, service, rights, now, out, avoid))
        if order is not None:
            self._context.failpoints.hit("claimed")
        return order

    async def doubtful(self, service: str, rights: Sequence[SendingRight], now: datetime) -> Sequence[Order]:
        """Return orders in doubt whose next lookup is due, a few of each of these rights."""
        return await self._write(lambda c, _: scheduling.doubtful(c, self._context, service, rights, now))

    async def wait_for_authority(self, service: str, rights: Sequence[SendingRight]) -> int:
        """Mark what waits for an authority; return how many changed."""
        return await self._write(lambda c, out: scheduling.wait_for_authority(c, self._context, service, rights, out))
