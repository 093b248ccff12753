"""Steps on a place that may never answer (a share whose server is gone): each in a thread that nobody waits for.

A thread stuck in the system cannot be stopped: it holds up neither the agent's work nor its stop, and no second one is
sent after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from vaguemestre_core.errors import StoreError

T = TypeVar("T")


class PatientHands:
    """``HandsPort`` over threads that do not outlive the agent.

    Args:
        answer_s: longest time for one step, seconds.
    """

    def __init__(self, answer_s: float) -> None:
        self._answer_s = answer_s
        self._is_free: Callable[[], bool] = lambda: True

    async def run(self, work: Callable[[], T]) -> T:
        """Run a step; one still stuck makes the next fail at once."""
        if not self._is_free():
            raise StoreError("SECOND_COPY_SILENT")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here a cancelled waiter leaves it to end by itself
        self._is_free = future.done
        Thread(target=_do, args=(work, future), name="second-copy", daemon=True).start()
        try:
            async with asyncio.timeout(self._answer_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise StoreError("SECOND_COPY_SILENT") from None


def _do(work: Callable[[], T], future: Future[T]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  # whoever waits decides: this thread has no one else to tell
        future.set_exception(error)
    else:
        future.set_result(result)
