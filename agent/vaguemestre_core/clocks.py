"""What the two clocks show at one instant, and how far the wall clock was moved since.

Owns values only: the wall clock can be set by anybody, the boot-time clock cannot. Source: docs/bad-days.md, "Clocks".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """Both clocks, read together.

    Attributes:
        now: the wall clock, aware UTC.
        boot_s: seconds since boot, sleep included.
        boot_id: the boot in which ``boot_s`` counts.
    """

    now: datetime
    boot_s: float
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EveningHour:
    """The hour of departure that the doctor chose.

    Attributes:
        at: local hour.
        zone: IANA time zone.
    """

    at: time
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJump:
    """The wall clock was moved.

    Attributes:
        seconds: by how much; negative: set back.
        moved: orders whose instants were moved with it.
    """

    seconds: float
    moved: int
