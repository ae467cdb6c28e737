"""The journal: what a worker promised, in memory-mapped files that outlive its process.

Records are copied into preallocated, mapped segments: no system call, and what was copied survives any death of the
process. A segment begins with a header, and its records follow without gaps:

    header   magic, format, epoch, number of the first record, 8 random bytes, worker's name, CRC-32
    record   length u32 · CRC-32 u32 · number u64 · kind u8 · MessagePack body       (little endian)

Each record's checksum starts from its segment's header, whose random bytes are new with each use, and numbers rise by
one: neither a torn record nor what an earlier use of the file left behind can pass for a record. Reading ends at the
first record that is not whole.

When a segment is full, the next one begins with all open holds, written anew. A segment is used again once the store
has every settle in it. For each open hold, room for its settle is kept free: who was admitted can always be settled.
"""

import contextlib
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from joytoken.domain.record import EMPTY_FIELDS, UsageRecord

HOLD, CALLED, PROGRESS, SETTLE, RETURN = 1, 2, 3, 4, 5
SETTLE_GROWTH_BYTES = 1536  # how much longer a settle may be than its hold, without its receipt's details
NOTE_BYTES_MAX = 128  # a CALLED, PROGRESS or RETURN record
FORMAT = 1
SEGMENT_BYTES_MIN = 16 << 10
_POPULATED_BYTES = 16 << 20  # of a segment that are in memory, and may be written to, from the beginning on
_MADV_POPULATE_WRITE = 23  # Linux 5.14; `mmap` has no name for it
_MAGIC = b"JTJOURNL"
_HEADER = struct.Struct("<8sHHQQ8s")
_HEADER_BYTES = 256
_NAME_BYTES_MAX = _HEADER_BYTES - _HEADER.size - 4
_RECORD = struct.Struct("<IIQB")
_CRC = struct.Struct("<I")
_BODY_AT = _RECORD.size

# HOLD: amount, input cost, accounts, called, progress, record. It replaces an earlier HOLD of the same request.
HoldBody = tuple[int, int, tuple[str, ...], bool, int, UsageRecord]
SettleBody = tuple[tuple[str, ...], UsageRecord]
ProgressBody = tuple[str, int]

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[int, msgspec.msgpack.Decoder[Any]] = {
    HOLD: msgspec.msgpack.Decoder(HoldBody),
    CALLED: msgspec.msgpack.Decoder(str),
    PROGRESS: msgspec.msgpack.Decoder(ProgressBody),
    SETTLE: msgspec.msgpack.Decoder(SettleBody),
    RETURN: msgspec.msgpack.Decoder(dict[str, int]),
}


class JournalFull(Exception):
    """There is no room for another hold until the store has taken what is here."""


class _Segment:
    __slots__ = ("crc", "map", "path", "settled_seq")

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size != size:
                os.ftruncate(descriptor, size)
            # A sparse file on a full disk dies of SIGBUS when it is written to; this one has its blocks.
            os.posix_fallocate(descriptor, 0, size)
            self.map = mmap.mmap(descriptor, size)
            _populate(self.map)
        finally:
            os.close(descriptor)
        self.crc = 0  # of the header
        self.settled_seq = 0  # the last SETTLE in it


def _populate(segment: mmap.mmap) -> None:
    """Bring a segment's pages into memory at once: the first request that writes to one would wait for it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # an older kernel: each page comes when it is written to
            segment.madvise(_MADV_POPULATE_WRITE, 0, min(len(segment), _POPULATED_BYTES))


class Journal:
    """One epoch's journal. For one thread: the event loop's.

    `carry` gives the bodies of all open holds, for the head of a new segment.
    """

    def __init__(
        self,
        folder: Path,
        slot: str,
        worker: str,
        epoch: int,
        *,
        segment_bytes: int,
        segments: int,
        carry: Callable[[], Iterable[HoldBody]],
    ) -> None:
        if segments < 2 or segment_bytes < SEGMENT_BYTES_MIN:
            raise ValueError(f"a journal has at least two segments of {SEGMENT_BYTES_MIN} bytes")
        self.worker = worker
        self.epoch = epoch
        self.seq = 0  # of the last record
        self.applied_seq = 0  # the store has every settle up to this one
        self.reserved = 0  # bytes kept free for the settles of open holds
        self.synced_seq: int | None = None  # the disk has every record up to this one; None where nobody cares
        self.turns = 0  # from one segment to the next
        self._carried_seq = 0  # of the last record that the current segment began with
        self._size = segment_bytes
        self._carry = carry
        self._buffer = bytearray()
        self._segments = [_Segment(segment_path(folder, slot, n), segment_bytes) for n in range(segments)]
        for segment in self._segments:  # what an earlier life left is over, also where another database counts anew
            segment.map[:_HEADER_BYTES] = bytes(_HEADER_BYTES)
        self._at = self._position = 0
        self._begin(self._segments[0])

    @property
    def used_bytes(self) -> int:
        """How full the current segment is."""
        return self._position

    @property
    def at(self) -> int:
        """The number of the current segment."""
        return self._at

    @property
    def paths(self) -> list[Path]:
        """The segments' files."""
        return [segment.path for segment in self._segments]

    @property
    def settled_seq(self) -> int:
        """The number of the last SETTLE."""
        return max(segment.settled_seq for segment in self._segments)

    def hold(self, body: HoldBody) -> int:
        """Write a HOLD; returns the bytes reserved for its settle. Raises JournalFull."""
        length = self._encode(body)
        reserve = length + SETTLE_GROWTH_BYTES
        if self._position + length + self.reserved + reserve > self._size:
            if not self._rotate(length + reserve):
                raise JournalFull("the journal waits for the store")
            length = self._encode(body)  # the open holds went through the same buffer
        self._write(HOLD, length)
        self.reserved += reserve
        return reserve

    def note(self, kind: int, body: object) -> bool:
        """Write a CALLED, PROGRESS or RETURN; False where only the room for settles is left."""
        length = self._encode(body)
        if self._position + length + self.reserved > self._size:
            if not self._rotate(length):
                return False
            length = self._encode(body)
        self._write(kind, length)
        return True

    def called(self, request_id: str, reserve: int) -> int:
        """Write a CALLED, in the room of its hold where there is no other; returns what is left of that."""
        if self.note(CALLED, request_id):
            return reserve
        length = self._encode(request_id)
        self._write(CALLED, length)
        self.reserved -= length
        return reserve - length

    def settle(self, body: SettleBody, reserve: int) -> int:
        """Write a SETTLE, in the room kept for it if there is no other; returns its number."""
        length = self._encode(body)
        others = self.reserved - reserve
        if self._position + length + others > self._size:
            self._rotate(length)
            length = self._encode(body)
            if self._position + length + others > self._size:
                # The room kept for each settle is for its money; a receipt's details may be long.
                slim = msgspec.structs.replace(body[1], detail=b"")
                length = self._encode((body[0], slim))
                if self._position + length + others > self._size:
                    slim.provider_request_id = slim.error_code = ""
                    length = self._encode((body[0], slim))
        seq = self._write(SETTLE, length)
        self._segments[self._at].settled_seq = seq
        self.reserved = others
        return seq

    def close(self) -> None:
        """Unmap the segments; the files stay."""
        for segment in self._segments:
            segment.map.close()

    def _encode(self, body: object) -> int:
        _encoder.encode_into(body, self._buffer, _BODY_AT)
        return len(self._buffer)

    def _write(self, kind: int, length: int) -> int:
        buffer, segment, position = self._buffer, self._segments[self._at], self._position
        self.seq = seq = self.seq + 1
        _RECORD.pack_into(buffer, 0, length, 0, seq, kind)
        crc = zlib.crc32(buffer, segment.crc)  # over its own place as zeros
        _CRC.pack_into(buffer, 4, crc)
        self._position = end = position + length
        segment.map[position:end] = buffer
        return seq

    def _rotate(self, room: int) -> bool:
        """Go on in the next segment, if the store has all of it and it can hold what is open and `room` bytes more."""
        following = self._segments[(self._at + 1) % len(self._segments)]
        if following.settled_seq > self.applied_seq:
            return False
        # What was carried into the current segment may be nowhere else on the disk than in the one to be used again.
        if self.synced_seq is not None and self.synced_seq < self._carried_seq:
            return False
        # An open hold written anew is not longer than what is reserved for its settle.
        if _HEADER_BYTES + 2 * self.reserved + room > self._size:
            return False
        self._at = (self._at + 1) % len(self._segments)
        self._begin(following)
        for body in self._carry():
            self._write(HOLD, self._encode(body))
        self.turns += 1
        self._carried_seq = self.seq
        return True

    def _begin(self, segment: _Segment) -> None:
        name = self.worker.encode()[:_NAME_BYTES_MAX]
        head = _HEADER.pack(_MAGIC, FORMAT, len(name), self.epoch, self.seq + 1, os.urandom(8)) + name
        head = head.ljust(_HEADER_BYTES - 4, b"\0")
        segment.crc = zlib.crc32(head)
        segment.settled_seq = 0
        segment.map[:_HEADER_BYTES] = head + _CRC.pack(segment.crc)
        self._position = _HEADER_BYTES


def segment_path(folder: Path, slot: str, number: int) -> Path:
    """The file of a slot's segment."""
    return folder / f"{slot}.{number}.journal"


class Replay:
    """What the segments of one worker's epoch say, in order; `torn` and `missing` tell afterwards how it ended."""

    def __init__(self, folder: Path, slot: str, worker: str, epoch: int) -> None:
        self.torn = False
        self.missing = False
        self.last_seq = 0
        found: list[tuple[int, int, bytes | mmap.mmap]] = []
        for path in sorted(folder.glob(f"{slot}.*.journal")):
            data = _mapped(path)
            head = _read_header(data, worker)
            if head is not None and head[0] == epoch:
                found.append((head[1], head[2], data))
        self._segments = sorted(found, key=lambda part: part[0])
        self.missing = not found

    def __iter__(self) -> Iterator[tuple[int, int, Any]]:
        """Each whole record: its number, its kind, its body."""
        for number, kind, data in self.encoded():
            yield number, kind, read_body(kind, data)

    def encoded(self) -> Iterator[tuple[int, int, bytes]]:
        """Each whole record: its number, its kind, its body for `read_body`."""
        unpack, pack, crc32 = _RECORD.unpack_from, _RECORD.pack, zlib.crc32
        for first, header_crc, data in self._segments:
            if self.last_seq and first != self.last_seq + 1:
                self.missing = True
            position, size, seq = _HEADER_BYTES, len(data), first
            while position + _BODY_AT <= size:
                length, crc, number, kind = unpack(data, position)
                end = position + length
                if length < _BODY_AT or end > size or number != seq:
                    break
                body = data[position + _BODY_AT : end]
                if crc32(body, crc32(pack(length, 0, number, kind), header_crc)) != crc:  # over its own place as zeros
                    self.torn = True
                    break
                self.last_seq = seq
                yield number, kind, body
                position, seq = end, seq + 1


def called_body(request_id: str) -> bytes:
    """The body of a CALLED."""
    return _encoder.encode(request_id)


def read_body(kind: int, data: bytes) -> Any:
    """A record's body."""
    return _decoders[kind].decode(data)


_row = msgspec.msgpack.Decoder(tuple[tuple[str, ...], tuple[Any, ...]])


def read_row(data: bytes) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """A SETTLE's accounts and the values of its record's fields: of which a version before has fewer, a later more."""
    accounts, values = _row.decode(data)
    if len(values) != len(EMPTY_FIELDS):
        values = (*values, *EMPTY_FIELDS[len(values) :])[: len(EMPTY_FIELDS)]
    return accounts, values


class _RequestOnly(msgspec.Struct, array_like=True, gc=False):
    request_id: str


class _HoldRequest(msgspec.Struct, array_like=True, gc=False):
    amount: msgspec.Raw
    input_cost: msgspec.Raw
    accounts: msgspec.Raw
    called: bool
    progress: int
    record: _RequestOnly


class _SettleRequest(msgspec.Struct, array_like=True, gc=False):
    accounts: msgspec.Raw
    record: _RequestOnly


_hold_request = msgspec.msgpack.Decoder(_HoldRequest)
_settle_request = msgspec.msgpack.Decoder(_SettleRequest)


def held_request(data: bytes) -> str:
    """The request of a HOLD, without the rest: nearly every hold of a journal has its settle behind it."""
    return _hold_request.decode(data).record.request_id


def settled_request(data: bytes) -> str:
    """The request of a SETTLE, without the rest."""
    return _settle_request.decode(data).record.request_id


def _mapped(path: Path) -> bytes | mmap.mmap:
    """A file to read from: of a large one, only what was written to is ever looked at."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def _read_header(data: bytes | mmap.mmap, worker: str) -> tuple[int, int, int] | None:
    """Epoch, first number and checksum of a segment that belongs to this worker; None for any other content."""
    if len(data) < _HEADER_BYTES:
        return None
    head = data[: _HEADER_BYTES - 4]
    magic, form, name_bytes, epoch, first, _ = _HEADER.unpack_from(head)
    (crc,) = _CRC.unpack_from(data, _HEADER_BYTES - 4)
    if magic != _MAGIC or form != FORMAT or zlib.crc32(head) != crc:
        return None
    name = head[_HEADER.size : _HEADER.size + name_bytes]
    return (epoch, first, crc) if name == worker.encode()[:_NAME_BYTES_MAX] else None
