"""Dispatch in doubt: what a lookup of our own uniqueId settles, and when it counts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import DOCTOR, INS_TEST_OID, PATIENTS
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderEvent, OrderState, WaitReason
from vaguemestre_core.records import Order
from vaguemestre_core.redaction import Personal
from vaguemestre_testkit.orders import DOCTOR as DOCTOR_ACTOR
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
PATIENT_KEY = Personal(f"{INS_TEST_OID}|{PATIENTS[0][0]}")


async def sent_once(practice: Office, order: Order) -> bool:
    return practice.dmp.complete_bodies == [order.unique_id]


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
        assert practice.sessions.session_for(DOCTOR, practice.client) is None
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


async def test_a_cancellation_asked_in_doubt_ends_in_cancelled_when_it_never_arrived(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await in_doubt(practice)
        await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
        practice.clock.advance(practice.dmp.longest_exchange_s + 1)
        await practice.dispatch.settle(await practice.now(order))

        assert (await practice.now(order)).state is S.CANCELLED
        assert practice.dmp.complete_bodies == []
