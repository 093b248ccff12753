"""Time and randomness that the tests decide."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class FakeClock:
    """A clock that moves only when told; sleepers wake when their instant is reached."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._boot_s = 1000.0
        self._boot_id = "boot-1"
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    def boot_s(self) -> float:
        return self._boot_s

    def boot_id(self) -> str:
        return self._boot_id

    def advance(self, seconds: float) -> None:
        """Let both clocks run."""
        self._now += timedelta(seconds=seconds)
        self._boot_s += seconds
        for at, event in self._sleepers:
            if at <= self._boot_s:
                event.set()

    def set_wall(self, instant: datetime) -> None:
        """Set the wall clock alone, as a person or a time server does."""
        self._now = instant

    def reboot(self, off_s: float = 0.0) -> None:
        """Start another boot after some time off."""
        self._now += timedelta(seconds=off_s)
        self._boot_s = 1.0
        self._boot_id = f"boot-{int(self._boot_id.removeprefix('boot-')) + 1}"

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        entry = (self._boot_s + seconds, event)
        self._sleepers.append(entry)
        try:
            if seconds <= 0:
                await asyncio.sleep(0)
                return
            await event.wait()
        finally:
            self._sleepers.remove(entry)


class SeededRandom:
    """Randomness that repeats."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def fraction(self) -> float:
        return self._random.random()


class NoFailpoints:
    """Failpoints that only remember what was passed."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    def hit(self, name: str) -> None:
        self.passed.append(name)
