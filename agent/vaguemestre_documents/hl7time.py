"""HL7 v3 points in time as the CI-SIS allows them, and the same instant as XDS wants it (UTC, no offset).

Owns the four allowed precisions; never reads a clock and never guesses a time zone.
Source: CI-SIS Structuration minimale 1.16.8 (AAAA, AAAAMMJJ, AAAAMMJJhhmm±ZZzz, AAAAMMJJhhmmss±ZZzz).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vaguemestre_core.errors import InvalidInput

_SHAPE: Final = re.compile(
    r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?(?P<sign>[+-])(?P<oh>[0-9]{2})(?P<om>[0-5][0-9]))?)?"
)


class TimePrecision(Enum):
    """How much of the time is said."""

    YEAR = "year"
    DAY = "day"
    MINUTE = "minute"
    SECOND = "second"


_FORMATS: Final = {
    TimePrecision.YEAR: "%Y",
    TimePrecision.DAY: "%Y%m%d",
    TimePrecision.MINUTE: "%Y%m%d%H%M",
    TimePrecision.SECOND: "%Y%m%d%H%M%S",
}
_CLOCKED: Final = frozenset({TimePrecision.MINUTE, TimePrecision.SECOND})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Time:
    """A point in time: an aware instant when hours are said, else midnight without zone."""

    moment: dt.datetime
    precision: TimePrecision

    def __post_init__(self) -> None:
        if (self.moment.tzinfo is not None) != (self.precision in _CLOCKED):
            raise InvalidInput("HL7_TIME_INVALID", reason="offset")

    @classmethod
    def parse(cls, text: str) -> Hl7Time:
        """Parse one of the four allowed shapes.

        Raises:
            InvalidInput: ``HL7_TIME_INVALID`` (shape, not_a_date).
        """
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise InvalidInput("HL7_TIME_INVALID", reason="shape")
        part = {name: int(digits) for name, digits in found.groupdict().items() if digits and name != "sign"}
        try:
            if "oh" in part:
                offset = dt.timedelta(hours=part["oh"], minutes=part["om"])
                zone = dt.timezone(-offset if found["sign"] == "-" else offset)
                clock = (part["hour"], part["minute"], part.get("second", 0))
                moment = dt.datetime(part["year"], part["month"], part["day"], *clock, tzinfo=zone)
                moment.astimezone(dt.UTC)  # year 1 or 9999 may leave the calendar
                precision = TimePrecision.SECOND if "second" in part else TimePrecision.MINUTE
            else:
                moment = dt.datetime.combine(dt.date(part["year"], part.get("month", 1), part.get("day", 1)), dt.time())
                precision = TimePrecision.DAY if "month" in part else TimePrecision.YEAR
        except (ValueError, OverflowError):
            raise InvalidInput("HL7_TIME_INVALID", reason="not_a_date") from None
        return cls(moment=moment, precision=precision)

    @classmethod
    def from_instant(cls, instant: dt.datetime) -> Hl7Time:
        """Return an instant to the second; its own offset is the one written. Raises ``HL7_TIME_INVALID``."""
        offset = instant.utcoffset()
        if offset is None or offset.total_seconds() % 60:
            raise InvalidInput("HL7_TIME_INVALID", reason="offset")
        return cls(moment=instant.replace(microsecond=0), precision=TimePrecision.SECOND)

    @classmethod
    def from_day(cls, day: dt.date) -> Hl7Time:
        """Return a day."""
        return cls(moment=dt.datetime.combine(day, dt.time()), precision=TimePrecision.DAY)

    def to_cda(self) -> str:
        """Return the CDA form: local time with its offset."""
        text = _digits(self.moment, self.precision)
        return text + self.moment.strftime("%z") if self.precision in _CLOCKED else text

    def to_xds(self) -> str:
        """Return the XDS form: the same instant in UTC without offset; a day or a year stays as it is."""
        moment = self.moment.astimezone(dt.UTC) if self.precision in _CLOCKED else self.moment
        return _digits(moment, self.precision)


def _digits(moment: dt.datetime, precision: TimePrecision) -> str:
    # strftime does not pad years below 1000 everywhere.
    return f"{moment.year:04d}" + moment.strftime(_FORMATS[precision].removeprefix("%Y"))
