"""Bad days of the clock with the services at work: jumps, zones, and a machine asleep over the evening hour."""

from __future__ import annotations

import os
import time as system_time
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.services.condition import clock_items
from vaguemestre_core.deferral import DeferralMode, DeferralPolicy, schedule
from vaguemestre_core.orders import OrderState
from vaguemestre_testkit.practice_kit import OfficeSettings, office

S = OrderState
EVENING = DeferralPolicy(mode=DeferralMode.EVENING, evening_at=time(19, 0), undo_s=120)


async def test_a_clock_corrected_by_a_month_is_told_and_the_order_leaves_after_its_delay(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        right = practice.clock.now()
        practice.clock.set_wall(right + timedelta(days=30))
        async with practice.at_work():
            order = await practice.deposit("cr-1")
            await practice.reaches(order, S.DEFERRED)
            await practice.advance(31)
            practice.clock.set_wall(right + timedelta(seconds=31))
            await practice.advance(31)
            await practice.until(lambda now: now.not_before == right + timedelta(seconds=900), order)
            jumped_s = practice.dispatch.clock_jumped_s
            await practice.adopt()
            await practice.advance(900 - 62 + 1)
            await practice.reaches(order, S.SENT)
            practice.clock.advance(3601)

        assert jumped_s == -30 * 86400
        assert [item.code for item in clock_items(jumped_s)] == ["CLOCK_SET_BACK"]
        assert clock_items(jumped_s)[0].params == {"minutes": 30 * 1440}
        assert clock_items(practice.dispatch.clock_jumped_s) == ()
        assert clock_items(61.0)[0].code == "CLOCK_SET_FORWARD"


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_asleep_over_the_evening_hour_gives_fresh_undo_minutes_first(tmp_path: Path) -> None:
    async with office(tmp_path, OfficeSettings(deferral=EVENING)) as practice, practice.at_work():
        order = await practice.deposit("cr-1")
        await practice.reaches(order, S.DEFERRED)
        assert (await practice.now(order)).not_before == datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
        await practice.advance(14 * 3600)  # the lid is closed: both clocks go on, nobody runs
        woken = practice.clock.now()
        fresh = woken + timedelta(seconds=120)
        await practice.until(lambda now: now.undo_until == fresh, order)
        await practice.adopt()  # the evening's session is over: the doctor opens one
        await practice.advance(119)
        assert (await practice.now(order)).state is S.DEFERRED
        assert practice.dispatch.clock_jumped_s is None  # sleep is no jump
        await practice.advance(2)
        await practice.reaches(order, S.SENT)


@pytest.fixture
def travelling() -> Iterator[None]:
    """A workstation whose system zone is set to the other side of the world."""
    if not hasattr(system_time, "tzset"):
        pytest.skip("the system zone cannot be set for one process here")
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Noumea"
    system_time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    system_time.tzset()


@pytest.mark.usefixtures("travelling")
def test_the_evening_is_that_of_the_practice_whatever_the_zone_of_the_machine() -> None:
    made = schedule(EVENING, datetime(2026, 11, 24, 9, 0, tzinfo=UTC))
    assert made.not_before == datetime(2026, 11, 24, 18, 0, tzinfo=UTC)


async def test_a_zone_changed_in_the_settings_leaves_what_was_accepted_where_it_was(tmp_path: Path) -> None:
    async with office(tmp_path, OfficeSettings(deferral=EVENING)) as practice:
        before = await practice.deposit("cr-1")
    reunion = OfficeSettings(deferral=DeferralPolicy(mode=DeferralMode.EVENING, zone="Indian/Reunion"))
    async with office(tmp_path / "elsewhere", reunion) as practice:
        after = await practice.deposit("cr-1")
    assert before.not_before == datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
    assert after.not_before == datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
