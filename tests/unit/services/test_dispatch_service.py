"""Dispatch: what each answer, each gesture of a person and each guard does to an order that is leaving."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import INS_TEST_OID, PATIENTS
from vaguemestre_core.facts import of_patient, opposition
from vaguemestre_core.orders import HoldKind, OrderState, WaitReason
from vaguemestre_core.outcomes import Certainty, Outcome
from vaguemestre_core.records import AGENT_ACTOR, CancelAnswer, Order
from vaguemestre_core.redaction import Personal
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
PATIENT_KEY = Personal(f"{INS_TEST_OID}|{PATIENTS[0][0]}")


async def sent_once(practice: Office, order: Order) -> bool:
    return practice.dmp.complete_bodies == [order.unique_id]


# One attempt


async def test_a_claimed_order_is_sent_with_its_receipt(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert now.state is S.SENT
    assert dict(now.receipt)["registry_status"] == "Success"
    assert await sent_once(practice, order)
    assert practice.dmp.signatures == [b"signature " + order.frozen_ids.submission_set_id.encode()]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("sign", "state", "waiting", "code"),
    [
        (Sign.CONNECTION_REFUSED, S.READY, WaitReason.NETWORK, "PROXY_CONNECTION_REFUSED"),  # still CLAIMED
        (Sign.LOST_BEFORE_BODY, S.READY, WaitReason.NETWORK, "DMP_LOST_BEFORE_BODY"),
        (Sign.FAILURE_BUSY, S.READY, WaitReason.SERVICE, "DMP_REGISTRY_BUSY"),  # SENDING, certain
        (Sign.FAILURE_PATIENT_UNKNOWN, S.READY, WaitReason.NO_DMP, "DMP_ABSENT"),
        (Sign.NO_SESSION, S.READY, WaitReason.AUTH, "PROXY_SESSION_ENDED"),
        (Sign.FAILURE_METADATA, S.REJECTED, None, "DMP_METADATA_REFUSED"),
        (Sign.HTTP_503, S.IN_DOUBT, None, "DMP_HTTP_503"),
        (Sign.CUT, S.IN_DOUBT, None, "DMP_CUT"),
        (Sign.FAILURE_DUPLICATE, S.IN_DOUBT, None, "DMP_DUPLICATE_ID"),
    ],
)
async def test_each_answer_has_its_state(
    tmp_path: Path, sign: Sign, state: OrderState, waiting: WaitReason | None, code: str
) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        practice.dmp.submissions.append(Step(sign=sign))
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert (now.state, now.waiting, now.failure_code) == (state, waiting, code)
    assert (now.doubt_since is not None) == (state is S.IN_DOUBT)


async def test_a_refusal_known_before_any_byte_rejects_a_claimed_order(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        await practice.dispatch.conclude(order, Outcome(certainty=Certainty.REFUSED, code="DMP_CLOSED"))

        assert (await practice.now(order)).state is S.REJECTED


async def test_a_doubt_announced_before_any_byte_leaves_nothing_in_doubt(tmp_path: Path) -> None:
    """Nothing was committed as leaving: whatever the adapter says, the order goes back."""

    async with office(tmp_path) as practice:
        order = await practice.claimed()

        async def confused(*_: object) -> Outcome:
            return Outcome(certainty=Certainty.DOUBT, code="DMP_CUT")

        practice.dmp.submit = confused  # type: ignore[assignment, method-assign]
        await practice.dispatch.send(order)

        assert (await practice.now(order)).state is S.READY


# A person's gesture during an attempt


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_cancelling_a_claimed_order_lets_nothing_leave(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        gate = asyncio.Event()
        practice.dmp.existences.append(Step(gate=gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.dispatch.send(order))
            answer, _ = await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
            gate.set()

        assert answer is CancelAnswer.CANCELLED
        assert (await practice.now(order)).state is S.CANCELLED
        assert practice.dmp.complete_bodies == []


async def test_holding_a_claimed_order_lets_nothing_leave(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        gate = asyncio.Event()
        practice.dmp.existences.append(Step(gate=gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.dispatch.send(order))
            await practice.backend.hold(practice.client, order.order_id, SECRETARY)
            gate.set()
        now = await practice.now(order)

    assert (now.state, now.holds) == (S.READY, frozenset({HoldKind.PERSON}))
    assert practice.dmp.complete_bodies == []


@pytest.mark.parametrize(
    ("sign", "state"), [(Sign.FAILURE_BUSY, S.CANCELLED), (Sign.SUCCESS, S.SENT), (Sign.FAILURE_METADATA, S.REJECTED)]
)
async def test_a_cancellation_asked_during_the_sending_is_answered_by_the_service(
    tmp_path: Path, sign: Sign, state: OrderState
) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        gate = asyncio.Event()
        practice.dmp.submissions.append(Step(sign=sign, gate=gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.dispatch.send(order))
            await practice.reaches(order, S.SENDING)
            answer, _ = await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
            gate.set()

        assert answer is CancelAnswer.ASKED
        assert (await practice.now(order)).state is state


# Guards again


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_recorded_after_the_acceptance_holds_what_waits(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.ready()
        await practice.store.record_facts(of_patient(PATIENT_KEY), [opposition(True)], SECRETARY)
        await practice.adopt()
        claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())

        assert claimed is None
        assert (await practice.now(order)).holds == {HoldKind.OPPOSITION}


async def test_the_guards_run_again_at_the_claim(tmp_path: Path) -> None:
    """The hold was lost, or the fact came from elsewhere: the guard alone decides."""
    async with office(tmp_path) as practice:
        await practice.store.record_facts(of_patient(PATIENT_KEY), [opposition(True)], SECRETARY)
        order = await practice.deposit()
        await practice.store.lift_hold(order.order_id, HoldKind.OPPOSITION, AGENT_ACTOR, "test")
        await practice.preparation.prepare(order)
        practice.clock.advance(901)
        async with practice.at_work():
            await practice.adopt()
            held = await practice.until(lambda now: HoldKind.OPPOSITION in now.holds, order)

    assert held.state is S.READY
    assert practice.dmp.complete_bodies == []
