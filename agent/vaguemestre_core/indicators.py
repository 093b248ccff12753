"""Indicators of DMP feeding: how many operations ended well or not, by document type, professional and structure.

Pure values: periods in local time, and counts added up. Nothing about a patient is in them.
Source: LGC.MDV.07.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum, unique
from typing import Final

from vaguemestre_core.errors import InvalidInput

LONGEST_DAYS: Final = 3700  # of a period that is asked for


@unique
class Operation(StrEnum):
    """What was done at the DMP. Values are shown."""

    SUBMIT = "submit"
    REPLACE = "replace"
    DELETE = "delete"
    VISIBILITY = "visibility"


@unique
class Dimension(StrEnum):
    """What counts may be told apart by. Values are shown."""

    TYPE = "type_code"
    PROFESSIONAL = "professional"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What is counted of one operation that ended.

    Attributes:
        operation: ``submit``…; text, because a ledger outlives a version of this program.
        type_code: the document's type; empty: not known.
        professional: PS_IdNat under which it left.
        structure: Struct_IdNat of the author's structure (``1`` then the FINESS géographique); empty: not known.
        is_qualified: the identity was qualifiée, with an INS.
        is_success: it is there; else the service refused it.
    """

    operation: str
    type_code: str
    professional: str
    structure: str
    is_qualified: bool
    is_success: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A named period, from an instant included to one excluded."""

    name: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Counts of one operation; a dimension that is not asked for is None."""

    operation: str
    type_code: str | None
    professional: str | None
    structure: str | None
    successes: int = 0
    successes_qualified: int = 0
    successes_not_qualified: int = 0
    failures: int = 0
    failures_qualified: int = 0
    failures_not_qualified: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReport:
    """A period and its counts, sorted."""

    period: Period
    rows: tuple[Row, ...]


def usual_periods(now: datetime, zone: tzinfo) -> Sequence[Period]:
    """Return the current month, the current year and the previous year, in local time."""
    today = now.astimezone(zone).date()
    month, year = today.replace(day=1), today.replace(month=1, day=1)
    next_month = (month + timedelta(days=32)).replace(day=1)
    spans = (
        ("current_month", month, next_month),
        ("current_year", year, year.replace(year=year.year + 1)),
        ("previous_year", year.replace(year=year.year - 1), year),
    )
    return [Period(name=name, start=_midnight(first, zone), end=_midnight(after, zone)) for name, first, after in spans]


def asked_period(first: date, last: date, zone: tzinfo) -> Period:
    """Return the period of these local days, both included. Raises InvalidInput PERIOD_INVALID."""
    if not timedelta(0) <= last - first <= timedelta(days=LONGEST_DAYS):
        raise InvalidInput("PERIOD_INVALID", max_days=LONGEST_DAYS)
    return Period(name="asked", start=_midnight(first, zone), end=_midnight(last + timedelta(days=1), zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone)


def add_up(counts: Mapping[Done, int], dimensions: frozenset[Dimension]) -> tuple[Row, ...]:
    """Return one row for each operation and each value of the dimensions asked for."""
    sums: dict[tuple[str, str | None, str | None, str | None], dict[str, int]] = {}
    for done, count in counts.items():
        key = (
            done.operation,
            done.type_code if Dimension.TYPE in dimensions else None,
            done.professional if Dimension.PROFESSIONAL in dimensions else None,
            done.structure if Dimension.STRUCTURE in dimensions else None,
        )
        sums_of_key = sums.setdefault(key, dict.fromkeys((item.name for item in fields(Row)[4:]), 0))
        outcome = "successes" if done.is_success else "failures"
        sums_of_key[outcome] += count
        sums_of_key[f"{outcome}_{'qualified' if done.is_qualified else 'not_qualified'}"] += count
    ordered = sorted(sums.items(), key=lambda item: tuple(part or "" for part in item[0]))
    return tuple(
        Row(operation=operation, type_code=type_code, professional=professional, structure=structure, **found)
        for (operation, type_code, professional, structure), found in ordered
    )
