"""Watching the machine's clocks: a wall clock that was moved is told, and what waits is moved with it.

Owns the last reading. Which instants move, and how, is the store's. Source: docs/bad-days.md, "Clocks".
"""

from __future__ import annotations

import logging
from typing import Final

from vaguemestre_core.clocks import ClockReading, EveningHour
from vaguemestre_core.ports import ClockPort, StorePort

_log = logging.getLogger(__name__)
NOTICED_S: Final = 1.0  # a difference of the two clocks worth asking the store about
TOLD_S: Final = 3600.0  # how long the health page says it


class ClockWatch:
    """Compares the wall clock with the boot-time clock, which nobody can set."""

    def __init__(self, store: StorePort, clock: ClockPort, evening: EveningHour | None = None) -> None:
        self._store = store
        self._clock = clock
        self._evening = evening
        self._offset_s: float | None = None
        self._jump: tuple[float, float] | None = None  # seconds, and when on the boot-time clock

    @property
    def jumped_s(self) -> float | None:
        """By how much the wall clock was moved lately, seconds, or None."""
        if self._jump is None or self._clock.boot_s() - self._jump[1] > TOLD_S:
            return None
        return self._jump[0]

    async def look(self) -> None:
        """Read both clocks; costs nothing while they go together. Raises StoreError: the next look does it."""
        reading = ClockReading(now=self._clock.now(), boot_s=self._clock.boot_s(), boot_id=self._clock.boot_id())
        offset_s = reading.now.timestamp() - reading.boot_s
        if self._offset_s is not None and abs(offset_s - self._offset_s) < NOTICED_S:
            return
        jump = await self._store.keep_time(reading, self._evening)
        self._offset_s = offset_s
        if jump is not None:
            self._jump = (jump.seconds, reading.boot_s)
            _log.warning("clock.jumped", extra={"seconds": round(jump.seconds), "moved": jump.moved})
