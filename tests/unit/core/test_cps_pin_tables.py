"""The budget of tries: its tables are total where they must be, and no sequence of events wastes a person's tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cpspin import (
    LOGIN_TABLE,
    MAX_TRIES,
    PERMITS,
    LoginEvent,
    LoginState,
    PinEvent,
    PinRequest,
    PinState,
    PinUse,
    Requester,
    TryPermit,
    after,
    login_after,
    worse_of,
)
from vaguemestre_core.errors import InvalidInput


def test_every_requester_has_an_answer_in_every_state() -> None:
    assert set(PERMITS) == {(requester, state) for requester in Requester for state in PinState}


def test_a_blocked_card_is_never_tried_and_a_presented_try_is_counted_first() -> None:
    assert after(PinState.OK, PinEvent.PRESENTED) is PinState.LOW
    with pytest.raises(InvalidInput, match="PIN_TRANSITION_ILLEGAL"):
        after(PinState.BLOCKED, PinEvent.PRESENTED)
    with pytest.raises(InvalidInput, match="PIN_TRANSITION_ILLEGAL"):
        after(PinState.BLOCKED, PinEvent.ACCEPTED)


@pytest.mark.parametrize("counted", PinState)
@pytest.mark.parametrize("reported", PinState)
def test_the_more_careful_word_wins(reported: PinState, counted: PinState) -> None:
    worse = worse_of(reported, counted)
    assert worse in {reported, counted}
    assert worse is worse_of(counted, reported)
    if PinState.BLOCKED in {reported, counted}:
        assert worse is PinState.BLOCKED


@given(st.lists(st.tuples(st.sampled_from(Requester), st.booleans()), max_size=40))
def test_background_work_leaves_a_person_two_tries(attempts: list[tuple[Requester, bool]]) -> None:
    """Against a card that counts truly: whatever background work does, it never spends the last but one try."""
    state, left = PinState.OK, MAX_TRIES
    for requester, is_right in attempts:
        if PERMITS[requester, state] in {TryPermit.WITHHELD, TryPermit.BLOCKED}:
            continue
        if requester is Requester.BACKGROUND:
            assert left == MAX_TRIES
        state = after(state, PinEvent.PRESENTED)
        left = MAX_TRIES if is_right else left - 1
        if is_right:
            state = after(state, PinEvent.ACCEPTED)
        else:
            state = after(state, PinEvent.REFUSED if left else PinEvent.LOCKED)
        assert (state is PinState.BLOCKED) is (left == 0)


def test_a_refused_pin_is_presented_once() -> None:
    """From REFUSED nothing leads anywhere: a new login, asked by a person, starts from CLOSED."""
    assert not [key for key in LOGIN_TABLE if key[0] is LoginState.REFUSED]
    assert not [key for key, state in LOGIN_TABLE.items() if state is LoginState.PRESENTING and key[1] != "given"]
    state = LoginState.CLOSED
    for event in (LoginEvent.PERMITTED, LoginEvent.GIVEN, LoginEvent.WRONG):
        state = login_after(state, event)
    with pytest.raises(InvalidInput, match="PIN_TRANSITION_ILLEGAL"):
        login_after(state, LoginEvent.GIVEN)


def test_a_request_says_who_asks() -> None:
    with pytest.raises(InvalidInput, match="PIN_REQUEST_INVALID"):
        PinRequest(asker=" ", use=PinUse.OPEN_SESSION, requester=Requester.PERSON, state=PinState.OK)
