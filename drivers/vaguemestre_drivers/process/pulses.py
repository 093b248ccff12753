"""Signs of life of the threads that call native code: how long each has given none, and how long it may.

Counts its own ticks, not time: a process that was stopped or a machine that slept is not taken for a hung library.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

TICK_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One thread at work: seconds without a sign of life, and how many it was allowed."""

    silent_s: float
    allowed_s: float


class Pulse:
    """The pulse of one thread. ``work`` and ``beat`` are signs of life; a thread at rest is not judged."""

    def __init__(self) -> None:
        self._beats = 0
        self._allowed_s: float | None = None
        self._seen = 0
        self._silent_ticks = 0

    def work(self, allowed_s: float) -> None:
        """Say that native code may now be silent for so long."""
        self._allowed_s = allowed_s
        self._beats += 1

    def beat(self) -> None:
        """Say that the thread is alive."""
        self._beats += 1

    def rest(self) -> None:
        """Say that nothing native is going on."""
        self._allowed_s = None
        self._beats += 1

    def tick(self) -> Silence | None:
        """Return the silence at this tick, None at rest. One caller only."""
        if self._beats != self._seen:
            self._seen, self._silent_ticks = self._beats, 0
        else:
            self._silent_ticks += 1
        allowed = self._allowed_s
        return None if allowed is None else Silence(silent_s=self._silent_ticks * TICK_S, allowed_s=allowed)


class Pulses:
    """All pulses of the process, by the name of their thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pulses: dict[str, Pulse] = {}

    def of(self, name: str) -> Pulse:
        """Return the pulse of a thread."""
        with self._lock:
            return self._pulses.setdefault(name, Pulse())

    def tick(self) -> Mapping[str, Silence]:
        """Return the silences of the threads at work. One caller only."""
        with self._lock:
            found = list(self._pulses.items())
        return {name: silence for name, pulse in found if (silence := pulse.tick()) is not None}
