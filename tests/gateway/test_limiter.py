"""Rates and concurrency of a key, by a clock that the test holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.apikey import Policy
from joytoken.domain.errors import RateLimited
from joytoken.gateway.limiter import Limiter


def limiter(**limits):
    made = Limiter()
    made.configure(Policy(**limits))
    return made


def refused(made, now, estimate=0):
    with pytest.raises(RateLimited) as refusal:
        made.enter(now, estimate)
    return refusal.value.code, refusal.value.retry_after_s


def test_without_limits_nothing_is_refused():
    made = limiter()
    assert [made.enter(0.0, 10**9) for _ in range(1000)] == [0] * 1000
    assert made.under_way == 1000


def test_requests_a_minute_fill_evenly():
    made = limiter(requests_per_minute=60)
    for _ in range(60):
        made.enter(100.0, 0)
    assert refused(made, 100.0) == ("requests_per_minute", 1)
    made.enter(101.0, 0)
    assert refused(made, 101.5) == ("requests_per_minute", 1)
    for _ in range(60):
        made.enter(1_000.0, 0)
    assert refused(made, 1_000.0)[0] == "requests_per_minute"


def test_who_has_to_wait_long_is_told_so():
    made = limiter(requests_per_minute=1)
    made.enter(50.0, 0)
    assert refused(made, 50.0) == ("requests_per_minute", 60)
    assert refused(made, 80.0) == ("requests_per_minute", 30)


def test_tokens_are_reserved_and_then_corrected():
    made = limiter(tokens_per_minute=1_000)
    reserved = made.enter(10.0, 600)
    assert reserved == 600
    assert refused(made, 10.0, 600) == ("tokens_per_minute", 12)
    made.leave(reserved, 100)
    made.leave(made.enter(10.0, 600), 600)
    assert refused(made, 10.0, 400)[0] == "tokens_per_minute"


def test_more_than_was_reserved_is_a_debt():
    made = limiter(tokens_per_minute=600)
    made.leave(made.enter(10.0, 100), 1_200)
    assert refused(made, 10.0, 1)[0] == "tokens_per_minute"
    assert refused(made, 69.0, 1)[0] == "tokens_per_minute"
    made.enter(71.0, 1)


def test_one_request_may_be_larger_than_a_minutes_worth():
    made = limiter(tokens_per_minute=100)
    assert made.enter(10.0, 10**9) == 100
    assert refused(made, 10.0, 1)[0] == "tokens_per_minute"


def test_a_refusal_by_tokens_costs_no_request():
    made = limiter(requests_per_minute=2, tokens_per_minute=100)
    made.enter(10.0, 100)
    for _ in range(5):
        assert refused(made, 10.0, 50)[0] == "tokens_per_minute"
    assert made.enter(10.0, 0) == 0
    assert made.under_way == 2


def test_concurrency_counts_those_under_way():
    made = limiter(concurrency=2)
    first, _ = made.enter(1.0, 0), made.enter(1.0, 0)
    assert refused(made, 1.0) == ("concurrency_limit", 1)
    made.leave(first, 0)
    made.enter(1.0, 0)
    assert refused(made, 100.0)[0] == "concurrency_limit"


def test_a_request_whose_body_was_slow_takes_nothing_from_the_others():
    """It is counted by when it began, which is before what the bucket has been filled for."""
    made = limiter(requests_per_minute=60, tokens_per_minute=6_000)
    made.enter(1_000.0, 0)
    made.enter(940.0, 6_000)
    for _ in range(58):
        made.enter(1_000.0, 0)
    assert refused(made, 1_000.0)[0] == "requests_per_minute"
    made.enter(1_001.0, 100)
    assert refused(made, 1_001.0)[0] == "requests_per_minute"


def test_a_new_limit_starts_full_and_the_same_one_keeps_its_count():
    made = limiter(requests_per_minute=1)
    made.enter(10.0, 0)
    made.configure(Policy(requests_per_minute=1, concurrency=5))
    assert refused(made, 10.0)[0] == "requests_per_minute"
    made.configure(Policy(requests_per_minute=2))
    made.enter(10.0, 0)
    made.configure(Policy())
    made.enter(10.0, 0)


steps = st.lists(st.tuples(st.floats(-5, 30), st.integers(0, 300), st.integers(0, 300), st.booleans()), max_size=60)


@given(steps, st.integers(1, 50), st.integers(1, 2_000), st.integers(1, 10))
def test_no_minute_sees_more_than_two_minutes_worth_and_nothing_is_lost(steps, rpm, tpm, concurrency):
    """A bucket of one minute's worth that fills evenly: at most its content and what flows in meanwhile."""
    made = limiter(requests_per_minute=rpm, tokens_per_minute=tpm, concurrency=concurrency)
    now, latest, admitted, reserved_sum, under_way = 1_000.0, 1_000.0, 0, 0, []
    for passed, estimate, used, ends in steps:
        now += passed
        latest = max(latest, now)
        if ends and under_way:
            made.leave(under_way.pop(), used)
            reserved_sum = float("inf")  # corrected: only the admissions are looked at from here on
        try:
            reserved = made.enter(now, estimate)
        except RateLimited:
            continue
        under_way.append(reserved)
        admitted += 1
        reserved_sum += reserved
        assert admitted <= rpm + (latest - 1_000.0) * rpm / 60 + 1e-6
        if reserved_sum != float("inf"):
            assert reserved_sum <= tpm + (latest - 1_000.0) * tpm / 60 + 1e-6
        assert made.under_way == len(under_way) <= concurrency
