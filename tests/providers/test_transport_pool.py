"""How connections are used again, shared, limited and let go, on both event loops."""

import asyncio
import contextlib
import socket

import pytest

from joytoken.providers.transport import Deadlines, Origin, UpstreamError
from tests.providers.asking import MIB, SHORT, ask, assert_clean, pool_of, read_all, request, to
from tests.providers.fault_server import FaultServer, answers, chunked, eventually, hangs, ok, on_each_loop, says

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# ── reuse ──


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "stream"])
@on_each_loop
async def test_a_connection_is_used_again(whole):
    async with FaultServer(answers(ok(b"one"), chunked(b"t", b"wo"))) as server, pool_of() as pool:
        assert [(await ask(pool, to(server), whole=whole))[1] for _ in range(4)] == [b"one", b"two"] * 2
        assert len(server.peers) == 1
        assert_clean(pool, idle=1)
        response = await pool.send(to(server), request(), whole=True)
        assert response.reused


NOT_USED_AGAIN = {
    "Connection: close": ok(b"hello", b"Connection: close"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "garbage behind it": ok(b"hello") + b"garbage",
    "the start of another answer behind it": ok(b"hello") + b"HTT",
    "another answer behind it": ok(b"hello") + ok(b"smuggled"),
    "another answer behind the last chunk": chunked(b"hello") + ok(b"smuggled"),
}


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "stream"])
@pytest.mark.parametrize("name", NOT_USED_AGAIN)
@on_each_loop
async def test_a_connection_is_not_used_again_after(name, whole):
    async with FaultServer(says(NOT_USED_AGAIN[name])) as server, pool_of() as pool:
        for _ in range(2):
            assert await ask(pool, to(server), whole=whole) == (200, b"hello")
        assert len(server.peers) == 2
        assert_clean(pool)
        await eventually(lambda: server.ended == 2)


@on_each_loop
async def test_bytes_on_an_idle_connection_close_it():
    async with FaultServer(says(ok(), b"HTTP/1.1 408 Too slow\r\n\r\n", pause=0.1)) as server, pool_of() as pool:
        await ask(pool, to(server))
        await eventually(lambda: server.ended == 1)
        assert_clean(pool)


@on_each_loop
async def test_an_answer_before_the_request_was_read_ends_the_connection():
    async def early(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()
        await peer.send(ok(b"too large", b"X-Early: 1"))
        await asyncio.sleep(0.2)
        peer.writer.transport.resume_reading()
        await peer.gone()

    async with FaultServer(early) as server, pool_of() as pool:
        response = await pool.send(to(server), request(b"x" * 32 * MIB), whole=True)
        assert response.body == b"too large"
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


async def goes_after_one(peer):
    await peer.request()
    await peer.send(ok(b"first"))
    await peer.request()  # the connection dies as the second request arrives
    peer.reset()


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "stream"])
@on_each_loop
async def test_a_stale_connection_is_replaced_once(whole):
    async with FaultServer(goes_after_one, answers(ok(b"second"))) as server, pool_of() as pool:
        assert (await ask(pool, to(server), whole=whole))[1] == b"first"
        assert (await ask(pool, to(server), whole=whole))[1] == b"second"
        assert len(server.peers) == 2
        assert_clean(pool, idle=1)


@on_each_loop
async def test_a_stale_connection_is_replaced_only_once_and_by_a_new_one():
    async with FaultServer(goes_after_one, goes_after_one, says(then="reset")) as server, pool_of() as pool:
        await asyncio.gather(*[ask(pool, to(server)) for _ in range(2)])
        assert_clean(pool, idle=2)
        with pytest.raises(UpstreamError) as caught:
            await ask(pool, to(server))
        assert (caught.value.kind, len(server.requests)) == ("reset", 4)  # two, the lost one, and the one attempt more
        assert len(server.peers) == 3
        assert_clean(pool, idle=1)


@on_each_loop
async def test_a_stale_connection_is_replaced_in_a_full_pool():
    async with (
        FaultServer(goes_after_one, goes_after_one, answers(ok(b"new"))) as server,
        pool_of(connections_max=2) as pool,
    ):
        await asyncio.gather(*[ask(pool, to(server)) for _ in range(2)])
        assert (await ask(pool, to(server)))[1] == b"new"


@on_each_loop
async def test_a_request_the_provider_may_have_worked_on_is_not_sent_twice():
    async def dies_at_work(peer):
        await peer.request()
        await peer.send(ok(b"first"))
        await peer.request()
        await asyncio.sleep(0.3)
        peer.reset()

    async with FaultServer(dies_at_work, answers(ok())) as server, pool_of(stale_ms=100) as pool:
        await ask(pool, to(server))
        with pytest.raises(UpstreamError) as caught:
            await ask(pool, to(server))
        assert caught.value.kind == "reset"
        assert (len(server.requests), len(server.peers)) == (2, 1)


@on_each_loop
async def test_nothing_is_sent_twice_after_the_first_byte():
    async def dies_in_the_second_head(peer):
        await peer.request()
        await peer.send(ok(b"first"))
        await peer.request()
        await peer.send(b"HTTP/1.1 2")
        await asyncio.sleep(0.05)
        peer.reset()

    async with FaultServer(dies_in_the_second_head, answers(ok())) as server, pool_of() as pool:
        await ask(pool, to(server))
        with pytest.raises(UpstreamError) as caught:
            await ask(pool, to(server))
        assert caught.value.kind == "reset"
        assert (len(server.requests), len(server.peers)) == (2, 1)


@on_each_loop
async def test_a_connection_closed_as_soon_as_it_is_open_does_not_hang():
    async def slams(peer):
        peer.reset()

    async with FaultServer(slams) as server, pool_of() as pool:
        for _ in range(20):
            with pytest.raises(UpstreamError) as caught:
                await ask(pool, to(server))
            assert caught.value.kind == "reset"
        connection = await pool._sites[to(server)].acquire(Deadlines())
        connection.drop()
        response, waiter = connection.start(request(), whole=True, deadlines=Deadlines())
        await waiter
        assert (response.error.kind, response.error.sent, response.error.retryable) == ("reset", False, True)
        assert_clean(pool)


@on_each_loop
async def test_the_sweep_spares_what_was_just_given():
    async with FaultServer(answers(ok())) as server, pool_of(connections_max=1) as pool:
        await ask(pool, to(server))
        site = pool._sites[to(server)]
        site.connections.copy().pop().idle_since = 0.0  # as if it had been in use for long
        connection = site.idle.pop()
        waiting = asyncio.create_task(site.acquire(Deadlines()))
        await asyncio.sleep(0)
        site.release(connection)
        connection.judge(asyncio.get_running_loop().time())
        assert (await waiting, connection.closed) == (connection, False)
        site.release(connection)


@on_each_loop
async def test_an_unused_connection_is_closed_in_time():
    async with FaultServer(answers(ok())) as server, pool_of(keepalive_ms=SHORT) as pool:
        await ask(pool, to(server))
        assert_clean(pool, idle=1)
        await eventually(lambda: server.ended == 1)
        assert_clean(pool)


# ── back-pressure, closing, cancelling ──


@on_each_loop
async def test_a_slow_reader_slows_the_provider():
    total = 50 * MIB

    async def pours(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // 65_536):
            await peer.send(b"x" * 65_536)
        await peer.hang()

    async with FaultServer(pours) as server, pool_of(buffer_bytes_max=MIB) as pool:
        response = await pool.send(to(server), request(), whole=False, deadlines=Deadlines(idle_ms=SHORT))
        before = -1
        while before != server.peers[0].sent:  # until the provider is stuck; also far longer than `idle_ms`
            before = server.peers[0].sent
            await asyncio.sleep(0.5)
        assert before < total // 2  # the rest of what it sent lies in the kernel's buffers
        piece = await response.read()
        assert MIB <= len(piece) <= 2 * MIB
        assert len(piece) + len(await read_all(response)) == total
        assert_clean(pool, idle=1)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200", CHUNKED + b"5\r\nhell"], ids=["nothing", "half a head", "a piece"]
)
@on_each_loop
async def test_a_cancelled_request_closes_the_connection(sent, whole):
    async with FaultServer(says(sent)) as server, pool_of() as pool:
        task = asyncio.create_task(ask(pool, to(server), whole=whole))
        await eventually(lambda: server.peers and server.peers[0].sent == len(sent) and server.requests)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


@on_each_loop
async def test_a_cancelled_connecting_leaves_nothing():
    async with FaultServer(hangs) as server, pool_of() as pool:
        task = asyncio.create_task(pool.send(Origin("https", "127.0.0.1", server.port), request(), whole=True))
        await eventually(lambda: server.peers)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


@on_each_loop
async def test_an_answer_can_be_closed_at_any_time():
    async with FaultServer(says(CHUNKED + b"5\r\nhello\r\n")) as server, pool_of() as pool:
        response = await pool.send(to(server), request(), whole=False)
        assert await response.read() == b"hello"
        waiting = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        response.close()
        response.close()
        with pytest.raises(UpstreamError):
            await waiting
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


@on_each_loop
async def test_closing_a_complete_answer_keeps_the_connection():
    async with FaultServer(answers(chunked(b"hello"))) as server, pool_of() as pool:
        response = await pool.send(to(server), request(), whole=False)
        await eventually(lambda: pool.stats()[f"http://127.0.0.1:{server.port}"]["idle"])
        response.close()
        assert_clean(pool, idle=1)
        assert await response.read() == b""


# ── limits ──


@on_each_loop
async def test_requests_beyond_the_limit_wait_in_line():
    order = []

    async def one(number):
        await pool.send(to(server), request(b"%d" % number), whole=True)
        order.append(number)

    async with FaultServer(answers(ok())) as server, pool_of(connections_max=1) as pool:
        await asyncio.gather(*[one(number) for number in range(20)])
        assert order == list(range(20))
        assert [int(data.rpartition(b"\n")[2]) for data in server.requests] == order
        assert len(server.peers) == 1
        assert_clean(pool, idle=1)


@on_each_loop
async def test_a_failed_connecting_makes_room_for_the_next():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        origin = Origin("http", "127.0.0.1", unused.getsockname()[1])
        async with pool_of(connections_max=1) as pool:
            results = await asyncio.gather(*[ask(pool, origin) for _ in range(3)], return_exceptions=True)
            assert [error.kind for error in results] == ["connect_failed"] * 3
            assert_clean(pool)


@on_each_loop
async def test_the_wait_for_a_connection_is_bounded():
    async with FaultServer(hangs) as server, pool_of(connections_max=1, waiters_max=1) as pool:
        first = asyncio.create_task(ask(pool, to(server)))
        await eventually(lambda: server.peers)
        second = asyncio.create_task(ask(pool, to(server), deadlines=Deadlines(connect_ms=SHORT)))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamError, match="too many requests wait") as caught:
            await ask(pool, to(server))
        assert (caught.value.kind, caught.value.sent, caught.value.retryable) == ("pool_full", False, True)
        with pytest.raises(UpstreamError, match="became free") as caught:
            await second
        assert (caught.value.kind, caught.value.sent) == ("pool_full", False)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert_clean(pool)


@pytest.mark.parametrize(
    "script", [answers(ok(b"")), says(ok(b"", b"Connection: close"), then="close")], ids=["kept", "closed"]
)
@on_each_loop
async def test_who_leaves_the_line_takes_nothing_along(script):
    async with FaultServer(script) as server, pool_of(connections_max=1) as pool:
        tasks = [asyncio.create_task(ask(pool, to(server))) for _ in range(12)]
        await asyncio.sleep(0.01)
        for task in tasks[1::3]:
            task.cancel()
        tasks[0].add_done_callback(lambda _: tasks[2].cancel())  # in the very moment when its turn comes
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[3] == (200, b"")
        assert all(isinstance(result, tuple | asyncio.CancelledError) for result in results)
        assert sum(isinstance(result, tuple) for result in results) >= 7
        assert pool.stats()[f"http://127.0.0.1:{server.port}"]["in_use"] == 0


@on_each_loop
async def test_a_thousand_requests_leave_nothing_behind():
    turns = asyncio.Semaphore(64)
    replies = (ok(b"a" * 700), chunked(b"b" * 300, b"b" * 400), ok(b"c" * 700, b"Connection: close"))

    async def mixed(peer):
        while True:
            number = int((await peer.request()).rpartition(b"\n")[2])
            await peer.send(replies[number % 3])
            if number % 3 == 2:
                return

    async def one(number):
        async with turns:
            response = await pool.send(to(server), request(b"%d" % number), whole=number % 2 == 0)
            body = response.body or await read_all(response)
            response.close()
            assert body == b"abc"[number % 3 : number % 3 + 1] * 700

    async with FaultServer(mixed) as server, pool_of(connections_max=32) as pool:
        await asyncio.gather(*[one(number) for number in range(1_000)])
        assert sorted(int(data.rpartition(b"\n")[2]) for data in server.requests) == list(range(1_000))
        idle = pool.stats()[f"http://127.0.0.1:{server.port}"]["idle"]
        assert idle <= 32
        assert_clean(pool, idle=idle)


@on_each_loop
async def test_a_closed_pool_ends_what_runs_and_takes_nothing_more():
    async with FaultServer(hangs) as server, pool_of(connections_max=1) as pool:
        tasks = [asyncio.create_task(ask(pool, to(server))) for _ in range(3)]
        await eventually(lambda: server.peers)
        await asyncio.sleep(0.05)
        await pool.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [error.kind for error in results] == ["reset", "connect_failed", "connect_failed"]
        with pytest.raises(UpstreamError, match="closing"):
            await ask(pool, to(server))
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


@on_each_loop
async def test_a_stalled_loop_is_not_taken_for_a_slow_provider():
    async with FaultServer(hangs) as server, pool_of() as pool:
        task = asyncio.create_task(ask(pool, to(server), deadlines=Deadlines(first_byte_ms=60_000)))
        await eventually(lambda: server.peers)
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        (connection,) = pool._sites[to(server)].connections
        pool._timer.cancel()
        connection.sent_at -= 100
        pool._swept_at = loop.time() - 1  # this sweep comes late: what was sent meanwhile may still be unread
        pool._sweep(loop)
        assert not connection.closed
        pool._timer.cancel()
        pool._sweep(loop)
        assert connection.closed
        with pytest.raises(UpstreamError, match="sent nothing"):
            await task


async def in_line(site, count):
    tasks = [asyncio.create_task(site.acquire(Deadlines())) for _ in range(count)]
    await eventually(lambda: len(site.waiters) == count)
    return tasks


@on_each_loop
async def test_a_connection_given_to_who_is_cancelled_goes_to_the_next():
    async with FaultServer(answers(ok())) as server, pool_of(connections_max=1) as pool:
        await ask(pool, to(server))
        site = pool._sites[to(server)]
        connection = site.idle.pop()
        first, second = await in_line(site, 2)
        site.release(connection)
        first.cancel()  # in the very moment when its turn has come
        assert await second is connection
        assert first.cancelled()
        (third,) = await in_line(site, 1)
        site.release(connection)
        third.cancel()
        await asyncio.wait([third])
        assert_clean(pool, idle=1)


@on_each_loop
async def test_room_given_to_who_is_cancelled_goes_to_the_next():
    async with FaultServer(answers(ok())) as server, pool_of(connections_max=1) as pool:
        await ask(pool, to(server))
        site = pool._sites[to(server)]
        connection = site.idle.pop()
        first, second = await in_line(site, 2)
        connection.drop()
        first.cancel()
        fresh = await second
        assert (first.cancelled(), fresh is connection, site.opening) == (True, False, 0)
        site.release(fresh)
        assert_clean(pool, idle=1)


@on_each_loop
async def test_a_new_connection_can_be_had_where_all_room_is_idle():
    async with FaultServer(answers(ok())) as server, pool_of(connections_max=1) as pool:
        await ask(pool, to(server))
        site = pool._sites[to(server)]
        (old,) = site.idle
        fresh = await site.acquire(Deadlines(connect_ms=2_000), fresh=True)
        assert (old.closed, fresh.reused, len(site.connections)) == (True, False, 1)
        site.release(fresh)


@on_each_loop
async def test_a_replacement_that_is_lost_too_is_the_end():
    """Where the line is full, the replacement is a used connection as well, and may be stale in its turn."""
    async with FaultServer(goes_after_one) as server, pool_of(connections_max=1) as pool:
        await ask(pool, to(server))
        results = await asyncio.gather(*[ask(pool, to(server)) for _ in range(2)], return_exceptions=True)
        assert [getattr(result, "kind", result) for result in results] == ["reset", (200, b"first")]
        assert_clean(pool)


# ── the wire ──


@on_each_loop
async def test_small_writes_are_not_delayed():
    async with FaultServer(answers(ok())) as server, pool_of() as pool:
        await ask(pool, to(server))
        (connection,) = pool._sites[to(server)].connections
        wire = connection.transport.get_extra_info("socket")
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def hosts():
    yield "127.0.0.1"
    yield "localhost"
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        yield "::1"


@pytest.mark.parametrize("host", tuple(hosts()))
@on_each_loop
async def test_names_and_addresses_are_reached(host):
    async with FaultServer(answers(ok(b"hello")), host=host) as server, pool_of() as pool:
        assert await ask(pool, to(server, host)) == (200, b"hello")
