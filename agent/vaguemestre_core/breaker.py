"""The circuit breaker of one service: when it fails for everybody, nothing is sent to it, but for one probe at a time.

A pure table over three states, and the values around it: no clock, no chance, no input or output here. What was seen
comes from the classification of answers (``Evidence``); who may leave comes out (``Permit``). A single order that
always fails never closes the way to the others: it is *suspected*, and another one probes.
Source: docs/sending.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from vaguemestre_core.orders import OrderId
from vaguemestre_core.outcomes import Evidence
from vaguemestre_core.retry import RetryPolicy


@unique
class BreakerState(StrEnum):
    """Whether the way is open. Values are shown."""

    CLOSED = "closed"  # everything may leave
    OPEN = "open"  # nothing leaves until the next try
    HALF_OPEN = "half_open"  # one probe is on its way


@unique
class Cause(StrEnum):
    """Why nothing leaves, told apart by evidence."""

    SERVICE = "service"  # the proxy answers, the service fails or is silent
    CREDENTIAL = "credential"  # the service refuses our security header
    INTERNET = "internet"  # neither the proxy nor the witness can be reached
    PROXY = "proxy"  # the witness is reached, the proxy is not
    CONNECTION = "connection"  # the proxy is not reached, and there is no witness to ask


@unique
class Step(StrEnum):
    """What was being done: a service may answer questions and take nothing."""

    ASKING = "asking"
    SENDING = "sending"


@unique
class Sight(StrEnum):
    """What happens to a breaker: the columns of its table."""

    ANSWERED = "answered"
    FAILED = "failed"  # and not often enough in a row to conclude
    FAILED_ENOUGH = "failed_enough"
    PROBE = "probe"  # an order leaves to see
    TAUGHT_NOTHING = "taught_nothing"  # the probe ended before it reached anything
    ASKED = "asked"  # a person wants a try now


@unique
class Permit(StrEnum):
    """Who may leave now."""

    ALL = "all"
    ONE = "one"  # a probe; preferably an order that is not suspected
    ONE_OTHER = "one_other"  # a probe, of an order that is not suspected only
    NONE = "none"


_B, _S = BreakerState, Sight
# Anything absent leaves the state as it is: an answer that comes late says nothing new.
TABLE: Final[Mapping[tuple[BreakerState, Sight], BreakerState]] = MappingProxyType(
    {
        (_B.CLOSED, _S.FAILED_ENOUGH): _B.OPEN,
        (_B.OPEN, _S.PROBE): _B.HALF_OPEN,
        (_B.OPEN, _S.ANSWERED): _B.CLOSED,
        (_B.HALF_OPEN, _S.ANSWERED): _B.CLOSED,
        (_B.HALF_OPEN, _S.FAILED): _B.OPEN,
        (_B.HALF_OPEN, _S.FAILED_ENOUGH): _B.OPEN,
        (_B.HALF_OPEN, _S.TAUGHT_NOTHING): _B.OPEN,
    }
)
_WAY: Final = frozenset({Cause.INTERNET, Cause.PROXY, Cause.CONNECTION})
_FAILURES: Final[Mapping[Evidence, Cause]] = MappingProxyType(
    {Evidence.SERVICE_FAILED: Cause.SERVICE, Evidence.CREDENTIAL_REFUSED: Cause.CREDENTIAL}
)


def cause_of(evidence: Evidence, *, witness: bool | None) -> Cause | None:
    """Return the cause that an evidence of failure points to, or None when it is none.

    Args:
        evidence: what was seen.
        witness: whether another host was reached just after; None: nobody was asked.
    """
    if evidence is Evidence.UNREACHABLE:
        return {True: Cause.PROXY, False: Cause.INTERNET, None: Cause.CONNECTION}[witness]
    return _FAILURES.get(evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """Settings.

    Attributes:
        failures: failures in a row that open it, and distinct orders that must fail before all are stopped.
        base_s: delay before the first probe, seconds.
        factor: growth at each probe that fails.
        ceiling_s: longest delay, seconds.
        jitter: part of the delay drawn at random, 0 to 1.
    """

    failures: int = 3
    base_s: float = 10.0
    factor: float = 2.0
    ceiling_s: float = 300.0
    jitter: float = 0.5

    def delay_s(self, tries: int, draw: float) -> float:
        """Return the delay before a probe; ``tries`` counts from 1, ``draw`` is in [0, 1)."""
        delays = RetryPolicy(base_s=self.base_s, factor=self.factor, ceiling_s=self.ceiling_s, jitter=self.jitter)
        return delays.delay_s(tries, draw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One breaker as it is now.

    Attributes:
        cause: why it opened, or None.
        step: what fails: when sending does, questions are still asked.
        failures: failures in a row.
        tries: times it opened or a probe failed, since it was last closed.
        suspects: orders that failed since the last answer.
        probe: the order on its way, when half-open.
        next_try_boot_s: boot-time clock of the next probe.
    """

    state: BreakerState = BreakerState.CLOSED
    cause: Cause | None = None
    step: Step = Step.ASKING
    failures: int = 0
    tries: int = 0
    suspects: frozenset[OrderId] = frozenset()
    probe: OrderId | None = None
    next_try_boot_s: float = 0.0

    def permit(self, step: Step, boot_s: float, policy: BreakerPolicy) -> Permit:
        """Say who may leave now."""
        if self.state is BreakerState.CLOSED or (step is Step.ASKING and self.step is Step.SENDING):
            return Permit.ALL
        if self.state is BreakerState.HALF_OPEN:
            return Permit.NONE
        if boot_s >= self.next_try_boot_s:
            return Permit.ONE
        return Permit.ONE_OTHER if len(self.suspects) < policy.failures else Permit.NONE

    def answered(self, step: Step) -> Breaker:
        """Return what an answer of the service leaves: a question answered proves nothing about sending."""
        if step is Step.ASKING and self.step is Step.SENDING:
            return self
        return Breaker()

    def proxy_answered(self) -> Breaker:
        """Return what an answer of the proxy itself leaves: the way to it is open."""
        return Breaker() if self.cause in _WAY else self

    def failed(
        self, order_id: OrderId, cause: Cause, step: Step, *, boot_s: float, draw: float, policy: BreakerPolicy
    ) -> Breaker:
        """Return what a failure leaves.

        Args:
            order_id: the order that met it.
            cause: why.
            step: what was being done.
            boot_s: boot-time clock.
            draw: random number in [0, 1).
            policy: settings.
        """
        failures = self.failures + 1
        sight = Sight.FAILED_ENOUGH if failures >= policy.failures else Sight.FAILED
        after = TABLE.get((self.state, sight), self.state)
        known = replace(self, failures=failures, suspects=self.suspects | {order_id}, cause=cause, step=step)
        if after is not BreakerState.OPEN or (self.state is BreakerState.OPEN):
            return replace(known, state=after)
        tries = self.tries + 1
        delay_s = policy.delay_s(tries, draw)
        return replace(known, state=after, tries=tries, probe=None, next_try_boot_s=boot_s + delay_s)

    def probing(self, order_id: OrderId) -> Breaker:
        """Return the breaker when an order leaves to see."""
        after = TABLE.get((self.state, Sight.PROBE))
        return self if after is None else replace(self, state=after, probe=order_id)

    def ended(self, order_id: OrderId, boot_s: float) -> Breaker:
        """Return the breaker after an order's attempt: a probe that taught nothing lets another one leave."""
        if self.state is not BreakerState.HALF_OPEN or self.probe != order_id:
            return self
        after = TABLE[self.state, Sight.TAUGHT_NOTHING]
        return replace(self, state=after, probe=None, next_try_boot_s=boot_s)

    def asked(self, boot_s: float) -> Breaker:
        """Return the breaker when a person wants a try now."""
        return replace(self, next_try_boot_s=boot_s) if self.state is BreakerState.OPEN else self
