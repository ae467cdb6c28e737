"""One port, many queues."""

import socket

import pytest

from joytoken.workers.listeners import close, listen, url_of

CALLERS = 64


def test_connections_are_dealt_out(monkeypatch):
    listeners = listen("127.0.0.1", 0, 3)
    callers = []
    try:
        ports = {each.getsockname()[1] for sockets in listeners for each in sockets}
        assert len(ports) == 1
        assert url_of(listeners[0][0]) == f"http://127.0.0.1:{ports.pop()}"
        address = listeners[0][0].getsockname()
        callers = [socket.create_connection(address) for _ in range(CALLERS)]
        for (listener,) in listeners:
            listener.setblocking(False)
            taken = 0
            try:
                while True:
                    listener.accept()[0].close()
                    taken += 1
            except BlockingIOError:
                assert taken
    finally:
        close(listeners)
        for caller in callers:
            caller.close()


def test_a_port_that_another_gateway_shares_is_in_use():
    listeners = listen("127.0.0.1", 0, 2)
    try:
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", listeners[0][0].getsockname()[1], 2)
    finally:
        close(listeners)
