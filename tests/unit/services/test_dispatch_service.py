"""Dispatch: what each answer does to an order, at every place where something may go wrong."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import DOCTOR, INS_TEST_OID, PATIENTS
from vaguemestre_agent.services.dispatch import DispatchSettings
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderState, WaitReason
from vaguemestre_core.outcomes import Certainty, Outcome
from vaguemestre_core.records import AGENT_ACTOR, CancelAnswer, Order
from vaguemestre_core.redaction import Personal
from vaguemestre_testkit.orders import DOCTOR as DOCTOR_ACTOR
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import PatientDmp, Step
from vaguemestre_testkit.sendings import prepared as sample_document

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


async def test_a_cancellation_asked_in_doubt_ends_in_cancelled_when_it_never_arrived(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)
        await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
        practice.clock.advance(practice.dmp.longest_exchange_s + 1)
        await practice.dispatch.settle(await practice.now(order))

        assert (await practice.now(order)).state is S.CANCELLED
        assert practice.dmp.complete_bodies == []


# Doubt


async def in_doubt(practice: Office, *, stores: bool = False) -> Order:
    order = await practice.claimed()
    practice.dmp.submissions.append(Step(sign=Sign.CUT, stores=stores))
    await practice.dispatch.send(order)
    now = await practice.now(order)
    assert now.state is S.IN_DOUBT
    return now


async def test_a_doubt_whose_bytes_arrived_is_sent(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice, stores=True)
        await practice.dispatch.settle(order)
        now = await practice.now(order)

    assert (now.state, now.doubt_since, now.failure_code) == (S.SENT, None, None)
    assert dict(now.receipt)["entry_uuid"].startswith("urn:uuid:")
    assert await sent_once(practice, order)


async def test_our_id_with_other_bytes_is_rejected(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice, stores=True)
        held = practice.dmp.held[order.unique_id]
        practice.dmp.held[order.unique_id] = type(held)(
            **{name: getattr(held, name) for name in held.__slots__} | {"hash_sha1": "0" * 40}
        )
        await practice.dispatch.settle(order)
        now = await practice.now(order)

    assert (now.state, now.failure_code) == (S.REJECTED, "UNIQUE_ID_HOLDS_OTHER_BYTES")


async def test_absent_counts_only_after_the_longest_exchange(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)
        practice.clock.advance(practice.dmp.longest_exchange_s - 1)
        await practice.dispatch.settle(order)
        early = await practice.now(order)
        practice.clock.advance(1)
        await practice.dispatch.settle(early)
        late = await practice.now(order)

    assert order.doubt_since is not None
    assert (early.state, early.failure_code) == (S.IN_DOUBT, "ABSENT_TOO_EARLY")
    assert early.next_attempt_at == order.doubt_since + timedelta(seconds=practice.dmp.longest_exchange_s)
    assert (late.state, late.failure_code, late.doubt_since) == (S.READY, None, None)


async def test_an_unreadable_lookup_backs_off(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)
        delays = []
        for _ in range(3):
            practice.dmp.lookups.append(Step(sign=Sign.HTTP_503))
            await practice.dispatch.settle(order)
            order = await practice.now(order)
            assert order.next_attempt_at is not None
            delays.append((order.next_attempt_at - practice.clock.now()).total_seconds())

    assert (order.state, order.waiting) == (S.IN_DOUBT, WaitReason.SERVICE)
    assert delays == [10.0, 20.0, 40.0]


async def test_a_doubt_is_looked_up_again_as_soon_as_a_session_is_back(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice, stores=True)
        practice.dmp.lookups.append(Step(sign=Sign.NO_SESSION))
        await practice.dispatch.settle(order)
        assert practice.sessions.session_for(DOCTOR) is None
        async with practice.at_work():
            await practice.adopt("new")
            await practice.reaches(order, S.SENT)


async def test_a_duplicate_of_our_own_bytes_is_a_delivery(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.dmp.submissions.append(Step(sign=Sign.CUT, stores=True))
        practice.dmp.lookups.append(Step(sign=Sign.HTTP_503))
        order = await practice.deposit()
        await practice.adopt()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(order, S.IN_DOUBT)
        # A person says that it is not there, wrongly: the service answers that our uniqueId exists.
        await practice.store.apply(order.order_id, OrderEvent.RESOLVED_NOT_SENT, DOCTOR_ACTOR)
        await practice.advance(3)
        await practice.until(lambda now: now.failure_code == "DMP_DUPLICATE_ID", order)
        practice.dmp.lookups.clear()
        await practice.advance(60)
        await practice.reaches(order, S.SENT)


async def test_a_lookup_that_breaks_us_leaves_the_doubt_and_the_others_go_on(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)

        async def broken(*_: object) -> object:
            raise RuntimeError

        practice.dmp.look_up = broken  # type: ignore[assignment, method-assign]
        practice.clock.advance(3)
        async with practice.at_work():
            await practice.until(lambda now: now.failure_code == "UNEXPECTED", order)
            other = await practice.deposit("cr-2", title="Autre")
            await practice.reaches(other, S.DEFERRED)
            await practice.advance(901)
            await practice.reaches(other, S.SENT)

        assert (await practice.now(order)).state is S.IN_DOUBT


async def test_a_full_disk_while_settling_forgets_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice, stores=True)
        practice.failing.fail("apply", StoreError("STORE_FULL"))
        practice.clock.advance(3)
        async with practice.at_work():
            await practice.pass_time(0, lambda: practice.failing.refused["apply"] == 1)
            for _ in range(3):
                await practice.advance(10)
            await practice.reaches(order, S.SENT)


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
        assert practice.sessions.session_for(DOCTOR) is None
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
        assert practice.sessions.session_for(DOCTOR) is None


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


# Guards again


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_recorded_after_the_acceptance_holds_what_waits(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.ready()
        await practice.store.record_opposition(PATIENT_KEY, True, SECRETARY)
        await practice.adopt()
        claimed = await practice.store.claim("dmp", frozenset({DOCTOR}), practice.clock.now())

        assert claimed is None
        assert (await practice.now(order)).holds == {HoldKind.OPPOSITION}


async def test_the_guards_run_again_at_the_claim(tmp_path: Path) -> None:
    """The hold was lost, or the fact came from elsewhere: the guard alone decides."""
    async with office(tmp_path) as practice:
        await practice.store.record_opposition(PATIENT_KEY, True, SECRETARY)
        order = await practice.deposit()
        await practice.store.lift_hold(order.order_id, HoldKind.OPPOSITION, AGENT_ACTOR, "test")
        await practice.preparation.prepare(order)
        practice.clock.advance(901)
        async with practice.at_work():
            await practice.adopt()
            held = await practice.until(lambda now: HoldKind.OPPOSITION in now.holds, order)

    assert held.state is S.READY
    assert practice.dmp.complete_bodies == []


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
            claimed = await practice.store.claim("dmp", frozenset({DOCTOR}), practice.clock.now())
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
