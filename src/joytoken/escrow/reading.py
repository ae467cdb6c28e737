"""Reads a journal in a process of its own, and makes its settles ready for the store.

    python -m joytoken.escrow.reading FOLDER SLOT WORKER EPOCH APPLIED BATCH DATABASE

What it finds goes to its standard output, each part behind its length. So one batch is read while another is written:
both cost about the same, and in one process they would wait for each other, for the interpreter's lock. Nothing but
the journal is opened here, and it is only read.
"""

import fcntl
import gc
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Self

import msgspec

from joytoken.escrow.journal import (
    CALLED,
    HOLD,
    PROGRESS,
    SETTLE,
    Replay,
    called_body,
    held_request,
    read_body,
    read_row,
    settled_request,
)
from joytoken.store.batch import Prepared, SettleRow, charge_each, prepare, sum_charges
from joytoken.store.record import CHARGED, LEAST

_LENGTH = struct.Struct("<I")
_INT = struct.Struct("i")
_PIPE_BYTES = 1 << 20
_OUT = 1  # standard output


class OpenHold(msgspec.Struct, array_like=True, gc=False):
    """A hold of which no settle is in the journal; and what was said of it after it was written."""

    hold: bytes  # as the journal has it
    called: bool = False
    progress: int = -1


class Found(msgspec.Struct, array_like=True, tag=0):
    """So many settles, in order, as the journal has them."""

    seqs: list[int]
    bodies: list[bytes]

    @property
    def upto(self) -> int:
        """The last one's number."""
        return self.seqs[-1]


class Settles(msgspec.Struct, array_like=True, tag=1):
    """So many settles, in order: ready for the store, or themselves."""

    count: int
    upto: int  # the last one's number
    charged: int  # nanocredits
    charges: dict[str, int]  # on each account
    prepared: Prepared | None = None
    rows: tuple[SettleRow, ...] = ()


class End(msgspec.Struct, array_like=True, tag=2):
    """What was found when everything was read."""

    open: dict[str, OpenHold]  # by request
    last_seq: int
    torn: bool
    missing: bool


Parts = Generator[Found | Settles | End, None, None]


def read_parts(replay: Replay, applied: int, size: int, border: int | None = None) -> Parts:
    """What a journal says beyond a watermark, in batches of so many settles, and what is open at its end.

    `border`: a number behind which nothing is read, and so no end seen.
    """
    holds: dict[str, bytes] = {}
    called: set[bytes] = set()
    progress: dict[str, int] = {}
    seqs: list[int] = []
    bodies: list[bytes] = []
    for seq, kind, data in replay.encoded():
        if kind == HOLD:
            request_id = held_request(data)
            holds[request_id] = data
            progress.pop(request_id, None)
        elif kind == CALLED:
            called.add(data)
        elif kind == SETTLE:
            holds.pop(settled_request(data), None)
            if seq > applied:
                seqs.append(seq)
                bodies.append(data)
                if len(seqs) >= size:
                    yield Found(seqs, bodies)
                    seqs, bodies = [], []
                    called.intersection_update(map(called_body, holds))
                    progress = {request_id: progress[request_id] for request_id in progress if request_id in holds}
        elif kind == PROGRESS:
            request_id, cost = read_body(kind, data)
            progress[request_id] = cost
        if seq == border:
            break
    if seqs:
        yield Found(seqs, bodies)
    if replay.last_seq != border:
        found = {
            request_id: OpenHold(data, called_body(request_id) in called, progress.get(request_id, -1))
            for request_id, data in holds.items()
        }
        yield End(found, replay.last_seq, replay.torn, replay.missing)


class Ready:
    """Makes settles ready for the store, one batch after the other."""

    def __init__(self, worker: str, epoch: int, *, sqlite: bool) -> None:
        self._whose = (worker, epoch)
        self._sqlite = sqlite
        self._shape = LEAST

    def make(self, found: Found) -> Settles:
        """Make a batch ready."""
        whose, rows = self._whose, []
        sums: dict[tuple[str, ...], int] = {}
        for seq, data in zip(found.seqs, found.bodies, strict=True):
            accounts, row = read_row(data)
            rows.append((*row, *whose, seq))
            sums[accounts] = sums.get(accounts, 0) + row[CHARGED]
        prepared = prepare(rows, sqlite=self._sqlite, within=self._shape)
        self._shape = prepared.shape
        return Settles(prepared.count, found.upto, sum(sums.values()), charge_each(sums), prepared)


def whole(found: Found) -> Settles:
    """Read a batch as it is."""
    read = [read_body(SETTLE, data) for data in found.bodies]
    return settles_of(
        [(seq, accounts, one.charged, one) for seq, (accounts, one) in zip(found.seqs, read, strict=True)]
    )


def settles_of(rows: Sequence[SettleRow]) -> Settles:
    """These settles as a batch."""
    return Settles(len(rows), rows[-1][0], sum([row[2] for row in rows]), sum_charges(rows), rows=tuple(rows))


class Reader:
    """The process beside this one, from here. Raises OSError where there can be none."""

    def __init__(
        self, folder: Path, slot: str, worker: str, epoch: int, applied: int, size: int, *, sqlite: bool
    ) -> None:
        given = (str(folder), slot, worker, str(epoch), str(applied), str(size), "sqlite" if sqlite else "postgresql")
        command = [sys.executable, "-P", "-m", "joytoken.escrow.reading", *given]
        self._process = subprocess.Popen(  # noqa: S603 - this program
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pipesize=_PIPE_BYTES
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.kill()  # it only reads
        self._process.wait()

    def parts(self) -> Parts:
        """What it finds, made ready where it had the time, up to `End`. Without that, it has died."""
        said = self._process.stdout
        while said is not None and len(length := said.read(_LENGTH.size)) == _LENGTH.size:
            (size,) = _LENGTH.unpack(length)
            data = said.read(size)
            if len(data) < size:
                return
            yield _decode(data)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Found | Settles | End).decode


def _unread() -> int:
    """Bytes of what was said that nobody has read yet: as long as there are any, the other one is at work."""
    count = fcntl.ioctl(_OUT, termios.FIONREAD, bytes(_INT.size))
    return int(_INT.unpack(count)[0])


def main(arguments: Sequence[str]) -> int:
    """The process."""
    folder, slot, worker, epoch, applied, size, database = arguments
    gc.disable()  # nothing here goes in circles, and everything is gone with the process
    replay = Replay(Path(folder), slot, worker, int(epoch))
    ready = Ready(worker, int(epoch), sqlite=database == "sqlite")
    try:
        for part in read_parts(replay, int(applied), int(size)):
            data = _encode(ready.make(part) if isinstance(part, Found) and _unread() else part)
            left = memoryview(_LENGTH.pack(len(data)) + data)
            while left:
                left = left[os.write(_OUT, left) :]
    except BrokenPipeError:  # nobody wants to know any more
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
