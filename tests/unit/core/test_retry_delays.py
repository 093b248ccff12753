"""The delay before the next attempt: never shorter than asked, never longer than the ceiling, never an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.orders import WaitReason
from vaguemestre_core.retry import RetryPolicy

DRAWS = st.floats(0, 1, exclude_max=True)
POLICIES = st.builds(
    RetryPolicy,
    base_s=st.floats(0.1, 60),
    factor=st.floats(1, 4),
    ceiling_s=st.floats(60, 7200),
    jitter=st.floats(0, 1),
)


@given(POLICIES, st.integers(-3, 10**9), DRAWS, st.sampled_from([None, *WaitReason]))
def test_a_delay_stays_within_its_bounds(
    policy: RetryPolicy, attempts: int, draw: float, waiting: WaitReason | None
) -> None:
    delay = policy.delay_s(attempts, draw, waiting=waiting)
    highest = policy.no_dmp_s if waiting is WaitReason.NO_DMP else policy.ceiling_s
    lowest = highest if waiting is WaitReason.NO_DMP else min(policy.base_s, policy.ceiling_s)
    assert lowest * (1 - policy.jitter) - 1e-6 <= delay <= highest + 1e-6


@given(POLICIES, st.integers(1, 40), DRAWS)
def test_more_failures_never_mean_less_patience(policy: RetryPolicy, attempts: int, draw: float) -> None:
    assert policy.delay_s(attempts, draw) <= policy.delay_s(attempts + 1, draw) + 1e-9


@given(POLICIES, st.integers(1, 40), DRAWS, st.floats(0, 1e6))
def test_what_the_service_asks_is_never_shortened(
    policy: RetryPolicy, attempts: int, draw: float, asked_s: float
) -> None:
    alone = policy.delay_s(attempts, draw)
    assert policy.delay_s(attempts, draw, asked_s=asked_s) == max(alone, asked_s)


@given(st.integers(1, 40), DRAWS, DRAWS)
def test_two_stations_do_not_knock_together(attempts: int, one: float, other: float) -> None:
    policy = RetryPolicy()
    if abs(one - other) > 0.01:
        assert policy.delay_s(attempts, one) != policy.delay_s(attempts, other)


@pytest.mark.parametrize(("attempts", "delay_s"), [(1, 10), (2, 20), (3, 40), (7, 640), (8, 900), (5000, 900)])
def test_it_doubles_to_a_quarter_of_an_hour(attempts: int, delay_s: float) -> None:
    assert RetryPolicy(jitter=0).delay_s(attempts, 0.5) == delay_s
