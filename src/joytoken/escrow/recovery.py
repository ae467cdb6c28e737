"""What a start does about the slot's last life: settle what the journal proves, return the rest.

Nothing here is kept between steps but the store's watermark, and the journal is only read: a recovery that is killed at
any point is simply done again.
"""

import fcntl
import os
import re
from pathlib import Path
from typing import Any

from joytoken.domain.record import UsageRecord, close_record
from joytoken.escrow.journal import CALLED, HOLD, PROGRESS, SETTLE, HoldBody, Replay
from joytoken.escrow.terms import Closed, RecoveryReport
from joytoken.store.ledger import Batch, Ledger, SettleRow

BATCH_RECORDS = 1_000


class Slot:
    """The right to be the worker of one slot on this host: an exclusive lock, which ends with the process."""

    def __init__(self, folder: Path, worker: str) -> None:
        self.folder = folder
        self.worker = worker
        self.name = re.sub(r"[^A-Za-z0-9_.-]", "_", worker)
        self._descriptor = -1

    @property
    def known(self) -> bool:
        """Whether it was ever taken in this folder."""
        return (self.folder / f"{self.name}.lock").exists()

    def take(self) -> None:
        """Take the lock. Raises Closed where another process has it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            os.close(descriptor)
            raise Closed(f"another process is worker {self.worker} already") from failure
        self._descriptor = descriptor

    def free(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


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


def recover(ledger: Ledger, slot: Slot, at_us: int) -> RecoveryReport:
    """End the slot's last epoch, if it has not ended: settles, open holds, leases. The slot's lock is held."""
    claimed = ledger.claim(slot.worker)
    if claimed is None:
        return RecoveryReport()
    epoch, applied = claimed
    replay = Replay(slot.folder, slot.name, slot.worker, epoch)
    settles, unsettled = _read(replay)
    settled = sum(1 for row in settles if row[0] > applied)
    rows = settles + _resolve(unsettled, replay.last_seq, at_us)
    charged = 0
    for start in range(0, len(rows), BATCH_RECORDS):
        part = rows[start : start + BATCH_RECORDS]
        if part[-1][0] > applied:
            ledger.flush(slot.worker, epoch, Batch(part[-1][0], part, {}, at_us), recovering=True)
            charged += sum(row[2] for row in part if row[0] > applied)
    ledger.finish(slot.worker, epoch)
    return RecoveryReport(epoch, settled, len(unsettled), charged, replay.torn, replay.missing)


def recover_others(ledger: Ledger, folder: Path, at_us: int) -> list[tuple[str, RecoveryReport]]:
    """Recover every worker whose journal is in this folder and whose slot nobody has: its name, and what was found.

    Slots that are not served any more, workers that cannot be started again, names of an earlier time.
    """
    done = []
    for worker in ledger.unfinished():
        slot = Slot(folder, worker)
        if not slot.known:
            continue  # another host's, or another folder's
        try:
            slot.take()
        except Closed:
            continue
        try:
            done.append((worker, recover(ledger, slot, at_us)))
        finally:
            slot.free()
    return done


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
    """A settle for each open hold, numbered after the journal's last record: the same ones each time."""
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
