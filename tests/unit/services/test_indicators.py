"""Indicators: ten scripted operations give exact counts, from the ledger alone, in local periods."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.cli.indicators import HEADER, csv_bytes
from vaguemestre_agent.localapi.indicators import row_to_wire
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_api import wire
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.indicators import Dimension, Done, PeriodReport, Row, add_up, asked_period, usual_periods
from vaguemestre_core.orders import OrderEvent, OrderState
from vaguemestre_core.records import AGENT_ACTOR, OrderPatch, PersonVerdict, Scope
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
PARIS = ZoneInfo("Europe/Paris")
ALL = frozenset(Dimension)


async def send(practice: Office, ref: str, **options: object) -> None:
    """Deposit, and bring to whatever end the next step of the DMP says."""
    order = await practice.claimed(ref, title=f"Compte rendu {ref} {options}", **options)
    await practice.dispatch.send(order)


async def ten_operations(practice: Office) -> None:
    """Script: 5 submissions sent (one settled by lookup, one by a person), 3 refused, 1 replacement, 1 that waits."""
    for number in range(3):
        await send(practice, f"sent-{number}")
    practice.dmp.submissions.append(Step(sign=Sign.CUT, stores=True))
    await send(practice, "doubt")
    (doubt,) = await practice.store.doubtful("dmp", await practice.dispatch.rights(), datetime(2027, 1, 1, tzinfo=UTC))
    await practice.dispatch.settle(doubt)
    practice.dmp.submissions.append(Step(sign=Sign.CUT))
    await send(practice, "person")
    (doubt,) = await practice.store.doubtful("dmp", await practice.dispatch.rights(), datetime(2027, 1, 1, tzinfo=UTC))
    await practice.backend.resolve(practice.client, doubt.order_id, PersonVerdict.SENT, "seen_there", SECRETARY)
    practice.dmp.submissions.extend([Step(sign=Sign.FAILURE_ACCESS)] * 3)
    for number in range(3):
        await send(practice, f"refused-{number}")
    await send(practice, "sent-0", patient=0, change={"title": "Corrigé"})
    await practice.deposit("waits", title="Attend")


def counted(reports: Sequence[PeriodReport], name: str) -> tuple[Row, ...]:
    (found,) = [item for item in reports if item.period.name == name]
    return found.rows


@pytest.mark.req("LGC.MDV.07")
async def test_ten_scripted_operations_give_exact_counts(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await ten_operations(practice)
        reports = await practice.backend.indicators.report(practice.client, None, None, ALL)
        replace, submit = counted(reports, "current_month")
        other, _ = await practice.backend.client_service.pair(
            "LGC B", frozenset({Scope.READ}), PRODUCT, None, SECRETARY
        )
        of_other = await practice.backend.indicators.report(other, None, None, ALL)

    assert (submit.operation, submit.successes, submit.failures) == ("submit", 5, 3)
    assert (submit.successes_qualified, submit.successes_not_qualified) == (5, 0)
    assert (submit.failures_qualified, submit.failures_not_qualified) == (3, 0)
    assert (replace.operation, replace.successes, replace.failures) == ("replace", 1, 0)
    assert submit.professional == DOCTOR
    assert submit.type_code == "11488-4"
    assert submit.structure
    assert counted(reports, "current_year") == (replace, submit)
    assert counted(reports, "previous_year") == ()
    assert all(item.rows == () for item in of_other)


async def test_what_is_counted_does_not_change_when_orders_and_bodies_do(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await ten_operations(practice)
        before = await practice.backend.indicators.report(practice.client, None, None, ALL)
        await practice.store.touch(
            (await practice.backend.document_orders(practice.client, "sent-1"))[0].order_id,
            S.SENT,
            OrderPatch(),
            "order.noted",
            (),
        )
        waiting = (await practice.backend.document_orders(practice.client, "waits"))[0]
        await practice.store.apply(waiting.order_id, OrderEvent.CANCEL, AGENT_ACTOR)
        assert await practice.backend.indicators.report(practice.client, None, None, ALL) == before


async def test_a_period_is_of_local_days_both_included(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await send(practice, "one")
        today = practice.clock.now().astimezone(PARIS).date()
        for first, last, rows in ((today, today, 1), (date(2026, 1, 1), date(2026, 11, 23), 0)):
            (report,) = await practice.backend.indicators.report(practice.client, first, last, ALL)
            assert len(report.rows) == rows
        with pytest.raises(InvalidInput, match="PERIOD_INVALID"):
            await practice.backend.indicators.report(practice.client, today, date(2026, 1, 1), ALL)
        with pytest.raises(InvalidInput, match="PERIOD_INVALID"):
            await practice.backend.indicators.report(practice.client, today, None, ALL)


def test_the_usual_periods_begin_at_midnight_in_paris_whatever_the_hour_of_the_season() -> None:
    month, year, before = usual_periods(datetime(2026, 10, 31, 23, 30, tzinfo=UTC), PARIS)

    assert month.start == datetime(2026, 10, 31, 23, 0, tzinfo=UTC)  # already November in Paris
    assert month.end == datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    assert (year.start, year.end) == (
        datetime(2025, 12, 31, 23, 0, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 0, tzinfo=UTC),
    )
    assert before.end == year.start
    summer = asked_period(date(2026, 7, 1), date(2026, 7, 31), PARIS)
    assert summer.start == datetime(2026, 6, 30, 22, 0, tzinfo=UTC)
    assert (summer.end - summer.start).days == 31


def test_dimensions_not_asked_for_are_added_up() -> None:
    common = {"operation": "submit", "professional": "8", "structure": "1", "is_success": True}
    counts = {
        Done(type_code="a", is_qualified=True, **common): 2,  # type: ignore[arg-type]
        Done(type_code="b", is_qualified=False, **common): 3,  # type: ignore[arg-type]
    }
    (row,) = add_up(counts, frozenset({Dimension.PROFESSIONAL}))

    assert (row.type_code, row.professional, row.structure) == (None, "8", None)
    assert (row.successes, row.successes_qualified, row.successes_not_qualified) == (5, 2, 3)


@pytest.mark.req("LGC.MDV.07")
def test_the_csv_is_one_that_a_french_spreadsheet_reads() -> None:
    row = Row(operation="submit", type_code="11488-4", professional="899700000012", structure="1010000024", successes=7)
    start, end = datetime(2026, 11, 1, tzinfo=PARIS), datetime(2026, 12, 1, tzinfo=PARIS)
    period = wire.IndicatorPeriod(name="current_month", start=start, end=end, rows=(row_to_wire(row),))
    content = csv_bytes(wire.Indicators(periods=(period,)))
    header, line = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")

    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == 2
    assert tuple(header) == HEADER
    assert line[:4] == ["mois courant", "01/11/2026", "30/11/2026", "alimentation"]
    assert line[4:8] == ['="11488-4"', '="99700000012"', '="010000024"', "7"]


def test_no_formula_of_somebody_else_enters_the_csv() -> None:
    row = Row(operation="submit", type_code='=cmd|"x"!A1', professional="", structure=None)
    start, end = datetime(2026, 11, 1, tzinfo=PARIS), datetime(2026, 12, 1, tzinfo=PARIS)
    period = wire.IndicatorPeriod(name="asked", start=start, end=end, rows=(row_to_wire(row),))
    text = csv_bytes(wire.Indicators(periods=(period,))).decode("utf-8-sig")
    _, line = csv.reader(io.StringIO(text, newline=""), delimiter=";")

    assert line[4:7] == ['="cmdxA1"', "", ""]
