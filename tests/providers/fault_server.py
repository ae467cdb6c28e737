"""A TCP server that answers as badly as a test wants: one script for each connection.

    async with FaultServer(answers(ok(b"fine")), hangs) as server:
        ...server.port...

The first connection is served by the first script, and so on; the last script serves all that come after.
"""

import asyncio
import contextlib
import functools
import inspect
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

import pytest
import uvloop

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
TEST_SECONDS_MAX = 60


class Peer:
    """One connection, seen from the server."""

    def __init__(self, server, reader, writer):
        self.server = server
        self.reader = reader
        self.writer = writer
        self.sent = 0

    async def request(self):
        """Return the next request whole, head and body; raise `IncompleteReadError` where the client closes."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        request = head + await self.reader.readexactly(length)
        self.server.requests.append(request)
        return request

    async def send(self, data):
        """Write, and wait until the kernel has taken nearly all of it."""
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    async def gone(self):
        """Wait until the client has closed its end."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass

    async def hang(self):
        """Say nothing more, until the client goes."""
        await self.gone()

    def reset(self):
        """Close with a reset instead of an orderly end."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class FaultServer:
    """Listens on a free port of `host` while it is entered; `tls` is a server-side `SSLContext`, or None."""

    def __init__(self, *scripts: Script, host="127.0.0.1", tls: ssl.SSLContext | None = None):
        self.scripts = scripts
        self.host = host
        self.tls = tls
        self.requests: list[bytes] = []
        self.peers: list[Peer] = []
        self.ended = 0  # connections whose script has run to its end
        self._tasks: set[asyncio.Task] = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        script = self.scripts[min(len(self.peers), len(self.scripts) - 1)]
        self.peers.append(Peer(self, reader, writer))
        try:
            await script(self.peers[-1])
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        finally:
            self.ended += 1
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()


def ok(body=b"{}", *lines):
    """Return an answer 200 with a length, and further header lines."""
    head = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def chunked(*pieces, end=True):
    """Return an answer 200 in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if end else b"")


def answers(*replies):
    """Return a script that gives one reply to each request, in turn and from the start, while the client stays."""

    async def script(peer):
        while True:
            for reply in replies:
                await peer.request()
                await peer.send(reply)

    return script


def says(*pieces, pause=0.0, then="hang"):
    """Return a script: take one request, send pieces with a pause after each, and then hang, close or reset."""

    async def script(peer):
        await peer.request()
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(pause)
        if then == "hang":
            await peer.hang()
        elif then == "reset":
            peer.reset()

    return script


async def hangs(peer):
    """Take whatever comes and answer nothing."""
    await peer.hang()


async def eventually(condition):
    """Wait, within a bound that only a defect reaches."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came true")


def on_each_loop(test):
    """Run a coroutine test on asyncio's own loop and on uvloop, each within a bound."""

    @pytest.mark.parametrize("loop", LOOPS)
    @functools.wraps(test)
    def run(loop, **arguments):
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(asyncio.wait_for(test(**arguments), TEST_SECONDS_MAX))

    parameters = inspect.signature(test).parameters.values()
    run.__signature__ = inspect.Signature(
        [inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD), *parameters]
    )
    del run.__wrapped__
    return run
