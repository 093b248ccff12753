"""Waiting for an instant or for news, whichever comes first, on the clock port."""

from __future__ import annotations

import asyncio

from vaguemestre_core.ports import ClockPort


class Wake:
    """A bell: rung by whoever has news, heard by the one loop that waits on it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, or let the next wait return at once."""
        self._event.set()

    async def wait(self, clock: ClockPort, seconds: float | None) -> None:
        """Wait until the bell or, when given, that many seconds of the clock have passed. Safe to cancel."""
        if seconds is None:
            await self._event.wait()
        else:
            async with asyncio.TaskGroup() as group:
                sleeper = group.create_task(clock.sleep(seconds))
                listener = group.create_task(self._event.wait())
                sleeper.add_done_callback(lambda _: listener.cancel())
                listener.add_done_callback(lambda _: sleeper.cancel())
        self._event.clear()
