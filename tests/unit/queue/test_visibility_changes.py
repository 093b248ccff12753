"""Changing who sees a document: before it leaves, once it is there, and while nobody knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_core.changes import ChangeAnswer, facts_of_change, visibility_of
from vaguemestre_core.errors import Conflict
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderKind, OrderState, WaitReason
from vaguemestre_core.records import Order
from vaguemestre_queue.store import Store
from vaguemestre_testkit.changes import a_deletion, a_showing, at_the_service, freeze, in_doubt
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, QUALIFIED, an_acceptance, rights, test_keys

KEYS = test_keys()
ALL = rights(PROFESSIONAL)
S, E = OrderState, OrderEvent
HIDDEN, MASKED = "INVISIBLE_PATIENT", "MASQUE_PS"
FACTS_HIDDEN = facts_of_change(QUALIFIED, frozenset({HIDDEN}), None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def delivered(store: Store, clock: FakeClock, order: Order) -> Order:
    await freeze(store)
    await store.apply(order.order_id, E.SEND_NOW, DOCTOR)
    await store.claim("dmp", ALL, clock.now())
    await store.first_byte(order.order_id, None)
    return await store.apply(order.order_id, E.DELIVERED, DOCTOR)


@pytest.mark.req("SC.DMP/UX.51")
async def test_what_has_not_left_is_made_again_from_the_body_that_was_given(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        made = an_acceptance(clock, 1, holds=frozenset({HoldKind.PERSON}))
        await store.accept(made)
        answer = await store.accept_change(a_showing(clock, HIDDEN))
        again = await store.accept_change(a_showing(clock, HIDDEN, order_id="order-v2"))
        repeated = await store.accept(made)
        body = await store.body(answer.order.order_id)

        assert (answer.answer, answer.stopped) == (ChangeAnswer.CORRECTED, ("order-1",))
        assert (again.replayed, again.order.order_id) == (True, "order-v")
        # The same deposit again is the same wish: it does not show what a person hid since.
        assert (repeated.replayed, repeated.order.order_id) == (True, "order-v")
        assert (answer.order.kind, answer.order.state) == (OrderKind.DMP_SUBMIT, S.PREPARING)
        assert visibility_of(answer.order.guard_facts) == {HIDDEN}
        assert answer.order.holds == {HoldKind.PERSON}
        assert body.body == made.body
        assert (await store.order(OrderId("order-1"))).state is S.SUPERSEDED


@pytest.mark.req("SC.DMP/UX.14.BIS")
async def test_what_is_there_is_changed_by_an_order_of_its_own(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        sent = await at_the_service(store, clock, facts=FACTS_HIDDEN)
        answer = await store.accept_change(a_showing(clock))
        assert (answer.answer, answer.order.kind) == (ChangeAnswer.ACCEPTED, OrderKind.DMP_VISIBILITY)
        assert (answer.order.predecessor, answer.order.unique_id) == (sent.order_id, sent.unique_id)

        done = await delivered(store, clock, answer.order)
        again = await store.accept_change(a_showing(clock, order_id="order-v2"))
        assert (again.answer, again.order.order_id, again.replayed) == (ChangeAnswer.DONE, done.order_id, True)
        with pytest.raises(Conflict, match="DMP_CANNOT_HIDE_AGAIN"):
            await store.accept_change(a_showing(clock, HIDDEN, order_id="order-v3"))
        masked = await store.accept_change(a_showing(clock, MASKED, order_id="order-v4"))
        assert (masked.answer, masked.order.predecessor) == (ChangeAnswer.ACCEPTED, sent.order_id)


async def test_a_newer_wish_takes_the_place_of_one_that_did_not_leave(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        sent = await at_the_service(store, clock)
        first = await store.accept_change(a_showing(clock, MASKED))
        back = await store.accept_change(a_showing(clock, order_id="order-v2"))
        assert (back.answer, back.order.order_id, back.stopped) == (
            ChangeAnswer.DONE,
            sent.order_id,
            (first.order.order_id,),
        )
        again = await store.accept_change(a_showing(clock, MASKED, order_id="order-v3"))
        deletion = await store.accept_change(a_deletion(clock))
        assert deletion.stopped == (again.order.order_id,)
        with pytest.raises(Conflict, match="DELETION_UNDER_WAY"):
            await store.accept_change(a_showing(clock, MASKED, order_id="order-v4"))


@pytest.mark.parametrize(
    ("verdict", "submit", "kind"),
    [
        (E.FOUND_THERE, S.SENT, OrderKind.DMP_VISIBILITY),
        (E.UNKNOWN_THERE, S.SUPERSEDED, OrderKind.DMP_SUBMIT),
        (E.RESOLVED_NOT_SENT, S.SUPERSEDED, OrderKind.DMP_SUBMIT),
    ],
)
async def test_a_change_asked_in_doubt_follows_the_verdict(
    tmp_path: Path, clock: FakeClock, verdict: OrderEvent, submit: OrderState, kind: OrderKind
) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await in_doubt(store, clock)
        answer = await store.accept_change(a_showing(clock, HIDDEN))
        assert (answer.answer, answer.order.waiting) == (ChangeAnswer.WAITS, WaitReason.PREDECESSOR)
        await store.apply(first.order_id, verdict, DOCTOR)
        (linked,) = await store.preparing(10)

        assert (await store.order(first.order_id)).state is submit
        assert (linked.order_id, linked.kind) == (answer.order.order_id, kind)
        assert visibility_of(linked.guard_facts) == {HIDDEN}
        if kind is OrderKind.DMP_SUBMIT:
            # Nothing is there: the document itself leaves, hidden, from the body that was given.
            assert (linked.predecessor, linked.unique_id == first.unique_id) == (None, False)
            assert (await store.body(linked.order_id)).body == (await store.body(first.order_id)).body
        else:
            assert linked.predecessor_unique_id == first.unique_id


async def test_a_change_given_up_leaves_the_document_as_it_was(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        first = await in_doubt(store, clock)
        answer = await store.accept_change(a_showing(clock, HIDDEN))
        await store.cancel(answer.order.order_id, DOCTOR)
        await store.apply(first.order_id, E.UNKNOWN_THERE, DOCTOR)
        assert (await store.order(first.order_id)).state is S.READY


async def test_what_was_stopped_or_cannot_be_opened_is_not_changed(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        made = an_acceptance(clock, 1)
        await store.accept(made)
        await store.accept_change(a_showing(clock, HIDDEN))
        await store.apply(OrderId("order-v"), E.BODY_LOST, DOCTOR)
        with pytest.raises(Conflict, match="BODY_NEEDED"):
            await store.accept_change(a_showing(clock, MASKED, order_id="order-v2"))
        # Given again, it is still hidden.
        again = await store.accept(replace(made, order_id=OrderId("order-2"), unique_id="1.2.250.1.999.1.3.9"))
        assert not again.replayed
        assert visibility_of(again.order.guard_facts) == {HIDDEN}
        await store.cancel(again.order.order_id, DOCTOR)
        with pytest.raises(Conflict, match="DOCUMENT_NOT_THERE"):
            await store.accept_change(a_showing(clock, MASKED, order_id="order-v3"))


@pytest.mark.req("SC.DMP/UX.51")
async def test_what_is_given_again_behind_a_deletion_in_doubt_can_be_hidden(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        await at_the_service(store, clock)
        deletion = (await store.accept_change(a_deletion(clock))).order
        await freeze(store)
        await store.apply(deletion.order_id, E.SEND_NOW, DOCTOR)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(deletion.order_id, None)
        await store.apply(deletion.order_id, E.DOUBT, DOCTOR)
        again = an_acceptance(clock, 2, client_ref="doc-1", content=b"anew")
        await store.accept(replace(again, patient_key=an_acceptance(clock, 1).patient_key))
        hidden = await store.accept_change(a_showing(clock, HIDDEN))

        assert (hidden.answer, hidden.stopped) == (ChangeAnswer.CORRECTED, ("order-2",))
        # Stopped again, it is the deletion that counts: nothing is left to hide.
        stopped = await store.accept_change(a_deletion(clock, "order-d2"))
        assert (stopped.order.order_id, stopped.stopped) == (deletion.order_id, (hidden.order.order_id,))
        with pytest.raises(Conflict, match="DELETION_UNDER_WAY"):
            await store.accept_change(a_showing(clock, MASKED, order_id="order-v2"))
