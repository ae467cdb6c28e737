"""The answers and the faults of a provider that misbehaves on purpose, on both event loops."""

import asyncio
import socket
from typing import NamedTuple

import pytest

from joytoken.providers.transport import Deadlines, Origin, UpstreamError, build_head, render
from tests.providers.asking import MIB, SHORT, ask, assert_clean, pool_of, read_all, request, to
from tests.providers.fault_server import FaultServer, answers, chunked, eventually, hangs, ok, on_each_loop, says

# ── answers ──

ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

ANSWERS = {
    "by length": (says(ok(b"hello")), 200, b"hello"),
    "by length, no body": (says(ok(b"")), 200, b""),
    "in one chunk": (says(chunked(b"hello")), 200, b"hello"),
    "in many chunks": (says(chunked(*[b"x" * n for n in range(1, 300)])), 200, b"x" * (299 * 150)),
    "chunks with extensions and trailers": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-End: 1\r\n\r\n"),
        200,
        b"hello",
    ),
    "until the end of the connection": (says(ENDLESS + b"hel", b"lo", then="close"), 200, b"hello"),
    "until the end, without a word on it": (says(b"HTTP/1.1 200 OK\r\n\r\nhello", then="close"), 200, b"hello"),
    "until the end, nothing": (says(ENDLESS, then="close"), 200, b""),
    "HTTP/1.0": (says(b"HTTP/1.0 200 OK\r\n\r\nhello", then="close"), 200, b"hello"),
    "204": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b""),
    "304 with a length": (says(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), 304, b""),
    "an error with a body": (says(b"HTTP/1.1 529 Busy\r\nContent-Length: 4\r\n\r\nbusy"), 529, b"busy"),
    "no reason phrase": (says(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"), 200, b"ok"),
    "identity": (says(ok(b"hello", b"Content-Encoding: Identity")), 200, b"hello"),
    "100, then 200": (says(b"HTTP/1.1 100 Continue\r\n\r\n", ok(b"hello"), pause=0.01), 200, b"hello"),
    "102 and 103 in one piece with 200": (
        says(b"HTTP/1.1 102 Processing\r\nA: b\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(b"hello")),
        200,
        b"hello",
    ),
    "byte by byte": (says(*[bytes([byte]) for byte in ok(b"hello")]), 200, b"hello"),
    "chunks byte by byte": (says(*[bytes([byte]) for byte in chunked(b"hel", b"lo")]), 200, b"hello"),
    "blank lines first": (says(b"\r\n\r\n" + ok(b"hello")), 200, b"hello"),
    "five megabytes": (says(ok(b"0123456789" * 500_000)), 200, b"0123456789" * 500_000),
}


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ANSWERS)
@on_each_loop
async def test_answer(name, whole):
    script, status, body = ANSWERS[name]
    async with FaultServer(script) as server, pool_of() as pool:
        assert await ask(pool, to(server), whole=whole) == (status, body)


@on_each_loop
async def test_the_provider_gets_exactly_the_request():
    origin = Origin("http", "127.0.0.1", 8080)
    data = render(build_head("POST", origin, "/v1/x", [("Authorization", "Bearer k")]), b"{}", b"X-Extra: 1\r\n")
    async with FaultServer(answers(ok())) as server, pool_of() as pool:
        await pool.send(to(server), data, whole=True)
    assert server.requests == [
        (
            b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: identity\r\nAuthorization: Bearer k\r\n"
            b"Content-Length: 2\r\nX-Extra: 1\r\n\r\n{}"
        )
    ]


@on_each_loop
async def test_headers_are_given_as_they_came():
    reply = b"HTTP/1.1 103 Early Hints\r\nOld: 1\r\n\r\n" + ok(b"{}", b"X-Request-ID:  r 1 ", b"x-n:", b"X-N: 2")
    async with FaultServer(answers(reply)) as server, pool_of() as pool:
        response = await pool.send(to(server), request(), whole=True)
    assert response.headers == [(b"Content-Length", b"2"), (b"X-Request-ID", b"r 1"), (b"x-n", b""), (b"X-N", b"2")]
    assert response.header(b"x-request-id") == b"r 1"
    assert response.header(b"x-n") == b""
    assert response.header(b"request-id") is None
    assert response.header(b"old") is None


# ── faults ──


class Fault(NamedTuple):
    script: object
    kind: str
    retryable: bool = False
    deadlines: Deadlines = Deadlines()
    limits: dict = {}


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD_START = b"HTTP/1.1 200 OK\r\nContent-Le"

# In every one of these no head, or a refused one, arrives: `send` itself raises, streamed or not.
FAULTS_OF_THE_HEAD = {
    "accepts and hangs": Fault(hangs, "first_byte_timeout", True, Deadlines(first_byte_ms=SHORT)),
    "closes before the head": Fault(says(then="close"), "reset", True),
    "resets before the head": Fault(says(then="reset"), "reset", True),
    "closes in the head": Fault(says(HEAD_START, then="close"), "reset", True),
    "resets in the head": Fault(says(HEAD_START, pause=0.05, then="reset"), "reset", True),
    "stops in the head": Fault(says(HEAD_START), "idle_timeout", deadlines=Deadlines(idle_ms=SHORT)),
    "only ever continues": Fault(
        says(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 2), "idle_timeout", deadlines=Deadlines(idle_ms=SHORT)
    ),
    "continues without end": Fault(says(b"HTTP/1.1 100 Continue\r\n\r\n" * 9), "protocol_error"),
    "switches protocols": Fault(
        says(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), "protocol_error"
    ),
    "an unknown interim answer": Fault(says(b"HTTP/1.1 150 Hm\r\n\r\n"), "protocol_error"),
    "a header of five megabytes": Fault(
        says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5 * MIB + b"\r\n\r\n"), "header_too_large"
    ),
    "a header just too large": Fault(
        says(ok(b"", b"X: " + b"y" * 1_000)), "header_too_large", limits={"header_bytes_max": 1_000}
    ),
    "endless headers in pieces": Fault(says(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n" * 2_000] * 10), "header_too_large"),
    "garbage": Fault(says(b"I am not HTTP\r\n\r\n"), "protocol_error"),
    "a status of two digits": Fault(says(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), "protocol_error"),
    "a TLS alert": Fault(says(b"\x15\x03\x01\x00\x02\x02\x46"), "protocol_error"),
    "two lengths": Fault(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), "protocol_error"
    ),
    "two lengths in one line": Fault(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc"), "protocol_error"),
    "a negative length": Fault(says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "protocol_error"),
    "length and chunks": Fault(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "protocol_error"
    ),
    "chunks and length": Fault(
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), "protocol_error"
    ),
    "zipped": Fault(says(ok(b"\x1f\x8b", b"content-ENCODING: gzip")), "protocol_error"),
    "zipped in transfer": Fault(
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "protocol_error"
    ),
    "zipped in transfer, by another line": Fault(
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "protocol_error",
    ),
    "a folded header": Fault(says(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"), "protocol_error"),
    "a bare carriage return": Fault(says(b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n"), "protocol_error"),
}

# Here the head is good and the body is not: a stream's reader gets what came, and then the error.
FAULTS_OF_THE_BODY = {
    "cut by length": Fault(says(ok(b"hello")[:-1], then="close"), "cut"),
    "cut by a reset": Fault(says(ok(b"hello")[:-1], pause=0.05, then="reset"), "cut"),
    "cut between chunks": Fault(says(chunked(b"hell", end=False), then="close"), "cut"),
    "cut in a chunk": Fault(says(CHUNKED + b"5\r\nhell", then="close"), "cut"),
    "cut in a chunk's size": Fault(says(CHUNKED + b"4\r\nhell\r\n1", then="close"), "cut"),
    "cut in the trailers": Fault(says(CHUNKED + b"4\r\nhell\r\n0\r\nX: ", then="close"), "cut"),
    "cut by a reset where only the end counts": Fault(says(ENDLESS + b"hell", pause=0.05, then="reset"), "cut"),
    "half a chunk, then silence": Fault(
        says(CHUNKED + b"5\r\nhell"), "idle_timeout", deadlines=Deadlines(idle_ms=SHORT)
    ),
    "a bad chunk size": Fault(says(CHUNKED + b"4\r\nhell\r\nxyz\r\n"), "protocol_error"),
    "a chunk size beyond all numbers": Fault(says(CHUNKED + b"4\r\nhell\r\n" + b"f" * 17 + b"\r\n"), "protocol_error"),
    "a chunk longer than it said": Fault(says(CHUNKED + b"4\r\nhello\r\n0\r\n\r\n"), "protocol_error"),
}

# A drip never is idle and never ends.
DRIPS = {
    "in the body": says(CHUNKED, *[b"1\r\nh\r\n"] * 1_000, pause=0.02),
    "in the head": says(HEAD_START, *[b"x"] * 1_000, pause=0.02),
}


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FAULTS_OF_THE_HEAD)
@on_each_loop
async def test_fault_of_the_head(name, whole):
    fault = FAULTS_OF_THE_HEAD[name]
    async with FaultServer(fault.script) as server, pool_of(**fault.limits) as pool:
        with pytest.raises(UpstreamError) as caught:
            await pool.send(to(server), request(), whole=whole, deadlines=fault.deadlines)
        assert (caught.value.kind, caught.value.sent, caught.value.retryable) == (fault.kind, True, fault.retryable)
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)
        assert len(server.peers) == 1  # nothing was sent twice


@pytest.mark.parametrize("name", FAULTS_OF_THE_BODY)
@on_each_loop
async def test_fault_of_a_whole_body(name):
    fault = FAULTS_OF_THE_BODY[name]
    async with FaultServer(fault.script) as server, pool_of(**fault.limits) as pool:
        with pytest.raises(UpstreamError) as caught:
            await pool.send(to(server), request(), whole=True, deadlines=fault.deadlines)
        assert (caught.value.kind, caught.value.sent, caught.value.retryable) == (fault.kind, True, False)
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)
        assert len(server.peers) == 1


@pytest.mark.parametrize("name", FAULTS_OF_THE_BODY)
@on_each_loop
async def test_fault_of_a_streamed_body(name):
    fault = FAULTS_OF_THE_BODY[name]
    got = []
    async with FaultServer(fault.script) as server, pool_of(**fault.limits) as pool:
        response = await pool.send(to(server), request(), whole=False, deadlines=fault.deadlines)
        assert response.status == 200
        with pytest.raises(UpstreamError) as caught:
            await read_all(response, got)
        assert (b"".join(got), caught.value.kind) == (b"hell", fault.kind)
        with pytest.raises(UpstreamError):  # and it stays so
            await response.read()
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)


@pytest.mark.parametrize("name", DRIPS)
@on_each_loop
async def test_a_drip_is_bounded_by_the_total(name):
    async with FaultServer(DRIPS[name]) as server, pool_of() as pool:
        with pytest.raises(UpstreamError) as caught:
            await pool.send(to(server), request(), whole=True, deadlines=Deadlines(total_ms=SHORT))
        assert caught.value.kind == "total_timeout"
        await eventually(lambda: server.ended == 1)


@pytest.mark.parametrize(
    ("reply", "fits"),
    [
        (ok(b"x" * 100_000), True),
        (ok(b"x" * 100_001), False),
        (chunked(*[b"x" * 1_000] * 101), False),
        (ENDLESS + b"x" * 1_000_000, False),
    ],
    ids=["just fits", "by length", "in chunks", "without end"],
)
@on_each_loop
async def test_a_whole_body_has_a_limit(reply, fits):
    async with FaultServer(says(reply)) as server, pool_of(body_bytes_max=100_000) as pool:
        if fits:
            assert (await ask(pool, to(server)))[1] == b"x" * 100_000
            return
        with pytest.raises(UpstreamError) as caught:
            await ask(pool, to(server))
        assert caught.value.kind == "body_too_large"
        assert_clean(pool)


@on_each_loop
async def test_a_closed_port_is_a_failed_connection():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with pool_of() as pool:
            with pytest.raises(UpstreamError) as caught:
                await pool.send(Origin("http", "127.0.0.1", unused.getsockname()[1]), request(), whole=True)
            assert (caught.value.kind, caught.value.sent, caught.value.retryable) == ("connect_failed", False, True)
            assert_clean(pool)


@on_each_loop
async def test_a_name_that_cannot_be_looked_up_is_a_failed_connection(monkeypatch):
    async def no_such_name(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", no_such_name)
    async with pool_of() as pool:
        with pytest.raises(UpstreamError) as caught:
            await pool.send(Origin("http", "provider.invalid", 80), request(), whole=True)
        assert (caught.value.kind, caught.value.sent) == ("connect_failed", False)
        assert_clean(pool)


@on_each_loop
async def test_a_connection_that_does_not_open_times_out():
    # A server that completes no TLS handshake stands for a host that answers no SYN, which loopback has not.
    async with FaultServer(hangs) as server, pool_of() as pool:
        origin = Origin("https", "127.0.0.1", server.port)
        with pytest.raises(UpstreamError) as caught:
            await pool.send(origin, request(), whole=True, deadlines=Deadlines(connect_ms=SHORT))
        assert (caught.value.kind, caught.value.sent, caught.value.retryable) == ("connect_timeout", False, True)
        assert_clean(pool)
        await eventually(lambda: server.ended == 1)
