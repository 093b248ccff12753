"""Deferred sending: from a policy and an acceptance instant to the instants that bind.

Sending is deferred relative to validation (SC.DMP/ALI/PROG.02): by a delay, to the evening hour, or between two
patients. Hours are local time with an IANA zone; the undo minutes are never shortened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum, unique
from zoneinfo import ZoneInfo

from vaguemestre_core.clocks import EveningHour
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.records import Schedule


@unique
class DeferralMode(StrEnum):
    """What the doctor chose."""

    DELAY = "delay"
    EVENING = "evening"
    BETWEEN_PATIENTS = "between_patients"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferralPolicy:
    """The doctor's choice.

    Attributes:
        mode: what decides the departure.
        delay_s: for DELAY, and the longest wait for BETWEEN_PATIENTS; seconds, 0 to 7 days.
        evening_at: local hour for EVENING.
        zone: IANA time zone of the practice.
        undo_s: minutes during which a person can stop it, in seconds, 0 to 1 day.
        authority_margin_s: how long before the end of the authority it prefers to leave, seconds.
    """

    mode: DeferralMode = DeferralMode.DELAY
    delay_s: float = 900.0
    evening_at: time = time(19, 0)
    zone: str = "Europe/Paris"
    undo_s: float = 120.0
    authority_margin_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 <= self.delay_s <= 7 * 86400:
            raise InvalidInput("DEFERRAL_DELAY_RANGE", max_s=7 * 86400)
        if not 0 <= self.undo_s <= 86400:
            raise InvalidInput("DEFERRAL_UNDO_RANGE", max_s=86400)


def evening_of(policy: DeferralPolicy) -> EveningHour | None:
    """Return the evening hour, when that is what the doctor chose."""
    return EveningHour(at=policy.evening_at, zone=policy.zone) if policy.mode is DeferralMode.EVENING else None


def schedule(policy: DeferralPolicy, accepted_at: datetime, authority_until: datetime | None = None) -> Schedule:
    """Return when an order accepted at that instant may leave.

    Args:
        policy: the doctor's choice.
        accepted_at: aware UTC instant of the acceptance.
        authority_until: end of the present authority, when one is known: the order prefers to leave before it.

    Returns:
        The schedule; ``not_before`` is never earlier than ``undo_until``.
    """
    undo_until = accepted_at + timedelta(seconds=policy.undo_s)
    if policy.mode is DeferralMode.EVENING:
        wanted = next_local_time(accepted_at, policy.evening_at, policy.zone)
    else:
        wanted = accepted_at + timedelta(seconds=policy.delay_s)
    if authority_until is not None and accepted_at < authority_until < wanted:
        wanted = authority_until - timedelta(seconds=policy.authority_margin_s)
    return Schedule(
        not_before=max(wanted, undo_until),
        undo_until=undo_until,
        undo_s=policy.undo_s,
        between_patients=policy.mode is DeferralMode.BETWEEN_PATIENTS,
    )


def next_local_time(after: datetime, at: time, zone: str) -> datetime:
    """Return the first instant strictly after ``after`` when the local clock shows ``at``, in UTC.

    On the night when that hour does not exist, it comes as late after the jump as it would have come after the hour
    jumped over (02:30 is then 03:30); when it exists twice, the first.
    """
    tz = ZoneInfo(zone)
    utc = ZoneInfo("UTC")
    local = after.astimezone(tz)
    for days in range(3):
        day = (local + timedelta(days=days)).date()
        candidate = datetime.combine(day, at, tzinfo=tz).astimezone(utc)
        if candidate > after:
            return candidate
    raise InvalidInput("DEFERRAL_NO_LOCAL_TIME")


def overdue_schedule(now: datetime, undo_s: float, *, between_patients: bool) -> Schedule:
    """Return the schedule of an order found overdue at wake-up: fresh undo minutes first."""
    until = now + timedelta(seconds=undo_s)
    return Schedule(not_before=until, undo_until=until, undo_s=undo_s, between_patients=between_patients)
