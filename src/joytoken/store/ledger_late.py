"""Epochs that were given up: their leases returned, an incident, and what their journals bring later.

A node that is silent for too long keeps nobody's money: its leases go back to the accounts. What it had settled and
could not bring is charged when its journal comes back, as far as the accounts can carry it then; the rest is a
shortfall, for the operator.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.record import UsageRecord, close_record
from joytoken.store.batch import Batch, SettleRow, batch_reason, sum_charges
from joytoken.store.clock import now_us
from joytoken.store.engine import retried
from joytoken.store.ledger_batch import (
    PLATFORM,
    burn_mixed,
    known_settles,
    settle_conflict_row,
    usage_amounts,
)
from joytoken.store.ledger_book import Standing, lock_accounts, lock_chain, post, save
from joytoken.store.ledger_types import Flushed, WorkerFenced, WorkerRow
from joytoken.store.ledger_workers import WORKER_ROW, WorkerLedger, return_leases
from joytoken.store.record import record_row
from joytoken.store.schema import incident, settle_conflict, worker
from joytoken.store.usage_lost import Lost, refuse_lost

ABANDONED = "abandoned"  # an incident's kind

_overdue = (now_us() - worker.c.lease_deadline_us).label("overdue_us")
_seen = sa.select(worker.c.id, worker.c.epoch, worker.c.state, worker.c.host, worker.c.lease_deadline_us, _overdue)
_unended = _seen.where(worker.c.state.in_(("live", "recovering")))
_give_up = sa.select(worker.c.epoch, worker.c.state, worker.c.host, worker.c.lease_deadline_us, worker.c.applied_seq)
_of_epoch = sa.select(incident.c.id, incident.c.detail).where(
    incident.c.kind == ABANDONED, incident.c.subject == sa.bindparam("of"), incident.c.closed_us.is_(None)
)


class Abandonment(msgspec.Struct):
    """What an incident of an abandoned epoch says. Amounts in nanocredits."""

    worker: str
    epoch: int
    host: str
    applied_seq: int  # what its journal says up to there has been charged
    returned: dict[str, int]  # by account
    late_records: int = 0  # brought by its journal afterwards
    late_charged: int = 0
    late_shortfall: int = 0


class LateLedger(WorkerLedger):
    """The ledger's side of lost nodes. Each method is one transaction; callable from any thread."""

    def workers(self, *, ended: bool = False) -> list[WorkerRow]:
        """All workers whose epoch has not ended, by name; or those too whose has."""
        with self._db.read() as conn:
            return [WorkerRow(*row) for row in conn.execute((_seen if ended else _unended).order_by(worker.c.id))]

    @retried
    def abandon(self, worker_id: str, epoch: int, deadline_us: int) -> Abandonment | None:
        """Give an epoch up: return its leases, and file an incident. None where it is not as it was seen any more.

        `deadline_us`: of its leases, as it was seen; a worker that was heard since then has another.
        """
        with self._db.write(durable=self.durable) as conn:
            row = conn.execute(_give_up.where(worker.c.id == worker_id).with_for_update()).first()
            if row is None or (row.epoch, row.lease_deadline_us) != (epoch, deadline_us):
                return None
            if row.state not in {"live", "recovering"}:
                return None
            returned = return_leases(conn, worker_id, epoch)
            made = Abandonment(worker_id, epoch, row.host, row.applied_seq, returned)
            conn.execute(sa.update(worker).where(worker.c.id == worker_id), {"state": "abandoned"})
            detail = msgspec.json.encode(made).decode()
            of = {"kind": ABANDONED, "subject": f"{worker_id}/{epoch}", "detail": detail}
            conn.execute(sa.insert(incident).values(at_us=now_us(), **of))
            return made

    @retried
    def flush_late(self, worker_id: str, epoch: int, batch: Batch) -> Flushed:
        """Apply the settles of an epoch that has ended: charged as far as the accounts carry it, the rest a shortfall.

        A request that is there already stays as it is. Raises WorkerFenced where the epoch has not ended.
        """
        return self._into_months(batch, lambda lost: self._flush_late(worker_id, epoch, batch, lost))

    def _flush_late(self, worker_id: str, epoch: int, batch: Batch, lost: Lost) -> Flushed:
        with self._db.write(durable=self.durable) as conn:
            row = conn.execute(WORKER_ROW, {"of": worker_id}).first()
            if row is None or row.epoch < epoch or (row.epoch == epoch and row.state in {"live", "recovering"}):
                raise WorkerFenced(f"epoch {epoch} of {worker_id} has not ended")
            lock_chain(conn)
            settles = _unknown(conn, batch)
            if lost:
                settles = refuse_lost(conn, settles, lost, f"{worker_id}/{epoch}", {})
            applied = max(int(row.applied_seq), batch.upto) if row.epoch == epoch else batch.upto
            if settles:
                names = {name for _, accounts, _, _ in settles for name in accounts}
                standings = lock_accounts(conn, [*names, *PLATFORM])
                taken: dict[str, int] = {}
                settles = [_capped(settle, standings, taken) for settle in settles]
                self._apply_late(conn, worker_id, epoch, settles, standings, batch)
            if row.epoch == epoch:
                conn.execute(sa.update(worker).where(worker.c.id == worker_id), {"applied_seq": applied})
            return Flushed(applied)

    def _apply_late(
        self,
        conn: sa.Connection,
        worker_id: str,
        epoch: int,
        settles: list[SettleRow],
        standings: dict[str, Standing],
        batch: Batch,
    ) -> None:
        records = [record for _, _, _, record in settles]
        rows = [record_row(record, worker_id, epoch, seq) for seq, _, _, record in settles]
        self._insert(conn, rows)
        short = sum(record.shortfall for record in records)
        charges = sum_charges(settles)  # they may be capped by now
        tx_id = post(
            conn,
            "usage",
            usage_amounts(charges, short),
            standings,
            at_us=batch.at_us,
            batch=f"{worker_id}/{epoch}/{batch.upto}",
            actor=worker_id,
            reason=batch_reason(rows),
        )
        burn_mixed(conn, tx_id, charges, standings)
        save(conn, standings.values())
        found = conn.execute(_of_epoch, {"of": f"{worker_id}/{epoch}"}).first()
        if found is not None:
            said = msgspec.json.decode(found.detail, type=Abandonment)
            said.late_records += len(records)
            said.late_charged += sum(record.charged for record in records)
            said.late_shortfall += short
            detail = msgspec.json.encode(said).decode()
            conn.execute(sa.update(incident).where(incident.c.id == found.id), {"detail": detail})


def _unknown(conn: sa.Connection, batch: Batch) -> list[SettleRow]:
    """The settles of requests that are not there yet. Another cost for one that is there is an alarm."""
    known: dict[str, int] = {name: cost for name, (cost, _) in known_settles(conn, batch.settles).items()}
    fresh: list[SettleRow] = []
    for row in batch.settles:
        record = row[3]
        first = known.setdefault(record.request_id, -1)
        if first < 0:
            known[record.request_id] = record.cost
            fresh.append(row)
        elif first != record.cost:
            said: dict[str, Any] = settle_conflict_row(record, (first, None), batch.at_us)
            conn.execute(sa.insert(settle_conflict), said)
    return fresh


def _capped(row: SettleRow, standings: dict[str, Standing], taken: dict[str, int]) -> SettleRow:
    """A settle that takes no more than each of its accounts has free beside what those before it took."""
    seq, accounts, charged, record = row
    for name in accounts:
        standing = standings.get(name)
        room = standing.available - taken.get(name, 0) if standing is not None else 0
        charged = min(charged, max(room, 0))
    for name in accounts:
        taken[name] = taken.get(name, 0) + charged
    if charged != record.charged:
        record = _with_charge(record, charged)
    return seq, accounts, charged, record


def _with_charge(record: UsageRecord, charged: int) -> UsageRecord:
    changed = msgspec.structs.replace(record)
    close_record(changed, charged, record.cost - charged)
    return changed
