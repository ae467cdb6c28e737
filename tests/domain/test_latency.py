"""Quantiles from counts by slots: as right as they say."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.latency import EDGES_MS, ERROR_MAX, HIGHEST_MS, LOWEST_MS, quantile, slot_of, value_of

times = st.floats(LOWEST_MS, HIGHEST_MS) | st.floats(0, 17).map(lambda power: min(LOWEST_MS * 2.7**power, HIGHEST_MS))


def counted(found):
    return Counter(slot_of(one) for one in found)


@given(found=st.lists(times, min_size=1, max_size=200), share=st.sampled_from((0.5, 0.95, 0.99, 0.001, 1.0)))
def test_a_quantile_is_within_its_error_of_the_exact_one(found, share):
    exact = sorted(found)[max(-(-len(found) * round(share * 1000) // 1000), 1) - 1]
    got = quantile(counted(found), share)
    assert abs(got - exact) <= ERROR_MAX * exact


@given(parts=st.lists(st.lists(times, max_size=20), max_size=5))
def test_counts_are_added_up(parts):
    together = sum((counted(part) for part in parts), Counter())
    assert together == counted([one for part in parts for one in part])


@pytest.mark.parametrize(("milliseconds", "told"), [(0, LOWEST_MS), (1e-9, LOWEST_MS), (1e12, HIGHEST_MS)])
def test_what_is_beyond_is_its_edge(milliseconds, told):
    assert quantile({slot_of(milliseconds): 3}, 0.5) == told


def test_each_edge_begins_its_slot():
    assert [slot_of(edge) for edge in EDGES_MS] == list(range(1, len(EDGES_MS) + 1))
    assert all(slot_of(value_of(slot)) == slot for slot in range(1, len(EDGES_MS)))


def test_of_nothing_there_is_none():
    assert quantile({}, 0.5) is None
