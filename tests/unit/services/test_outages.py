"""Outages, on a clock that tests move: calls are bounded, all leaves after, and each cause is told to people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_core.breaker import Breaker, BreakerPolicy, Permit
from vaguemestre_core.orders import OrderState, WaitReason
from vaguemestre_core.records import Order, OrderFilter
from vaguemestre_testkit.clocks import START
from vaguemestre_testkit.practice_kit import SECRETARY, Office, OfficeSettings, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
HOUR_S = 3600.0
ORDERS = 300
# Three failures to conclude, the senders under way then, and the probes: 10, 20, 40, 80, 160 s, then every 300 s.
MOST_CALLS = 3 + 3 + 5 + int(HOUR_S // 300)


class Outage:
    """A DMP that fails while it is told to, and counts the calls it met."""

    def __init__(self, practice: Office, sign: Sign, *, asking: bool = True) -> None:
        self.is_down = True
        self.calls = 0
        dmp = practice.dmp
        self._wrap(dmp.existences if asking else dmp.submissions, sign, "test_existence" if asking else "submit", dmp)

    def _wrap(self, steps: object, sign: Sign, name: str, dmp: object) -> None:
        inner = getattr(dmp, name)

        async def watched(*arguments: object) -> object:
            if self.is_down:
                self.calls += 1
                steps.append(Step(sign=sign))  # type: ignore[attr-defined]  # a deque of steps
            return await inner(*arguments)

        setattr(dmp, name, watched)


async def many_ready(practice: Office, count: int) -> list[Order]:
    """Deposit and prepare that many orders, all due."""
    orders = [await practice.deposit(f"cr-{number}", title=f"Compte rendu {number}") for number in range(count)]
    for order in orders:
        await practice.preparation.prepare(order)
    practice.clock.advance(1000)
    return orders


async def settle_down(practice: Office, step_s: float, enough: Callable[[], bool]) -> None:
    """Let time pass in steps, each with all the work that it brings."""
    async with asyncio.timeout(60):
        while not enough():
            await practice.advance(step_s)


async def sent(practice: Office) -> int:
    return len(await practice.store.orders(OrderFilter(states=frozenset({S.SENT}), limit=1000)))


async def simulate_an_hour(folder: Path, sign: Sign, *, asking: bool) -> tuple[int, int, int]:
    """DMP down for an hour with 300 orders due; return (calls met while down, orders sent, attempts of them all)."""
    async with office(folder) as practice:
        orders = await many_ready(practice, ORDERS)
        outage = Outage(practice, sign, asking=asking)
        await practice.adopt(until_s=4 * HOUR_S)
        async with practice.at_work():
            end = practice.clock.now() + timedelta(seconds=HOUR_S)
            await settle_down(practice, 10.0, lambda: practice.clock.now() >= end)
            calls, outage.is_down = outage.calls, False
            attempts = sum([(await practice.now(order)).attempts for order in orders])
            await settle_down(practice, 30.0, lambda: len(practice.dmp.complete_bodies) == ORDERS)
            for order in orders:
                await practice.reaches(order, S.SENT)
            assert sorted(practice.dmp.complete_bodies) == sorted(order.unique_id for order in orders)
            return calls, await sent(practice), attempts


@pytest.mark.req("SC.DMP/ALI/PROG.07")
async def test_an_hour_without_dmp_costs_few_calls_and_all_leaves_after(tmp_path: Path) -> None:
    calls, left, attempts = await simulate_an_hour(tmp_path, Sign.HTTP_503, asking=True)

    assert calls <= MOST_CALLS
    assert calls >= 10  # it does probe
    assert attempts <= MOST_CALLS  # what waits burns nothing
    assert left == ORDERS


async def test_without_the_breaker_the_same_hour_costs_far_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulation can fail: the same hour with a breaker that never stops anything."""
    monkeypatch.setattr(Breaker, "permit", lambda *_: Permit.ALL)
    async with office(tmp_path) as practice:
        await many_ready(practice, 40)
        outage = Outage(practice, Sign.HTTP_503)
        await practice.adopt(until_s=4 * HOUR_S)
        async with practice.at_work():
            end = practice.clock.now() + timedelta(seconds=HOUR_S / 4)
            await settle_down(practice, 10.0, lambda: practice.clock.now() >= end)

    assert outage.calls > 2 * MOST_CALLS


async def test_a_breaker_that_never_closes_again_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breaker, "answered", lambda self, _: self)
    monkeypatch.setattr(Breaker, "asked", lambda self, _: self)
    async with office(tmp_path) as practice:
        await many_ready(practice, 8)
        outage = Outage(practice, Sign.HTTP_503)
        await practice.adopt(until_s=4 * HOUR_S)
        async with practice.at_work():
            await settle_down(practice, 1.0, lambda: outage.calls >= 3)
            outage.is_down = False
            for _ in range(5):
                await practice.advance(1.0)

    assert len(practice.dmp.complete_bodies) < 8


async def test_a_dmp_that_takes_nothing_is_still_asked_about_doubts(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        orders = await many_ready(practice, 12)
        outage = Outage(practice, Sign.HTTP_503, asking=False)
        await practice.adopt(until_s=4 * HOUR_S)
        async with practice.at_work():
            await settle_down(practice, 5.0, lambda: outage.calls >= 4)
            stopped = practice.outages.now()
            assert stopped is not None
            assert stopped.code == "DMP_UNAVAILABLE"
            # The doubts are settled meanwhile: nothing of them is there.
            for order in orders[:3]:
                await settle_down(practice, 60.0, lambda: practice.clock.now() > START + timedelta(hours=1))
                assert (await practice.now(order)).state in {S.READY, S.IN_DOUBT}
            assert outage.calls <= 3 + 5 + 8  # to conclude, then the probes: growing, then every 300 s
            outage.is_down = False
            await settle_down(practice, 60.0, lambda: len(practice.dmp.complete_bodies) == 12)

    assert len(set(practice.dmp.complete_bodies)) == 12


@pytest.mark.parametrize(
    ("sign", "reached", "code"),
    [
        (Sign.HOST_UNKNOWN, False, "INTERNET_DOWN"),
        (Sign.CONNECTION_REFUSED, True, "PROXY_DOWN"),
        (Sign.CONNECT_TIMEOUT, None, "PROXY_OR_INTERNET_DOWN"),
        (Sign.HTTP_504, False, "DMP_UNAVAILABLE"),
        (Sign.SILENCE, True, "DMP_UNAVAILABLE"),
        (Sign.FAULT_SECURITY, True, "DMP_REFUSES_THIS_STATION"),
    ],
)
async def test_each_cause_is_told_on_the_health_page_in_why_and_in_events(
    tmp_path: Path, sign: Sign, reached: bool | None, code: str
) -> None:
    async with office(tmp_path) as practice:
        orders = await many_ready(practice, 4)
        practice.witness.reached = reached
        outage = Outage(practice, sign)
        await practice.adopt()
        async with practice.at_work():
            await practice.pass_time(0, lambda: outage.calls >= 3 and practice.outages.now() is not None)
            await practice.advance(0)
            health = await practice.backend.health()
            (item,) = [item for item in health.items if not item.ok]
            (untried,) = [order for order in orders if not (await practice.now(order)).attempts]
            why = await practice.backend.why(practice.client, untried.order_id)
            told = [dict(change.entry.detail) for change in practice.told if change.entry.kind == "service.stopped"]
            outage.is_down = False
            await settle_down(practice, 10.0, lambda: len(practice.dmp.complete_bodies) == 4)
            await practice.advance(0)
            over = [change.entry for change in practice.told if change.entry.kind == "service.resumed"]

    assert (item.code, why.blocking) == (code, code)
    assert item.params["next_try"] == "à 10 h 16"
    assert why.next_try_at == START + timedelta(seconds=1010)
    assert told == [{"code": code, "next_try_at": "2026-11-24T09:16:50+00:00", "service": "dmp"}]
    assert [line.client_id for line in over] == [practice.client.client_id]
    assert (practice.witness.asked > 0) is code.startswith(("INTERNET", "PROXY"))


async def test_a_session_lost_concerns_its_professional_only(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await many_ready(practice, 4)
        practice.dmp.existences.append(Step(sign=Sign.NO_SESSION))
        await practice.adopt()
        async with practice.at_work():
            await practice.pass_time(0, lambda: not practice.sessions.sessions())
            await practice.advance(0)
            assert practice.outages.now() is None
            await practice.adopt("new")
            await practice.pass_time(1, lambda: len(practice.dmp.complete_bodies) == 4)


async def test_sending_now_during_an_outage_probes_at_once(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        orders = await many_ready(practice, 6)
        outage = Outage(practice, Sign.HTTP_503)
        await practice.adopt()
        async with practice.at_work():
            await practice.pass_time(0, lambda: practice.outages.now() is not None)
            await practice.advance(1)
            before, outage.is_down = outage.calls, False
            last = orders[-1]
            await practice.backend.send_now(practice.client, last.order_id, SECRETARY)
            await practice.reaches(last, S.SENT)
            assert practice.outages.now() is None

    assert before == 3
    assert practice.dmp.complete_bodies[0] == last.unique_id
    assert last.professional == DOCTOR


async def test_the_delays_between_probes_are_jittered(tmp_path: Path) -> None:
    settings = OfficeSettings(breaker=BreakerPolicy())
    async with office(tmp_path, settings) as practice:
        await many_ready(practice, 4)
        Outage(practice, Sign.HTTP_503)
        await practice.adopt()
        async with practice.at_work():
            await practice.pass_time(0, lambda: practice.outages.now() is not None)
            left_s = practice.outages.next_try_s

    assert left_s is not None
    assert 5.0 <= left_s < 10.0


async def test_an_order_that_waits_says_its_own_next_try(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        practice.dmp.existences.append(Step(sign=Sign.HTTP_503))
        await practice.dispatch.send(order)
        why = await practice.backend.why(practice.client, order.order_id)

    assert (why.order.waiting, why.blocking) == (WaitReason.SERVICE, "SERVICE_DOWN")
    assert why.next_try_at == practice.clock.now() + timedelta(seconds=10)
