"""The proof: every invariant of the money tables, on one consistent view, in a stream.

Nothing is held in memory but one row per account. Each check names the first row that contradicts it.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.ledger import PLATFORM_ACCOUNTS, QUOTA_ISSUED, REVENUE, SHORTFALL
from joytoken.store import verify_accounts, verify_grants
from joytoken.store.engine import Database
from joytoken.store.ledger_book import GENESIS, tx_hash
from joytoken.store.postgres import unbounded
from joytoken.store.schema import account, lease, ledger_entry, ledger_tx, usage_record, worker
from joytoken.store.usage_months import count_of, months
from joytoken.store.verify_months import every_month, sums_by_wallet
from joytoken.store.verify_records import Finding, once

_CHUNK_ROWS = 1_000


class Check(msgspec.Struct, frozen=True):
    """One invariant's outcome; `detail` names the first bad row, or what was looked at."""

    name: str
    ok: bool
    detail: str


class VerifyReport(msgspec.Struct, frozen=True):
    """What a proof came to. `first_bad` is the first contradiction, or None."""

    checks: list[Check]
    accounts: int
    records: int
    first_bad: str | None

    @property
    def ok(self) -> bool:
        """Whether every invariant holds."""
        return self.first_bad is None


_Row = Any  # a database row


# Told before each check: how many are done, of how many, and what comes now.
Progress = Callable[[int, int, str], None]


def verify(database: Database, progress: Progress | None = None) -> VerifyReport:
    """Prove the invariants of money within one read transaction, which no writer waits for."""
    with database.read() as conn:
        unbounded(conn)
        checks = []
        accounts = records = 0
        for done, (name, look) in enumerate(CHECKS):
            if progress is not None:
                progress(done, len(CHECKS), name)
            bad = look(conn)
            checks.append(Check(name, bad is None, bad or "holds"))
            if bad is not None and look is every_month:
                break  # without it, nothing else can be looked at
        else:
            accounts = conn.execute(sa.select(sa.func.count()).select_from(account)).scalar_one()
            records = sum(count_of(conn, month) for month in months(conn))
    first = next((f"{check.name}: {check.detail}" for check in checks if not check.ok), None)
    return VerifyReport(checks, accounts, records, first)


def _stream(conn: sa.Connection, query: sa.Select[Any]) -> Iterator[_Row]:
    with conn.execute(query.execution_options(yield_per=_CHUNK_ROWS)) as result:  # a cursor on PostgreSQL's side
        yield from result


def _bounds(conn: sa.Connection) -> Finding:
    a = account.c
    covered = sa.and_(a.balance + a.credit_limit >= 0, a.leased <= a.balance + a.credit_limit)
    query = sa.select(a.id, a.balance, a.leased).where(
        sa.or_(a.leased < 0, sa.and_(a.kind != "platform", sa.not_(covered)))
    )
    row = conn.execute(query.order_by(a.id).limit(1)).first()
    return None if row is None else f"account {row.id}: balance {row.balance}, leased {row.leased}"


def _leases(conn: sa.Connection) -> Finding:
    summed = sa.func.sum(lease.c.outstanding).label("out")
    total = sa.select(lease.c.account, summed).group_by(lease.c.account).subquery()
    out = sa.func.coalesce(total.c.out, 0)
    query = (
        sa.select(account.c.id, account.c.leased, out)
        .outerjoin(total, total.c.account == account.c.id)
        .where(account.c.leased != out)
        .order_by(account.c.id)
    )
    row = conn.execute(query.limit(1)).first()
    return None if row is None else f"account {row[0]}: leased {row[1]}, leases sum to {row[2]}"


def _split(conn: sa.Connection) -> Finding:
    u = usage_record.c
    wrong = sa.or_(u.cost != u.charged + u.shortfall, u.charged < 0, u.charged > u.cost)
    row = conn.execute(sa.select(u.request_id, u.cost, u.charged, u.shortfall).where(wrong).limit(1)).first()
    return None if row is None else f"record {row[0]}: cost {row[1]}, charged {row[2]}, shortfall {row[3]}"


def _balances(conn: sa.Connection) -> Finding:
    e = ledger_entry.c
    query = sa.select(e.account, e.version, e.amount, e.balance_after, e.tx).order_by(e.account, e.version)
    stands = {row.id: (row.balance, row.version) for row in _stream(conn, sa.select(account))}
    for name, entries in groupby(_stream(conn, query), key=lambda row: row.account):
        balance = version = 0
        for row in entries:
            balance, version = balance + row.amount, version + 1
            if (row.version, row.balance_after) != (version, balance):
                said = f"balance {row.balance_after} at version {row.version}, not {balance} at {version}"
                return f"account {name}, transaction {row.tx}: {said}"
        if name not in stands:
            return f"account {name} has entries but no row"
        if stands.pop(name) != (balance, version):
            return f"account {name}: its row is not what its entries sum to ({balance} at version {version})"
    bad = next((name for name, stand in sorted(stands.items()) if stand != (0, 0)), None)
    return None if bad is None else f"account {bad}: a balance without entries"


def _totals(conn: sa.Connection) -> Finding:
    """What was charged to each wallet is what its records say, and the operator's side is their sum."""
    e = ledger_entry.c
    used = (
        sa.select(e.account, sa.func.sum(e.amount))
        .join(ledger_tx, ledger_tx.c.id == e.tx)
        .where(ledger_tx.c.kind == "usage")
        .group_by(e.account)
    )
    entered = {row[0]: row[1] for row in conn.execute(used)}
    sums: dict[str, int] = {}
    cost = unpaid = 0
    for owner, tier, total, true_cost, short in sums_by_wallet(conn):
        name = f"wallet:{owner}:{tier}"
        sums[name] = sums.get(name, 0) + total
        cost += true_cost
        unpaid += short
    for name, total in sums.items():
        moved = entered.pop(name, 0)
        if moved + total:
            return f"account {name}: charged {-moved}, its records sum to {total}"
    if entered.get(REVENUE, 0) != cost:
        return f"account {REVENUE}: {entered.get(REVENUE, 0)}, all records cost {cost}"
    left = [name for name in sorted(entered) if name.startswith("wallet:") and entered[name]]
    if left:
        return f"account {left[0]}: charged {-entered[left[0]]} without a record"
    quotas = sum(moved for name, moved in entered.items() if name.startswith(("quota:", "budget:")))
    if quotas + entered.get(QUOTA_ISSUED, 0):
        return f"account {QUOTA_ISSUED}: it is not the sum of all quotas and budgets"
    return None if entered.get(SHORTFALL, 0) + unpaid == 0 else f"account {SHORTFALL}: not what records fell short by"


def _journalled(conn: sa.Connection) -> Finding:
    u = usage_record.c
    query = (
        sa.select(u.request_id, u.worker, u.epoch, u.seq)
        .outerjoin(worker, worker.c.id == u.worker)
        .where(
            sa.or_(
                worker.c.id.is_(None),
                u.epoch > worker.c.epoch,
                u.seq <= 0,
                sa.and_(u.epoch == worker.c.epoch, u.seq > worker.c.applied_seq),
            )
        )
    )
    row = conn.execute(query.limit(1)).first()
    return None if row is None else f"record {row[0]}: no journal of {row[1]}/{row[2]} has its number {row[3]}"


def _ended(conn: sa.Connection) -> Finding:
    query = (
        sa.select(lease.c.account, lease.c.worker, lease.c.epoch)
        .outerjoin(worker, worker.c.id == lease.c.worker)
        .where(
            sa.or_(worker.c.id.is_(None), worker.c.state.in_(("dead", "abandoned")), worker.c.epoch != lease.c.epoch)
        )
    )
    row = conn.execute(query.limit(1)).first()
    return None if row is None else f"lease of {row[0]} by {row[1]}, whose epoch {row[2]} has ended"


def _chain(conn: sa.Connection) -> Finding:
    """Each transaction's entries sum to zero, and its hash follows from all that it says and the one before."""
    e = ledger_entry.c
    entries = _Grouped(
        _stream(conn, sa.select(e.tx, e.seq, e.account, e.amount, e.balance_after, e.version).order_by(e.tx, e.seq))
    )
    prev = GENESIS
    for number, tx in enumerate(_stream(conn, sa.select(ledger_tx).order_by(ledger_tx.c.id)), 1):
        rows = entries.of(tx.id)
        if rows is None or tx.id != number:
            return f"transaction {number} is not there"
        if sum(row[3] for row in rows):
            return f"transaction {tx.id}: its entries sum to {sum(row[3] for row in rows)}"
        said = [tuple(row)[1:] for row in rows]
        made = tx_hash(
            prev, tx.id, tx.kind, tx.batch, tx.idempotency_key, tx.actor, tx.reason, tx.terms, tx.at_us, said
        )
        if bytes(tx.prev_hash) != prev or bytes(tx.hash) != made:
            return f"transaction {tx.id}: its hash does not follow"
        prev = made
    left = entries.rest()
    if left is not None:
        return f"transaction {left}: entries without it"
    # The end of a chain shows nothing when it is cut off; a batch that the watermark speaks of does.
    known = conn.execute(sa.select(account.c.id).where(account.c.kind == "platform")).scalars()
    strange = sorted(name for name in set(known) - set(PLATFORM_ACCOUNTS) if not name.startswith(f"{QUOTA_ISSUED}:"))
    return f"account {strange[0]}: not one of the platform's" if strange else None


class _Grouped:
    """Entries in the order of their transactions, taken one transaction at a time."""

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    def of(self, tx_id: int) -> list[_Row] | None:
        """The entries of a transaction; None where there are some of one that was skipped."""
        found: list[_Row] = []
        while self._next is not None and self._next[0] == tx_id:
            found.append(self._next)
            self._next = next(self._rows, None)
        return None if self._next is not None and self._next[0] < tx_id else found

    def rest(self) -> int | None:
        """The transaction of the first entry that was not taken."""
        return None if self._next is None else int(self._next[0])


CHECKS: tuple[tuple[str, Callable[[sa.Connection], Finding]], ...] = (
    ("I15 each month of records is there, or was dropped by the ledger", every_month),
    ("I1 no account below zero, nothing leased that is not there", _bounds),
    ("I2 what is leased is what workers have", _leases),
    ("I3 one record per request, and none lost or changed", once),
    ("I4 cost = charged + shortfall", _split),
    ("I5 each balance is the sum of its entries", _balances),
    ("I6 what was charged is what the records say", _totals),
    ("I6 what came in, less what went, is the balance", verify_grants.flows),
    ("I7 each record came through a journal", _journalled),
    ("I8 an ended worker has no lease", _ended),
    ("I9 no window of a limit was charged beyond it", verify_grants.quotas),
    ("I10 transactions sum to zero and their hashes chain", _chain),
    ("I11 what grants have left is the balance", verify_grants.left_in_grants),
    ("I12 each grant is what was entered of it", verify_grants.grants),
    ("I13 no refund is more than its charge", verify_grants.refunds),
    ("I14 each account is what its name and its grants say", verify_accounts.named),
)
