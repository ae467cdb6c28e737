"""A bridge from a leaving worker to its successor, over which open connections go.

A connection between two requests moves as it is: what its client has sent meanwhile is still unread, and is read by
the successor. So nobody who keeps a connection open finds it closed under a request that was on its way.
"""

import socket


class BridgeDown(Exception):
    """The successor is gone."""


def build() -> tuple[socket.socket, socket.socket]:
    """Two ends: the successor's, and that of the one who leaves."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def send(bridge: socket.socket, descriptor: int) -> bool:
    """Let a connection over; False where it is to be tried again in a moment. Raises BridgeDown."""
    try:
        socket.send_fds(bridge, [b"."], [descriptor])
    except (BrokenPipeError, ConnectionResetError) as error:
        raise BridgeDown from error
    except OSError:  # it is full, or there are too many on their way
        return False
    return True


def take(bridge: socket.socket) -> socket.socket | None:
    """A connection that has come over. Raises BlockingIOError where there is none, BridgeDown where none will come."""
    try:
        said, descriptors, _, _ = socket.recv_fds(bridge, 1, 1)
    except ConnectionResetError as error:
        raise BridgeDown from error
    if not said:
        raise BridgeDown
    return socket.socket(fileno=descriptors[0]) if descriptors else None  # none: this process can open no more
