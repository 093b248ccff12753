"""Outages: what is known of the way to a service, who may leave meanwhile, and telling it to people and clients.

Owns one breaker in memory; its rules are the core's table. A restart forgets it: the next failures open it again.
Never decides what became of an order. Events: ``service.stopped``, ``service.resumed`` in the ledger, one for each
client, so that each client's stream tells them. Source: docs/sending.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from vaguemestre_agent.services.values import HealthItem
from vaguemestre_core.breaker import Breaker, BreakerPolicy, BreakerState, Cause, Permit, Step, cause_of
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderId
from vaguemestre_core.outcomes import Evidence
from vaguemestre_core.ports import ClockPort, RandomPort, StorePort, WitnessPort
from vaguemestre_core.records import AGENT_ACTOR

_log = logging.getLogger(__name__)

# What a person is told, and the one thing that would let orders leave.
WORDS: Final[Mapping[Cause, tuple[str, str]]] = {
    Cause.SERVICE: ("DMP_UNAVAILABLE", "WAIT_FOR_THE_SERVICE"),
    Cause.CREDENTIAL: ("DMP_REFUSES_THIS_STATION", "CALL_THE_TECHNICIAN"),
    Cause.INTERNET: ("INTERNET_DOWN", "WAIT_FOR_THE_NETWORK"),
    Cause.PROXY: ("PROXY_DOWN", "WAIT_FOR_THE_SERVICE"),
    Cause.CONNECTION: ("PROXY_OR_INTERNET_DOWN", "WAIT_FOR_THE_NETWORK"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Nothing leaves to a service now.

    Attributes:
        service: which.
        code: what a person is told.
        remedy: code of the one thing that would let orders leave.
        next_try_at: when an order leaves to see, or None while one is on its way.
    """

    service: str
    code: str
    remedy: str
    next_try_at: datetime | None


class Outages:
    """What the exchanges with one service teach, and who may leave."""

    def __init__(
        self,
        store: StorePort,
        clock: ClockPort,
        random: RandomPort,
        witness: WitnessPort,
        policy: BreakerPolicy,
        service: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._witness = witness
        self._policy = policy
        self._service = service
        self._breaker = Breaker()
        self._answers: dict[OrderId, float] = {}

    def permit(self, step: Step) -> Permit:
        """Say who may leave now."""
        return self._breaker.permit(step, self._clock.boot_s(), self._policy)

    @property
    def suspects(self) -> frozenset[OrderId]:
        """Orders that failed since the last answer: another one probes better."""
        return self._breaker.suspects

    @property
    def next_try_s(self) -> float | None:
        """Seconds until the next probe, or None when none is waited for."""
        if self._breaker.state is not BreakerState.OPEN:
            return None
        return max(self._breaker.next_try_boot_s - self._clock.boot_s(), 0.0)

    def now(self) -> Outage | None:
        """Return the outage under way, or None."""
        breaker = self._breaker
        if breaker.state is BreakerState.CLOSED or breaker.cause is None:
            return None
        code, remedy = WORDS[breaker.cause]
        left_s = self.next_try_s
        next_try_at = None if left_s is None else self._clock.now() + timedelta(seconds=left_s)
        return Outage(service=self._service, code=code, remedy=remedy, next_try_at=next_try_at)

    def leaves(self, order_id: OrderId) -> None:
        """Note that an order leaves: during an outage it is the probe."""
        self._breaker = self._breaker.probing(order_id)

    def ended(self, order_id: OrderId) -> None:
        """Note that an order's attempt is over."""
        self._breaker = self._breaker.ended(order_id, self._clock.boot_s())

    def ask_now(self) -> None:
        """Let the next order probe now: a person wants it."""
        self._breaker = self._breaker.asked(self._clock.boot_s())

    def answered_another_since(self, order_id: OrderId, boot_s: float) -> bool:
        """Say whether another order was answered after that instant of the boot-time clock."""
        return any(at > boot_s for other, at in self._answers.items() if other != order_id)

    async def learned(self, order_id: OrderId, evidence: Evidence, step: Step) -> None:
        """Take what an exchange teaches. Never raises for the store: the health page tells it all the same."""
        before = self._breaker
        match evidence:
            case Evidence.NONE:
                return
            case Evidence.ANSWERED:
                if step is Step.SENDING or before.step is Step.ASKING:
                    self._remember(order_id)
                self._breaker = before.answered(step)
            case Evidence.PROXY_ANSWERED:
                self._breaker = before.proxy_answered()
            case Evidence.UNREACHABLE:
                # Another host is asked only when the answer serves: not for what was on its way when it opened.
                is_known = before.state is BreakerState.OPEN
                witness = None if is_known else await self._witness.is_reached()
                cause = before.cause if is_known else cause_of(evidence, witness=witness)
                self._fail(order_id, cause, Step.ASKING)  # nothing can be asked either
            case Evidence.SERVICE_FAILED | Evidence.CREDENTIAL_REFUSED:
                self._fail(order_id, cause_of(evidence, witness=None), step)
        await self._tell(before)

    def _remember(self, order_id: OrderId) -> None:
        """Keep the last answers of two orders: enough to know whether another one was answered."""
        self._answers.pop(order_id, None)
        self._answers[order_id] = self._clock.boot_s()
        while len(self._answers) > 2:
            del self._answers[next(iter(self._answers))]

    def _fail(self, order_id: OrderId, cause: Cause | None, step: Step) -> None:
        if cause is not None:
            self._breaker = self._breaker.failed(
                order_id,
                cause,
                step,
                boot_s=self._clock.boot_s(),
                draw=self._random.fraction(),
                policy=self._policy,
            )

    async def _tell(self, before: Breaker) -> None:
        """Write each stop, each failed probe and the return in the ledger, for each client."""
        after, outage = self._breaker, self.now()
        detail: tuple[tuple[str, str], ...] = (("service", self._service),)
        if after.tries > before.tries and outage is not None and outage.next_try_at is not None:
            kind = "service.stopped"
            at = outage.next_try_at.isoformat(timespec="seconds")
            detail = (("code", outage.code), ("next_try_at", at), *detail)
        elif before.state is not BreakerState.CLOSED and after.state is BreakerState.CLOSED:
            kind = "service.resumed"
        else:
            return
        _log.warning("service.changed", extra={"kind": kind})
        try:
            for client in await self._store.clients():
                if client.revoked_at is None:
                    await self._store.note(kind, AGENT_ACTOR, client_id=client.client_id, detail=detail)
        except StoreError as error:
            _log.error("service.untold", extra={"kind": kind, "code": error.code})


def outage_item(outage: Outage | None, zone: tzinfo) -> HealthItem:
    """Return the line of the health page about a service; the time of the next try is the practice's."""
    if outage is None:
        return HealthItem(code="NO_OUTAGE_SEEN", ok=True)
    at = outage.next_try_at
    return HealthItem(
        code=outage.code,
        ok=False,
        params={
            "service": outage.service,
            "next_try_at": None if at is None else at.isoformat(timespec="seconds"),
            "next_try": "maintenant" if at is None else at.astimezone(zone).strftime("à %H h %M"),
        },
    )
