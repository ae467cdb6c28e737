"""Rate limits that hold across the workers of a gateway: one row of shared memory for each key that has any.

The rows lie in a file without a name that the supervisor makes and every worker maps. A worker counts a request in
under a record lock on the row, which the system frees with the process that has it, however that ends. What it counts
out goes without a lock into cells of its slot that nobody else writes, and that every count in adds up: how many of its
requests are under way, so that what a dead worker had under way can be taken back, and how many tokens it has given
back since ever. Keys without limits cost nothing.
"""

import fcntl
import hashlib
import logging
import mmap
import os
import struct
from types import TracebackType
from typing import Self

from joytoken.domain.apikey import Policy
from joytoken.gateway.limiter import Limiter

_HEAD_BYTES = 64
_CELL = struct.Struct("@q")  # native: read and written at once, so nobody sees half of one
_TAG_BYTES = 16
# rpm, tpm (-1: none), requests and tokens in their buckets, when they were filled, tokens given back that are in them
_ROW = struct.Struct("@qqdddq")
_SLOTS_AT = _TAG_BYTES + _ROW.size
_log = logging.getLogger(__name__)


class SharedLimits:
    """The rows. `slot`: the one of this worker; the supervisor has none."""

    def __init__(self, descriptor: int, slots: int, keys_max: int, slot: int = -1) -> None:
        self._descriptor = descriptor
        self._keys_max = keys_max
        self.slot = slot
        self.slots = slots
        self.cells = struct.Struct(f"@{2 * slots}q")  # of a row: of each slot its requests under way, then its tokens
        self.row_bytes = _SLOTS_AT + self.cells.size
        size = _HEAD_BYTES + keys_max * self.row_bytes
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
        self.memory = mmap.mmap(descriptor, size)
        self._rows: dict[bytes, int] = {}
        self._full = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.memory.close()

    def limiter(self, key_id: str) -> Limiter:
        """The limiter of a key, which counts together with those of the other workers."""
        at = self._row_of(hashlib.blake2b(key_id.encode(), digest_size=_TAG_BYTES).digest())
        return Limiter() if at is None else SharedLimiter(self, at)

    def forget(self, slot: int) -> None:
        """Nothing is under way in this slot: its worker has ended."""
        for number in range(self._count()):
            at = _HEAD_BYTES + number * self.row_bytes + _SLOTS_AT + slot * _CELL.size
            _CELL.pack_into(self.memory, at, 0)

    def lock(self, at: int) -> None:
        """Wait for the turn on a row."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, at)

    def unlock(self, at: int) -> None:
        """End the turn."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, at)

    def _count(self) -> int:
        return int(_CELL.unpack_from(self.memory, 0)[0])  # rows in use

    def _row_of(self, tag: bytes) -> int | None:
        """Where a key's row is, made where there is none; None where there is no room."""
        if tag in self._rows:
            return self._rows[tag]
        self.lock(0)
        try:
            count = self._count()
            for number in range(len(self._rows), count):  # what others have added
                at = _HEAD_BYTES + number * self.row_bytes
                self._rows[self.memory[at : at + _TAG_BYTES]] = at
            if tag not in self._rows and count < self._keys_max:
                at = _HEAD_BYTES + count * self.row_bytes
                self.memory[at : at + _TAG_BYTES] = tag
                _ROW.pack_into(self.memory, at + _TAG_BYTES, -1, -1, 0.0, 0.0, 0.0, 0)
                _CELL.pack_into(self.memory, 0, count + 1)
                self._rows[tag] = at
        finally:
            self.unlock(0)
        if tag not in self._rows and not self._full:
            self._full = True
            _log.warning(
                "more than %d keys have limits (server.limited_keys_max): theirs hold per worker", len(self._rows)
            )
        return self._rows.get(tag)


class SharedLimiter(Limiter):
    """The rates of one key, in all workers."""

    __slots__ = ("_at_row", "_limited", "_own", "_returned", "_returned_at", "_shared", "_under_way_at")

    def __init__(self, shared: SharedLimits, at: int) -> None:
        super().__init__()
        self._shared = shared
        self._at_row = at
        self._under_way_at = at + _SLOTS_AT + shared.slot * _CELL.size
        self._returned_at = self._under_way_at + shared.slots * _CELL.size
        self._own = 0  # under way in this worker
        # By this slot, since ever: also by workers that had it before.
        self._returned = int(_CELL.unpack_from(shared.memory, self._returned_at)[0])
        self._limited = False

    def configure(self, policy: Policy) -> None:
        """Take over the limits of a policy; the first worker that does so fills the bucket."""
        returned = self._load()
        try:
            super().configure(policy)
            self._limited = not (self.rpm is None and self.tpm is None and self.concurrency is None)
        finally:
            self._save(returned)

    def enter(self, now: float, estimate: int) -> int:
        if not self._limited:
            self._own += 1
            return 0
        returned = self._load()
        try:
            reserved = super().enter(now, estimate)
            self._own += 1
        finally:
            self._save(returned)
        return reserved

    def leave(self, reserved: int, used: int) -> None:
        self._own -= 1
        if self._limited:
            memory = self._shared.memory
            if reserved != used:
                self._returned += reserved - used
                _CELL.pack_into(memory, self._returned_at, self._returned)
            _CELL.pack_into(memory, self._under_way_at, self._own)

    def _load(self) -> int:
        """Take the turn on the row and read it; gives all tokens ever given back, which are in the bucket now."""
        shared, at = self._shared, self._at_row
        shared.lock(at)
        rpm, tpm, self._requests, tokens, self._at, seen = _ROW.unpack_from(shared.memory, at + _TAG_BYTES)
        self.rpm = None if rpm < 0 else rpm
        self.tpm = None if tpm < 0 else tpm
        cells = shared.cells.unpack_from(shared.memory, at + _SLOTS_AT)
        self.under_way = sum(cells[: shared.slots])
        returned = int(sum(cells[shared.slots :]))
        self._tokens = tokens + returned - seen
        return returned

    def _save(self, returned: int) -> None:
        shared, at = self._shared, self._at_row
        rpm = -1 if self.rpm is None else self.rpm
        tpm = -1 if self.tpm is None else self.tpm
        memory = shared.memory
        _ROW.pack_into(memory, at + _TAG_BYTES, rpm, tpm, self._requests, self._tokens, self._at, returned)
        _CELL.pack_into(memory, self._under_way_at, self._own)
        shared.unlock(at)
