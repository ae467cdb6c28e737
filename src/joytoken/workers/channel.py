"""What a supervisor and a worker say to each other, over a pair of sockets that ends when either of them does."""

import os
import socket
from typing import NamedTuple

import msgspec

RECOVER = b"recover"
"""To a worker: settle what slots that nobody has left behind."""
LEAVE = b"leave"
"""To a worker, with its end of a bridge: another process has its queue now; end with what is under way."""
SLOTS_BEYOND = 1
"""More slots than workers: a dead worker's replacement, or a leaving one's successor, does not wait for the slot."""
_MESSAGE_BYTES_MAX = 65_536
_DESCRIPTORS_MAX = 64


class Report(msgspec.Struct, kw_only=True):
    """From a worker, once: it listens, or why it does not."""

    listening: bool
    why: str = ""


class Order(NamedTuple):
    """To a worker, once: which slot it has, and what it is handed."""

    slot: int
    task: bytes  # what to do, in the words of whoever composed it
    shared: int  # descriptor of the memory that all workers share
    kept: int  # descriptor that only needs to stay open
    bridge: socket.socket | None  # from whom it succeeds, where it does
    listeners: list[socket.socket]


class _Said(msgspec.Struct):
    slot: int
    succeeds: bool


def send_order(
    channel: socket.socket, slot: int, descriptors: list[int], bridge: socket.socket | None, listeners: list[int]
) -> None:
    """Tell a waiting worker to begin: `descriptors` are those of the task, the shared memory and the kept one.

    Raises OSError where the worker is gone.
    """
    bridges = [] if bridge is None else [bridge.fileno()]
    said = msgspec.json.encode(_Said(slot, bool(bridges)))
    socket.send_fds(channel, [said], [*descriptors, *bridges, *listeners])


def await_order(channel: socket.socket) -> Order | None:
    """Wait for the order; None where the supervisor is gone."""
    said, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES_MAX, _DESCRIPTORS_MAX)
    if not said:
        return None
    order = msgspec.json.decode(said, type=_Said)
    task, shared, kept, *others = descriptors
    with os.fdopen(task, "rb") as file:
        text = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
    sockets = [socket.socket(fileno=number) for number in others]
    bridge = sockets.pop(0) if order.succeeds else None
    return Order(order.slot, text, shared, kept, bridge, sockets)


def send_leave(channel: socket.socket, bridge: socket.socket) -> None:
    """Tell a worker that its successor listens. Raises OSError where it is gone."""
    socket.send_fds(channel, [LEAVE], [bridge.fileno()])


def hear(channel: socket.socket) -> tuple[bytes, socket.socket | None]:
    """What the supervisor says to a worker that serves, and the end of a bridge; empty where the supervisor is gone."""
    said, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES_MAX, 1)
    return said, socket.socket(fileno=descriptors[0]) if descriptors else None


def send_report(channel: socket.socket, report: Report) -> None:
    """Tell the supervisor how the start went."""
    channel.send(msgspec.json.encode(report))


def read_report(said: bytes) -> Report:
    """A report; of a worker that ended without a word too."""
    return msgspec.json.decode(said, type=Report) if said else Report(listening=False, why="it ended without a word")
