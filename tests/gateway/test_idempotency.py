"""An Idempotency-Key while the store is away, and of a caller who hangs up and wants the request to end with that."""

import asyncio
import threading

import pytest

from joytoken.gateway.idempotency import ON_DISCONNECT
from joytoken.store.engine import StoreUnavailable
from tests.gateway.worlds import FakeCaller, chat


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


# -- who hangs up ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [b"", b"Stop", b"stop,finish", b"drain"])
async def test_what_is_done_then_is_stop_or_finish(world, given):
    world.key("ann")
    caller, trail = await world.serve(chat(), idempotency_key=b"k", on_disconnect=given)
    assert (caller.status, caller.error["code"], caller.error["param"]) == (400, "invalid_header", ON_DISCONNECT)
    assert ON_DISCONNECT in caller.error["message"]
    assert trail.attempts == []
    assert (await world.serve(chat(say="other"), idempotency_key=b"k"))[0].status == 200


@pytest.mark.parametrize(("word", "kept"), [(None, True), (b"finish", True), (b"stop", False)])
async def test_a_caller_who_is_gone_wants_the_answer_or_not(world, word, kept):
    """It came while they hung up: kept for who comes back, else ended and forgotten. It is paid for either way."""
    world.key("ann")
    gone = FakeCaller()
    gone.gone = True
    _, trail = await world.serve(chat(), caller=gone, idempotency_key=b"k", on_disconnect=word)
    record = await world.record(trail)
    assert (record.ending, record.charged > 0) == ("completed" if kept else "client_gone", True)
    again, _ = await world.serve(chat(), idempotency_key=b"k")
    assert (again.status, b"idempotent-replayed" in again.headers) == (200, kept)
    assert len(world.providers["acme"].calls) == (1 if kept else 2)


async def test_an_answer_that_came_to_its_end_is_kept_whatever_was_said(world):
    world.key("ann")
    for replayed in (False, True):
        caller, _ = await world.serve(chat(stream=False), idempotency_key=b"k", on_disconnect=b"stop")
        assert (caller.status, b"idempotent-replayed" in caller.headers) == (200, replayed)


async def test_a_caller_who_leaves_while_the_key_is_claimed_leaves_no_claim(world, monkeypatch):
    world.key("ann")
    claimed, looked = threading.Event(), threading.Event()
    begin = world.store.idempotency.begin

    def slow(*args):
        found = begin(*args)
        claimed.set()
        assert looked.wait(30)
        return found

    monkeypatch.setattr(world.store.idempotency, "begin", slow)
    asking = asyncio.create_task(world.serve(chat(), idempotency_key=b"k", on_disconnect=b"stop"))
    await asyncio.to_thread(claimed.wait, 30)
    asking.cancel()
    looked.set()
    await asyncio.wait([asking])
    assert asking.cancelled()
    monkeypatch.undo()
    assert world.providers["acme"].calls == []
    assert (await world.serve(chat(say="other"), idempotency_key=b"k"))[0].status == 200


async def test_a_stopped_request_whose_key_could_not_be_freed_is_not_a_lost_answer(world, away, monkeypatch):
    away("drop")
    gone = FakeCaller()
    gone.gone = True
    _, trail = await world.serve(chat(), caller=gone, idempotency_key=b"k", on_disconnect=b"stop")
    assert (await world.record(trail)).charged > 0
    monkeypatch.undo()
    assert (await world.serve(chat(), idempotency_key=b"k"))[0].status == 200
