"""Who hung up: whose answer is read to its end all the same, and of how many."""

import asyncio

import pytest

from joytoken.api.door import Door, HeadLimits
from joytoken.domain.catalog import Provider
from joytoken.gateway.trail import Trail
from tests.gateway.worlds import a_call, chat


class Choice:
    def __init__(self, name, on_disconnect):
        self.provider = Provider(name, "openai", on_disconnect=on_disconnect)


async def abandoned(door, provider, bills="drain", **headers):
    """A request whose caller hangs up while its provider answers."""
    trail = Trail(a_call(chat(), b"ann", **headers), "req-1")
    trail.choice = Choice(provider, bills) if provider else None
    gate = asyncio.Event()
    task = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    door.abandon(task, trail)
    await asyncio.sleep(0)
    return task, gate


async def test_drains_are_capped_for_each_provider():
    """One that never ends its streams leaves the others their room."""
    door = Door(None, HeadLimits(), correlation_id_chars_max=128, drains_max=2, drain_ms=60_000)
    slow = [await abandoned(door, "slow") for _ in range(3)]
    assert [task.cancelled() for task, _ in slow] == [False, False, True]
    other, _ = await abandoned(door, "other")
    assert not other.cancelled()
    closed, _ = await abandoned(door, "third", bills="close")
    assert closed.cancelled()
    slow[0][1].set()
    await slow[0][0]
    await asyncio.sleep(0)
    again, _ = await abandoned(door, "slow")
    assert not again.cancelled()
    for task in (slow[1][0], other, again):
        task.cancel()
    await asyncio.wait([slow[1][0], other, again])


@pytest.mark.parametrize(
    ("headers", "provider", "ended"),
    [
        ({}, "close", True),
        ({"idempotency_key": b"k"}, "close", False),
        ({"idempotency_key": b"k", "on_disconnect": b"finish"}, "close", False),
        ({"idempotency_key": b"k", "on_disconnect": b"stop"}, "close", True),
        ({"idempotency_key": b"k", "on_disconnect": b"stop"}, "drain", False),  # billed to its end anyway
        ({"on_disconnect": b"finish"}, "close", True),  # nobody could come back for it
    ],
)
async def test_whose_answer_is_of_use(headers, provider, ended):
    door = Door(None, HeadLimits(), correlation_id_chars_max=128, drains_max=2, drain_ms=60_000)
    task, gate = await abandoned(door, "p", bills=provider, **headers)
    assert task.cancelled() == ended
    gate.set()
    await asyncio.wait([task])


async def test_a_drain_has_its_end():
    door = Door(None, HeadLimits(), correlation_id_chars_max=128, drains_max=1, drain_ms=0)
    task, _ = await abandoned(door, "slow")
    await asyncio.wait([task], timeout=30)
    assert task.cancelled()
