"""A connection goes from one end to the other, with what is unread in it."""

import socket

import pytest

from joytoken.workers import bridge


def test_a_connection_goes_over_with_what_was_sent_meanwhile():
    ours, theirs = bridge.build()
    caller, served = socket.socketpair()
    with ours, theirs, caller, served:
        with pytest.raises(BlockingIOError):
            bridge.take(ours)
        caller.sendall(b"a request on its way")
        assert bridge.send(theirs, served.fileno())
        served.close()
        with bridge.take(ours) as taken:
            assert taken.recv(100) == b"a request on its way"
            taken.sendall(b"its answer")
            assert caller.recv(100) == b"its answer"
        theirs.close()
        with pytest.raises(bridge.BridgeDown):
            bridge.take(ours)


def test_a_full_bridge_is_tried_again_and_one_without_another_end_is_down():
    ours, theirs = bridge.build()
    with ours, theirs, socket.socket() as served:
        sent = 0
        while bridge.send(theirs, served.fileno()):
            sent += 1
            assert sent < 100_000
        bridge.take(ours).close()
        assert bridge.send(theirs, served.fileno())
        ours.close()
        with pytest.raises(bridge.BridgeDown):
            bridge.send(theirs, served.fileno())
