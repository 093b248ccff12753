"""A document read from all its orders: what is at the service, what is under way, and one honest word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.changes import CHANGES
from vaguemestre_core.document_state import DocumentWord, Presence, document_state, version_there
from vaguemestre_core.orders import TERMINAL, ClientId, DocumentId, HoldKind, OrderId, OrderKind, OrderState
from vaguemestre_core.records import GONE_THERE, NOTHING_THERE, Actor, Order

S, K = OrderState, OrderKind
HIDDEN = "INVISIBLE_PATIENT"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = (K.DMP_SUBMIT, K.DMP_REPLACE, K.DMP_DELETE, K.DMP_VISIBILITY)
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(S), st.booleans()), min_size=1, max_size=8)


def an_order(number: int, kind: OrderKind, state: OrderState, *codes: str, in_doubt: bool = False) -> Order:
    return Order(
        order_id=OrderId(f"o-{number}"),
        document_id=DocumentId("d-1"),
        client_id=ClientId("lgc-1"),
        client_ref="cr-1",
        kind=kind,
        state=state,
        version=number + 1,
        set_id="1.2.3",
        unique_id=f"1.2.3.{number}",
        type_code="11488-4",
        professional="899700000012",
        lane="lane",
        guard_facts=json.dumps({"visibility": list(codes)}),
        accepted_at=NOON,
        state_at=NOON + timedelta(hours=number),
        not_before=NOON,
        undo_until=NOON,
        attempts=0,
        next_attempt_at=None,
        waiting=None,
        holds=frozenset(),
        cancel_requested=False,
        predecessor=None,
        predecessor_unique_id=None,
        depends_on=(),
        failure_code=None,
        service_code=None,
        doubt_since=NOON if in_doubt else None,
        fact_version=0,
        incarnation=1,
        actor=Actor(user="dr-essai", role="medecin", rpps=None),
        frozen_ids=None,
        holder=None,
        custody_epoch=0,
        receipt=(),
        revision=1,
    )


def history(*steps: tuple[OrderKind, OrderState]) -> list[Order]:
    return [an_order(number, kind, state) for number, (kind, state) in enumerate(steps)]


@pytest.mark.parametrize(
    ("steps", "presence", "version", "word", "under_way"),
    [
        ([(K.DMP_SUBMIT, S.DEFERRED)], "none", None, "waiting", ["feeding waiting"]),
        ([(K.DMP_SUBMIT, S.SENDING)], "unknown", None, "waiting", ["feeding waiting"]),
        ([(K.DMP_SUBMIT, S.IN_DOUBT)], "unknown", None, "doubtful", ["feeding doubtful"]),
        ([(K.DMP_SUBMIT, S.CANCELLED)], "none", None, "stopped", ["feeding stopped"]),
        ([(K.DMP_SUBMIT, S.REJECTED)], "none", None, "refused", ["feeding refused"]),
        ([(K.DMP_SUBMIT, S.UNREADABLE)], "none", None, "body_needed", ["feeding body_needed"]),
        ([(K.DMP_SUBMIT, S.SENT)], "there", 1, "sent", []),
        # The last order alone would say otherwise of each of these.
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_DELETE, S.SENT)], "deleted", None, "deleted", []),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_REPLACE, S.CANCELLED)], "there", 1, "sent", ["correction stopped"]),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_DELETE, S.CANCELLED)], "there", 1, "sent", ["deletion stopped"]),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_DELETE, S.REJECTED)], "there", 1, "sent", ["deletion refused"]),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_VISIBILITY, S.REJECTED)], "there", 1, "sent", ["visibility refused"]),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_REPLACE, S.REJECTED)], "there", 1, "refused", ["correction refused"]),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_REPLACE, S.IN_DOUBT)], "unknown", 1, "doubtful", ["correction doubtful"]),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_REPLACE, S.SENT)], "there", 2, "sent", []),
        ([(K.DMP_SUBMIT, S.SENT), (K.DMP_DELETE, S.SENT), (K.DMP_SUBMIT, S.SENT)], "there", 3, "sent", []),
        (
            [(K.DMP_SUBMIT, S.SENT), (K.DMP_DELETE, S.SENT), (K.DMP_SUBMIT, S.READY)],
            "deleted",
            None,
            "waiting",
            ["feeding waiting"],
        ),
        (
            [(K.DMP_SUBMIT, S.IN_DOUBT), (K.DMP_DELETE, S.PREPARING)],
            "unknown",
            None,
            "waiting",
            ["feeding doubtful", "deletion waiting"],
        ),
    ],
)
def test_the_whole_document_speaks(
    steps: list[tuple[OrderKind, OrderState]], presence: str, version: int | None, word: str, under_way: list[str]
) -> None:
    state = document_state(history(*steps))

    assert (state.presence.value, state.word.value) == (presence, word)
    assert (None if state.there is None else state.there.version) == version
    assert [f"{item.wish} {item.progress}" for item in state.under_way] == under_way


def test_one_given_up_in_doubt_is_not_said_stopped() -> None:
    given_up = an_order(0, K.DMP_SUBMIT, S.ABANDONED, in_doubt=True)
    aside = replace(given_up, holds=frozenset({HoldKind.INTEGRITY}))

    assert document_state([given_up]).word is DocumentWord.DOUBTFUL
    assert document_state([aside]).word is DocumentWord.STOPPED  # nothing in a row that was not ours counts
    forged = replace(an_order(0, K.DMP_SUBMIT, S.SENT), holds=frozenset({HoldKind.INTEGRITY}))
    assert document_state([forged]).word is DocumentWord.DOUBTFUL


def test_a_deletion_that_found_nothing_is_no_wish_any_more() -> None:
    submitted, deletion = history((K.DMP_SUBMIT, S.CANCELLED), (K.DMP_DELETE, S.CANCELLED))
    state = document_state([submitted, replace(deletion, failure_code=NOTHING_THERE)])

    assert state.word is DocumentWord.STOPPED
    assert [(item.wish.value, item.order_id) for item in state.under_way] == [("feeding", "o-0")]


def test_a_version_found_gone_is_deleted() -> None:
    gone = replace(an_order(0, K.DMP_SUBMIT, S.SENT), receipt=(GONE_THERE,))

    assert document_state([gone]).presence is Presence.DELETED


@pytest.mark.req("SC.DMP/UX.14.BIS")
def test_the_visibility_is_what_the_last_change_left_and_unknown_while_one_is_in_doubt() -> None:
    hidden = an_order(0, K.DMP_SUBMIT, S.SENT, HIDDEN)
    shown = an_order(1, K.DMP_VISIBILITY, S.SENT)

    def seen(*orders: Order) -> frozenset[str] | None:
        there = document_state(orders).there
        assert there is not None
        return there.visibility

    assert seen(hidden) == frozenset({HIDDEN})
    assert seen(hidden, shown) == frozenset()
    assert seen(hidden, replace(shown, state=S.READY)) == frozenset({HIDDEN})
    assert seen(hidden, replace(shown, state=S.IN_DOUBT)) is None
    assert seen(hidden, shown, an_order(2, K.DMP_REPLACE, S.SENT, HIDDEN)) == frozenset({HIDDEN})


def made(steps: Sequence[tuple[OrderKind, OrderState, bool]]) -> list[Order]:
    return [an_order(number, kind, state, in_doubt=doubt) for number, (kind, state, doubt) in enumerate(steps)]


@given(STEPS)
def test_whatever_the_history_the_answers_agree_with_each_other(
    steps: list[tuple[OrderKind, OrderState, bool]],
) -> None:
    orders = made(steps)
    state = document_state(orders)
    named = [item.order_id for item in state.under_way]
    open_ids = [order.order_id for order in orders if order.state not in TERMINAL]

    assert [order_id for order_id in named if order_id in open_ids] == open_ids  # none is forgotten, oldest first
    assert len(named) - len(open_ids) in {0, 1}
    assert (state.there is not None) or state.presence is not Presence.THERE
    assert (state.there is None) or state.presence in {Presence.THERE, Presence.UNKNOWN}
    if state.word is DocumentWord.SENT:
        assert state.there is not None
    if state.word is DocumentWord.DELETED:
        assert state.there is None
    if not open_ids:
        assert state.word not in {DocumentWord.WAITING, DocumentWord.REFUSED, DocumentWord.BODY_NEEDED}


@given(STEPS, st.data())
def test_what_was_superseded_changes_nothing(
    steps: list[tuple[OrderKind, OrderState, bool]], data: st.DataObject
) -> None:
    orders = made(steps)
    kind = data.draw(st.sampled_from(KINDS))
    at = data.draw(st.integers(0, len(orders)))
    extra = an_order(99, kind, S.SUPERSEDED, HIDDEN)

    assert document_state([*orders[:at], extra, *orders[at:]]) == document_state(orders)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([S.SENT, S.CANCELLED, S.SUPERSEDED])), min_size=1))
def test_after_verdicts_only_it_says_what_a_simulated_dmp_holds(steps: list[tuple[OrderKind, OrderState]]) -> None:
    held: dict[str, int] = {}
    was_deleted = False
    for number, (kind, state) in enumerate(steps):
        if state is S.SENT and kind is K.DMP_DELETE:
            held, was_deleted = {}, True
        elif state is S.SENT and kind not in CHANGES:
            held = {f"1.2.3.{number}": number + 1}
    state_now = document_state(history(*steps))
    there = version_there(history(*steps))

    assert ({} if there is None else {there.unique_id: there.version}) == held
    assert state_now.presence is (Presence.THERE if held else Presence.DELETED if was_deleted else Presence.NONE)
