"""How well holds are sized, counted as they are settled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.gateway.sizing import Row
from tests.gateway.worlds import chat

amounts = st.integers(1, 2**63 - 1)


@given(amounts, amounts)
def test_a_ratio_lies_within_its_bucket(held, charged):
    row = Row()
    row.observe(held, charged)
    bucket = row.counts.index(1)
    assert held <= charged << bucket
    assert bucket == 0 or held > charged << (bucket - 1)


def test_quantiles_are_upper_edges():
    row = Row()
    assert row.quantile(0.5) is None
    for held in (1, 2, 3, 4, 1000):
        row.observe(held, 1)
    assert [row.quantile(share) for share in (0.2, 0.4, 0.5, 0.8, 0.99)] == [1.0, 2.0, 4.0, 4.0, 1024.0]
    assert (row.held, row.charged) == (1010, 5)


@pytest.mark.parametrize(
    ("bound", "asked", "default"),
    [
        ({"max_tokens": 10}, 1, 0),
        ({"max_tokens": None, "max_completion_tokens": 9}, 1, 0),
        ({"max_tokens": None}, 0, 1),
    ],
)
async def test_a_settle_is_counted_once(world, bound, asked, default):
    world.key("ann")
    _, trail = await world.serve(chat(**bound))
    world.settler.settle(trail, "completed", trail.usage, "reported")  # again: nothing
    sizing = world.settler.sizing
    assert (sum(sizing.asked.counts), sum(sizing.default.counts)) == (asked, default)
    row = sizing.asked if asked else sizing.default
    assert (row.held, row.charged) == (trail.record.hold, trail.record.charged)


async def test_what_costs_nothing_is_not_counted(world):
    world.key("ann", wallets={})
    await world.serve(chat())
    assert sum(world.settler.sizing.asked.counts) == 0
