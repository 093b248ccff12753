"""Deleting in every state: what is stopped, what is asked of the service, what waits, and what ends without leaving."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_core.changes import ChangeAnswer, ChangeRequest, DeletionMotive
from vaguemestre_core.errors import Conflict, NotFound
from vaguemestre_core.orders import OrderEvent, OrderId, OrderKind, OrderState, WaitReason
from vaguemestre_core.records import OrderPatch
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.store import Store
from vaguemestre_testkit.changes import a_deletion, at_the_service, freeze, in_doubt
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import (
    DOCTOR,
    PROFESSIONAL,
    a_build,
    an_acceptance,
    frozen,
    rights,
    test_keys,
)

KEYS = test_keys()
ALL = rights(PROFESSIONAL)
S, E = OrderState, OrderEvent


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def state(store: Store, order_id: str) -> OrderState:
    return (await store.order(OrderId(order_id))).state


async def test_what_has_not_left_is_stopped_and_nothing_is_asked(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await store.accept(an_acceptance(clock, 1))
        answer = await store.accept_change(a_deletion(clock))
        again = await store.accept_change(a_deletion(clock, "order-d2"))

    assert (answer.answer, answer.order.state, answer.replayed) == (ChangeAnswer.STOPPED, S.CANCELLED, False)
    assert (answer.order.order_id, answer.stopped) == ("order-1", ("order-1",))
    assert (again.answer, again.order.order_id, again.replayed) == (ChangeAnswer.STOPPED, "order-1", True)


@pytest.mark.req("SC.DMP/CONF.03")
async def test_what_is_there_is_deleted_by_an_order_of_its_own(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        sent = await at_the_service(store, clock)
        answer = await store.accept_change(a_deletion(clock))
        order = answer.order
        assert (answer.answer, order.kind, order.state) == (ChangeAnswer.ACCEPTED, OrderKind.DMP_DELETE, S.PREPARING)
        assert (order.predecessor, order.unique_id, order.lane) == (sent.order_id, sent.unique_id, sent.lane)

        await freeze(store)
        assert await store.claim("dmp", ALL, clock.now()) is None
        clock.advance(121)
        await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 10)
        claimed = await store.claim("dmp", ALL, clock.now())
        assert claimed is not None
        assert claimed.order_id == order.order_id
        await store.first_byte(order.order_id, None)
        await store.apply(order.order_id, E.DELIVERED, DOCTOR)
        again = await store.accept_change(a_deletion(clock, "order-d2"))
        story = [line for line in await store.ledger(0) if line.order_id == order.order_id]

    assert (again.answer, again.order.order_id, again.replayed) == (ChangeAnswer.DONE, order.order_id, True)
    assert ("motive", "patient_request") in story[0].detail


@pytest.mark.parametrize(
    ("verdict", "submit", "deletion"),
    [
        (E.FOUND_THERE, S.SENT, S.DEFERRED),
        (E.UNKNOWN_THERE, S.CANCELLED, S.CANCELLED),
        (E.RESOLVED_NOT_SENT, S.CANCELLED, S.CANCELLED),
        (E.FOUND_OTHER, S.CANCELLED, S.CANCELLED),
    ],
)
async def test_a_deletion_asked_in_doubt_waits_for_the_verdict(
    tmp_path: Path, clock: FakeClock, verdict: OrderEvent, submit: OrderState, deletion: OrderState
) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await in_doubt(store, clock)
        answer = await store.accept_change(a_deletion(clock))
        assert (answer.answer, answer.order.waiting) == (ChangeAnswer.WAITS, WaitReason.PREDECESSOR)
        assert await store.preparing(10) == []

        await store.apply(first.order_id, verdict, DOCTOR)
        await freeze(store)
        after = await store.order(answer.order.order_id)
        assert (await state(store, first.order_id), after.state) == (submit, deletion)
        assert after.failure_code == (None if deletion is S.DEFERRED else "NOTHING_THERE")


async def test_a_deletion_given_up_in_time_lets_the_document_go_on(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await in_doubt(store, clock)
        answer = await store.accept_change(a_deletion(clock))
        await store.cancel(answer.order.order_id, DOCTOR)
        await store.apply(first.order_id, E.UNKNOWN_THERE, DOCTOR)
        assert await state(store, first.order_id) is S.READY


async def test_a_correction_that_waits_is_stopped_with_what_it_corrects(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await at_the_service(store, clock)
        newer = an_acceptance(clock, 2, client_ref="doc-1", content=b"corrected", patient_key=Personal("patient-1"))
        await store.accept(newer)
        answer = await store.accept_change(a_deletion(clock))

        assert (answer.answer, answer.stopped) == (ChangeAnswer.ACCEPTED, (newer.order_id,))
        assert answer.order.predecessor == first.order_id
        assert await state(store, newer.order_id) is S.CANCELLED


@pytest.mark.req("DMP/va1.16")
async def test_a_deposit_after_a_deletion_replaces_nothing(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await at_the_service(store, clock)
        answer = await store.accept_change(a_deletion(clock))
        await freeze(store)
        await store.apply(answer.order.order_id, E.SEND_NOW, DOCTOR)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(answer.order.order_id, None)
        same = replace(an_acceptance(clock, 1), order_id=OrderId("order-2"), unique_id="1.2.250.1.999.1.3.77")
        repeated = await store.accept(same)
        again = await store.accept(replace(same, idempotency_key="a new wish"))
        assert (repeated.replayed, again.replayed, again.order.waiting) == (True, False, WaitReason.PREDECESSOR)

        await store.apply(answer.order.order_id, E.DELIVERED, DOCTOR)
        (linked,) = await store.preparing(10)
        assert (linked.order_id, linked.kind, linked.predecessor, linked.version) == (
            "order-2",
            OrderKind.DMP_SUBMIT,
            None,
            2,
        )


async def test_a_deposit_takes_the_place_of_a_deletion_that_did_not_leave(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await at_the_service(store, clock)
        answer = await store.accept_change(a_deletion(clock))
        newer = an_acceptance(clock, 2, client_ref="doc-1", content=b"corrected", patient_key=Personal("patient-1"))
        accepted = await store.accept(newer)

        assert await state(store, answer.order.order_id) is S.SUPERSEDED
        assert (accepted.order.kind, accepted.order.predecessor) == (OrderKind.DMP_REPLACE, first.order_id)


async def test_a_deletion_in_doubt_gives_way_to_a_newer_deposit_only_when_it_did_not_arrive(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await at_the_service(store, clock)
        deletion = (await store.accept_change(a_deletion(clock))).order
        await freeze(store)
        await store.apply(deletion.order_id, E.SEND_NOW, DOCTOR)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(deletion.order_id, None)
        await store.apply(deletion.order_id, E.DOUBT, DOCTOR)
        repeated = await store.accept_change(a_deletion(clock, "order-d2"))
        assert (repeated.order.order_id, repeated.replayed) == (deletion.order_id, True)
        newer = an_acceptance(clock, 2, client_ref="doc-1", content=b"corrected", patient_key=Personal("patient-1"))
        await store.accept(newer)

        await store.apply(deletion.order_id, E.UNKNOWN_THERE, DOCTOR)
        (linked,) = await store.preparing(10)
        assert await state(store, deletion.order_id) is S.SUPERSEDED
        assert (linked.kind, linked.predecessor) == (OrderKind.DMP_REPLACE, first.order_id)


async def test_what_was_given_up_in_doubt_is_not_deleted_by_guess(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await in_doubt(store, clock)
        await store.apply(first.order_id, E.ABANDON, DOCTOR)
        with pytest.raises(Conflict, match="PRESENCE_UNKNOWN"):
            await store.accept_change(a_deletion(clock))
        with pytest.raises(NotFound, match="DOCUMENT_UNKNOWN"):
            await store.accept_change(replace(a_deletion(clock), client_ref="never seen"))


async def test_a_key_replays_and_refuses_another_request(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await at_the_service(store, clock)
        asked = replace(a_deletion(clock), idempotency_key="k")
        first = await store.accept_change(asked)
        again = await store.accept_change(replace(asked, order_id=OrderId("order-d2")))
        assert (again.order.order_id, again.replayed, again.answer) == (first.order.order_id, True, first.answer)
        other: ChangeRequest = replace(asked, request_digest="f" * 64, motive=DeletionMotive.FEEDING_ERROR)
        with pytest.raises(Conflict, match="IDEMPOTENCY_MISMATCH"):
            await store.accept_change(other)


async def test_the_unique_id_of_what_was_given_up_in_doubt_is_not_free(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await in_doubt(store, clock)
        await store.apply(first.order_id, E.ABANDON, DOCTOR)
        taker, other = an_acceptance(clock, 2), an_acceptance(clock, 3)
        await store.accept(taker)
        with pytest.raises(Conflict, match="UNIQUE_ID_TAKEN"):
            await store.save_prepared(taker.order_id, replace(a_build(taker), unique_id=first.unique_id), frozen(2))
        # One that was given up before anything left is free.
        await store.apply(taker.order_id, E.PREPARATION_REFUSED, DOCTOR, patch=OrderPatch())
        await store.apply(taker.order_id, E.ABANDON, DOCTOR)
        await store.accept(other)
        saved = await store.save_prepared(other.order_id, replace(a_build(other), unique_id=taker.unique_id), frozen(3))
        assert saved.state is S.DEFERRED


async def test_undo_minutes_are_fresh_after_a_night(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await at_the_service(store, clock)
        order = (await store.accept_change(a_deletion(clock))).order
        await freeze(store)
        clock.advance(43_200)
        older = clock.now() - timedelta(seconds=60)
        assert await store.refresh_overdue(clock.now(), clock.boot_s(), clock.boot_id(), older) == 1
        assert (await store.order(order.order_id)).undo_until == clock.now() + timedelta(seconds=120)
