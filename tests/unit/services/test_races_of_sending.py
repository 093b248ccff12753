"""Gestures, clocks and verdicts that cross each other: nothing leaves that was stopped, no doubt ends too early."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import INS_TEST_OID, PATIENTS
from vaguemestre_core.facts import FactKind, of_patient, opposition
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderState
from vaguemestre_core.records import CancelAnswer, Order
from vaguemestre_core.redaction import Personal
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState


async def in_doubt(practice: Office) -> Order:
    order = await practice.claimed()
    practice.dmp.submissions.append(Step(sign=Sign.CUT))
    await practice.dispatch.send(order)
    now = await practice.now(order)
    assert now.state is S.IN_DOUBT
    return now


# A person stops it while a question is on its way


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_a_cancellation_asked_during_the_lookup_is_honoured_by_its_verdict(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)
        practice.clock.advance(practice.dmp.longest_exchange_s + 1)
        gate = asyncio.Event()
        practice.dmp.lookups.append(Step(gate=gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.dispatch.settle(order))
            answer, _ = await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
            gate.set()

        assert answer is CancelAnswer.ASKED
        assert (await practice.now(order)).state is S.CANCELLED


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_a_cancellation_asked_while_the_outcome_is_written_is_honoured(tmp_path: Path) -> None:
    """It is committed between the reading of the order and the writing of "not sent"."""
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        practice.dmp.submissions.append(Step(sign=Sign.FAILURE_BUSY))
        read = practice.real.order
        asked: list[CancelAnswer] = []

        async def read_then_cancelled(order_id: OrderId) -> Order:
            found = await read(order_id)
            if found.state is S.SENDING and not asked:
                asked.append((await practice.real.cancel(order_id, SECRETARY))[0])
            return found

        practice.real.order = read_then_cancelled  # type: ignore[method-assign]
        await practice.dispatch.send(order)

        assert asked == [CancelAnswer.ASKED]
        assert (await read(order.order_id)).state is S.CANCELLED


@pytest.mark.req("SC.DMP/ALI/PROG.03")
@pytest.mark.parametrize(
    ("sign", "expected"), [(Sign.NO_SESSION, S.READY), (Sign.CUT, S.IN_DOUBT), (Sign.SUCCESS, S.SENT)]
)
async def test_a_hold_asked_while_it_is_sent_counts_if_it_comes_back(tmp_path: Path, sign: Sign, expected: S) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        gate = asyncio.Event()
        practice.dmp.submissions.append(Step(gate=gate, sign=sign))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.dispatch.send(order))
            await practice.reaches(order, S.SENDING)
            held = await practice.backend.hold(practice.client, order.order_id, SECRETARY)
            gate.set()
        now = await practice.now(order)
        await practice.adopt()
        practice.clock.advance(3600)
        claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())

    assert (held.state, held.holds) == (S.SENDING, frozenset({HoldKind.PERSON}))
    assert (now.state, now.holds) == (expected, frozenset({HoldKind.PERSON}))
    assert claimed is None


# A sender that was overtaken


async def test_a_sender_overtaken_by_another_one_puts_nothing_in_doubt(tmp_path: Path) -> None:
    """Held and released while the first sender asks TD0.2: two senders have had the order, one sends it."""
    async with office(tmp_path) as practice:
        first = await practice.claimed()
        late, sending = asyncio.Event(), asyncio.Event()
        practice.dmp.existences.append(Step(gate=late))
        practice.dmp.submissions.append(Step(gate=sending))
        async with asyncio.TaskGroup() as group:
            overtaken = group.create_task(practice.dispatch.send(first))
            await practice.backend.hold(practice.client, first.order_id, SECRETARY)
            await practice.backend.release(practice.client, first.order_id, SECRETARY)
            second = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
            assert second is not None
            group.create_task(practice.dispatch.send(second))
            await practice.reaches(first, S.SENDING)
            late.set()
            await overtaken
            meanwhile = await practice.now(first)
            sending.set()

        assert meanwhile.state is S.SENDING
        assert (await practice.now(first)).state is S.SENT
        assert practice.dmp.complete_bodies == [first.unique_id]


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_told_while_the_dmp_is_asked_whether_it_exists_stops_the_sending(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        key = Personal(f"{INS_TEST_OID}|{PATIENTS[0][0]}")
        asked = asyncio.Event()
        practice.dmp.existences.append(Step(gate=asked))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.dispatch.send(order))
            recorded = await practice.store.record_facts(of_patient(key), [opposition(True)], SECRETARY)
            asked.set()

        assert recorded.held_ids == (order.order_id,)
        assert practice.dmp.complete_bodies == []
        now = await practice.now(order)
        assert now.state is S.READY
        assert now.holds == {HoldKind.OPPOSITION}


# Clocks


async def test_a_wall_clock_set_forward_does_not_shorten_a_doubt(tmp_path: Path) -> None:
    """ "Unknown there" counts after the longest exchange has really passed, whatever the wall clock says."""
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)
        practice.clock.set_wall(practice.clock.now() + timedelta(hours=1))
        await practice.dispatch.settle(order)
        early = await practice.now(order)
        practice.clock.advance(practice.dmp.longest_exchange_s)
        await practice.dispatch.settle(early)

        assert (early.state, early.failure_code) == (S.IN_DOUBT, "ABSENT_TOO_EARLY")
        assert (await practice.now(order)).state is S.READY


async def test_an_absence_counts_from_the_question_not_from_its_slow_answer(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)
        practice.clock.advance(practice.dmp.longest_exchange_s - 1)
        gate = asyncio.Event()
        practice.dmp.lookups.append(Step(gate=gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.dispatch.settle(order))
            await practice.real.last_line()
            practice.clock.advance(5)
            gate.set()
        now = await practice.now(order)

    assert (now.state, now.failure_code) == (S.IN_DOUBT, "ABSENT_TOO_EARLY")
    assert now.next_attempt_at == practice.clock.now()


# The patient of a corrected document


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_a_document_corrected_to_another_patient_is_guarded_by_that_patient(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.deposit("cr-1", patient=0)
        corrected = await practice.deposit("cr-1", patient=1, title="Le bon patient")
        key = Personal(f"{INS_TEST_OID}|{PATIENTS[1][0]}")
        await practice.store.record_facts(of_patient(key), [opposition(True)], SECRETARY)

        assert FactKind.OPPOSITION in (await practice.store.order_facts(corrected.order_id)).refused
        assert (await practice.now(corrected)).holds == frozenset({HoldKind.OPPOSITION})
        assert await practice.store.title(corrected.order_id) == "Le bon patient"


# What was lost and is given again


async def test_an_unreadable_document_given_again_leaves(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        lost = await practice.deposit("cr-1", idempotency_key="k1")
        await practice.store.apply(lost.order_id, OrderEvent.BODY_LOST, SECRETARY)
        again = await practice.deposit("cr-1", idempotency_key="k2")

        assert again.order_id != lost.order_id
        assert again.state is S.PREPARING
        assert (await practice.now(lost)).state is S.SUPERSEDED
