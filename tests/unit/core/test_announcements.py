"""The calendar of announcements: same day of the month, or its last one, in the local zone."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.announcements import AnnouncementSettings, months_after
from vaguemestre_core.errors import InvalidInput


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 3, 31), -4, date(2025, 11, 30)),
    ],
)
@pytest.mark.req("SC.DMP/UX.51")
def test_months_are_those_of_the_calendar(day: date, months: int, then: date) -> None:
    assert months_after(day, months) == then


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(-48, 48))
def test_a_month_later_is_never_skipped(day: date, months: int) -> None:
    then = months_after(day, months)

    assert (then.year * 12 + then.month) - (day.year * 12 + day.month) == months
    assert then.day == day.day or (then.day < day.day and (then + timedelta(days=1)).day == 1)


@pytest.mark.parametrize("months", [(0, 3, 4), (2, 1, 4), (1, 3, 2)])
def test_settings_out_of_order_are_refused(months: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInput, match="ANNOUNCEMENTS_INVALID"):
        AnnouncementSettings(announce_months=months[0], visible_months=months[1], listed_months=months[2])
