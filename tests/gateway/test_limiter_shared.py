"""Limits that hold over many workers: each has a mapping of its own of the same rows."""

import contextlib
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.apikey import Policy
from joytoken.domain.errors import RateLimited
from joytoken.gateway.limiter import Limiter
from joytoken.gateway.limiter_shared import SharedLimits

SLOTS, KEYS_MAX = 3, 4


@pytest.fixture
def memory():
    descriptor = os.memfd_create("limits")
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def workers(memory):
    made = [SharedLimits(memory, SLOTS, KEYS_MAX, slot) for slot in range(SLOTS)]
    yield made
    for each in made:
        each.memory.close()


def limiters(workers, key="key-a", **policy):
    made = [worker.limiter(key) for worker in workers]
    for each in made:
        each.configure(Policy(**policy))
    return made


def served(limiter, now, estimate=0):
    try:
        limiter.enter(now, estimate)
    except RateLimited as refused:
        return refused.code
    return ""


def test_requests_a_minute_are_counted_together(workers):
    made = limiters(workers, requests_per_minute=6)
    answers = [served(made[n % SLOTS], 100.0) for n in range(9)]
    assert answers == [""] * 6 + ["requests_per_minute"] * 3
    assert [served(made[n % SLOTS], 110.0) for n in range(3)] == ["", "requests_per_minute", "requests_per_minute"]


def test_a_worker_that_comes_later_does_not_fill_the_bucket_again(workers):
    one, other = workers[:2]
    (first,) = limiters([one], requests_per_minute=2)
    assert [served(first, 100.0) for _ in range(3)] == ["", "", "requests_per_minute"]
    (second,) = limiters([other], requests_per_minute=2)
    assert served(second, 100.0) == "requests_per_minute"
    second.configure(Policy(requests_per_minute=4))  # a new limit begins full, for all
    assert [served(first, 100.0) for _ in range(5)] == [""] * 4 + ["requests_per_minute"]


def test_tokens_are_reserved_and_corrected_together(workers):
    one, other, _ = limiters(workers, tokens_per_minute=100)
    reserved = one.enter(100.0, 80)
    assert served(other, 100.0, 80) == "tokens_per_minute"
    one.leave(reserved, 10)
    assert served(other, 100.0, 80) == ""


def test_what_a_dead_worker_had_under_way_is_forgotten(workers, memory):
    one, other, _ = limiters(workers, concurrency=2)
    one.enter(100.0, 0)
    other.enter(100.0, 0)
    assert served(other, 100.0) == "concurrency_limit"
    with SharedLimits(memory, SLOTS, KEYS_MAX) as supervisor:
        supervisor.forget(0)
    assert served(other, 100.0) == ""
    assert served(other, 100.0) == "concurrency_limit"
    other.leave(0, 0)
    assert served(other, 100.0) == ""


def test_who_takes_a_slot_over_goes_on_with_what_was_given_back(workers, memory):
    one, other, _ = limiters(workers, tokens_per_minute=100)
    one.leave(one.enter(100.0, 80), 10)
    with SharedLimits(memory, SLOTS, KEYS_MAX) as supervisor:
        supervisor.forget(0)
    with SharedLimits(memory, SLOTS, KEYS_MAX, 0) as successor:
        (next_one,) = limiters([successor], tokens_per_minute=100)
        next_one.leave(next_one.enter(100.0, 50), 20)  # 100 less 10 less 20
        assert served(other, 100.0, 71) == "tokens_per_minute"
        assert served(other, 100.0, 70) == ""


STEPS = st.lists(
    st.tuples(
        st.integers(0, SLOTS - 1),
        st.booleans(),  # in or out
        st.integers(0, 90),  # tokens
        st.sampled_from((0.0, 0.0, 0.5, 7.0)),  # seconds later
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_all_workers_together_are_one_limiter(steps):
    policy = Policy(requests_per_minute=12, tokens_per_minute=240, concurrency=5)  # 4 a second: exact in floats
    descriptor = os.memfd_create("limits")
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        made = [
            stack.enter_context(SharedLimits(descriptor, SLOTS, KEYS_MAX, slot)).limiter("key-a")
            for slot in range(SLOTS)
        ]
        alone = Limiter()
        for each in (*made, alone):
            each.configure(policy)
        now, under_way = 100.0, []
        for slot, coming, tokens, later in steps:
            now += later
            if coming:
                said = served(made[slot], now, tokens)
                assert said == served(alone, now, tokens)
                if not said:
                    under_way.append((slot, min(tokens, 240)))
            elif under_way:
                at, reserved = under_way.pop(0)
                made[at].leave(reserved, tokens)
                alone.leave(reserved, tokens)


def test_a_limit_that_comes_and_goes_counts_what_is_under_way(workers):
    one, other, _ = limiters(workers)
    one.enter(100.0, 0)
    for each in (one, other):
        each.configure(Policy(concurrency=1))
    assert served(other, 100.0) == "concurrency_limit"
    one.leave(0, 0)
    assert served(other, 100.0) == ""


def test_keys_beyond_the_room_are_limited_per_worker(workers, caplog):
    for number in range(KEYS_MAX):
        limiters(workers, key=f"key-{number}", requests_per_minute=1)
    one, other, _ = limiters(workers, key="one-more", requests_per_minute=1)
    assert (served(one, 100.0), served(other, 100.0), served(one, 100.0)) == ("", "", "requests_per_minute")
    assert "server.limited_keys_max" in caplog.text
    first, second, _ = limiters(workers, key="key-0", requests_per_minute=1)
    assert (served(first, 100.0), served(second, 100.0)) == ("", "requests_per_minute")


PROGRAM = """
import sys
from joytoken.domain.apikey import Policy
from joytoken.domain.errors import RateLimited
from joytoken.gateway.limiter import Limiter
from joytoken.gateway.limiter_shared import SharedLimits
limiter = SharedLimits(int(sys.argv[1]), 3, 4, int(sys.argv[2])).limiter("key-a")
limiter.configure(Policy(requests_per_minute=1000))
done = 0
try:
    while True:
        limiter.enter(100.0, 0)
        done += 1
except RateLimited:
    print(done)
"""


def test_processes_at_once_never_pass_a_limit(memory):
    SharedLimits(memory, SLOTS, KEYS_MAX).memory.close()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(memory), str(n)], pass_fds=[memory], stdout=subprocess.PIPE
        )
        for n in range(2)
    ]
    assert sum(int(child.communicate(timeout=60)[0]) for child in children) == 1_000
