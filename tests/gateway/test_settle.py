"""A reported usage is held to what the gateway saw."""

import pytest

from joytoken.domain.usage import Usage
from joytoken.gateway.settle import INPUT_SLACK_TOKENS
from tests.gateway.worlds import a_model, chat


@pytest.fixture
async def trail(world):
    world.key("ann")
    world.serves(a_model("plain", "acme", context_tokens=6_000))
    _, made = await world.serve(chat())
    made.notes = ()
    return made


@pytest.mark.parametrize(
    ("reported", "output_bytes", "bounded"),
    [
        (Usage(7, 3), 0, Usage(7, 3)),
        (Usage(7, 10), 0, Usage(7, 10)),  # what was asked for
        (Usage(7, 11), 0, Usage(7, 10)),  # more than was asked for, and nothing was seen of it
        (Usage(7, 11), 50, Usage(7, 11)),  # more than was asked for, and it may have come
        (Usage(-7, -3), 0, Usage(0, 0)),
        (Usage(7, 3, 99), 0, Usage(7, 3, 7)),
    ],
)
async def test_bounds(world, trail, reported, output_bytes, bounded):
    assert world.settler.bound(trail, reported, output_bytes) == bounded
    assert bool(trail.notes) == (reported != bounded)


async def test_input_is_bounded_by_the_bytes_and_the_context(world, trail):
    size = len(trail.call.body)
    assert world.settler.bound(trail, Usage(10**12, 0), 0).input_tokens in (size + INPUT_SLACK_TOKENS, 6_000)
    assert world.settler.bound(trail, Usage(5_999, 0), 0).input_tokens <= size + INPUT_SLACK_TOKENS


async def test_a_second_settle_changes_nothing(world, trail):
    first = (await world.record(trail)).charged
    world.settler.settle(trail, "completed", Usage(10**6, 10**6), "reported")
    assert (await world.record(trail)).charged == first
    assert world.balance("ann") == 10**9 - first
