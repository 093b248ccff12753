"""When an order may leave: by delay, in the evening, between two patients; on the nights when the hour changes too."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.deferral import DeferralMode, DeferralPolicy, next_local_time, overdue_schedule, schedule
from vaguemestre_core.errors import InvalidInput

PARIS = "Europe/Paris"
EVENING = DeferralPolicy(mode=DeferralMode.EVENING, evening_at=time(19, 0))
INSTANTS = st.datetimes(
    min_value=datetime(2024, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2032, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
POLICIES = st.builds(
    DeferralPolicy,
    mode=st.sampled_from(DeferralMode),
    delay_s=st.floats(0, 7 * 86400),
    evening_at=st.times(),
    zone=st.sampled_from([PARIS, "Indian/Reunion", "America/Martinique", "Pacific/Noumea", "America/Miquelon"]),
    undo_s=st.floats(0, 86400),
)


def at(day: str, hour: int, minute: int = 0) -> datetime:
    """Return a UTC instant."""
    return datetime.fromisoformat(f"{day}T{hour:02}:{minute:02}:00+00:00")


@pytest.mark.req("SC.DMP/ALI/PROG.02")
def test_a_delay_counts_from_the_acceptance() -> None:
    made = schedule(DeferralPolicy(delay_s=900, undo_s=120), at("2026-11-24", 9))
    assert (made.not_before, made.undo_until, made.undo_s) == (
        at("2026-11-24", 9, 15),
        at("2026-11-24", 9, 2),
        120,
    )


@pytest.mark.req("SC.DMP/ALI/PROG.02")
@pytest.mark.parametrize(
    ("accepted", "leaves"),
    [
        (at("2026-11-24", 9), at("2026-11-24", 18)),  # winter: 19:00 is 18:00 UTC
        (at("2026-07-14", 9), at("2026-07-14", 17)),  # summer
        (at("2026-11-24", 17, 59), at("2026-11-24", 18, 1)),  # the undo minutes pass the hour
        (at("2026-11-24", 18), at("2026-11-25", 18)),  # the hour itself: the next day
        (at("2026-11-24", 23), at("2026-11-25", 18)),  # after midnight in Paris
    ],
)
def test_the_evening_hour_is_local(accepted: datetime, leaves: datetime) -> None:
    assert schedule(EVENING, accepted).not_before == leaves


def test_between_two_patients_waits_no_longer_than_the_delay() -> None:
    made = schedule(DeferralPolicy(mode=DeferralMode.BETWEEN_PATIENTS, delay_s=600), at("2026-11-24", 9))
    assert (made.between_patients, made.not_before) == (True, at("2026-11-24", 9, 10))


@pytest.mark.parametrize(
    ("after", "hour", "expected"),
    [
        # 2026-03-29: 02:00 becomes 03:00 in Paris. 02:30 does not exist: the clock jumps over it at 01:00 UTC.
        (at("2026-03-28", 20), time(2, 30), at("2026-03-29", 1, 30)),
        (at("2026-03-28", 20), time(3, 0), at("2026-03-29", 1)),
        (at("2026-03-28", 20), time(1, 59), at("2026-03-29", 0, 59)),
        (at("2026-03-28", 19), time(19, 0), at("2026-03-29", 17)),
        # 2026-10-25: 03:00 becomes 02:00. 02:30 exists twice: the first one, then the next day's only one.
        (at("2026-10-24", 20), time(2, 30), at("2026-10-25", 0, 30)),
        (at("2026-10-25", 0, 45), time(2, 30), at("2026-10-26", 1, 30)),
        (at("2026-10-25", 10), time(19, 0), at("2026-10-25", 18)),
    ],
)
def test_nights_when_the_hour_changes(after: datetime, hour: time, expected: datetime) -> None:
    assert next_local_time(after, hour, PARIS) == expected


@given(INSTANTS, st.times(), st.sampled_from([PARIS, "Indian/Reunion", "America/Miquelon"]))
def test_the_next_local_time_is_soon_and_shows_that_hour(after: datetime, hour: time, zone: str) -> None:
    found = next_local_time(after, hour, zone)
    assert after < found <= after + timedelta(hours=49)
    shown = found.astimezone(ZoneInfo(zone))
    # On the night when the hour does not exist, the clock shows one hour more.
    shift = timedelta(hours=shown.hour - hour.hour, minutes=shown.minute - hour.minute)
    assert shift in (timedelta(0), timedelta(hours=1))
    assert shift == timedelta(0) or shown.month in (3, 4)


@given(POLICIES, INSTANTS, st.none() | st.floats(-86400, 2 * 86400))
def test_the_undo_minutes_are_never_shortened(
    policy: DeferralPolicy, accepted: datetime, until_s: float | None
) -> None:
    until = None if until_s is None else accepted + timedelta(seconds=until_s)
    made = schedule(policy, accepted, until)
    assert made.undo_until == accepted + timedelta(seconds=policy.undo_s)
    assert made.not_before >= made.undo_until


@given(POLICIES, INSTANTS, st.floats(1, 2 * 86400))
def test_an_authority_that_ends_only_brings_forward(policy: DeferralPolicy, accepted: datetime, until_s: float) -> None:
    free = schedule(policy, accepted)
    bound = schedule(policy, accepted, accepted + timedelta(seconds=until_s))
    assert bound.not_before <= free.not_before


def test_it_prefers_to_leave_before_the_authority_ends() -> None:
    made = schedule(EVENING, at("2026-11-24", 9), at("2026-11-24", 12))
    assert made.not_before == at("2026-11-24", 11, 55)
    late = schedule(EVENING, at("2026-11-24", 11, 58), at("2026-11-24", 12))
    assert late.not_before == late.undo_until == at("2026-11-24", 12)
    gone = schedule(EVENING, at("2026-11-24", 9), at("2026-11-24", 8))
    assert gone.not_before == at("2026-11-24", 18)


@given(INSTANTS, st.floats(0, 86400), st.booleans())
def test_what_is_overdue_gets_the_whole_undo_again(now: datetime, undo_s: float, between: bool) -> None:
    made = overdue_schedule(now, undo_s, between_patients=between)
    assert made.not_before == made.undo_until == now + timedelta(seconds=undo_s)
    assert (made.undo_s, made.between_patients) == (undo_s, between)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"delay_s": -1.0}, "DEFERRAL_DELAY_RANGE"),
        ({"delay_s": 7 * 86400 + 1.0}, "DEFERRAL_DELAY_RANGE"),
        ({"undo_s": -0.1}, "DEFERRAL_UNDO_RANGE"),
        ({"undo_s": 86401.0}, "DEFERRAL_UNDO_RANGE"),
        ({"delay_s": float("nan")}, "DEFERRAL_DELAY_RANGE"),
    ],
)
def test_a_policy_out_of_range_is_refused(changes: dict[str, float], code: str) -> None:
    with pytest.raises(InvalidInput, match=code):
        DeferralPolicy(**changes)  # type: ignore[arg-type]  # one member at a time
