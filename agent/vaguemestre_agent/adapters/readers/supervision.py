"""Keeps a readers process alive: one life after the other, at once the first times, then less and less often.

Owns the succession of lives and the rhythm of restarts; what ends a life is ``life.py``. A process that dies again and
again costs the agent a start now and then, and nothing else.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Final

from vaguemestre_agent.adapters.readers.life import Life, Limits
from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.frames import Frame
from vaguemestre_core.ports import ClockPort

_LOGGER = logging.getLogger(__name__)
COMMAND: Final = (sys.executable, "-m", "vaguemestre_drivers.process")
# Seconds before the next start after one, two… short lives in a row.
DELAYS_S: Final = (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
# A life as long as this forgives the short ones before it.
HEALTHY_S: Final = 60.0


class Supervised:
    """A readers process that is always there, or on its way back.

    Args:
        settings: given to each life.
        clock: for the waits and the lengths of lives.
        limits: when a life is given up.
        on_event: called with the number of the life and each event: ``ready`` first; ``down`` (without frame content)
            when a life has ended. It raises nothing.
        command: how the process is started.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        clock: ClockPort,
        limits: Limits,
        on_event: Callable[[int, str, Frame], None],
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._limits = limits
        self._on_event = on_event
        self._command = command or COMMAND
        self._life: Life | None = None
        self._lives = 0
        self._short = 0

    @property
    def pid(self) -> int | None:
        """Number of the process now alive, if any."""
        return None if self._life is None else self._life.pid

    async def run(self) -> None:
        """Live for ever. Cancellation: safe, the process ends."""
        while True:
            await self._live()
            await self._clock.sleep(DELAYS_S[min(self._short, len(DELAYS_S)) - 1])

    async def ask(
        self, verb: str, arguments: Mapping[str, object] | None = None, content: bytes = b"", *, allowed_s: float
    ) -> Frame:
        """Return the answer of the present life.

        Raises:
            CardTrouble: READERS_PROCESS_DOWN, and what the verb refuses.
        """
        life = self._life
        if life is None:
            raise CardTrouble(Situation.READERS_PROCESS_DOWN)
        return await life.ask(verb, arguments or {}, content, allowed_s)

    async def _live(self) -> None:
        self._lives += 1
        number = self._lives
        started = self._clock.boot_s()
        self._life = life = Life(
            self._command, self._settings, self._limits, lambda name, frame: self._on_event(number, name, frame)
        )
        try:
            why = await life.run()
        finally:
            self._life = None
            self._on_event(number, "down", Frame(header={}))
        lived_s = self._clock.boot_s() - started
        self._short = 1 if lived_s >= HEALTHY_S else self._short + 1
        _LOGGER.warning(
            "readers.process.ended", extra={"reason": why, "duration_ms": round(lived_s * 1000), "losses": self._short}
        )
