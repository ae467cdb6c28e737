"""No test leaves this machine: the guard of tests/conftest.py holds, and lets loopback through."""

import asyncio
import socket

import pytest
import uvloop

from tests.conftest import NetworkForbiddenError

# Addresses that documentation is written with: nobody answers there, should the guard fail.
BEYOND = [
    (socket.AF_INET, ("192.0.2.1", 80)),
    (socket.AF_INET6, ("2001:db8::1", 80)),
    (socket.AF_INET, ("a.invalid", 80)),
]


@pytest.mark.parametrize(("family", "address"), BEYOND)
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_a_connection_beyond_loopback_is_refused(method, family, address):
    with socket.socket(family, socket.SOCK_STREAM) as sock, pytest.raises(NetworkForbiddenError):
        getattr(sock, method)(address)


@pytest.mark.parametrize("arguments", [(b"x", ("192.0.2.1", 9)), (b"x", 0, ("192.0.2.1", 9))])
def test_a_datagram_beyond_loopback_is_refused(arguments):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(NetworkForbiddenError):
        sock.sendto(*arguments)


def test_a_name_is_not_looked_up():
    with pytest.raises(NetworkForbiddenError):
        socket.getaddrinfo("a.invalid", 80)
    with pytest.raises(NetworkForbiddenError):
        socket.create_connection(("a.invalid", 80))


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("host", ["192.0.2.1", "a.invalid"])
def test_neither_event_loop_is_a_way_around(loop_factory, host):
    async def reach():
        await asyncio.open_connection(host, 80)

    with asyncio.Runner(loop_factory=loop_factory) as runner, pytest.raises(NetworkForbiddenError):
        runner.run(reach())


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_open(loop_factory, host):
    async def echo(reader, writer):
        writer.write(await reader.readexactly(1))
        writer.close()

    async def there_and_back():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
            writer.write(b"x")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(there_and_back()) == b"x"
