"""Bodies that are taken piece by piece as they arrive: the same bytes, ends and faults as those that are read."""

import asyncio

import pytest

from joytoken.providers.transport import Deadlines, UpstreamError
from tests.providers.asking import assert_clean, pool_of, request, to
from tests.providers.fault_server import FaultServer, eventually, on_each_loop, says
from tests.providers.test_transport import ANSWERS, CHUNKED, FAULTS_OF_THE_BODY


class Taker:
    """Takes pieces; wants no more after every n-th."""

    def __init__(self, stops_after=None):
        self.pieces, self.stops_after = [], stops_after

    def __call__(self, data):
        assert data
        self.pieces.append(data)
        return not self.stops_after or len(self.pieces) % self.stops_after != 0

    async def all_of(self, response):
        stops = 0
        while await response.pass_on(self):
            stops += 1
            await asyncio.sleep(0)
        assert stops == (len(self.pieces) // self.stops_after if self.stops_after else 0)
        return b"".join(self.pieces)


@pytest.mark.parametrize("stops_after", [None, 1, 3])
@pytest.mark.parametrize("name", ANSWERS)
@on_each_loop
async def test_answer(name, stops_after):
    script, status, body = ANSWERS[name]
    async with FaultServer(script) as server, pool_of() as pool:
        response = await pool.send(to(server), request(), whole=False)
        assert (response.status, await Taker(stops_after).all_of(response)) == (status, body)
        assert not await response.pass_on(Taker())
        response.close()


@pytest.mark.parametrize("stops_after", [None, 1])
@pytest.mark.parametrize("name", FAULTS_OF_THE_BODY)
@on_each_loop
async def test_fault_of_a_body(name, stops_after):
    fault, taker = FAULTS_OF_THE_BODY[name], Taker(stops_after)
    async with FaultServer(fault.script) as server, pool_of(**fault.limits) as pool:
        response = await pool.send(to(server), request(), whole=False, deadlines=fault.deadlines)
        with pytest.raises(UpstreamError) as caught:
            await taker.all_of(response)
        assert (b"".join(taker.pieces), caught.value.kind) == (b"hell", fault.kind)
        with pytest.raises(UpstreamError):  # and it stays so
            await response.pass_on(Taker())
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


class Defect(Exception):
    pass


@pytest.mark.parametrize("pieces", [1, 2], ids=["that was there", "that arrived"])
@on_each_loop
async def test_what_a_taker_raises_ends_the_answer(pieces):
    def take(_):
        nonlocal pieces
        pieces -= 1
        if not pieces:
            raise Defect
        return True

    script = says(CHUNKED + b"5\r\nhello\r\n", b"5\r\nthere\r\n", pause=0.05)
    async with FaultServer(script) as server, pool_of() as pool:
        response = await pool.send(to(server), request(), whole=False)
        with pytest.raises(Defect):
            await response.pass_on(take)
        response.close()
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


@on_each_loop
async def test_a_taker_that_is_cancelled_closes_the_connection():
    taker = Taker()
    async with FaultServer(says(CHUNKED + b"5\r\nhello\r\n")) as server, pool_of() as pool:
        response = await pool.send(to(server), request(), whole=False)
        task = asyncio.create_task(response.pass_on(taker))
        await eventually(lambda: taker.pieces)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


@on_each_loop
async def test_who_wants_no_more_holds_the_provider_back():
    """What arrives meanwhile is bounded, and nothing of it is lost."""
    piece = b"x" * 65_536
    script = says(CHUNKED, *[b"10000\r\n%b\r\n" % piece] * 400, b"0\r\n\r\n")
    async with FaultServer(script) as server, pool_of(buffer_bytes_max=65_536) as pool:
        response = await pool.send(to(server), request(), whole=False, deadlines=Deadlines(idle_ms=30_000))
        taker = Taker(stops_after=1)
        assert await response.pass_on(taker)
        sent = -1
        while sent != server.peers[0].sent:
            sent = server.peers[0].sent
            await asyncio.sleep(0.1)
        assert sent < 400 * len(piece)
        taker.stops_after = None
        assert not await response.pass_on(taker)
        assert b"".join(taker.pieces) == piece * 400
        response.close()
