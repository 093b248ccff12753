"""The route of the indicators: checked days in, counts out. No rule lives here."""

from __future__ import annotations

from datetime import date

from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_api import wire
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.indicators import Dimension, Row


async def get_indicators(call: Call) -> Answer:
    """Count."""
    group = call.query.get("group")
    dimensions = frozenset(Dimension(name) for name in group) if isinstance(group, list) else frozenset(Dimension)
    found = await call.backend.indicators.report(call.caller, _day(call, "from"), _day(call, "to"), dimensions)
    periods = tuple(
        wire.IndicatorPeriod(
            name=item.period.name,
            start=item.period.start,
            end=item.period.end,
            rows=tuple(row_to_wire(row) for row in item.rows),
        )
        for item in found
    )
    return Answer(content=wire.Indicators(periods=periods))


def _day(call: Call, name: str) -> date | None:
    text = call.text(name)
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("PERIOD_INVALID", pointer=f"/query/{name}") from None


def row_to_wire(row: Row) -> wire.IndicatorRow:
    """Return counts as they are shown."""
    return wire.IndicatorRow(
        operation=row.operation,
        type_code=row.type_code,
        professional=row.professional,
        structure=row.structure,
        successes=row.successes,
        successes_qualified=row.successes_qualified,
        successes_not_qualified=row.successes_not_qualified,
        failures=row.failures,
        failures_qualified=row.failures_qualified,
        failures_not_qualified=row.failures_not_qualified,
    )
