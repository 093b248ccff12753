"""Dispatch that waits: who may send, when, and how often it is tried again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import DOCTOR, INS_TEST_OID, PATIENTS
from vaguemestre_agent.services.dispatch import DispatchSettings
from vaguemestre_core.orders import OrderState, WaitReason
from vaguemestre_core.outcomes import Certainty, Outcome
from vaguemestre_core.records import CancelAnswer, Order
from vaguemestre_core.redaction import Personal
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import PatientDmp, Step
from vaguemestre_testkit.sendings import prepared as sample_document

S = OrderState
PATIENT_KEY = Personal(f"{INS_TEST_OID}|{PATIENTS[0][0]}")


async def sent_once(practice: Office, order: Order) -> bool:
    return practice.dmp.complete_bodies == [order.unique_id]


# Who may send


@pytest.mark.req("SC.PSC.14")
async def test_without_a_session_everything_waits_and_nobody_is_prompted(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        waiting = await practice.until(lambda now: now.waiting is WaitReason.AUTH, order)
        why = await practice.backend.why(practice.client, order.order_id)
        await practice.adopt()
        await practice.reaches(order, S.SENT)

    assert waiting.state is S.READY
    assert (why.blocking, why.would_let_it_leave) == ("NO_SESSION", "OPEN_A_SESSION")
    assert practice.proxy.asked == []


@pytest.mark.req("SC.DMP/ALI/PROG.06", "SC.DMP/ALI/PROG.07")
async def test_a_session_lost_in_the_middle_waits_for_a_person_then_leaves_once(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.dmp.submissions.append(Step(sign=Sign.NO_SESSION))
        await practice.adopt("old")
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        waiting = await practice.until(lambda now: now.waiting is WaitReason.AUTH, order)
        assert practice.sessions.session_for(DOCTOR, practice.client) is None
        await practice.adopt("new")
        await practice.reaches(order, S.SENT)

    assert waiting.state is S.READY
    assert practice.proxy.asked == []
    assert await sent_once(practice, order)
    assert [c.entry.kind for c in practice.told].count("session.lost") == 1


async def test_a_session_lost_during_the_existence_test_is_forgotten(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        practice.dmp.existences.append(Step(sign=Sign.NO_SESSION))
        await practice.dispatch.send(order)
        now = await practice.now(order)

        assert (now.state, now.waiting) == (S.READY, WaitReason.AUTH)
        assert practice.sessions.session_for(DOCTOR, practice.client) is None


async def test_a_security_header_refused_again_and_again_is_not_sent_in_a_loop(tmp_path: Path) -> None:
    """The session is open: nothing that a person does would be waited for, so the attempts must be spaced."""
    async with office(tmp_path) as practice, practice.at_work():
        practice.dmp.submissions.extend([Step(sign=Sign.FAULT_SECURITY)] * 50)
        await practice.adopt()
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        now = await practice.until(lambda now: now.failure_code == "DMP_VIHF_REFUSED", order)
        assert now.next_attempt_at == practice.clock.now() + timedelta(seconds=10)
        # Something else happens, and the loop turns again: the order does not move.
        other = await practice.deposit("cr-2")
        await practice.reaches(other, S.DEFERRED)
        assert (await practice.kinds(order)).count("order.claim") == 1


async def test_an_order_whose_client_row_is_gone_is_held_not_turned_in_a_loop(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()

        async def nobody() -> list[object]:
            return []

        practice.failing.__dict__["clients"] = nobody
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert now.state is S.READY
    assert now.holds


@pytest.mark.parametrize(("state", "code"), [(PatientDmp.NONE, "DMP_NOT_FOUND"), (PatientDmp.CLOSED, "DMP_CLOSED")])
@pytest.mark.req("SC.DMP/ALI/PROG.06", "SC.DMP/ALI/PROG.07")
async def test_a_patient_without_an_open_dmp_is_tried_again_later(tmp_path: Path, state: PatientDmp, code: str) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        patient = sample_patient(practice)
        practice.dmp.patients[patient] = state
        await practice.adopt()
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        waiting = await practice.until(lambda now: now.waiting is WaitReason.NO_DMP, order)
        practice.dmp.patients[patient] = PatientDmp.OPEN
        await practice.adopt("next morning")
        assert waiting.next_attempt_at is not None
        await practice.advance(86400)
        await practice.adopt("next morning")
        await practice.reaches(order, S.SENT)

    assert (waiting.state, waiting.failure_code) == (S.READY, code)
    assert await sent_once(practice, order)


def sample_patient(practice: Office) -> str:
    """Return the patient identifier that the documents of the scripted preparer carry."""
    from vaguemestre_documents.prepared import PreparedDocument

    return PreparedDocument.from_bytes(sample_document()).entry.patient_id


# Time


async def test_a_machine_that_slept_gives_fresh_undo_minutes_first(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        await practice.adopt(until_s=None)
        order = await practice.deposit()
        deferred = await practice.reaches(order, S.DEFERRED)
        await practice.advance(3600)  # the lid was closed
        fresh = await practice.until(lambda now: now.undo_until > deferred.undo_until, order)

        assert fresh.state is S.DEFERRED
        assert fresh.undo_until == practice.clock.now() + timedelta(seconds=120)
        await practice.advance(100)
        answer, _ = await practice.backend.cancel(practice.client, order.order_id, SECRETARY)

    assert answer is CancelAnswer.CANCELLED
    assert practice.dmp.complete_bodies == []


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_nothing_leaves_before_its_time_and_once_after(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        await practice.adopt()
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        for _ in range(10):
            await practice.advance(89.9)  # the machine is awake: no gap of the loop
            await practice.store.last_line()
        assert practice.dmp.complete_bodies == []
        assert (await practice.now(order)).state is S.DEFERRED
        await practice.advance(2)
        await practice.reaches(order, S.SENT)

    assert await sent_once(practice, order)


async def test_attempts_back_off_and_respect_what_the_service_asks(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        delays = []
        for asked in (None, None, 500.0):
            outcome = Outcome(
                certainty=Certainty.NOT_SENT, code="DMP_REGISTRY_BUSY", waiting=WaitReason.SERVICE, retry_after_s=asked
            )
            await practice.dispatch.conclude(order, outcome)
            order = await practice.now(order)
            assert order.next_attempt_at is not None
            delays.append((order.next_attempt_at - practice.clock.now()).total_seconds())
            practice.clock.advance(delays[-1])
            claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
            assert claimed is not None

    assert delays == [10.0, 20.0, 500.0]
    assert order.attempts == 3


async def test_attempts_of_several_orders_are_spread(tmp_path: Path) -> None:
    from vaguemestre_core.retry import RetryPolicy
    from vaguemestre_testkit.practice_kit import OfficeSettings

    async with office(tmp_path, OfficeSettings(retry=RetryPolicy(jitter=0.5))) as practice:
        found = set()
        for number in range(4):
            order = await practice.claimed(f"cr-{number}")
            practice.dmp.submissions.append(Step(sign=Sign.CONNECTION_REFUSED))
            await practice.dispatch.send(order)
            now = await practice.now(order)
            assert now.next_attempt_at is not None
            found.add((now.next_attempt_at - practice.clock.now()).total_seconds())
            practice.clock.set_wall(practice.clock.now() + timedelta(seconds=0))

    assert len(found) == 4
    assert all(5 <= delay <= 10 for delay in found)


async def test_the_existence_test_can_be_left_out(tmp_path: Path) -> None:
    from vaguemestre_testkit.practice_kit import OfficeSettings

    async with office(tmp_path, OfficeSettings(dispatch=DispatchSettings(test_existence=False))) as practice:
        order = await practice.claimed()
        practice.dmp.existences.append(Step(sign=Sign.HTTP_503))
        await practice.dispatch.send(order)

        assert (await practice.now(order)).state is S.SENT
        assert len(practice.dmp.existences) == 1
