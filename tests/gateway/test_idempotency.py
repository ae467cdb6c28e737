"""An Idempotency-Key while the store is away: refused before anything is done, and answered once it is paid."""

import pytest

from joytoken.store.engine import StoreUnavailable
from tests.gateway.worlds import chat


@pytest.fixture
def away(world, monkeypatch):
    """Take a part of the store's table away."""

    def take(name):
        def gone(*_):
            raise StoreUnavailable("away")

        monkeypatch.setattr(world.store.idempotency, name, gone)

    world.key("ann")
    return take


async def test_a_key_that_cannot_be_looked_up_is_refused_and_says_when_to_come_back(world, away, monkeypatch):
    away("begin")
    caller, trail = await world.serve(chat(), idempotency_key=b"k")
    assert (caller.status, caller.error["type"], caller.error["code"]) == (503, "service_unavailable", "store_away")
    assert b"retry-after: 1\r\n" in caller.headers
    assert (caller.ends, trail.attempts, trail.hold) == (1, [], None)
    monkeypatch.undo()
    assert (await world.serve(chat(), idempotency_key=b"k"))[0].status == 200


async def test_an_answer_that_cannot_be_kept_is_sent(world, away, caplog):
    """It is paid for. Who asks again under the same key is told that it was lost, and pays for nothing more."""
    away("finish")
    caller, trail = await world.serve(chat(), idempotency_key=b"k")
    assert (caller.status, caller.ends) == (200, 1)
    assert trail.request_id in caplog.text
    assert (await world.record(trail)).charged > 0
    again, _ = await world.serve(chat(), idempotency_key=b"k")
    assert (again.status, again.error["code"]) == (409, "idempotency_answer_lost")
    assert world.providers["acme"].calls[1:] == []
