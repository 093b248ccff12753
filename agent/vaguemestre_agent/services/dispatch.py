"""Dispatch: what is due becomes READY, what may leave is claimed and sent, what is in doubt is settled.

Owns the order of steps of one sending. Nothing here decides what an answer means: the DMP adapter classifies, the table
of transitions decides. Every step commits before the next one starts. Source: docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_agent.services.changing import ChangeExchanges
from vaguemestre_agent.services.clockwatch import ClockWatch
from vaguemestre_agent.services.exchanges import STORE_RETRY_S, Exchanges
from vaguemestre_agent.services.guarding import guards_of
from vaguemestre_agent.services.kept_documents import KeptDocuments
from vaguemestre_agent.services.outages import Outages
from vaguemestre_agent.services.settling import SettlingService
from vaguemestre_agent.services.strikes import Strikes
from vaguemestre_agent.services.verdicts import verdict_of
from vaguemestre_agent.services.wake import Wake
from vaguemestre_core.breaker import Permit, Step
from vaguemestre_core.cardports import KeySession
from vaguemestre_core.changes import CHANGES
from vaguemestre_core.clocks import EveningHour
from vaguemestre_core.errors import Conflict, ServiceError, StoreError
from vaguemestre_core.guards import holds_of
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderKind, OrderState, WaitReason
from vaguemestre_core.outcomes import Certainty, Outcome, Presence
from vaguemestre_core.ports import (
    ClockPort,
    DmpPort,
    FailpointPort,
    PreparerPort,
    RandomPort,
    SendingContext,
    StorePort,
)
from vaguemestre_core.records import AGENT_ACTOR, Client, Order, OrderPatch
from vaguemestre_core.retry import RetryPolicy
from vaguemestre_core.turns import SendingRight, Turns

_log = logging.getLogger(__name__)
SERVICE = "dmp"
UNEXPECTED = "UNEXPECTED"
DUE_BATCH = 200
BODY_LOST = frozenset({"BODY_GONE", "BODY_UNREADABLE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSettings:
    """Settings of the dispatch.

    Attributes:
        senders: sendings under way at once; a hung one does not hold the others.
        first_lookup_s: delay before the first lookup of a doubt, seconds.
        idle_s: longest sleep without news, seconds: clocks can be set.
        strikes: failures that an order alone is blamed for, after which a person is needed.
        asleep_s: a gap of the loop longer than this means that the machine slept, seconds.
        test_existence: ask TD0.2 before each feeding.
    """

    senders: int = 3
    first_lookup_s: float = 2.0
    idle_s: float = 30.0
    strikes: int = 8
    asleep_s: float = 120.0
    test_existence: bool = True


@dataclass(slots=True)
class _Attempt:
    """One try to send; ``may_have_started`` says that SENDING may be committed by this very try."""

    may_have_started: bool = False


class DispatchService:
    """Sends what may leave and settles what is in doubt."""

    def __init__(
        self,
        store: StorePort,
        dmp: DmpPort,
        authorities: Authorities,
        outages: Outages,
        clock: ClockPort,
        random: RandomPort,
        failpoints: FailpointPort,
        retry: RetryPolicy,
        settings: DispatchSettings,
        wake: Wake,
        preparer: PreparerPort | None = None,
        evening: EveningHour | None = None,
    ) -> None:
        self._store = store
        self._dmp = dmp
        self._clock = clock
        self._random = random
        self._failpoints = failpoints
        self._retry = retry
        self._settings = settings
        self._wake = wake
        self._free = asyncio.Semaphore(settings.senders)
        self._settling: set[str] = set()
        self._exchanges = Exchanges(store, authorities, clock)
        self._outages = outages
        self._strikes = Strikes(store, self._exchanges, outages, clock, limit=settings.strikes)
        self._documents = KeptDocuments(store=store, preparer=preparer, clock=clock)
        self._changing = ChangeExchanges(documents=self._documents, dmp=dmp)
        self._settling_service = SettlingService(
            store,
            dmp,
            self._exchanges,
            self._changing,
            outages,
            self._strikes,
            clock,
            random,
            failpoints,
            retry,
            self._documents,
        )
        self._turns = Turns()
        self._clock_watch = ClockWatch(store, clock, evening)
        self._draining = False

    @property
    def trouble(self) -> str | None:
        """Code of what ails the store now, or None."""
        return self._exchanges.trouble or self._store.trouble

    @property
    def clock_jumped_s(self) -> float | None:
        """By how much the wall clock was moved lately, seconds, or None."""
        return self._clock_watch.jumped_s

    async def run(self) -> None:
        """Dispatch for ever; ends by cancellation: what was on the way is settled at the next start."""
        seen_boot_s: float | None = None
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    seen_boot_s = await self._round(group, seen_boot_s)
                    pause_s = await self._pause_s()
                    self._exchanges.trouble = None
                except StoreError as error:
                    # Disk full, unplugged, read-only: what is accepted is kept, and nothing leaves until it is back.
                    _log.error("dispatch.store_unavailable", extra={"code": error.code})
                    self._exchanges.trouble = error.code
                    pause_s = STORE_RETRY_S
                await self._wake.wait(self._clock, pause_s)

    async def rights(self) -> Sequence[SendingRight]:
        """Return for whom orders of which clients may leave now."""
        return await self._exchanges.rights()

    async def drain(self) -> None:
        """Claim nothing more and wait for the sendings under way. Cancellation: they are then in doubt at restart."""
        self._draining = True
        for _ in range(self._settings.senders):
            await self._free.acquire()

    async def _round(self, group: asyncio.TaskGroup, seen_boot_s: float | None) -> float:
        """Start all that may start now; return the boot-time clock of this round."""
        now_boot_s = self._clock.boot_s()
        await self._store.try_out()
        await self._clock_watch.look()
        if seen_boot_s is None or now_boot_s - seen_boot_s > self._settings.asleep_s:
            await self._refresh_overdue()
        await self._make_due()
        await self._store.wait_for_authority(SERVICE, await self.rights())
        await self._start_sendings(group)
        await self._start_settlings(group)
        return now_boot_s

    async def _refresh_overdue(self) -> None:
        now = self._clock.now()
        older = now - timedelta(seconds=self._settings.asleep_s)
        await self._store.refresh_overdue(now, self._clock.boot_s(), self._clock.boot_id(), older)

    async def _make_due(self) -> None:
        clock = self._clock
        while await self._store.due(clock.now(), clock.boot_s(), clock.boot_id(), DUE_BATCH) == DUE_BATCH:
            continue

    async def _pause_s(self) -> float:
        instant = await self._store.next_instant()
        pauses = [self._settings.idle_s]
        if instant is not None:
            pauses.append((instant - self._clock.now()).total_seconds())
        if self._outages.next_try_s:
            pauses.append(self._outages.next_try_s)
        if (departure_s := self._exchanges.next_departure_s) is not None:
            pauses.append(departure_s)
        # The undo minutes end on the boot-time clock too: an instant already past is looked at again soon.
        return max(min(pauses), 0.05)

    async def _start_sendings(self, group: asyncio.TaskGroup) -> None:
        while not self._free.locked() and not self._draining:
            order = await self._claim()
            if order is None:
                return
            self._outages.leaves(order.order_id)
            self._turns.served(order.professional)
            await self._free.acquire()
            key = await self._exchanges.departs(order)
            group.create_task(self._send_and_free(order, key), name="send")

    async def _claim(self) -> Order | None:
        """Take the next order that may leave: during an outage, rather one that has not met it."""
        permit = self._outages.permit(Step.SENDING)
        if permit is Permit.NONE:
            return None
        rights = self._turns.in_turn(await self._exchanges.free_rights())
        if permit is not Permit.ALL:
            rights = [replace(right, asked_first=True) for right in rights]  # who asked wants to see
        if not rights:
            return None
        now = self._clock.now()
        avoid = frozenset[OrderId]() if permit is Permit.ALL else self._outages.suspects
        order = await self._store.claim(SERVICE, rights, now, avoid=avoid)
        if order is None and avoid and permit is Permit.ONE:
            order = await self._store.claim(SERVICE, rights, now)
        return order

    async def _send_and_free(self, order: Order, key: KeySession | None) -> None:
        try:
            await self.send(order)
        finally:
            self._exchanges.arrived(key)
            self._free.release()
            self._wake.ring()

    async def send(self, order: Order) -> None:
        """Send one claimed order; whatever happens it ends in another state than CLAIMED or SENDING."""
        attempt = _Attempt()
        try:
            code = await self._attempt(order, attempt)
            if code is not None:
                await self._after_failure(order, code, attempt)
        finally:
            self._outages.ended(order.order_id)

    async def _after_failure(self, order: Order, code: str, attempt: _Attempt) -> None:
        try:
            await self._leave_clean(order, code, attempt)
            if code == UNEXPECTED:
                await self._strikes.of_ours(order.order_id, code)
        except (Conflict, StoreError) as error:
            # A person decided meanwhile, or the row is no longer ours or the store is closing: the next start tells.
            _log.warning("send.left_as_it_is", extra={"order_id": order.order_id, "code": error.code})

    async def _attempt(self, order: Order, attempt: _Attempt) -> str | None:
        """Try to send; return the code of what went wrong on our side, or None."""
        try:
            await self._send(order, attempt)
        except Conflict as error:
            _log.info("send.overtaken", extra={"code": error.code})  # a person stopped it first: nothing left
            return error.code
        except StoreError as error:
            return error.code
        except Exception:  # noqa: BLE001 - not swallowed: the order says so, and so does the log
            # A bug of ours must not stop the other orders: this one goes back, or is honestly in doubt.
            _log.exception("send.unexpected", extra={"order_id": order.order_id})
            return UNEXPECTED
        return None

    async def _body_lost(self, order: Order, code: str) -> None:
        patch = OrderPatch(failure_code=code)
        await self._exchanges.persist(
            lambda: self._store.apply(order.order_id, OrderEvent.BODY_LOST, AGENT_ACTOR, patch=patch)
        )

    async def _leave_clean(self, order: Order, code: str, attempt: _Attempt) -> None:
        """Take an order out of CLAIMED (nothing left) or SENDING (it may have) after something went wrong."""
        now = await self._exchanges.persist(lambda: self._store.order(order.order_id))
        if now.state is OrderState.CLAIMED and code in BODY_LOST:
            await self._body_lost(now, code)
        elif now.state is OrderState.CLAIMED:
            await self._give_back(now, None, code)
        elif now.state is OrderState.SENDING and attempt.may_have_started:
            await self.conclude(now, Outcome(certainty=Certainty.DOUBT, code=code))

    async def _send(self, order: Order, attempt: _Attempt) -> None:
        context, client = await self._exchanges.context(order)
        if await self._is_held(order, client):
            return
        if context is None:
            await self._give_back(order, WaitReason.AUTH, "NO_SESSION")
            return
        if order.kind is OrderKind.DMP_REPLACE and not await self._may_replace(order, context):
            return
        if order.kind in CHANGES:
            outcome = await self._changing.send(order, context, self._commits_sending(order, None, attempt))
        else:
            fed = await self._feed(order, context, attempt)
            if fed is None:
                return
            outcome = fed
        self._failpoints.hit("send.answered")
        step = Step.SENDING if attempt.may_have_started else Step.ASKING
        await self._outages.learned(order.order_id, outcome.evidence, step)
        if outcome.ends_session:
            await self._exchanges.lost(context)
        await self.conclude(order, outcome, started=attempt.may_have_started)
        await self._strikes.of_service(order.order_id, outcome.evidence, outcome.code)

    async def _feed(self, order: Order, context: SendingContext, attempt: _Attempt) -> Outcome | None:
        """Feed a document; return None when it was given back before anything left."""
        prepared = await self._store.prepared(order.order_id)
        assert order.frozen_ids is not None
        if self._settings.test_existence and not await self._may_feed(order, prepared, context):
            return None
        signature = await self._store.signature(order.order_id)
        if signature is None:
            try:
                signature = await self._dmp.sign(prepared, order.frozen_ids, context)
            except ServiceError as error:
                await self._give_back(order, WaitReason.AUTH, error.code)
                return None
            self._failpoints.hit("send.signed")
        commit = self._commits_sending(order, signature, attempt)
        return await self._dmp.submit(prepared, order.frozen_ids, signature, context, commit)

    def _commits_sending(
        self, order: Order, signature: bytes | None, attempt: _Attempt
    ) -> Callable[[], Awaitable[None]]:
        async def commit_sending() -> None:
            self._failpoints.hit("send.connected")
            attempt.may_have_started = True  # unless the store says no: after an error of the disk it may be written
            try:
                await self._store.first_byte(order.order_id, signature)
            except Conflict:
                attempt.may_have_started = False
                raise

        return commit_sending

    async def _is_held(self, order: Order, client: Client | None) -> bool:
        """Run the guards again: facts may have changed since the acceptance."""
        answers = guards_of(order, await self._store.order_facts(order.order_id), client)
        holds = holds_of(answers)
        for hold in sorted(holds):
            await self._store.put_hold(order.order_id, hold, AGENT_ACTOR, "guard")
        refused = next((answer for answer in answers if answer.refuses and not answer.passed), None)
        if refused is not None and not holds:
            await self._store.put_hold(order.order_id, HoldKind.IDENTITY, AGENT_ACTOR, refused.code)
            return True
        return bool(holds)

    async def _may_feed(self, order: Order, prepared: bytes, context: SendingContext) -> bool:
        answer = await self._dmp.test_existence(prepared, context)
        self._failpoints.hit("send.existence")
        await self._outages.learned(order.order_id, answer.teaches, Step.ASKING)
        if answer.ends_session:
            await self._exchanges.lost(context)
        if answer.exists is None:
            await self._give_back(order, answer.waiting or WaitReason.SERVICE, answer.code, answer.service_code)
            await self._strikes.of_service(order.order_id, answer.evidence, answer.code)
            return False
        if not answer.exists or answer.active is False:
            code = "DMP_CLOSED" if answer.exists else "DMP_NOT_FOUND"
            await self._give_back(order, WaitReason.NO_DMP, code, answer.service_code)
            return False
        return True

    async def _may_replace(self, order: Order, context: SendingContext) -> bool:
        """Ask whether the version replaced is still there; build this one again without naming it when it is not."""
        assert order.predecessor is not None
        try:
            before = await self._documents.of(order.predecessor)
        except StoreError as error:
            if error.code in BODY_LOST:
                return True  # its bytes are no longer kept: the service says at the sending
            raise
        answer = await self._dmp.look_up(before, context)
        await self._outages.learned(order.order_id, answer.teaches, Step.ASKING)
        if answer.ends_session:
            await self._exchanges.lost(context)
        if answer.presence is Presence.UNKNOWN:
            await self._give_back(order, answer.waiting or WaitReason.SERVICE, answer.code)
            return False
        if answer.presence is Presence.ABSENT or answer.is_deleted:
            await self._exchanges.persist(lambda: self._store.predecessor_gone(order.order_id))
            return False
        return True

    async def _give_back(
        self, order: Order, waiting: WaitReason | None, code: str, service_code: str | None = None
    ) -> None:
        patch = await self._later(order, waiting, code, service_code)
        detail = (("code", code),)
        await self._exchanges.persist(
            lambda: self._store.apply(order.order_id, OrderEvent.UNCLAIM, AGENT_ACTOR, patch=patch, detail=detail)
        )

    async def _later(
        self,
        order: Order,
        waiting: WaitReason | None,
        code: str,
        service_code: str | None,
        asked_s: float | None = None,
    ) -> OrderPatch:
        """Return what makes an order wait for its next attempt; one that waits for a session is not counted.

        A credential refused while the session is open (its VIHF, its signature) is no wait for a person's login: the
        attempts are spaced like those of a service in trouble, or they would follow each other without end.
        """
        if waiting is WaitReason.AUTH and await self._exchanges.has_session(order):
            waiting = WaitReason.SERVICE
        counted = waiting is not WaitReason.AUTH
        delay = self._retry.delay_s(order.attempts + 1, self._random.fraction(), waiting=waiting, asked_s=asked_s)
        return OrderPatch(
            waiting=waiting,
            next_attempt_at=self._clock.now() + timedelta(seconds=delay if counted else 0.0),
            failure_code=code,
            service_code=service_code,
            attempts_plus=1 if counted else 0,
        )

    async def conclude(self, order: Order, outcome: Outcome, *, started: bool = True) -> None:
        """Write down what an attempt taught us.

        An attempt that never committed SENDING (``started`` False) says nothing about an order that another attempt is
        sending: held and released meanwhile, it was claimed again.
        """
        pairs = (("code", outcome.code), ("service", outcome.service_code or ""))
        detail = (*((name, value) for name, value in pairs if value), *outcome.receipt)

        async def write() -> Order:
            while True:
                now = await self._store.order(order.order_id)
                if now.state is OrderState.SENDING and not started:
                    return now
                event, patch = await self._verdict(now, outcome)
                expect = frozenset({now.state})
                try:
                    return await self._store.apply(
                        order.order_id, event, AGENT_ACTOR, expect=expect, patch=patch, detail=detail
                    )
                except Conflict as error:
                    if error.code != "STATE_CHANGED":
                        raise  # the verdict no longer fits; else it is read again

        done = await self._exchanges.persist(write)
        if done.state is OrderState.IN_DOUBT:
            self._settling_service.know(done)

    async def _verdict(self, order: Order, outcome: Outcome) -> tuple[OrderEvent, OrderPatch]:
        async def later() -> OrderPatch:
            return await self._later(order, outcome.waiting, outcome.code, outcome.service_code, outcome.retry_after_s)

        return await verdict_of(order, outcome, self._clock.now(), self._settings.first_lookup_s, later)

    async def _start_settlings(self, group: asyncio.TaskGroup) -> None:
        if self._outages.permit(Step.ASKING) is Permit.NONE or self._is_looking_up_enough:
            return
        rights = self._turns.in_turn(await self.rights())
        for order in await self._store.doubtful(SERVICE, rights, self._clock.now()):
            permit = self._outages.permit(Step.ASKING)
            if permit is Permit.NONE or self._is_looking_up_enough:
                return
            is_suspected = permit is Permit.ONE_OTHER and order.order_id in self._outages.suspects
            if is_suspected or order.order_id in self._settling:
                continue
            if permit is not Permit.ALL:  # what is asked freely teaches nothing about sending
                self._outages.leaves(order.order_id)
            self._settling.add(order.order_id)
            group.create_task(self._settle_and_forget(order), name="settle")

    @property
    def _is_looking_up_enough(self) -> bool:
        return len(self._settling) >= self._settings.senders

    async def _settle_and_forget(self, order: Order) -> None:
        try:
            await self.settle(order)
        except (Conflict, StoreError) as error:
            _log.warning("settle.left_as_it_is", extra={"order_id": order.order_id, "code": error.code})
        finally:
            self._settling.discard(order.order_id)
            self._outages.ended(order.order_id)
            self._wake.ring()

    async def settle(self, order: Order) -> None:
        """Ask the service about our own uniqueId, and conclude if its answer counts."""
        await self._settling_service.settle(order)
