"""Indicators: the ledger's counts over a period, for a client or for the whole workstation. Reads, never writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.indicators import Dimension, PeriodReport, add_up, asked_period, usual_periods
from vaguemestre_core.ports import ClockPort, TallyPort
from vaguemestre_core.records import Client, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorService:
    """Counts DMP operations; periods begin and end at midnight in ``zone``."""

    store: TallyPort
    clock: ClockPort
    zone: tzinfo

    async def report(
        self, client: Client, first: date | None, last: date | None, dimensions: frozenset[Dimension]
    ) -> Sequence[PeriodReport]:
        """Return the counts of the days asked for (both included), or of the usual periods.

        A client sees its own operations, ``admin`` those of all. Raises InvalidInput PERIOD_INVALID.
        """
        if (first is None) is not (last is None):
            raise InvalidInput("PERIOD_INVALID")
        if first is None or last is None:
            periods = usual_periods(self.clock.now(), self.zone)
        else:
            periods = [asked_period(first, last, self.zone)]
        own = None if Scope.ADMIN in client.scopes else client.client_id
        return [
            PeriodReport(
                period=period, rows=add_up(await self.store.tallies(period.start, period.end, own), dimensions)
            )
            for period in periods
        ]
