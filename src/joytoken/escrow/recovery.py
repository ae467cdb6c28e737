"""What is done about an epoch that has ended without a word: settle what its journal proves, return the rest.

A start does it for its slot's last life, any worker for another one of its journal folder whose process has died, and a
worker whose epoch was given up while it was paused for itself. Nothing here is kept between steps but the store's
watermark, and the journal is only read: a recovery that is killed at any point is simply done again.
"""

import fcntl
import os
import re
import time
from pathlib import Path
from typing import Any

from joytoken.domain.record import UsageRecord, close_record
from joytoken.escrow.journal import CALLED, HOLD, PROGRESS, SETTLE, HoldBody, Replay
from joytoken.escrow.terms import Closed, RecoveryReport
from joytoken.store.engine import StoreUnavailable
from joytoken.store.ledger import Batch, Ledger, SettleRow
from joytoken.store.ledger_types import LeaseGone

BATCH_RECORDS = 1_000
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


class _Unsettled:
    """A hold of which no settle is in the journal."""

    __slots__ = ("accounts", "amount", "called", "input_cost", "progress", "record")

    def __init__(self, body: HoldBody) -> None:
        self.amount, self.input_cost, self.accounts, self.called, self.progress, self.record = body


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
    replay = Replay(slot.folder, slot.name, slot.worker, epoch)
    settles, unsettled = _read(replay)
    settled = sum(1 for row in settles if row[0] > applied)
    if unsettled and replay.last_seq < applied:
        # The journal's end is gone, or an earlier recovery died on its way: the store has settles that are not here.
        for request_id in ledger.settled(unsettled):
            del unsettled[request_id]
    rows = settles + _resolve(unsettled, max(replay.last_seq, applied), at_us)
    charged = 0
    for start in range(0, len(rows), BATCH_RECORDS):
        part = rows[start : start + BATCH_RECORDS]
        if part[-1][0] > applied:
            part = [row for row in part if row[0] > applied]
            batch = Batch(part[-1][0], part, {}, at_us)
            if late:
                ledger.flush_late(slot.worker, epoch, batch)
            else:
                ledger.flush(slot.worker, epoch, batch, recovering=True)
            charged += sum(row[2] for row in part)
    return RecoveryReport(epoch, settled, len(unsettled), charged, replay.torn, replay.missing, slot.worker, late)


def _read(replay: Replay) -> tuple[list[SettleRow], dict[str, _Unsettled]]:
    settles: list[SettleRow] = []
    unsettled: dict[str, _Unsettled] = {}
    body: Any
    for seq, kind, body in replay:
        if kind == HOLD:
            unsettled[body[5].request_id] = _Unsettled(body)
        elif kind == CALLED:
            if body in unsettled:
                unsettled[body].called = True
        elif kind == PROGRESS:
            if body[0] in unsettled:
                unsettled[body[0]].progress = body[1]
        elif kind == SETTLE:
            accounts, record = body
            unsettled.pop(record.request_id, None)
            settles.append((seq, accounts, record.charged, record))
    return settles, unsettled


def _resolve(unsettled: dict[str, _Unsettled], last_seq: int, at_us: int) -> list[SettleRow]:
    """A settle for each open hold, numbered after everything that the journal and the store know."""
    rows: list[SettleRow] = []
    for seq, (_, hold) in enumerate(sorted(unsettled.items()), last_seq + 1):
        record = hold.record
        cost = recovered_cost(hold.called, hold.progress, hold.input_cost)
        charged = close_recovered(record, cost, hold.amount, at_us)
        rows.append((seq, hold.accounts, charged, record))
    return rows


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
