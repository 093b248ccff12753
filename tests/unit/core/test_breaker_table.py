"""The circuit breaker: every cell of its table, who may leave, and how long it waits."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.breaker import TABLE, Breaker, BreakerPolicy, BreakerState, Cause, Permit, Sight, Step, cause_of
from vaguemestre_core.orders import OrderId
from vaguemestre_core.outcomes import Evidence

POLICY = BreakerPolicy(jitter=0.0)
B, S = BreakerState, Sight
ORDERS = [OrderId(f"o-{number}") for number in range(6)]


def fail(breaker: Breaker, order: int = 0, *, at: float = 0.0, cause: Cause = Cause.SERVICE, **more: Step) -> Breaker:
    step = more.get("step", Step.ASKING)
    return breaker.failed(ORDERS[order], cause, step, boot_s=at, draw=0.0, policy=POLICY)


def opened(step: Step = Step.ASKING, cause: Cause = Cause.SERVICE) -> Breaker:
    breaker = Breaker()
    for order in range(3):
        breaker = fail(breaker, order, cause=cause, step=step)
    return breaker


def test_every_cell_is_told() -> None:
    told = {cell: TABLE.get(cell, cell[0]) for cell in product(B, S)}

    assert {cell for cell, after in told.items() if after is B.OPEN and cell[0] is not B.OPEN} == {
        (B.CLOSED, S.FAILED_ENOUGH),
        (B.HALF_OPEN, S.FAILED),
        (B.HALF_OPEN, S.FAILED_ENOUGH),
        (B.HALF_OPEN, S.TAUGHT_NOTHING),
    }
    assert [cell for cell, after in told.items() if after is B.HALF_OPEN and cell[0] is not B.HALF_OPEN] == [
        (B.OPEN, S.PROBE)
    ]
    assert all(told[state, S.ANSWERED] is B.CLOSED for state in B)
    assert all(told[state, S.ASKED] is state for state in B)


def test_three_orders_in_a_row_open_it_and_one_answer_between_them_does_not() -> None:
    two = fail(fail(Breaker()), 1)
    assert two.state is B.CLOSED
    assert fail(two, 2).state is B.OPEN
    assert fail(two.answered(Step.ASKING), 2).state is B.CLOSED


def test_the_delay_doubles_to_its_ceiling_and_an_answer_forgets_it() -> None:
    breaker, at, delays = opened(), 0.0, []
    for _ in range(8):
        delays.append(breaker.next_try_boot_s - at)
        at = breaker.next_try_boot_s
        assert breaker.permit(Step.SENDING, at - 0.001, POLICY) is Permit.NONE
        assert breaker.permit(Step.SENDING, at, POLICY) is Permit.ONE
        breaker = breaker.probing(ORDERS[3])
        assert breaker.permit(Step.SENDING, at + 999, POLICY) is Permit.NONE  # one probe at a time
        breaker = fail(breaker, 3, at=at)

    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert breaker.answered(Step.SENDING) == Breaker()


@given(tries=st.integers(1, 200), draw=st.floats(0, 1, exclude_max=True))
def test_the_delay_is_jittered_and_bounded(tries: int, draw: float) -> None:
    policy = BreakerPolicy()
    assert policy.base_s * (1 - policy.jitter) <= policy.delay_s(tries, draw) <= policy.ceiling_s


def test_one_order_that_always_fails_does_not_stop_the_others() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker = fail(breaker)

    assert breaker.state is B.OPEN
    assert breaker.permit(Step.SENDING, 1.0, POLICY) is Permit.ONE_OTHER
    assert breaker.suspects == {ORDERS[0]}


def test_a_service_that_takes_nothing_is_still_asked_and_a_question_answered_does_not_close_it() -> None:
    breaker = opened(Step.SENDING)
    assert breaker.permit(Step.ASKING, 1.0, POLICY) is Permit.ALL
    assert breaker.permit(Step.SENDING, 1.0, POLICY) is Permit.NONE
    assert breaker.answered(Step.ASKING) is breaker
    assert breaker.answered(Step.SENDING).state is B.CLOSED


def test_a_probe_that_reached_nothing_lets_another_one_leave_at_once() -> None:
    breaker = opened().probing(ORDERS[4])
    assert breaker.ended(ORDERS[0], 20.0) is breaker  # another attempt, begun before
    over = breaker.ended(ORDERS[4], 20.0)
    assert (over.state, over.permit(Step.SENDING, 20.0, POLICY)) == (B.OPEN, Permit.ONE)
    assert over.tries == breaker.tries  # it says nothing of the service: the next delay is no longer


def test_a_person_gets_a_try_at_once() -> None:
    assert opened().asked(1.0).permit(Step.SENDING, 1.0, POLICY) is Permit.ONE
    assert Breaker().asked(1.0) == Breaker()


def test_what_was_on_its_way_when_it_opened_does_not_lengthen_the_wait() -> None:
    breaker = opened()
    assert fail(breaker, 4, at=5.0).next_try_boot_s == breaker.next_try_boot_s


@pytest.mark.parametrize("cause", list(Cause))
def test_an_answer_of_the_proxy_reopens_the_way_to_it_and_says_nothing_of_the_service(cause: Cause) -> None:
    is_way = cause in {Cause.INTERNET, Cause.PROXY, Cause.CONNECTION}
    assert (opened(cause=cause).proxy_answered().state is B.CLOSED) is is_way


@pytest.mark.parametrize(
    ("evidence", "witness", "cause"),
    [
        (Evidence.UNREACHABLE, False, Cause.INTERNET),
        (Evidence.UNREACHABLE, True, Cause.PROXY),
        (Evidence.UNREACHABLE, None, Cause.CONNECTION),
        (Evidence.SERVICE_FAILED, None, Cause.SERVICE),
        (Evidence.CREDENTIAL_REFUSED, None, Cause.CREDENTIAL),
        (Evidence.ANSWERED, None, None),
        (Evidence.PROXY_ANSWERED, None, None),
        (Evidence.NONE, None, None),
    ],
)
def test_the_cause_is_told_apart_by_evidence(evidence: Evidence, witness: bool | None, cause: Cause | None) -> None:
    assert cause_of(evidence, witness=witness) is cause
