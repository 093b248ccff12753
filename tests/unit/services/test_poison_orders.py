"""One order that always fails never blocks the rest: it comes back ever later, then a person is needed."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.services.dispatch import DispatchSettings
from vaguemestre_agent.services.preparation import TRIES
from vaguemestre_core.orders import HoldKind, OrderState
from vaguemestre_core.ports import PreparationRefusal
from vaguemestre_core.records import Order, PersonVerdict
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_testkit.practice_kit import SECRETARY, Office, OfficeSettings, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
STRIKES = 4
SETTINGS = OfficeSettings(dispatch=DispatchSettings(strikes=STRIKES))


def poison(practice: Office, order: Order, *, sign: Sign | None = None, name: str = "submit") -> list[float]:
    """Make a call of the DMP fail for one order, always; return the instants (boot-time clock) of its calls."""
    inner = getattr(practice.dmp, name)
    at: list[float] = []

    async def poisoned(prepared: bytes, *others: object) -> object:
        if PreparedDocument.from_bytes(prepared).entry.unique_id != order.unique_id:
            return await inner(prepared, *others)
        at.append(practice.clock.boot_s())
        if sign is None:
            raise RuntimeError("a bug that only this document meets")
        practice.dmp.submissions.append(Step(sign=sign))
        return await inner(prepared, *others)

    setattr(practice.dmp, name, poisoned)
    return at


async def others_pass(practice: Office, number: int) -> None:
    """Deposit another document and let it leave."""
    other = await practice.deposit(f"other-{number}", title=f"Autre {number}")
    await practice.reaches(other, S.DEFERRED)
    await practice.advance(901)
    await practice.reaches(other, S.SENT)


@pytest.mark.parametrize("sign", [None, Sign.HTTP_400, Sign.HTTP_500], ids=["our bug", "400", "500"])
async def test_an_order_that_always_fails_is_held_for_a_person_and_the_others_leave(
    tmp_path: Path, sign: Sign | None
) -> None:
    async with office(tmp_path, SETTINGS) as practice, practice.at_work():
        await practice.adopt(until_s=4 * 3600)
        bad = await practice.deposit("bad")
        calls = poison(practice, bad, sign=sign)
        await practice.reaches(bad, S.DEFERRED)
        number = 0
        while HoldKind.TROUBLE not in (await practice.now(bad)).holds:
            number += 1
            assert number < 12
            await others_pass(practice, number)
        held = await practice.until(lambda now: HoldKind.TROUBLE in now.holds, bad)
        tried = len(calls)
        await others_pass(practice, 99)
        why = await practice.backend.why(practice.client, bad.order_id)

        assert len(calls) == tried  # it does not leave any more
        assert tried <= STRIKES + 2
        assert held.state in {S.READY, S.IN_DOUBT}
        assert (why.blocking, why.would_let_it_leave) == ("KEEPS_FAILING", "A_PERSON_DECIDES")


async def test_its_tries_are_ever_further_apart(tmp_path: Path) -> None:
    async with office(tmp_path, SETTINGS) as practice, practice.at_work():
        await practice.adopt(until_s=4 * 3600)
        bad = await practice.deposit("bad")
        calls = poison(practice, bad)
        poison(practice, bad, name="look_up")  # and nobody can tell what became of it
        await practice.reaches(bad, S.DEFERRED)
        await practice.advance(901)
        while len(calls) < 4:
            await practice.advance(1)

    gaps = [later - before for before, later in pairwise(calls)]
    assert gaps == [10, 20, 40]


async def test_a_doubt_whose_lookup_always_fails_needs_a_person_and_the_other_doubts_are_settled(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, SETTINGS) as practice, practice.at_work():
        await practice.adopt(until_s=4 * 3600)
        practice.dmp.submissions.extend([Step(sign=Sign.CUT, stores=True)] * 2)
        orders = [await practice.deposit(f"cr-{number}", title=f"Compte rendu {number}") for number in range(2)]
        bad, good = orders
        poison(practice, bad, name="look_up")
        for order in orders:
            await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        for order in orders:
            await practice.until(lambda now: now.state in {S.IN_DOUBT, S.SENT}, order)
        await practice.pass_time(1, lambda: any(c.entry.kind == "order.held" for c in practice.told))
        held = await practice.until(lambda now: HoldKind.TROUBLE in now.holds, bad)
        why = await practice.backend.why(practice.client, bad.order_id)
        await practice.reaches(good, S.SENT)
        done = await practice.backend.resolve(
            practice.client, bad.order_id, PersonVerdict.SENT, "seen_there", SECRETARY
        )

    assert held.state is S.IN_DOUBT
    assert why.blocking == "KEEPS_FAILING"
    assert done.state is S.SENT


async def test_a_person_gives_it_as_many_tries_again(tmp_path: Path) -> None:
    async with office(tmp_path, SETTINGS) as practice:
        order = await practice.ready()
        for _ in range(STRIKES):
            held = await practice.store.strike(order.order_id, STRIKES, "UNEXPECTED")
        assert held.holds == {HoldKind.TROUBLE}
        again = await practice.backend.send_now(practice.client, order.order_id, SECRETARY)
        assert (again.state, again.holds) == (S.READY, frozenset())
        for _ in range(STRIKES - 1):
            assert not (await practice.store.strike(order.order_id, STRIKES, "UNEXPECTED")).holds
        assert (await practice.store.strike(order.order_id, STRIKES, "UNEXPECTED")).holds
        assert not (await practice.backend.release(practice.client, order.order_id, SECRETARY)).holds


async def test_an_outage_of_a_night_blames_no_order(tmp_path: Path) -> None:
    async with office(tmp_path, SETTINGS) as practice, practice.at_work():
        await practice.adopt(until_s=4 * 3600)
        practice.dmp.existences.extend([Step(sign=Sign.HTTP_503)] * 400)
        orders = [await practice.deposit(f"cr-{number}", title=f"Compte rendu {number}") for number in range(4)]
        for order in orders:
            await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        for _ in range(60):
            await practice.advance(60)
        now = [await practice.now(order) for order in orders]

    assert [order.holds for order in now] == [frozenset()] * 4
    assert any(order.attempts for order in now)


async def test_a_document_that_kills_the_worker_each_time_is_given_back_to_the_lgc(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        deadly = PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)
        bad = await practice.deposit("bad")
        practice.preparer.steps.extend([deadly] * 3)
        await practice.until(lambda now: now.attempts == 1, bad)
        good = await practice.deposit("good", title="Bon")
        practice.preparer.steps.clear()
        await practice.reaches(good, S.DEFERRED)
        practice.preparer.steps.extend([deadly] * 100)
        await practice.pass_time(60, lambda: any(c.entry.kind == "order.preparation_refused" for c in practice.told))
        done = await practice.now(bad)

    assert (done.state, done.failure_code) == (S.PREPARATION_FAILED, "PREPARER_INTERRUPTED")
    assert practice.preparer.seen.count(bad.order_id) == TRIES


async def test_a_prepared_document_that_nobody_can_read_does_not_stop_preparation(tmp_path: Path) -> None:
    """Whatever is wrong while the built document is kept: this one is tried later, the next ones go on."""
    async with office(tmp_path) as practice, practice.at_work():
        practice.failing.fail("save_prepared", RuntimeError("a bug"), times=1)
        bad = await practice.deposit("bad")
        later = await practice.until(lambda now: now.attempts == 1, bad)
        good = await practice.deposit("good", title="Bon")
        await practice.reaches(good, S.DEFERRED)

    assert later.next_attempt_at == practice.clock.now() + timedelta(seconds=10)
