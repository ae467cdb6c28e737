"""Reads a journal in a process of its own, and makes its settles ready for the store.

    python -m joytoken.escrow.reading FOLDER SLOT WORKER EPOCH APPLIED BATCH DATABASE

What it finds goes to its standard output, each part behind its length. So one batch is read while another is written:
both cost about the same, and in one process they would wait for each other, for the interpreter's lock. Nothing but
the journal is opened here, and it is only read.
"""

import gc
import os
import select
import struct
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Self

import msgspec

from joytoken.escrow.journal import CALLED, HOLD, PROGRESS, SETTLE, Replay, held_request, read_body
from joytoken.store.batch import Prepared, SettleRow, prepare, sum_charges
from joytoken.store.record import record_row

_LENGTH = struct.Struct("<I")
_PIPE_BYTES = 1 << 20
_OUT = 1  # standard output


class OpenHold(msgspec.Struct, array_like=True, gc=False):
    """A hold of which no settle is in the journal; and what was said of it after it was written."""

    hold: bytes  # as the journal has it
    called: bool = False
    progress: int = -1


class Settles(msgspec.Struct, array_like=True, tag=0):
    """So many settles, in order, ready for the store."""

    prepared: Prepared
    upto: int  # the last one's number
    charged: int  # nanocredits
    charges: dict[str, int]  # on each account
    rows: Sequence[SettleRow] = ()  # the settles themselves, where they were read by the one who needs them


class End(msgspec.Struct, array_like=True, tag=1):
    """What was found when everything was read."""

    open: dict[str, OpenHold]  # by request
    last_seq: int
    torn: bool
    missing: bool


Parts = Generator[Settles | End, None, None]


def read_parts(replay: Replay, worker: str, epoch: int, applied: int, size: int, *, sqlite: bool) -> Parts:
    """What a journal says beyond a watermark, in batches of so many settles, and what is open at its end."""
    holds: dict[str, OpenHold] = {}
    rows: list[SettleRow] = []
    for seq, kind, data in replay.encoded():
        if kind == HOLD:
            holds[held_request(data)] = OpenHold(data)
        elif kind == SETTLE:
            accounts, record = read_body(kind, data)
            holds.pop(record.request_id, None)
            if seq > applied:
                rows.append((seq, accounts, record.charged, record))
                if len(rows) >= size:
                    yield _settles(rows, worker, epoch, sqlite=sqlite)
                    rows = []
        elif kind == CALLED:
            hold = holds.get(read_body(kind, data))
            if hold is not None:
                hold.called = True
        elif kind == PROGRESS:
            request_id, progress = read_body(kind, data)
            if request_id in holds:
                holds[request_id].progress = progress
    if rows:
        yield _settles(rows, worker, epoch, sqlite=sqlite)
    yield End(holds, replay.last_seq, replay.torn, replay.missing)


def _settles(rows: list[SettleRow], worker: str, epoch: int, *, sqlite: bool) -> Settles:
    prepared = prepare([record_row(record, worker, epoch, seq) for seq, _, _, record in rows], sqlite=sqlite)
    return Settles(prepared, rows[-1][0], sum([row[2] for row in rows]), sum_charges(rows), rows)


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
            self._process.stdout.close()  # it ends at its next word
        self._process.wait()

    def ready(self) -> bool:
        """Whether it has something to say, or has died."""
        said = self._process.stdout
        return said is None or bool(select.select([said], [], [], 0)[0])

    def parts(self) -> Parts:
        """What it finds, up to `End`. Without that, it has died."""
        said = self._process.stdout
        while said is not None and len(length := said.read(_LENGTH.size)) == _LENGTH.size:
            (size,) = _LENGTH.unpack(length)
            data = said.read(size)
            if len(data) < size:
                return
            yield _decode(data)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Settles | End).decode


def main(arguments: Sequence[str]) -> int:
    """The process."""
    folder, slot, worker, epoch, applied, size, database = arguments
    gc.disable()  # nothing here goes in circles, and everything is gone with the process
    replay = Replay(Path(folder), slot, worker, int(epoch))
    try:
        for part in read_parts(replay, worker, int(epoch), int(applied), int(size), sqlite=database == "sqlite"):
            if isinstance(part, Settles):
                part.rows = ()
            data = _encode(part)
            left = memoryview(_LENGTH.pack(len(data)) + data)
            while left:
                left = left[os.write(_OUT, left) :]
    except BrokenPipeError:  # nobody wants to know any more
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
