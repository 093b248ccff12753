"""The writing thread: who is answered is durable, whoever fails is told, and nothing anybody does stops it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict, StoreError, UnexpectedError
from vaguemestre_core.records import Change
from vaguemestre_queue.connection import Connection, SqliteConnection, SqlRow, Value
from vaguemestre_queue.writer import GROUP_MAX, Writer

WAIT_S = 10.0


class FaultyConnection:
    """A real connection whose statements fail when they are told to."""

    def __init__(self, path: Path) -> None:
        self._real = SqliteConnection(path)
        self._real.run("PRAGMA journal_mode = WAL")
        self._real.run("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY) STRICT")
        self.faults: dict[str, BaseException] = {}
        self.commits = 0

    def run(self, sql: str, params: Sequence[Value] = ()) -> list[SqlRow]:
        fault = self.faults.pop(sql, None)
        if fault is not None:
            raise fault
        self.commits += sql == "COMMIT"
        return self._real.run(sql, params)

    def changed(self) -> int:
        return self._real.changed()

    def close(self) -> None:
        self._real.close()


class Bench:
    """A writer over a faulty connection, and what it told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = FaultyConnection(path)
        self.told: list[list[Change]] = []
        self.tell_fault: BaseException | None = None
        self.before_fault: BaseException | None = None
        self.writer = Writer(self.connection, self._committed, before_commit=self._before)
        self.writer.start()

    def _before(self) -> None:
        if self.before_fault is not None:
            fault, self.before_fault = self.before_fault, None
            raise fault

    def _committed(self, changes: list[Change]) -> None:
        self.told.append(changes)
        if self.tell_fault is not None:
            fault, self.tell_fault = self.tell_fault, None
            raise fault

    def insert(self, number: int) -> Future[int]:
        def work(connection: Connection, _: list[Change]) -> int:
            connection.run("INSERT INTO t VALUES (?)", [number])
            return number

        return self.writer.submit(work)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the thread busy, so that what is given inside shares the next commit."""
        gate, busy = threading.Event(), threading.Event()

        def wait(_: Connection, __: list[Change]) -> None:
            busy.set()
            gate.wait(WAIT_S)

        holding = self.writer.submit(wait)
        assert busy.wait(WAIT_S)
        yield
        gate.set()
        holding.result(WAIT_S)

    def rows(self) -> list[int]:
        """Return what another connection sees: committed rows only."""
        raw = sqlite3.connect(self.path)
        try:
            return [row[0] for row in raw.execute("SELECT n FROM t ORDER BY n")]
        finally:
            raw.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "t.db")
    yield made
    made.writer.stop()
    made.connection.close()


def test_whoever_is_answered_is_committed(bench: Bench) -> None:
    seen: list[list[int]] = []
    future = bench.insert(1)
    future.add_done_callback(lambda _: seen.append(bench.rows()))
    assert future.result(WAIT_S) == 1
    bench.insert(2).result(WAIT_S)
    assert seen == [[1]]


def test_work_given_together_is_committed_together(bench: Bench) -> None:
    with bench.held():
        futures = [bench.insert(number) for number in range(GROUP_MAX + 1)]
    for future in futures:
        future.result(WAIT_S)
    assert bench.connection.commits == 3  # the one that held, a full group, the last piece
    assert len(bench.rows()) == GROUP_MAX + 1


def test_a_failing_piece_is_undone_alone_whatever_it_raises(bench: Bench) -> None:
    def half(error: BaseException) -> Future[None]:
        def work(connection: Connection, _: list[Change]) -> None:
            connection.run("INSERT INTO t VALUES (77)")
            raise error

        return bench.writer.submit(work)

    with bench.held():
        good = [bench.insert(1), bench.insert(2)]
        bad = [half(Conflict("STATE_CHANGED")), half(ValueError("a bug")), half(OverflowError("another"))]
        good.append(bench.insert(3))
    assert [future.result(WAIT_S) for future in good] == [1, 2, 3]
    assert [type(future.exception(WAIT_S)) for future in bad] == [Conflict, ValueError, OverflowError]
    assert bench.rows() == [1, 2, 3]


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "COMMIT", "RELEASE piece", "SAVEPOINT piece"])
@pytest.mark.parametrize(
    "error", [StoreError("STORE_FULL"), StoreError("STORE_IO_ERROR"), RuntimeError("not an error of ours")]
)
def test_a_group_that_cannot_be_committed_is_refused_whole_and_the_next_one_passes(
    bench: Bench, statement: str, error: Exception
) -> None:
    with bench.held():
        futures = [bench.insert(1), bench.insert(2)]
        # The thread is inside the piece that holds it: its own RELEASE and COMMIT come first.
        if statement == "BEGIN IMMEDIATE":
            bench.connection.faults[statement] = error
    if statement != "BEGIN IMMEDIATE":
        for future in futures:
            future.result(WAIT_S)
        bench.connection.faults[statement] = error
        with pytest.raises((StoreError, UnexpectedError)):
            bench.insert(3).result(WAIT_S)
        assert bench.rows() == [1, 2]
    else:
        for future in futures:
            with pytest.raises((StoreError, UnexpectedError)):
                future.result(WAIT_S)
        assert bench.rows() == []
    assert bench.insert(4).result(WAIT_S) == 4
    assert 4 in bench.rows()


def test_a_rollback_that_fails_too_does_not_stop_the_thread(bench: Bench) -> None:
    bench.connection.faults["COMMIT"] = StoreError("STORE_IO_ERROR")
    bench.connection.faults["ROLLBACK"] = StoreError("STORE_IO_ERROR")
    with pytest.raises(StoreError, match="STORE_IO_ERROR"):
        bench.insert(1).result(WAIT_S)
    # The transaction is still open: it must end before anything else is answered.
    assert bench.insert(2).result(WAIT_S) == 2
    assert bench.rows() == [2]


def test_an_unexpected_failure_around_the_commit_reaches_every_caller(bench: Bench) -> None:
    bench.before_fault = RuntimeError("a failpoint that raises")
    with pytest.raises(UnexpectedError):
        bench.insert(1).result(WAIT_S)
    assert bench.rows() == []
    assert bench.insert(2).result(WAIT_S) == 2


def test_listeners_that_fail_take_nothing_from_who_was_committed(bench: Bench) -> None:
    bench.tell_fault = RuntimeError("a listener")
    assert bench.insert(1).result(WAIT_S) == 1
    assert bench.insert(2).result(WAIT_S) == 2
    assert bench.rows() == [1, 2]


async def test_a_caller_that_goes_away_leaves_its_work_and_the_thread_alone(bench: Bench) -> None:
    with bench.held():
        going = asyncio.wrap_future(bench.insert(1))
        staying = bench.insert(2)
        await asyncio.sleep(0)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    assert await asyncio.wrap_future(staying) == 2
    # What was given is done: nobody can know whether it was already on its way.
    assert bench.rows() == [1, 2]
    assert await asyncio.wrap_future(bench.insert(3)) == 3


def test_what_was_given_before_the_end_is_done_and_later_work_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "t.db")
    with bench.held():
        futures = [bench.insert(number) for number in range(5)]
    bench.writer.stop()
    assert [future.result(0) for future in futures] == [0, 1, 2, 3, 4]
    with pytest.raises(StoreError, match="STORE_CLOSED"):
        bench.insert(9)
    bench.connection.close()


def test_many_callers_at_once_are_all_answered(bench: Bench) -> None:
    futures: list[Future[int]] = []
    lock = threading.Lock()

    def caller(base: int) -> None:
        for number in range(40):
            future = bench.insert(base + number)
            with lock:
                futures.append(future)

    threads = [threading.Thread(target=caller, args=(base * 100,)) for base in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(future.result(WAIT_S) for future in futures) == bench.rows()
    assert bench.connection.commits < 240
