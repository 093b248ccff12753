"""A bell that says when its one waiter waits: a test moves the clock only then."""

from __future__ import annotations

import asyncio

from vaguemestre_agent.services.wake import Wake
from vaguemestre_core.ports import ClockPort


class ObservedWake(Wake):
    """A bell whose waiter can be waited for: a test moves the clock only when nobody is between two steps."""

    def __init__(self) -> None:
        super().__init__()
        self._asleep = asyncio.Event()

    def ring(self) -> None:
        """Ring."""
        self._asleep.clear()
        super().ring()

    async def wait(self, clock: ClockPort, seconds: float | None) -> None:
        """Wait, and say so."""
        if not self._event.is_set():
            self._asleep.set()
        try:
            await super().wait(clock, seconds)
        finally:
            self._asleep.clear()

    @property
    def is_asleep(self) -> bool:
        """Its waiter waits."""
        return self._asleep.is_set()

    async def asleep(self) -> None:
        """Wait until the waiter waits."""
        await self._asleep.wait()
