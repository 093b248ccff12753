"""Threads that run blocking native calls one after the other: one lane a resource, so that a slow one delays no other.

A native call cannot be cancelled: the lane only says how long it may take; the parent kills the process beyond.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from vaguemestre_drivers.process.pulses import Pulse, Pulses

_MOST_WAITING: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    work: Callable[[], None] = field(repr=False)
    allowed_s: float


class Lane:
    """One thread and what waits for it. The thread starts with the first job."""

    def __init__(self, name: str, pulses: Pulses) -> None:
        self._name = name
        self._pulse: Pulse = pulses.of(name)
        self._jobs: queue.Queue[_Job] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], None], allowed_s: float) -> bool:
        """Have the thread do this after what waits; False when too much waits. ``work`` raises nothing."""
        try:
            self._jobs.put_nowait(_Job(work=work, allowed_s=allowed_s))
        except queue.Full:
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return True

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            self._pulse.work(job.allowed_s)
            job.work()
            self._pulse.rest()
            del job  # it may hold what a card said
