"""Delay before the next attempt: jittered, growing to a ceiling, never ending (nothing is given up or dropped)."""

from __future__ import annotations

from dataclasses import dataclass

from vaguemestre_core.orders import WaitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Backoff settings, all in seconds.

    Attributes:
        base_s: delay after the first failure.
        factor: growth at each further failure.
        ceiling_s: longest delay.
        no_dmp_s: delay when the patient has no DMP: it may be opened later.
        jitter: part of the delay drawn at random, 0 to 1.
    """

    base_s: float = 10.0
    factor: float = 2.0
    ceiling_s: float = 900.0
    no_dmp_s: float = 86400.0
    jitter: float = 0.5

    def delay_s(
        self, attempts: int, draw: float, *, waiting: WaitReason | None = None, asked_s: float | None = None
    ) -> float:
        """Return the delay before the next attempt.

        Args:
            attempts: failures so far, from 1.
            draw: random number in [0, 1).
            waiting: what the order waits for.
            asked_s: delay the service asked for (Retry-After); never shortened.
        """
        if waiting is WaitReason.NO_DMP:
            ceiling = self.no_dmp_s
        else:
            exponent = min(max(attempts, 1) - 1, 32)
            ceiling = min(self.base_s * self.factor**exponent, self.ceiling_s)
        delay = ceiling * (1 - self.jitter) + ceiling * self.jitter * draw
        return max(delay, asked_s or 0.0)
