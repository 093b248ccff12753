"""Bad days of the clock: set ahead, set back, across a boot; what waits is moved with it, undo minutes stay whole."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from vaguemestre_core.clocks import ClockJump, ClockReading, EveningHour
from vaguemestre_core.orders import OrderEvent, OrderId, OrderState
from vaguemestre_core.records import OrderPatch, Schedule
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, a_client, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
ALL = rights(PROFESSIONAL)
EVENING = EveningHour(at=time(19, 0), zone="Europe/Paris")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def look(store: Store, clock: FakeClock, evening: EveningHour | None = None) -> ClockJump | None:
    reading = ClockReading(now=clock.now(), boot_s=clock.boot_s(), boot_id=clock.boot_id())
    return await store.keep_time(reading, evening)


async def deferred(store: Store, clock: FakeClock, number: int, not_before: datetime | None = None) -> OrderId:
    acceptance = an_acceptance(clock, number)
    if not_before is not None:
        undo = clock.now() + timedelta(seconds=120)
        schedule = Schedule(not_before=max(not_before, undo), undo_until=undo, undo_s=120)
        acceptance = an_acceptance(clock, number, schedule=schedule)
    await store.accept(acceptance)
    await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
    return acceptance.order_id


async def due(store: Store, clock: FakeClock) -> int:
    return await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 100)


async def test_a_clock_ahead_at_acceptance_then_corrected_makes_nobody_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    right = clock.now()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        clock.set_wall(right + 30 * DAY)
        assert await look(store, clock) is None  # the first look
        order_id = await deferred(store, clock, 1)
        clock.set_wall(right)
        jump = await look(store, clock)
        assert jump == ClockJump(seconds=-30 * 86400, moved=1)
        order = await store.order(order_id)
        assert (order.not_before, order.undo_until) == (right + timedelta(seconds=900), right + timedelta(seconds=120))
        clock.advance(899)
        assert await due(store, clock) == 0
        clock.advance(1)
        assert await due(store, clock) == 1
        told = [line for line in await store.ledger(0) if line.kind == "clock.jumped"]
        assert [dict(line.detail) for line in told] == [{"moved": "1", "seconds": str(-30 * 86400)}]


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_a_clock_set_ahead_lets_nothing_leave_before_its_delay(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        await look(store, clock)
        for number in range(3):
            await deferred(store, clock, number)
        clock.advance(300)
        clock.set_wall(clock.now() + DAY)
        jump = await look(store, clock)
        assert jump is not None
        assert jump.moved == 3
        assert await due(store, clock) == 0
        clock.advance(599)
        assert await due(store, clock) == 0
        clock.advance(1)
        assert await due(store, clock) == 3


async def test_what_is_accepted_between_the_jump_and_the_look_is_not_moved(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        await look(store, clock)
        before = await deferred(store, clock, 1)
        clock.set_wall(clock.now() - 2 * HOUR)
        after = await deferred(store, clock, 2)
        planned = (await store.order(after)).not_before
        jump = await look(store, clock)
        assert jump is not None
        assert jump.moved == 1
        assert (await store.order(after)).not_before == planned == (await store.order(before)).not_before
        assert await look(store, clock) is None


@pytest.mark.parametrize(
    ("wrong_by", "expected"),
    [
        (24 * HOUR, datetime(2026, 11, 24, 18, 0, tzinfo=UTC)),  # accepted for tomorrow's evening: today's
        (3 * HOUR, datetime(2026, 11, 24, 18, 0, tzinfo=UTC)),  # the evening it was: stays
        (-3 * HOUR, datetime(2026, 11, 24, 18, 0, tzinfo=UTC)),
    ],
)
async def test_the_evening_hour_stays_an_hour_of_the_day(
    tmp_path: Path, wrong_by: timedelta, expected: datetime
) -> None:
    clock = FakeClock()
    right = clock.now()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        clock.set_wall(right + wrong_by)
        await look(store, clock, EVENING)
        evening = clock.now().replace(hour=18, minute=0)
        order_id = await deferred(store, clock, 1, evening)
        clock.set_wall(right)
        await look(store, clock, EVENING)
        assert (await store.order(order_id)).not_before == expected


async def test_an_evening_jumped_over_gives_fresh_undo_minutes(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        await look(store, clock, EVENING)
        order_id = await deferred(store, clock, 1, datetime(2026, 11, 24, 18, 0, tzinfo=UTC))
        clock.advance(3600)
        clock.set_wall(clock.now() + DAY)
        await look(store, clock, EVENING)
        assert (await store.order(order_id)).undo_until == clock.now() + timedelta(seconds=120)
        clock.advance(119)
        assert await due(store, clock) == 0
        clock.advance(1)
        assert await due(store, clock) == 1


async def test_an_attempt_put_off_under_a_wrong_clock_comes_when_it_should(tmp_path: Path) -> None:
    clock = FakeClock()
    right = clock.now()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        clock.set_wall(right + 30 * DAY)
        await look(store, clock)
        retried, doubtful = await deferred(store, clock, 1), await deferred(store, clock, 2)
        later = OrderPatch(next_attempt_at=clock.now() + timedelta(seconds=600))
        for order_id in (retried, doubtful):
            await store.apply(order_id, OrderEvent.SEND_NOW, DOCTOR)
            claimed = await store.claim("dmp", ALL, clock.now())
            assert claimed is not None
        await store.apply(retried, OrderEvent.UNCLAIM, DOCTOR, patch=later)
        await store.first_byte(doubtful, None)
        await store.apply(doubtful, OrderEvent.DOUBT, DOCTOR, patch=later)
        clock.set_wall(right)
        jump = await look(store, clock)
        assert jump is not None
        assert jump.moved == 2
        clock.advance(599)
        assert await store.claim("dmp", ALL, clock.now()) is None
        assert await store.doubtful("dmp", ALL, clock.now()) == []
        clock.advance(1)
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.order_id == retried
        assert [order.order_id for order in await store.doubtful("dmp", ALL, clock.now())] == [doubtful]


async def test_small_corrections_add_up_and_are_seen_in_the_end(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await look(store, clock)
        jumps = []
        for _ in range(3):
            clock.set_wall(clock.now() - timedelta(seconds=25))
            jumps.append(await look(store, clock))
        assert [jump and jump.seconds for jump in jumps] == [None, None, -75.0]


async def test_the_jump_is_seen_by_the_next_process_of_the_same_boot(tmp_path: Path) -> None:
    clock = FakeClock()
    right = clock.now()
    clock.set_wall(right + 30 * DAY)
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        await look(store, clock)
        order_id = await deferred(store, clock, 1)
    clock.set_wall(right)
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        assert await look(store, clock) is not None
        assert (await store.order(order_id)).not_before == right + timedelta(seconds=900)


async def test_a_clock_that_went_back_during_a_reboot_makes_nobody_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        await look(store, clock)
        order_id = await deferred(store, clock, 1)
    clock.reboot()
    clock.set_wall(datetime(2010, 1, 1, tzinfo=UTC))  # the battery of the clock is dead
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        jump = await look(store, clock)
        assert jump is not None
        assert jump.seconds < 0
        assert (await store.order(order_id)).not_before == clock.now() + timedelta(seconds=900)
        # The network brings the right time, sixteen years ahead: the delay goes on, the undo minutes too.
        clock.advance(60)
        clock.set_wall(datetime(2026, 11, 24, 10, 0, tzinfo=UTC))
        assert await look(store, clock) is not None
        assert await due(store, clock) == 0
        clock.advance(840)
        assert await due(store, clock) == 1


async def test_time_spent_off_is_no_jump(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        await look(store, clock)
        order_id = await deferred(store, clock, 1)
    clock.reboot(off_s=12 * 3600)
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        assert await look(store, clock) is None
        assert (await store.order(order_id)).state is OrderState.DEFERRED
