"""Bad day of the rows: an old row of ours, its digest good, written back: nothing leaves twice or although stopped."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vaguemestre_core.orders import OrderEvent, OrderId, OrderState
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
ALL = rights(PROFESSIONAL)
ORDER = OrderId("order-1")
S = OrderState
Cells = dict[str, str | int | float | bytes | None]


def row(folder: Path) -> Cells:
    with closing(sqlite3.connect(folder / "queue.db")) as raw:
        names = [str(found[1]) for found in raw.execute("PRAGMA table_info(orders)")]
        cells = raw.execute(f"SELECT {', '.join(names)} FROM orders").fetchone()
    return dict(zip(names, cells, strict=True))


def write_back(folder: Path, old: Cells) -> None:
    with closing(sqlite3.connect(folder / "queue.db", isolation_level=None)) as raw:
        raw.execute(f"UPDATE orders SET {', '.join(f'{name} = ?' for name in old)}", list(old.values()))


async def on_the_way(store: Store, folder: Path, clock: FakeClock, until: S) -> Cells:
    """Bring an order to the state in which somebody copies its row; return that row."""
    acceptance = an_acceptance(clock, 1)
    await store.accept(acceptance)
    if until is not S.PREPARING:
        await store.save_prepared(ORDER, a_build(acceptance), frozen(1))
    if until is S.READY:
        await store.apply(ORDER, OrderEvent.SEND_NOW, DOCTOR)
    return row(folder)


async def finish(store: Store, clock: FakeClock, end: S) -> None:
    if end is S.CANCELLED:
        await store.cancel(ORDER, DOCTOR)
        return
    if (await store.order(ORDER)).state is S.PREPARING:
        await store.save_prepared(ORDER, a_build(an_acceptance(clock, 1)), frozen(1))
    await store.apply(ORDER, OrderEvent.SEND_NOW, DOCTOR)
    assert await store.claim("dmp", ALL, clock.now()) is not None
    await store.first_byte(ORDER, None)
    if end is S.SENT:
        await store.apply(ORDER, OrderEvent.DELIVERED, DOCTOR)


@pytest.mark.parametrize("end", [S.SENT, S.CANCELLED, S.SENDING])
@pytest.mark.parametrize("old", [S.PREPARING, S.DEFERRED, S.READY])
@pytest.mark.parametrize("running", [True, False])
async def test_an_old_row_written_back_is_doubted_or_stopped_again(
    tmp_path: Path, old: S, end: S, running: bool
) -> None:
    clock = FakeClock()
    expected = S.CANCELLED if end is S.CANCELLED else S.IN_DOUBT
    async with opened(tmp_path, KEYS, clock) as store:
        before = await on_the_way(store, tmp_path, clock, old)
        await finish(store, clock, end)
        if running:
            write_back(tmp_path, before)
            clock.advance(86400)
            assert not await store.preparing(10)
            await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 10)
            assert await store.claim("dmp", ALL, clock.now()) is None
            assert (await store.order(ORDER)).state is expected
    if not running:
        write_back(tmp_path, before)
        async with opened(tmp_path, KEYS, clock) as store:
            found = await store.order(ORDER)
            assert found.state is expected
            assert (await store.ledger(0))[-2].detail[0] == ("cause", "ROW_SET_BACK")


async def test_what_the_service_does_not_know_leaves_after_all(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        before = await on_the_way(store, tmp_path, clock, S.READY)
        await finish(store, clock, S.SENDING)
        write_back(tmp_path, before)
        assert await store.claim("dmp", ALL, clock.now()) is None
        assert (await store.order(ORDER)).failure_code == "ROW_SET_BACK"
        await store.apply(ORDER, OrderEvent.UNKNOWN_THERE, DOCTOR)
        assert await store.claim("dmp", ALL, clock.now()) is not None
