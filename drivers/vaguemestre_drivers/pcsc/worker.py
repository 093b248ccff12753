"""One thread that makes blocking calls one after the other, so that the caller can stop waiting when it wants.

A native call on a card cannot be interrupted: past its deadline the caller is told, and the thread ends by itself when
the call returns, giving back what it held. Never kills a thread, never starts a second one for the same link.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class Overdue(Exception):
    """The call did not return in time; the worker is given up and ends when it does."""


class _Call(Generic[T]):
    """One call: what to run, and its result or error once `done`."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            self.error = error
        finally:
            self.done.set()


class BlockingWorker:
    """Runs calls in its own thread until `finish`; `last` is run there at the end, whatever happened.

    Args:
        name: of the thread.
        last: gives native things back; runs in the thread, after the last call, also when the caller gave up.
    """

    def __init__(self, name: str, last: Callable[[], None]) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._last: Final = last
        self._ended = threading.Event()
        self._given_up = False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether the thread gave everything back."""
        return self._ended.is_set()

    def call(self, work: Callable[[], T], timeout_s: float, more_s: Callable[[], float] | None = None) -> T:
        """Run `work` in the thread and return what it returns, or raise what it raises.

        Args:
            work: the blocking call.
            timeout_s: how long to wait for it.
            more_s: asked once that time is over: how much longer to wait, 0 to give up.

        Raises Overdue when the time is over, and at once after a call that was overdue: the worker is then finished.
        """
        if self._given_up:
            raise Overdue
        call = _Call(work)
        self._calls.put(call.run)
        if not call.done.wait(timeout_s) and not (more_s and call.done.wait(more_s())):
            self._given_up = True
            self._calls.put(None)
            raise Overdue
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]  # set when there is no error

    def finish(self, timeout_s: float) -> bool:
        """Let the thread end after its present call; return whether it did within `timeout_s`."""
        self._given_up = True
        self._calls.put(None)
        return self._ended.wait(timeout_s)

    def _run(self) -> None:
        try:
            while (work := self._calls.get()) is not None:
                work()
        finally:
            self._last()
            self._ended.set()
