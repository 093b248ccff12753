"""The sandbox's own clock: real time plus a shift that a tester may set.

Owns the only reading of the wall clock in this package. It never sleeps.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SandboxClock:
    """Aware UTC instants, shifted by `advance`."""

    __slots__ = ("_shift",)

    def __init__(self) -> None:
        self._shift = timedelta(0)

    def now(self) -> datetime:
        """Return the current instant (aware, UTC), shift included."""
        return datetime.now(UTC) + self._shift

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds` (negative moves back); shifts add up."""
        self._shift += timedelta(seconds=seconds)

    @property
    def shift_s(self) -> float:
        """Total shift in seconds."""
        return self._shift.total_seconds()


def iso(instant: datetime) -> str:
    """Return `instant` as ISO 8601 in UTC with milliseconds and a final Z."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hl7(instant: datetime) -> str:
    """Return `instant` as AAAAMMJJhhmmss in UTC, the form of XDS metadata."""
    return instant.astimezone(UTC).strftime("%Y%m%d%H%M%S")
