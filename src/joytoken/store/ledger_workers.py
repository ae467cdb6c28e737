"""What workers do to the ledger: epochs, grants of leases, and batches of settles behind a fence."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from joytoken.domain.budget import OWN_RUN_BUDGET, budget_of, opened_of
from joytoken.domain.ledger import QUOTA_ISSUED, Granted, Want, account_kind
from joytoken.store.batch import LEASE_US, Batch, Prepared, SettleRow, batch_reason
from joytoken.store.budgets import limit_now, open_one
from joytoken.store.clock import now_us
from joytoken.store.engine import Database, StoreError, retried
from joytoken.store.ledger_batch import PLATFORM, burn_mixed, charges_of, known_ids, sifted, usage_amounts
from joytoken.store.ledger_book import Standing, carry_issued, lock_accounts, lock_chain, open_account, post, save
from joytoken.store.ledger_orders import settle_dues
from joytoken.store.ledger_types import Flushed, LeaseGone, Unprepared, WorkerFenced, WorkerState
from joytoken.store.postgres import to_be_retried
from joytoken.store.record import record_row
from joytoken.store.schema import account, incident, lease, worker
from joytoken.store.statement import Listing, Statement
from joytoken.store.usage_insert import insert_prepared, insert_records
from joytoken.store.usage_lost import Lost, refuse_lost
from joytoken.store.usage_months import Months, is_missing_table

_RECALL_US = 1_000_000  # how long a grant that fell short asks other workers for their free parts

_worker_seen = sa.select(worker.c.epoch, worker.c.state, worker.c.applied_seq).where(worker.c.id == sa.bindparam("of"))
WORKER_ROW = _worker_seen.with_for_update()
_fence_row = Statement(WORKER_ROW)
_beat = Statement(
    sa.update(worker)
    .where(worker.c.id == sa.bindparam("of"))
    .values(
        applied_seq=sa.bindparam("seq"),
        heartbeat_us=sa.bindparam("at"),
        lease_deadline_us=now_us() + sa.bindparam("lease"),
    )
)
_renew = (
    sa.update(worker)
    .where(worker.c.id == sa.bindparam("of"))
    .values(lease_deadline_us=now_us() + sa.bindparam("lease"))
)
_settled = (
    sa.update(incident)
    .where(incident.c.subject == sa.bindparam("of"), incident.c.closed_us.is_(None))
    .values(closed_us=now_us())
)
# The first condition is the partial index's.
_recalls = sa.select(account.c.id).where(
    account.c.recall_until_us > sa.literal_column("0"), account.c.recall_until_us > now_us()
)
_all_recalled = Statement(_recalls)
_recalled = Listing(lambda names: _recalls.where(account.c.id.in_(names)))
_recall = Statement(
    sa.update(account).where(account.c.id == sa.bindparam("of")).values(recall_until_us=now_us() + _RECALL_US)
)
_there = Listing(lambda names: sa.select(account.c.id).where(account.c.id.in_(names)))
_mine = sa.and_(lease.c.worker == sa.bindparam("who"), lease.c.epoch == sa.bindparam("in_epoch"))
_my_leases = sa.select(lease.c.account, lease.c.outstanding).where(_mine)
_my_leases_of = Listing(lambda names: _my_leases.where(lease.c.account.in_(names)))
_add_lease = Statement(sa.insert(lease), ("account", "worker", "epoch", "outstanding"))
_raise_lease = Statement(
    sa.update(lease)
    .where(_mine, lease.c.account == sa.bindparam("of"))
    .values(outstanding=lease.c.outstanding + sa.bindparam("by"))
)
_drop_empty = Listing(lambda names: sa.delete(lease).where(_mine, lease.c.account.in_(names), lease.c.outstanding == 0))


class _Repeated(Exception):
    """Some request of a batch is already there."""


class _Due(Exception):
    """A grant of some wallet has begun or ended by now."""


class WorkerLedger:
    """The workers' side of the ledger. Each method is one transaction; callable from any thread."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.sqlite = database.sqlite
        self.durable = False  # whether what workers commit survives a power cut on SQLite too
        self.values_daily_max = 2**53  # accounts that a budget for each value opens in a day for one owner's callers
        self._months = Months(database)

    def make_months(self, starts: Sequence[int]) -> None:
        """Make the tables of the months that hold these moments, so that no flush has to."""
        self._months.see_to(starts)

    def bulk(self) -> AbstractContextManager[None]:
        """Many large batches are brought within this block."""
        return self._db.copied_meanwhile()

    @retried
    def register(self, worker_id: str, host: str, at_us: int, lease_us: int = LEASE_US) -> int:
        """Begin a new epoch of a worker and return its number. Raises StoreError where the last one has not ended."""
        with self._db.write(durable=self.durable) as conn:
            row = conn.execute(WORKER_ROW, {"of": worker_id}).first()
            fresh = {"state": "live", "host": host, "applied_seq": 0, "heartbeat_us": at_us}
            if row is None:
                conn.execute(sa.insert(worker), {"id": worker_id, "epoch": 1, **fresh})
            elif row.state != "dead":
                raise StoreError(f"worker {worker_id} still has its epoch {row.epoch} to recover")
            epoch = 1 if row is None else int(row.epoch) + 1
            fresh["epoch"] = epoch
            conn.execute(_renew.values(**fresh), {"of": worker_id, "lease": lease_us})
            return epoch

    def state(self, worker_id: str) -> tuple[int, WorkerState, int] | None:
        """A worker's epoch, state and watermark; None where it never was."""
        with self._db.read() as conn:
            row = conn.execute(_worker_seen, {"of": worker_id}).first()
            return None if row is None else (row.epoch, row.state, row.applied_seq)

    def leases(self, worker_id: str, epoch: int) -> dict[str, int]:
        """What the store knows as leased to this worker, per account."""
        with self._db.read() as conn:
            return {row[0]: row[1] for row in conn.execute(_my_leases, {"who": worker_id, "in_epoch": epoch})}

    def recalls(self) -> tuple[str, ...]:
        """Accounts that somebody needs more of than is free: what is leased and not used is to be given back now."""
        with self._db.read() as conn:
            return tuple([row[0] for row in _all_recalled.rows(conn)])

    def settled(self, request_ids: Iterable[str]) -> set[str]:
        """Which of these requests have their usage record already."""
        with self._db.read() as conn:
            return known_ids(conn, request_ids)

    @retried
    def claim(self, worker_id: str) -> tuple[int, int] | None:
        """Take a dead worker's epoch over: its number and watermark; None where there is nothing to recover."""
        with self._db.write(durable=self.durable) as conn:
            row = conn.execute(WORKER_ROW, {"of": worker_id}).first()
            if row is None or row.state not in {"live", "recovering"}:
                return None
            conn.execute(_renew.values(state="recovering"), {"of": worker_id, "lease": LEASE_US})
            return int(row.epoch), int(row.applied_seq)

    @retried
    def finish(self, worker_id: str, epoch: int) -> None:
        """Return all leases of an epoch and end it; of one that was given up, close the incident.

        Raises WorkerFenced where another epoch has begun.
        """
        with self._db.write(durable=self.durable, bulk=True) as conn:
            row = conn.execute(WORKER_ROW, {"of": worker_id}).first()
            if row is None or row.epoch != epoch:
                raise WorkerFenced(f"epoch {epoch} of {worker_id} is not the one that the store knows")
            return_leases(conn, worker_id, epoch)
            conn.execute(sa.update(worker).where(worker.c.id == worker_id), {"state": "dead"})
            if row.state == "abandoned":
                conn.execute(_settled, {"of": f"{worker_id}/{epoch}"})

    @retried
    def grant(
        self, worker_id: str, epoch: int, wants: Sequence[tuple[Want, int, int]], at_us: int = 0
    ) -> list[Granted]:
        """Lease parts of accounts to a worker, in one transaction; answers in the order of `wants`.

        Each want comes with what is needed now and what would be a good size. Plenty: the good size. Otherwise a
        quarter of what is available or the need, whichever is more; where not even the need is there, what is. A quota
        or a budget that is not there yet is opened with its limit, while the day's count allows it. What has expired is
        not lent. Raises WorkerFenced.
        """
        try:
            return self._grant(worker_id, epoch, wants, at_us, due=False)
        except _Due:
            return self._grant(worker_id, epoch, wants, at_us, due=True)

    def _grant(
        self, worker_id: str, epoch: int, wants: Sequence[tuple[Want, int, int]], at_us: int, *, due: bool
    ) -> list[Granted]:
        with self._db.write(durable=self.durable) as conn:
            _fence(conn, worker_id, epoch, "live")
            names = sorted(want.account for want, _, _ in wants)
            if due or (not self._db.sqlite and _to_be_opened(conn, wants)):
                lock_chain(conn)  # before any account is locked
            if due:
                settle_dues(conn, names, at_us)
            standings = lock_accounts(conn, names)
            if not due and any(s.due_us is not None and s.due_us <= at_us for s in standings.values()):
                raise _Due
            if any(want.limit is not None and want.account not in standings for want, _, _ in wants):
                lock_chain(conn)
                for want, _, _ in sorted(wants, key=lambda item: item[0].account):
                    if want.limit is not None and want.account not in standings and self._may_open(conn, want, at_us):
                        standings[want.account] = _open_quota(conn, want.account, want.limit, at_us)
            mine = dict(_my_leases_of.rows(conn, names, {"who": worker_id, "in_epoch": epoch}))
            recalled = {row[0] for row in _recalled.rows(conn, names)}
            answers, changed = [], []
            for want, need, target in wants:
                standing = standings.get(want.account)
                if standing is None:  # no such wallet, or one account too many
                    answers.append(Granted(want.account, 0, 0, full=want.limit is not None))
                    continue
                amount = _share(standing.available, need, need if want.account in recalled else target)
                elsewhere = standing.leased - mine.get(want.account, 0)
                if amount:
                    standing.leased += amount
                    changed.append(standing)
                    _lend(conn, worker_id, epoch, want.account, amount, known=want.account in mine)
                if amount < need and elsewhere:
                    _recall.run(conn, {"of": want.account})
                answers.append(Granted(want.account, amount, max(standing.available, 0), elsewhere))
            save(conn, changed)
            return answers

    def _may_open(self, conn: sa.Connection, want: Want, at_us: int) -> bool:
        subject = opened_of(want.account)
        return subject is None or open_one(conn, subject, at_us, self.values_daily_max)

    @retried
    def flush(self, worker_id: str, epoch: int, batch: Batch, *, recovering: bool = False) -> Flushed:
        """Apply a batch, once: records, balances, returns, ledger, watermark, heartbeat, in one transaction.

        A batch at or below the watermark only renews the heartbeat. Raises WorkerFenced where the epoch is not the
        worker's live one (or, for a recovery, the claimed one): then nothing was applied. Raises LeaseGone where a
        recovery speaks of more than is leased.
        """
        try:
            return self._into_months(
                batch, lambda lost: self._flush_anew(worker_id, epoch, batch, lost, recovering=recovering)
            )
        except sa.exc.IntegrityError as failure:
            if recovering and not to_be_retried(failure):
                raise LeaseGone(f"a batch of {worker_id}/{epoch} charges more than is leased") from failure
            raise

    def _flush_anew(self, worker_id: str, epoch: int, batch: Batch, lost: Lost, *, recovering: bool) -> Flushed:
        """Flush; of requests that are there already, what is new."""
        try:
            return self._flush(worker_id, epoch, batch, lost, recovering=recovering, sift=False)
        except _Repeated:
            return self._flush(worker_id, epoch, batch, lost, recovering=recovering, sift=True)

    def _flush(self, worker_id: str, epoch: int, batch: Batch, lost: Lost, *, recovering: bool, sift: bool) -> Flushed:
        with self._db.write(durable=self.durable, bulk=recovering) as conn:
            applied = _fence(conn, worker_id, epoch, "recovering" if recovering else "live")
            if batch.upto > applied:
                settles, prepared = batch.settles, batch.prepared
                if prepared is not None and (lost or sift or prepared.first_seq <= applied):
                    _needs_settles(batch)
                    prepared = None
                if prepared is None and settles and settles[0][0] <= applied:
                    settles = [row for row in settles if row[0] > applied]
                returns = dict(batch.returns)
                if lost:
                    settles = refuse_lost(conn, settles, lost, f"{worker_id}/{epoch}", returns)
                if sift:
                    settles = sifted(conn, settles, returns, batch.at_us)
                self._apply(conn, worker_id, epoch, settles, returns, batch, prepared)
                applied = batch.upto
            _beat.run(conn, {"of": worker_id, "seq": applied, "at": batch.at_us, "lease": batch.lease_us})
            return Flushed(applied, tuple([row[0] for row in _all_recalled.rows(conn)]))

    def _apply(
        self,
        conn: sa.Connection,
        worker_id: str,
        epoch: int,
        settles: Sequence[SettleRow],
        returns: dict[str, int],
        batch: Batch,
        prepared: Prepared | None,
    ) -> None:
        count = len(settles) if prepared is None else prepared.count
        charges = charges_of(settles, batch)
        if count:
            lock_chain(conn)
        names = sorted({*charges, *returns})
        standings = lock_accounts(conn, [*names, *PLATFORM] if count else names)
        if count:
            new = None if prepared is None else insert_prepared(conn, prepared, self._months)
            if prepared is not None and new is not None:
                short, reason = prepared.shortfall, prepared.reason
            else:
                _needs_settles(batch)
                rows = [record_row(record, worker_id, epoch, seq) for seq, _, _, record in settles]
                new, reason = self._insert(conn, rows), batch_reason(rows)
                short = sum(record.shortfall for _, _, _, record in settles)
            if new != count:
                raise _Repeated
            tx_id = post(
                conn,
                "usage",
                usage_amounts(charges, short),
                standings,
                at_us=batch.at_us,
                batch=f"{worker_id}/{epoch}/{batch.upto}",
                actor=worker_id,
                reason=reason,
            )
            burn_mixed(conn, tx_id, charges, standings)
        for name in names:
            standings[name].leased -= charges.get(name, 0) + returns.get(name, 0)
        save(conn, standings.values())
        mine = {"who": worker_id, "in_epoch": epoch}
        if names:
            changes = [{**mine, "of": name, "by": -charges.get(name, 0) - returns.get(name, 0)} for name in names]
            if _raise_lease.run_many(conn, changes) != len(changes):
                raise LeaseGone(f"a batch of {worker_id}/{epoch} speaks of a lease that is not there")
        if returns:
            _drop_empty.run(conn, sorted(returns), mine)

    def _into_months(self, batch: Batch, write: Callable[[Lost], Flushed]) -> Flushed:
        """Write a batch whose months are there, but for those that were dropped: again where that was just now."""
        prepared = batch.prepared
        starts = prepared.starts if prepared else [record.started_us for _, _, _, record in batch.settles]
        lost = self._months.see_to(starts)
        try:
            return write(lost)
        except sa.exc.DBAPIError as failure:
            if not is_missing_table(failure):
                raise
        self._months.forget()
        return write(self._months.see_to(starts))

    def _insert(self, conn: sa.Connection, rows: list[tuple[Any, ...]]) -> int:
        """Insert usage records, many in one statement; returns how many were new.

        The driver gives up the interpreter's lock for each statement that it runs, and then waits for the event loop to
        get it back: a statement for each record cost the loop more than the records themselves.
        """
        return insert_records(conn, rows, self._months)


def _needs_settles(batch: Batch) -> None:
    if batch.prepared is not None and len(batch.settles) != batch.prepared.count:
        raise Unprepared(f"the batch up to {batch.upto} has to be written record by record")


def return_leases(conn: sa.Connection, worker_id: str, epoch: int) -> dict[str, int]:
    """Give everything that an epoch has leased back to its accounts; returns what that was."""
    mine = {"who": worker_id, "in_epoch": epoch}
    left = {row[0]: row[1] for row in conn.execute(_my_leases, mine)}
    standings = lock_accounts(conn, left)
    for name, outstanding in left.items():
        standings[name].leased -= outstanding
    save(conn, standings.values())
    conn.execute(sa.delete(lease).where(_mine), mine)
    return left


def _fence(conn: sa.Connection, worker_id: str, epoch: int, state: WorkerState) -> int:
    row = _fence_row.row(conn, {"of": worker_id})
    if row is None or row[0] != epoch or row[1] != state:
        raise WorkerFenced(f"epoch {epoch} of {worker_id} is not {state} any more")
    return int(row[2])


def _share(available: int, need: int, target: int) -> int:
    if available <= 0:
        return 0
    if available >= 4 * target:
        return max(target, need)
    if not need:
        return 0  # nobody waits for it
    quarter = available // 4 if target > need else need
    # In whole needs: a part that serves nobody here would be missing elsewhere.
    return min(available, max(need, quarter - quarter % need))


def _to_be_opened(conn: sa.Connection, wants: Sequence[tuple[Want, int, int]]) -> bool:
    """Whether an account is not there that a grant opens. Once there, an account stays."""
    names = {want.account for want, _, _ in wants if want.limit is not None}
    return bool(names) and len(_there.rows(conn, sorted(names))) < len(names)


def _open_quota(conn: sa.Connection, name: str, limit: int, at_us: int) -> Standing:
    if account_kind(name) == "budget":
        # Whoever changes a budget's limit writes it down first and then moves what is open: so none opens by the old.
        budget_id, _ = budget_of(name)
        now = None if budget_id == OWN_RUN_BUDGET else limit_now(conn, budget_id)
        limit = limit if now is None else now
    open_account(conn, name, quota_limit=limit)
    standings = lock_accounts(conn, [QUOTA_ISSUED, name])
    carry_issued(conn, standings, limit, at_us)
    post(conn, "open", {name: limit, QUOTA_ISSUED: -limit}, standings, at_us=at_us, reason="window opened")
    save(conn, standings.values())
    return standings[name]


def _lend(conn: sa.Connection, worker_id: str, epoch: int, name: str, amount: int, *, known: bool) -> None:
    if known:
        _raise_lease.run(conn, {"who": worker_id, "in_epoch": epoch, "of": name, "by": amount})
    else:
        row = {"account": name, "worker": worker_id, "epoch": epoch, "outstanding": amount}
        _add_lease.run(conn, row)
