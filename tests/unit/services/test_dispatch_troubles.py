"""Dispatch in trouble: lost bodies, bugs, full disks and hung services stop one order, never the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import INS_TEST_OID, PATIENTS
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderState
from vaguemestre_core.redaction import Personal
from vaguemestre_testkit.practice_kit import SECRETARY, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
PATIENT_KEY = Personal(f"{INS_TEST_OID}|{PATIENTS[0][0]}")


# What breaks


@pytest.mark.parametrize("code", ["BODY_GONE", "BODY_UNREADABLE"])
async def test_a_lost_body_is_asked_for_again(tmp_path: Path, code: str) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        practice.failing.fail("prepared", StoreError(code))
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert (now.state, now.failure_code) == (S.UNREADABLE, code)


async def test_a_lost_body_of_an_order_cancelled_meanwhile_stops_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
        practice.failing.fail("prepared", StoreError("BODY_GONE"))
        await practice.dispatch.send(order)

        assert (await practice.now(order)).state is S.CANCELLED


@pytest.mark.parametrize("when", ["test_existence", "sign", "submit"])
async def test_a_bug_before_the_first_byte_gives_the_order_back_and_the_others_leave(tmp_path: Path, when: str) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        works = getattr(practice.dmp, when)
        calls = 0

        async def broken(*args: object) -> object:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise RuntimeError("bug")
            return await works(*args)

        setattr(practice.dmp, when, broken)
        await practice.adopt()
        first, second = await practice.deposit("cr-1"), await practice.deposit("cr-2")
        await practice.reaches(second, S.DEFERRED)
        await practice.advance(901)
        sent = {S.SENT}
        await practice.until(lambda now: now.failure_code == "UNEXPECTED" or now.state in sent, first)
        await practice.until(lambda now: now.failure_code == "UNEXPECTED" or now.state in sent, second)
        await practice.advance(11)
        await practice.reaches(first, S.SENT)
        await practice.reaches(second, S.SENT)

    assert sorted(practice.dmp.complete_bodies) == sorted([first.unique_id, second.unique_id])


async def test_a_bug_after_the_first_byte_is_an_honest_doubt(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()

        async def broken(*args: object) -> object:
            await args[-1]()  # type: ignore[operator]
            raise RuntimeError("bug")

        practice.dmp.submit = broken  # type: ignore[assignment, method-assign]
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert (now.state, now.failure_code) == (S.IN_DOUBT, "UNEXPECTED")


@pytest.mark.parametrize("sign", [Sign.SUCCESS, Sign.FAILURE_METADATA, Sign.NO_SESSION])
async def test_a_full_disk_never_forgets_a_verdict(tmp_path: Path, sign: Sign) -> None:
    expected = {Sign.SUCCESS: S.SENT, Sign.FAILURE_METADATA: S.REJECTED, Sign.NO_SESSION: S.READY}[sign]
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        practice.dmp.submissions.append(Step(sign=sign))
        for method in ("apply", "note"):
            practice.failing.fail(method, StoreError("STORE_FULL"), 3)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(practice.dispatch.send(order))
            await practice.pass_time(1, sending.done)
        now = await practice.now(order)

    assert now.state is expected
    assert practice.failing.refused["apply"] == 3


async def test_a_full_disk_at_the_first_byte_lets_nothing_leave(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        practice.failing.fail("first_byte", StoreError("STORE_FULL"))
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert (now.state, now.failure_code) == (S.READY, "STORE_FULL")
    assert practice.dmp.complete_bodies == []


STORE_CALLS = ("due", "claim", "doubtful", "wait_for_authority", "refresh_overdue", "next_instant")


@pytest.mark.parametrize("method", STORE_CALLS)
async def test_a_store_in_trouble_is_tried_again_and_told(tmp_path: Path, method: str) -> None:
    async with office(tmp_path) as practice:
        order = await practice.ready()
        await practice.adopt()
        practice.failing.fail(method, StoreError("STORE_FULL"), 2)
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(practice.dispatch.run())
            await practice.pass_time(1, lambda: practice.dispatch.trouble is not None)
            assert practice.dispatch.trouble == "STORE_FULL"
            assert (await practice.now(order)).state is S.READY or method in {"next_instant", "doubtful"}
            await practice.pass_time(1, lambda: practice.dispatch.trouble is None)
            await practice.reaches(order, S.SENT)
            loop.cancel()

        assert practice.failing.refused[method] == 2


async def test_a_row_forged_while_it_is_sent_stops_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        await practice.adopt()
        practice.failing.fail("apply", StoreError("ROW_NOT_AUTHENTIC"))
        first = await practice.deposit("cr-1")
        await practice.reaches(first, S.DEFERRED)
        await practice.advance(901)
        await practice.pass_time(0, lambda: practice.failing.refused["apply"] == 1)
        second = await practice.deposit("cr-2")
        await practice.reaches(second, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(second, S.SENT)


# Several at once


@pytest.mark.req("SC.DMP/ALI/PROG.05")
async def test_a_hung_sending_does_not_hold_the_others(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        gate = asyncio.Event()
        practice.dmp.submissions.append(Step(gate=gate))
        await practice.adopt()
        hung = await practice.deposit("cr-1")
        await practice.reaches(hung, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(hung, S.SENDING)
        for number in range(2, 6):
            other = await practice.deposit(f"cr-{number}")
            await practice.reaches(other, S.DEFERRED)
            await practice.advance(901)
            await practice.reaches(other, S.SENT)
        assert (await practice.now(hung)).state is S.SENDING
        gate.set()
        await practice.reaches(hung, S.SENT)


async def test_draining_waits_for_what_is_on_the_way_and_claims_nothing_more(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        gate = asyncio.Event()
        practice.dmp.submissions.append(Step(gate=gate))
        await practice.adopt()
        first = await practice.deposit("cr-1")
        await practice.reaches(first, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(first, S.SENDING)
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(practice.dispatch.drain())
            await asyncio.sleep(0)
            second = await practice.deposit("cr-2")
            await practice.reaches(second, S.DEFERRED)
            await practice.advance(901)
            await practice.reaches(second, S.READY)
            assert not drained.done()
            gate.set()

        assert (await practice.now(first)).state is S.SENT
        assert (await practice.now(second)).state is S.READY
