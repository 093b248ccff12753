"""Settling: an order in doubt is looked up by our own uniqueId, and concluded if the answer counts.

Owns what each answer means for each kind of order. Nothing is sent again from here.
Source: docs/architecture.md; docs/dmp.md, "What a lookup says".
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from vaguemestre_agent.services.changing import ChangeExchanges
from vaguemestre_agent.services.doubts import DoubtAges
from vaguemestre_agent.services.exchanges import Exchanges
from vaguemestre_agent.services.kept_documents import KeptDocuments
from vaguemestre_agent.services.outages import Outages
from vaguemestre_agent.services.strikes import Strikes
from vaguemestre_core.breaker import Step
from vaguemestre_core.changes import CHANGES
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.orders import OrderEvent, OrderState, WaitReason
from vaguemestre_core.outcomes import Presence, ReferenceAnswer
from vaguemestre_core.ports import (
    ClockPort,
    DmpPort,
    FailpointPort,
    RandomPort,
    SendingContext,
    StorePort,
)
from vaguemestre_core.records import AGENT_ACTOR, Order, OrderPatch
from vaguemestre_core.retry import RetryPolicy
from vaguemestre_documents.prepared import PreparedDocument

_log = logging.getLogger(__name__)
FAULTS_OF_OURS = frozenset({"UNEXPECTED", "BODY_GONE", "BODY_UNREADABLE"})


class SettlingService:
    """Asks the service what became of what is in doubt."""

    def __init__(
        self,
        store: StorePort,
        dmp: DmpPort,
        exchanges: Exchanges,
        changing: ChangeExchanges,
        outages: Outages,
        strikes: Strikes,
        clock: ClockPort,
        random: RandomPort,
        failpoints: FailpointPort,
        retry: RetryPolicy,
        documents: KeptDocuments,
    ) -> None:
        self._store = store
        self._dmp = dmp
        self._exchanges = exchanges
        self._changing = changing
        self._outages = outages
        self._strikes = strikes
        self._clock = clock
        self._random = random
        self._failpoints = failpoints
        self._retry = retry
        self._documents = documents
        self._doubts = DoubtAges(clock)

    def know(self, order: Order) -> None:
        """Count a doubt's age from now on."""
        self._doubts.age_s(order)

    async def settle(self, order: Order) -> None:
        """Ask the service about our own uniqueId, and conclude if its answer counts."""
        self._failpoints.hit("settle.started")
        age_s = self._doubts.age_s(order)  # when asked: what the service says is older than its answer
        context, _ = await self._exchanges.context(order)
        answer = ReferenceAnswer(presence=Presence.UNKNOWN, code="NO_SESSION", waiting=WaitReason.AUTH)
        if context is not None:
            answer = await self._ask(order, context)
            await self._outages.learned(order.order_id, answer.teaches, Step.ASKING)
        self._failpoints.hit("settle.answered")
        if context is not None and answer.ends_session:
            await self._exchanges.lost(context)
        try:
            await self._exchanges.persist(lambda: self._conclude_lookup(order, answer, age_s))
            if answer.presence is Presence.UNKNOWN and answer.code in FAULTS_OF_OURS:
                await self._strikes.of_ours(order.order_id, answer.code)
            elif answer.presence is Presence.UNKNOWN:
                await self._strikes.of_service(order.order_id, answer.evidence, answer.code)
        except Conflict as error:
            _log.info("settle.overtaken", extra={"code": error.code})  # a person decided first

    async def _ask(self, order: Order, context: SendingContext) -> ReferenceAnswer:
        try:
            if order.kind in CHANGES:
                return await self._changing.look_up(order, context)
            prepared = await self._documents.of_order(order)
            answer = await self._dmp.look_up(prepared, context)
        except StoreError as error:
            return ReferenceAnswer(presence=Presence.UNKNOWN, code=error.code)
        except Exception:  # noqa: BLE001 - not swallowed: the order stays in doubt and says so, and so does the log
            _log.exception("settle.unexpected", extra={"order_id": order.order_id})
            return ReferenceAnswer(presence=Presence.UNKNOWN, code="UNEXPECTED")
        if answer.presence is Presence.OTHER and order.frozen_ids is None and _is_ours(prepared, order):
            # Nobody else knows the uniqueId that we drew: what is there is what our other self built of it.
            return replace(answer, presence=Presence.SAME)
        return answer

    async def _conclude_lookup(self, order: Order, answer: ReferenceAnswer, age_s: float) -> None:
        done = frozenset({"failure_code", "service_code", "waiting", "doubt_since_us", "next_attempt_at_us"})
        receipt = tuple(
            (name, value)
            for name, value in (("entry_uuid", answer.entry_uuid), ("logical_id", answer.logical_id))
            if value is not None
        )
        match answer.presence:
            case Presence.SAME:
                patch = OrderPatch(receipt=receipt, clear=done)
                await self._settled(order, OrderEvent.FOUND_THERE, patch, receipt)
            case Presence.OTHER:
                patch = OrderPatch(failure_code="UNIQUE_ID_HOLDS_OTHER_BYTES")
                await self._settled(order, OrderEvent.FOUND_OTHER, patch, receipt)
            case Presence.ABSENT:
                await self._absent(order, done, age_s)
            case Presence.UNKNOWN:
                await self._look_later(order, answer)
            case never:
                assert_never(never)

    async def _absent(self, order: Order, done: frozenset[str], age_s: float) -> None:
        """Conclude that it is not there, which counts only when nothing of ours can still be on its way."""
        now = await self._store.order(order.order_id)
        if now.doubt_since != order.doubt_since:
            return  # it left again meanwhile: this answer is about an earlier doubt
        copied_at = self._store.recovery.copied_at
        if copied_at is not None and now.accepted_at <= copied_at:
            await self._wait_for_adoption(order)
            return
        if age_s < self._dmp.longest_exchange_s:
            left_s = max(self._dmp.longest_exchange_s - self._doubts.age_s(order), 0.0)
            counts_at = self._clock.now() + timedelta(seconds=left_s)
            await self._store.touch(
                order.order_id,
                OrderState.IN_DOUBT,
                OrderPatch(next_attempt_at=counts_at, failure_code="ABSENT_TOO_EARLY"),
                "order.looked_up",
                (("presence", "absent"), ("counts", "false")),
            )
            return
        event = OrderEvent.UNKNOWN_THERE if now.frozen_ids is not None else OrderEvent.UNKNOWN_THERE_UNPREPARED
        if now.cancel_requested:
            event = OrderEvent.UNKNOWN_THERE_CANCELLED
        await self._settled(order, event, OrderPatch(clear=done), ())

    async def _wait_for_adoption(self, order: Order) -> None:
        """Keep a copy's doubt: its original may be alive and about to send this. Only a person ends that."""
        delay = self._retry.delay_s(order.attempts + 1, self._random.fraction())
        patch = OrderPatch(
            next_attempt_at=self._clock.now() + timedelta(seconds=delay),
            attempts_plus=1,
            failure_code="STORE_COPIED",
        )
        detail = (("presence", "absent"), ("counts", "false"), ("code", "STORE_COPIED"))
        await self._store.touch(order.order_id, OrderState.IN_DOUBT, patch, "order.looked_up", detail)

    async def _settled(
        self, order: Order, event: OrderEvent, patch: OrderPatch, detail: tuple[tuple[str, str], ...]
    ) -> None:
        await self._store.apply(
            order.order_id,
            event,
            AGENT_ACTOR,
            expect=frozenset({OrderState.IN_DOUBT}),
            patch=patch,
            detail=detail,
        )
        self._doubts.forget(order.order_id)

    async def _look_later(self, order: Order, answer: ReferenceAnswer) -> None:
        delay = self._retry.delay_s(order.attempts + 1, self._random.fraction(), waiting=answer.waiting)
        # Without a session nothing is asked: the doubt is looked up as soon as one is back.
        counted = await self._exchanges.has_session(order)
        patch = OrderPatch(
            next_attempt_at=self._clock.now() + timedelta(seconds=delay if counted else 0.0),
            attempts_plus=1 if counted else 0,
            failure_code=answer.code,
            waiting=answer.waiting,
        )
        detail = (("presence", "unknown"), ("code", answer.code))
        await self._store.touch(order.order_id, OrderState.IN_DOUBT, patch, "order.looked_up", detail)


def _is_ours(prepared: bytes, order: Order) -> bool:
    """Say whether a document bears the uniqueId drawn at acceptance; a ready CDA brings its own."""
    return PreparedDocument.from_bytes(prepared).entry.unique_id == order.unique_id
