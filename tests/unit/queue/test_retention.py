"""How long bodies stay, whatever the clocks do, and that they are really gone from the files."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderEvent, OrderId
from vaguemestre_queue import retention
from vaguemestre_queue.connection import SqliteConnection, SqlRow, Value
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
DAY_S = 86400
DAYS = 30
BIG = bytes(range(256)) * 400  # long enough for overflow pages


async def sent(store: Store, clock: FakeClock, number: int = 1) -> OrderId:
    acceptance = an_acceptance(clock, number, content=BIG)
    await store.accept(acceptance)
    await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
    await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
    assert await store.claim("dmp", rights(PROFESSIONAL), clock.now()) is not None
    await store.first_byte(acceptance.order_id, b"<signature/>")
    await store.apply(acceptance.order_id, OrderEvent.DELIVERED, DOCTOR)
    return acceptance.order_id


async def passed(store: Store) -> int:
    """One pass as the service makes them."""
    count = await store.keeping.destroy_ended(DAYS, 50)
    await store.keeping.empty_log()
    return count


async def days(store: Store, clock: FakeClock, number: int) -> int:
    """Let days pass on both clocks, a pass each; return how many orders lost their bodies."""
    count = 0
    for _ in range(number):
        clock.advance(DAY_S)
        count += await passed(store)
    return count


def envelopes(folder: Path) -> list[bytes]:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as raw:
        return [bytes(sealed) for (sealed,) in raw.execute("SELECT envelope FROM bodies")]


def traces(folder: Path, sealed: list[bytes]) -> list[str]:
    """Return the files of the folder in which a piece of one of these envelopes is found."""
    pieces = [body[at : at + 48] for body in sealed for at in (0, 200, len(body) // 2, len(body) - 48)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(piece in path.read_bytes() for piece in pieces)]


async def test_bodies_go_when_their_days_have_passed_and_the_rest_stays(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await sent(store, clock)
        waiting = an_acceptance(clock, 2, content=b"%PDF-1.4 " + BIG)
        await store.accept(waiting)
        await passed(store)
        kept = envelopes(tmp_path)
        assert len(kept) == 4
        assert traces(tmp_path, kept)
        assert await days(store, clock, DAYS - 1) == 0
        assert await days(store, clock, 1) == 1
        with pytest.raises(StoreError, match="BODY_GONE"):
            await store.body(order_id)
        assert (await store.order(order_id)).receipt == ()
        assert (await store.body(waiting.order_id)).body == waiting.body  # it has not left: it stays for ever
        gone = [sealed for sealed in kept if sealed not in envelopes(tmp_path)]
        assert len(gone) == 3
        assert traces(tmp_path, gone) == []  # database, log, index: nowhere, and the agent still runs
        last = (await store.ledger(0))[-1]
        assert (last.kind, last.order_id) == ("order.body_destroyed", order_id)
        assert dict(last.detail) == {"days": "30", "roles": "given,prepared,signature"}
        await store.verify_ledger()
    async with opened(tmp_path, KEYS, clock) as store:
        assert store.recovery.unauthenticated == 0


async def test_a_wall_clock_a_year_ahead_destroys_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await sent(store, clock)
        await passed(store)
        true_time = clock.now()
        clock.set_wall(true_time + timedelta(days=365))
        assert await passed(store) == 0
        clock.advance(3600)
        assert await passed(store) == 0
        clock.set_wall(true_time + timedelta(hours=1))
        assert await days(store, clock, DAYS - 1) == 0
        await store.body(order_id)
        assert await days(store, clock, 2) == 1


async def test_a_year_ahead_at_each_start_is_credited_three_days(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        await sent(store, clock)
        await passed(store)
    clock.reboot(off_s=365 * DAY_S)
    async with opened(tmp_path, KEYS, clock) as store:
        assert await passed(store) == 0
        assert await days(store, clock, DAYS - 4) == 0
        assert await days(store, clock, 1) == 1


async def test_an_order_that_ended_under_a_clock_far_ahead_waits_for_the_true_one(tmp_path: Path) -> None:
    clock = FakeClock()
    true_time = clock.now()
    clock.set_wall(true_time + timedelta(days=365))
    async with opened(tmp_path, KEYS, clock) as store:
        await sent(store, clock)
        clock.set_wall(true_time)
        assert await days(store, clock, 2 * DAYS) == 0  # late, never early


async def test_a_body_that_an_order_under_way_may_need_stays(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        first = await sent(store, clock)
        newer = replace(
            an_acceptance(clock, 2, content=b"%PDF-1.4 deux"),
            client_ref="doc-1",
            patient_key=an_acceptance(clock, 1).patient_key,
        )
        replacing = (await store.accept(newer)).order
        await passed(store)
        assert await days(store, clock, 2 * DAYS) == 0
        await store.prepared(first)
        await store.cancel(replacing.order_id, DOCTOR)
        assert await days(store, clock, 1) == 1  # the sent one; the cancelled one has its own days
        with pytest.raises(StoreError, match="BODY_GONE"):
            await store.prepared(first)
        await store.body(replacing.order_id)
        assert await days(store, clock, DAYS) == 1


async def test_a_row_forged_to_be_over_destroys_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        acceptance = an_acceptance(clock, 1)
        await store.accept(acceptance)
        with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as raw, raw:
            raw.execute("UPDATE orders SET state = 'sent'")
        await passed(store)
        assert await days(store, clock, 3 * DAYS) == 0
        assert len(envelopes(tmp_path)) == 1


async def test_small_batches_leave_the_rest_for_the_next(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        for number in range(5):
            await sent(store, clock, number)
        await store.keeping.destroy_ended(DAYS, 2)
        clock.advance(DAYS * DAY_S)
        assert [await store.keeping.destroy_ended(DAYS, 2) for _ in range(4)] == [2, 2, 1, 0]


async def test_copies_left_by_a_migration_go_after_as_many_days(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        copy, aside = tmp_path / f"{DATABASE_FILE}.before-0002", tmp_path / "aside-1"
        copy.write_bytes(b"copy")
        aside.mkdir()
        (aside / DATABASE_FILE).write_bytes(b"old")
        assert await store.keeping.destroy_copies(DAYS) == 0
        clock.advance((DAYS - 1) * DAY_S)
        assert await store.keeping.destroy_copies(DAYS) == 0
        clock.advance(DAY_S)
        assert await store.keeping.destroy_copies(DAYS) == 2
        assert not copy.exists()
        assert not aside.exists()


class Recorded(SqliteConnection):
    """A connection that remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[tuple[str, Sequence[Value]]] = []

    def run(self, sql: str, params: Sequence[Value] = ()) -> list[SqlRow]:
        self.asked.append((sql, params))
        return super().run(sql, params)


async def test_a_pass_does_not_look_at_the_references_it_keeps(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        await sent(store, clock)
    connection = Recorded(tmp_path / DATABASE_FILE)
    try:
        retention.mark_ended(connection, 1)
        asked = list(connection.asked)
        plans = [str(step[3]) for sql, params in asked for step in connection.run(f"EXPLAIN QUERY PLAN {sql}", params)]
    finally:
        connection.close()

    assert len(asked) == 2
    scans = [plan for plan in plans if plan.startswith("SCAN")]
    assert len(scans) == 2, plans
    assert "bodies_that_go" in scans[0], plans
    assert "orders_deleting" in scans[1], plans


async def test_every_copy_of_a_store_ends_and_one_that_cannot_be_removed_spares_no_other(tmp_path: Path) -> None:
    clock = FakeClock()
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "letter.txt").write_text("not ours")
    async with opened(state, KEYS, clock) as store:
        for name in ("aside-20260101T000000Z", "damaged-20260101T000000Z", "salvage.tmp"):
            (state / name / "inner").mkdir(parents=True)
            (state / name / "queue.db").write_bytes(b"sealed bodies")
        for name in (f"{DATABASE_FILE}.before-0002", f"{DATABASE_FILE}.restoring"):
            (state / name).write_bytes(b"sealed bodies")
        with contextlib.suppress(OSError):  # Windows lets few users make one; wine 8 says that it does, and does not
            (state / "aside-1").symlink_to(elsewhere, target_is_directory=True)  # never followed
        made = 5 + (state / "aside-1").is_symlink()
        await store.keeping.destroy_copies(DAYS)
        clock.advance((DAYS - 1) * DAY_S)
        assert await store.keeping.destroy_copies(DAYS) == 0
        clock.advance(DAY_S)
        assert await store.keeping.destroy_copies(DAYS) == made
        assert sorted(path.name for path in state.iterdir() if path.name.startswith(DATABASE_FILE)) == [
            path for path in (DATABASE_FILE, f"{DATABASE_FILE}-shm", f"{DATABASE_FILE}-wal") if (state / path).exists()
        ]
        assert [path for path in state.iterdir() if path.is_dir()] == []
    assert (elsewhere / "letter.txt").exists()
