from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.catalog import Deployment, Provider
from joytoken.domain.route import Choice
from joytoken.routing.turns import TURNS_MAX, led_by, turns
from tests.routing.catalogs import model


def weighted(*weights):
    served = model("a/a")
    return [
        Choice(Deployment(str(i), "a/a", "p", "u", w), Provider("p", "openai"), served) for i, w in enumerate(weights)
    ]


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        ((1,), [0]),
        ((7,), [0]),
        ((1, 1), [0, 1]),
        ((2, 2), [0, 1]),
        ((2, 1), [0, 1, 0]),
        ((5, 1, 1), [0, 0, 1, 0, 2, 0, 0]),
        ((1, 0), [0]),
        ((0, 3), [1]),
        ((0, 0), [0]),
        ((-1, 2), [1]),
    ],
)
def test_each_comes_first_as_often_as_its_weight(weights, order):
    assert turns(weighted(*weights)) == order


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_a_cycle_is_short_and_leaves_no_weight_out(weights):
    order = turns(weighted(*weights))
    assert 1 <= len(order) <= TURNS_MAX + len(weights)
    if any(weights):
        assert set(order) == {i for i, weight in enumerate(weights) if weight}
        counts = Counter(order)
        heaviest = max(range(len(weights)), key=weights.__getitem__)
        assert counts[heaviest] == max(counts.values())


def test_the_others_keep_their_order():
    assert [c.deployment.deployment_id for c in led_by(weighted(1, 1, 1, 1), 2)] == ["2", "0", "1", "3"]
