"""The table of an order's life is a closed world: no dead end, no forbidden way back to the wire."""

from __future__ import annotations

import pytest

from vaguemestre_core.orders import (
    CANCEL_ASKED_ONLY,
    SETTLED,
    TERMINAL,
    TRANSITIONS,
    OrderEvent,
    OrderKind,
    OrderState,
    can,
    next_state,
)

S, E = OrderState, OrderEvent
# Somebody has established that the bytes are not there.
NOT_THERE = {E.NOT_SENT, E.UNKNOWN_THERE, E.UNKNOWN_THERE_UNPREPARED, E.RESOLVED_NOT_SENT}


def ways_out(state: OrderState) -> dict[OrderEvent, OrderState]:
    return {event: after for (before, event), after in TRANSITIONS.items() if before is state}


def reachable(start: OrderState, without: set[OrderEvent]) -> set[OrderState]:
    """Return the states that can follow, by any number of events but those."""
    seen: set[OrderState] = set()
    todo = [start]
    while todo:
        for event, after in ways_out(todo.pop()).items():
            if event not in without and after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


@pytest.mark.parametrize("state", sorted(set(S) - TERMINAL))
def test_whatever_is_not_over_can_end(state: OrderState) -> None:
    assert ways_out(state)
    assert reachable(state, set()) & TERMINAL


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_what_is_over_stays_over(state: OrderState) -> None:
    assert ways_out(state) == {}
    assert not any(can(state, event) for event in E)


def test_every_state_is_reached_from_acceptance() -> None:
    assert reachable(S.PREPARING, set()) | {S.PREPARING} == set(S)


def test_every_event_but_the_acceptance_changes_something_somewhere() -> None:
    used = {event for _, event in TRANSITIONS}
    assert set(E) - used == {E.ACCEPTED}


def test_what_may_be_on_the_wire_comes_back_to_ready_only_when_it_is_known_not_to_be_there() -> None:
    assert [event for event, after in ways_out(S.SENDING).items() if after is S.READY] == [E.NOT_SENT]
    for start in (S.SENDING, S.IN_DOUBT):
        after = reachable(start, NOT_THERE)
        assert S.SENDING not in after
        assert not after & {S.READY, S.CLAIMED, S.PREPARING, S.DEFERRED, S.OFFERED, S.ENTRUSTED}


def test_an_order_enters_the_wire_by_one_door() -> None:
    assert [key for key, after in TRANSITIONS.items() if after is S.SENDING] == [(S.CLAIMED, E.FIRST_BYTE)]
    assert [key for key, after in TRANSITIONS.items() if after is S.CLAIMED] == [(S.READY, E.CLAIM)]


def test_only_a_verdict_or_a_person_says_sent() -> None:
    said = {event for (_, event), after in TRANSITIONS.items() if after is S.SENT}
    assert said == {E.DELIVERED, E.ALREADY_SO, E.FOUND_THERE, E.RESOLVED_SENT}
    # Before a byte left, the only verdict is that the service has it so already.
    assert [event for event, after in ways_out(S.CLAIMED).items() if after is S.SENT] == [E.ALREADY_SO]
    assert {before for (before, _), after in TRANSITIONS.items() if after is S.SENT} == {
        S.CLAIMED,
        S.SENDING,
        S.IN_DOUBT,
        S.ENTRUSTED,
    }


def test_a_stop_of_the_process_never_says_more_than_is_known() -> None:
    restarted = {before: after for (before, event), after in TRANSITIONS.items() if event is E.RESTARTED}
    assert restarted == {S.CLAIMED: S.READY, S.SENDING: S.IN_DOUBT}


def test_a_restored_store_doubts_everything_that_may_have_left() -> None:
    doubted = {before for (before, event), after in TRANSITIONS.items() if event is E.INCARNATED}
    # PREPARATION_FAILED never leaves as itself: a correction is another order.
    assert doubted == set(S) - TERMINAL - {S.IN_DOUBT, S.REJECTED, S.PREPARATION_FAILED}
    assert all(after is S.IN_DOUBT for (_, event), after in TRANSITIONS.items() if event is E.INCARNATED)


@pytest.mark.req("SC.DMP/ALI/PROG.03")
def test_a_person_can_stop_all_that_has_not_left() -> None:
    stoppable = {before for before, event in TRANSITIONS if event is E.CANCEL}
    assert stoppable | CANCEL_ASKED_ONLY | TERMINAL == set(S)
    assert not stoppable & CANCEL_ASKED_ONLY
    # Each stoppable one can be corrected too, and the other way round.
    assert {before for before, event in TRANSITIONS if event is E.SUPERSEDE} == stoppable


def test_on_the_wire_a_cancellation_is_never_taken_for_done() -> None:
    for state in (S.SENDING, S.IN_DOUBT):
        by = {event for event, after in ways_out(state).items() if after is S.CANCELLED}
        assert by == ({E.NOT_SENT_CANCELLED} if state is S.SENDING else {E.UNKNOWN_THERE_CANCELLED})


def test_states_are_sorted_into_what_they_mean() -> None:
    assert TERMINAL < SETTLED
    assert {S.REJECTED, S.UNREADABLE, S.PREPARATION_FAILED} == SETTLED - TERMINAL
    # Whatever a machine may still do alone is not settled.
    machine = {E.PREPARED, E.DUE, E.CLAIM, E.FIRST_BYTE, E.DELIVERED, E.FOUND_THERE, E.DOUBT}
    assert not {before for before, event in TRANSITIONS if event in machine} & SETTLED


def test_absent_means_illegal() -> None:
    for state in S:
        for event in E:
            assert can(state, event) == ((state, event) in TRANSITIONS) == (next_state(state, event) is not None)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[S.SENT, E.CLAIM] = S.CLAIMED  # type: ignore[index]  # that is the point


@pytest.mark.parametrize(("kind", "service"), [(OrderKind.DMP_DELETE, "dmp"), (OrderKind.MSS_SEND, "mss")])
def test_an_order_belongs_to_the_service_it_names(kind: OrderKind, service: str) -> None:
    assert kind.service == service


def test_stored_words_never_change() -> None:
    assert sorted(S) == [
        "abandoned",
        "cancelled",
        "claimed",
        "deferred",
        "entrusted",
        "in_doubt",
        "offered",
        "preparation_failed",
        "preparing",
        "ready",
        "rejected",
        "sending",
        "sent",
        "superseded",
        "unreadable",
    ]
    assert len({event.value for event in E}) == len(E)
