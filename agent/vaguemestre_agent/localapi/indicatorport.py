"""What the route of the indicators needs of the services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from vaguemestre_core.indicators import Dimension, PeriodReport
from vaguemestre_core.records import Client


class IndicatorBackend(Protocol):
    """What the route asks."""

    async def report(
        self, client: Client, first: date | None, last: date | None, dimensions: frozenset[Dimension]
    ) -> Sequence[PeriodReport]:
        """Return the counts of a period, or of the usual ones; raise InvalidInput PERIOD_INVALID."""
