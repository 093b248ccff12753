"""The write-ahead log is copied between commits, after the answers; a copy that fails takes nothing from anybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vaguemestre_core.errors import StoreError
from vaguemestre_core.records import Change
from vaguemestre_queue.checkpoints import LOOK_EVERY, Checkpoints
from vaguemestre_queue.connection import Connection, SqliteConnection, SqlRow, Value
from vaguemestre_queue.writer import Writer

COPY = "PRAGMA wal_checkpoint(PASSIVE)"
WAIT_S = 10.0


class Watched:
    """A real connection that remembers the copies asked and may refuse them."""

    def __init__(self, path: Path) -> None:
        self._real = SqliteConnection(path)
        self._real.run("PRAGMA journal_mode = WAL")
        self._real.run("PRAGMA wal_autocheckpoint = 0")
        self._real.run("CREATE TABLE t (b BLOB) STRICT")
        self.copies: list[SqlRow] = []
        self.refuses = False

    def run(self, sql: str, params: Sequence[Value] = ()) -> list[SqlRow]:
        if sql == COPY and self.refuses:
            raise StoreError("STORE_IO_ERROR")
        found = self._real.run(sql, params)
        if sql == COPY:
            self.copies += found
        return found

    def changed(self) -> int:
        return self._real.changed()

    def close(self) -> None:
        self._real.close()


def insert(writer: Writer, size: int) -> None:
    def work(connection: Connection, _: list[Change]) -> None:
        connection.run("INSERT INTO t VALUES (?)", [bytes(size)])

    writer.submit(work).result(WAIT_S)


def a_writer(connection: Watched, growth_pages: int, commits: int) -> Writer:
    checkpoints = Checkpoints(connection, growth_pages=growth_pages, commits=commits)
    writer = Writer(connection, lambda _: None, rest=checkpoints.after_answers)
    writer.start()
    return writer


def test_it_is_copied_when_the_file_has_grown_or_after_many_commits(tmp_path: Path) -> None:
    connection = Watched(tmp_path / "t.db")
    writer = a_writer(connection, growth_pages=100, commits=12)
    for _ in range(LOOK_EVERY * 2):
        insert(writer, 10)
    assert connection.copies == []
    for _ in range(LOOK_EVERY):
        insert(writer, 10)
    insert(writer, 10)  # the copy comes after the answer: the next answer comes after the copy
    assert len(connection.copies) == 1
    for _ in range(LOOK_EVERY):
        insert(writer, 200_000)
    assert len(connection.copies) == 2
    busy, in_log, copied = connection.copies[-1]
    assert busy == 0
    assert in_log == copied
    assert isinstance(copied, int)
    assert copied > 100
    writer.stop()
    connection.close()


def test_a_copy_that_fails_stops_nothing(tmp_path: Path) -> None:
    connection = Watched(tmp_path / "t.db")
    connection.refuses = True
    writer = a_writer(connection, growth_pages=1, commits=1)
    for _ in range(LOOK_EVERY * 2 + 1):
        insert(writer, 10_000)
    connection.refuses = False
    for _ in range(LOOK_EVERY * 2):
        insert(writer, 10_000)
    assert connection.copies
    writer.stop()
    assert connection.run("SELECT count(*) FROM t") == [(LOOK_EVERY * 4 + 1,)]
    connection.close()
