"""Copying the write-ahead log into the database after callers were answered, never while they wait.

SQLite's own automatic checkpoint runs inside the COMMIT that crosses its threshold: that caller pays for all. It stays
as a safety net with a higher threshold. Durability does not depend on any of this: a commit is durable in the log.
Source: sqlite.org/wal.html#ckpt, docs/adr/0003.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Final

from vaguemestre_queue.connection import Connection
from vaguemestre_queue.rows import as_int

GROWTH_PAGES: Final = 2000  # new pages of the database since the last checkpoint
LOOK_EVERY: Final = 4  # commits: asking costs more than a small commit's own work
COMMITS: Final = 100  # groups committed since the last checkpoint: a commit rewrites pages without making new ones


class Checkpoints:
    """Decides when to copy; used by the writer's thread only.

    Args:
        connection: the writing connection.
        growth_pages, commits: thresholds; the self-tests take smaller ones.
    """

    def __init__(self, connection: Connection, *, growth_pages: int = GROWTH_PAGES, commits: int = COMMITS) -> None:
        self._connection = connection
        self._growth_pages = growth_pages
        self._most_commits = commits
        self._commits = 0
        self._pages = 0
        self._asked: list[Future[bool]] = []

    def ask_to_empty(self) -> Future[bool]:
        """Have the log emptied after the present group is answered; call it in the writer's thread.

        The future says whether it was: a reader in the middle of something, or a failed disk, prevents it.
        """
        asked: Future[bool] = Future()
        asked.set_running_or_notify_cancel()
        self._asked.append(asked)
        return asked

    def _empty(self) -> None:
        asked, self._asked = self._asked, []
        emptied = False
        try:
            emptied = self._connection.run("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
        finally:
            for future in asked:
                future.set_result(emptied)

    def after_answers(self) -> None:
        """Copy the log if it has grown enough. Raises StoreError; nothing is lost then, the log only stays longer."""
        if self._asked:
            self._empty()
        self._commits += 1
        if self._commits % LOOK_EVERY:
            return
        pages = as_int(self._connection.run("PRAGMA page_count")[0][0])
        if self._commits < self._most_commits and pages - self._pages < self._growth_pages:
            return
        self._commits, self._pages = 0, pages
        self._connection.run("PRAGMA wal_checkpoint(PASSIVE)")
