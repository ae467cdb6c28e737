"""What a supervisor and a worker say to each other, over a pair of sockets that ends when either of them does."""

import os
import socket
from typing import NamedTuple

import msgspec

RECOVER = b"recover"
"""To a worker: settle what slots that nobody has left behind."""
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
    listeners: list[socket.socket]


def send_order(channel: socket.socket, slot: int, descriptors: list[int]) -> None:
    """Tell a waiting worker to begin: `descriptors` are those of the task, the shared memory, the kept one, listeners.

    Raises OSError where the worker is gone.
    """
    socket.send_fds(channel, [b"%d" % slot], descriptors)


def await_order(channel: socket.socket) -> Order | None:
    """Wait for the order; None where the supervisor is gone."""
    said, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES_MAX, _DESCRIPTORS_MAX)
    if not said:
        return None
    task, shared, kept, *listeners = descriptors
    with os.fdopen(task, "rb") as file:
        text = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
    return Order(int(said), text, shared, kept, [socket.socket(fileno=number) for number in listeners])


def send_report(channel: socket.socket, report: Report) -> None:
    """Tell the supervisor how the start went."""
    channel.send(msgspec.json.encode(report))


def read_report(said: bytes) -> Report:
    """A report; of a worker that ended without a word too."""
    return msgspec.json.decode(said, type=Report) if said else Report(listening=False, why="it ended without a word")
