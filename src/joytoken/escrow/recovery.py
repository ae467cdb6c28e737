"""What is done about an epoch that has ended without a word: settle what its journal proves, return the rest.

A start does it for its slot's last life, any worker for another one of its journal folder whose process has died, and a
worker whose epoch was given up while it was paused for itself. Nothing here is kept between steps but the store's
watermark, and the journal is only read: a recovery that is killed at any point is simply done again.
"""

import fcntl
import gc
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path

from joytoken.domain.record import UsageRecord, close_record
from joytoken.escrow.journal import HOLD, HoldBody, Replay, read_body
from joytoken.escrow.reading import (
    End,
    Found,
    OpenHold,
    Parts,
    Reader,
    Ready,
    Settles,
    read_parts,
    settles_of,
    whole,
)
from joytoken.escrow.terms import Closed, RecoveryReport
from joytoken.store.engine import StoreUnavailable
from joytoken.store.ledger import Batch, Ledger, SettleRow
from joytoken.store.ledger_types import LeaseGone, Unprepared

BATCH_RECORDS = 512  # more would not stay in a processor's cache from being read to being made ready
_ALONE_BATCHES = 4  # of a journal, before it is read by another process
_AHEAD_BATCHES = 14  # of such size that are read here meanwhile: that one starts as long, and begins behind them
_READY_TIMES = 3  # that reading begins anew where another process has made ready what cannot be written so
_LOCK = ".lock"
_LOCK_PAUSE_S = 0.02


class Slot:
    """The right to be the worker of one slot on this host: an exclusive lock, which ends with the process."""

    def __init__(self, folder: Path, worker: str) -> None:
        self.folder = folder
        self.worker = worker
        self.name = re.sub(r"[^A-Za-z0-9_.-]", "_", worker)
        self._descriptor = -1

    def take(self, wait_s: float = 0.0) -> None:
        """Take the lock. Raises Closed where another process has it.

        `wait_s`: for so long, whoever has it may be a sibling that recovers what this slot's last process left.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.folder / f"{self.name}{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + wait_s
        while not _locked(descriptor):
            if time.monotonic() >= until:
                os.close(descriptor)
                raise Closed(f"another process is worker {self.worker} already")
            time.sleep(_LOCK_PAUSE_S)
        name = self.worker.encode()
        if os.pread(descriptor, len(name) + 1, 0) != name:  # for siblings: a file's name does not tell it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, name, 0)
        self._descriptor = descriptor

    def free(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def recovered_cost(called: bool, progress: int, input_cost: int) -> int:  # noqa: FBT001 - a fact of the journal
    """What a request of a dead process costs: what it streamed, else its input if the provider was called, else 0."""
    if progress >= 0:
        return progress
    return input_cost if called else 0


def recover(ledger: Ledger, slot: Slot, at_us: int, own_epoch: int | None = None) -> RecoveryReport:
    """End the slot's last epoch, if it has not ended: settles, open holds, leases. The slot's lock is held.

    Where the epoch was given up meanwhile, what its journal proves is settled late: as far as the accounts carry it.
    `own_epoch`: the caller's own, to be brought to its end even where the store has gone on without it.
    """
    found = ledger.state(slot.worker)
    if found is None:
        return RecoveryReport()
    epoch, state, applied = found
    late = state in {"abandoned", "dead"}
    if own_epoch is not None and own_epoch != epoch:  # somebody else of this name is at work
        epoch, applied, late = own_epoch, 0, True
    elif state == "dead" and own_epoch is None:
        return RecoveryReport()
    elif not late:
        claimed = ledger.claim(slot.worker)
        if claimed is None or claimed[0] != epoch:
            raise StoreUnavailable(f"epoch {epoch} of {slot.worker} ended a moment ago")
        applied = claimed[1]
    try:
        report = _file(ledger, slot, epoch, applied, at_us, late=late)
    except LeaseGone:
        # A power cut took what the store had committed: the journal stands, the leases do not.
        for row in ledger.workers():
            if row.worker == slot.worker:
                ledger.abandon(row.worker, row.epoch, row.deadline_us)
        report = _file(ledger, slot, epoch, applied, at_us, late=True)
    if epoch == found[0]:
        ledger.finish(slot.worker, epoch)
    return report


def _file(ledger: Ledger, slot: Slot, epoch: int, applied: int, at_us: int, *, late: bool) -> RecoveryReport:
    """Bring what a journal proves beyond the watermark to the store."""
    filing = _Filing(ledger, slot, epoch, applied, at_us, late=late)
    end = filing.settles(ready=not late)
    settled = filing.count
    if end.open and end.last_seq < filing.applied:
        # The journal's end is gone, or an earlier recovery died on its way: the store has settles not found here.
        for request_id in ledger.settled(end.open):
            del end.open[request_id]
    rows = list(_resolve(end.open, max(end.last_seq, filing.applied), at_us))
    for start in range(0, len(rows), BATCH_RECORDS):
        filing.bring(settles_of(rows[start : start + BATCH_RECORDS]))
    return RecoveryReport(epoch, settled, len(rows), filing.charged, end.torn, end.missing, slot.worker, late)


class _Filing:
    """Brings settles to the store in batches."""

    def __init__(self, ledger: Ledger, slot: Slot, epoch: int, applied: int, at_us: int, *, late: bool) -> None:
        self._flush = ledger.flush_late if late else partial(ledger.flush, recovering=True)
        self._bulk = ledger.bulk
        self._sqlite = ledger.sqlite
        self._slot = slot
        self._epoch = epoch
        self._at_us = at_us
        self.applied = applied
        self.count = 0
        self.charged = 0  # nanocredits

    def settles(self, *, ready: bool) -> End:
        """Bring what the journal has beyond the watermark; returns what is open at its end.

        `ready`: made ready for the store. Where that needs the settles themselves, they are read here, and from a few
        times on all of them.
        """
        for _ in range(_READY_TIMES if ready else 0):
            with suppress(Unprepared):
                return self._bring_all(self._parts(), Ready(self._slot.worker, self._epoch, sqlite=self._sqlite).make)
        return self._bring_all(self._own_parts(), whole)

    def _bring_all(self, parts: Parts, make: Callable[[Found], Settles]) -> End:
        with closing(parts):
            for part in parts:
                if isinstance(part, End):
                    return part
                if isinstance(part, Settles):
                    self.bring(part)
                    continue
                try:
                    self.bring(make(part))
                except Unprepared:
                    self.bring(whole(part))
        raise RuntimeError("the reading of a journal has no end")

    def bring(self, part: Settles) -> None:
        """Bring these settles."""
        batch = Batch(part.upto, part.rows, {}, self._at_us, charges=part.charges, prepared=part.prepared)
        self._flush(self._slot.worker, self._epoch, batch)
        self.count += part.count
        self.charged += part.charged
        self.applied = part.upto

    def _parts(self) -> Parts:
        """What the journal says beyond the watermark. A long one is read by another process as soon as that can."""
        slot, since = self._slot, self.applied
        with ExitStack() as stack:
            for count, part in enumerate(self._own_parts(), 1):
                yield part
                if isinstance(part, End):
                    return
                if count == _ALONE_BATCHES:
                    break
            stack.enter_context(self._bulk())
            stack.enter_context(_uncollected())
            border = self.applied + (self.applied - since) * _AHEAD_BATCHES // _ALONE_BATCHES
            what = (slot.folder, slot.name, slot.worker, self._epoch, border, BATCH_RECORDS)
            parts: Parts | tuple[()] = ()
            with suppress(OSError):  # then all of it is read here
                parts = stack.enter_context(Reader(*what, sqlite=self._sqlite)).parts()
            for part in chain(self._own_parts(border), parts):
                yield part
                if isinstance(part, End):
                    return
        yield from self._own_parts()  # there is no other one, or it has died

    def _own_parts(self, border: int | None = None) -> Parts:
        slot = self._slot
        replay = Replay(slot.folder, slot.name, slot.worker, self._epoch)
        return read_parts(replay, self.applied, BATCH_RECORDS, border)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector out: what is read here goes nowhere in circles, and looking through it takes time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _resolve(unsettled: dict[str, OpenHold], last_seq: int, at_us: int) -> Iterator[SettleRow]:
    """A settle for each open hold, numbered after everything that the journal and the store know."""
    body: HoldBody
    for seq, (_, hold) in enumerate(sorted(unsettled.items()), last_seq + 1):
        body = read_body(HOLD, hold.hold)
        amount, input_cost, accounts, called, progress, record = body
        progress = hold.progress if hold.progress >= 0 else progress
        cost = recovered_cost(called or hold.called, progress, input_cost)
        charged = close_recovered(record, cost, amount, at_us)
        yield (seq, accounts, charged, record)


def close_recovered(record: UsageRecord, cost: int, amount: int, at_us: int) -> int:
    """Write the ending `recovered` onto a record; returns what is charged, which is never more than the hold."""
    charged = min(cost, amount)
    record.cost = cost
    record.hold = amount
    record.ending = "recovered"
    record.usage_source = "recovered"
    record.finished_us = max(at_us, record.started_us)
    close_record(record, charged, cost - charged)
    return charged


class Siblings:
    """The other slots of a journal folder: whose process has died is found by its free lock, and recovered.

    Asks the store once for each slot that is found free, and not again until it was taken in between.
    """

    def __init__(self, ledger: Ledger, folder: Path, own_worker: str) -> None:
        self._ledger = ledger
        self._folder = folder
        self._own = own_worker
        self._ended: set[Path] = set()

    def names(self) -> set[str]:
        """The workers that have or had a slot in the folder, with this one."""
        return {self._own} | {path.read_text() for path in self._folder.glob(f"*{_LOCK}")}

    def recover(self, at_us: int) -> list[RecoveryReport]:
        """Recover every sibling that has died. Raises StoreUnavailable; what was done by then stays done."""
        reports = []
        for path in sorted(self._folder.glob(f"*{_LOCK}")):
            worker = path.read_text()
            slot = Slot(self._folder, worker)
            if worker == self._own or path.name != slot.name + _LOCK:  # its first owner is about to write its name
                continue
            try:
                slot.take()
            except Closed:
                self._ended.discard(path)
                continue
            try:
                if path not in self._ended:
                    report = recover(self._ledger, slot, at_us)
                    if report.epoch:
                        reports.append(report)
                    self._ended.add(path)
            finally:
                slot.free()
        return reports


def recover_siblings(ledger: Ledger, folder: Path, own_worker: str, at_us: int) -> list[RecoveryReport]:
    """Recover the workers of a journal folder whose processes have died, once. Raises StoreUnavailable."""
    return Siblings(ledger, folder, own_worker).recover(at_us)
