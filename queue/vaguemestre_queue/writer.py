"""The one thread that writes: work waiting together is committed together (group commit).

Each piece of work runs in a savepoint of the group's transaction; its result is given only after the commit, so whoever
is answered is durable. A piece that fails is undone alone. Nothing that a piece, a failpoint or a listener raises ends
the thread: its callers would wait for ever. Diagnostics: ``store.commit_failed``, ``store.telling_failed``,
``store.rest_failed``. Source: docs/adr/0003.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, Generic, TypeVar

from vaguemestre_core.errors import StoreError, UnexpectedError, VaguemestreError
from vaguemestre_core.records import Change
from vaguemestre_queue.connection import Connection

_log = logging.getLogger(__name__)
GROUP_MAX: Final = 256  # pieces of work in one commit
T = TypeVar("T")


class Piece(Generic[T]):
    """One piece of work and who waits for it."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Callable[[Connection, list[Change]], T]) -> None:
        self.work = work
        self.future: Future[T] = Future()
        self.result: T | None = None
        self.error: BaseException | None = None


class Writer:
    """Owns the writing connection and its thread.

    Args:
        connection: used by the thread only, from ``start`` to ``stop``.
        committed: called in the thread after each commit with the changes, in order.
        before_commit, after_commit: failpoints.
        rest: called in the thread after the callers of a commit were answered.
    """

    def __init__(
        self,
        connection: Connection,
        committed: Callable[[list[Change]], None],
        *,
        before_commit: Callable[[], None] = lambda: None,
        after_commit: Callable[[], None] = lambda: None,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._committed = committed
        self._before_commit = before_commit
        self._after_commit = after_commit
        self._rest = rest
        self._waiting: deque[Piece[object]] = deque()
        self._condition = threading.Condition()
        self._stopping = False
        self._open = False  # a transaction that could not be rolled back may still be there
        self._thread = threading.Thread(target=self._run, name="vaguemestre-store-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the work already given, then end the thread. Later work is refused with STORE_CLOSED."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join()

    def submit(self, work: Callable[[Connection, list[Change]], T]) -> Future[T]:
        """Give a piece of work; the future ends after its commit. Raises StoreError STORE_CLOSED.

        What was given is done: cancelling the future changes nothing, a caller that goes away is only not told.
        """
        piece: Piece[T] = Piece(work)
        piece.future.set_running_or_notify_cancel()
        with self._condition:
            if self._stopping:
                raise StoreError("STORE_CLOSED")
            self._waiting.append(piece)  # type: ignore[arg-type]  # a queue of pieces of any result
            self._condition.notify()
        return piece.future

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._stopping:
                    self._condition.wait()
                if not self._waiting:
                    return
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_MAX))]
            self._commit(group)

    def _commit(self, group: list[Piece[object]]) -> None:
        changes: list[Change] = []
        try:
            if self._open:
                self._roll_back()
            self._connection.run("BEGIN IMMEDIATE")
            self._open = False
            for piece in group:
                self._do(piece, changes)
            self._before_commit()
            self._connection.run("COMMIT")
        except Exception as error:  # noqa: BLE001 - told to every caller of the group; the thread goes on
            self._refuse(group, error)
            return
        try:
            self._after_commit()
            self._committed(changes)
        except Exception as error:  # noqa: BLE001 - it is committed whatever became of the telling
            _log.error("store.telling_failed error=%s", type(error).__name__)
        for piece in group:
            if piece.error is None:
                piece.future.set_result(piece.result)
            else:
                piece.future.set_exception(piece.error)
        try:
            self._rest()
        except Exception as error:  # noqa: BLE001 - everybody was answered; the next commit tells a real failure
            _log.error("store.rest_failed error=%s", type(error).__name__)

    def _refuse(self, group: list[Piece[object]], error: Exception) -> None:
        """Undo the transaction and tell every caller of the group."""
        self._roll_back()
        failure: VaguemestreError
        if isinstance(error, VaguemestreError):
            failure = error
        else:
            failure = UnexpectedError()
            failure.__cause__ = error
        _log.error("store.commit_failed code=%s error=%s pieces=%d", failure.code, type(error).__name__, len(group))
        for piece in group:
            piece.future.set_exception(piece.error or failure)

    def _roll_back(self) -> None:
        self._open = True
        with suppress(StoreError):  # SQLite has already rolled back after some errors
            self._connection.run("ROLLBACK")
            self._open = False

    def _do(self, piece: Piece[object], changes: list[Change]) -> None:
        mine: list[Change] = []
        self._connection.run("SAVEPOINT piece")
        try:
            piece.result = piece.work(self._connection, mine)
        except StoreError as error:
            if error.code in {"STORE_FULL", "STORE_IO_ERROR", "STORE_READ_ONLY", "STORE_CORRUPT"}:
                raise  # SQLite may have rolled everything back: the whole group failed
            piece.error = error
        except Exception as error:  # noqa: BLE001 - given to the caller as it is; the piece is undone
            piece.error = error
        if piece.error is not None:
            self._connection.run("ROLLBACK TO piece")
        else:
            changes.extend(mine)
        self._connection.run("RELEASE piece")
