"""The ledger as the house uses it: what workers do, what operators do, what everybody may read."""

from collections.abc import Sequence

import sqlalchemy as sa

from joytoken.domain.ledger import QUOTA_ISSUED, quota_account
from joytoken.store.batch import Batch, SettleRow
from joytoken.store.engine import retried
from joytoken.store.ledger_book import carry_issued, lock_accounts, lock_chain, post, save
from joytoken.store.ledger_operator import RECALL_PAUSE_S, RECALL_WAIT_S, OperatorLedger, recall
from joytoken.store.ledger_types import (
    AccountRow,
    Flushed,
    LedgerTx,
    StatementRow,
    WindowShare,
    WindowSums,
    WorkerFenced,
    WorkerState,
)
from joytoken.store.schema import account, ledger_entry, ledger_tx
from joytoken.store.verify import Progress, VerifyReport, verify

__all__ = [
    "AccountRow",
    "Batch",
    "Flushed",
    "Ledger",
    "LedgerTx",
    "SettleRow",
    "StatementRow",
    "VerifyReport",
    "WindowShare",
    "WindowSums",
    "WorkerFenced",
    "WorkerState",
]

_LIMITS_AT_ONCE = 200  # accounts that one transaction moves to a new limit
_account_columns = [account.c[name] for name in AccountRow.__struct_fields__ if name != "account"]


class Ledger(OperatorLedger):
    """Accounts and their history. Each method is one transaction, callable from any thread."""

    def accounts(self, prefix: str = "") -> list[AccountRow]:
        """All accounts whose name begins with a prefix, by name."""
        query = sa.select(account.c.id, *_account_columns).order_by(account.c.id)
        if prefix:
            query = query.where(account.c.id >= prefix, account.c.id < prefix + "\U0010ffff")
        with self._db.read() as conn:
            return [AccountRow(*row) for row in conn.execute(query)]

    def named(self, names: Sequence[str]) -> dict[str, AccountRow]:
        """Accounts by their whole names; those that are not there are left out."""
        query = sa.select(account.c.id, *_account_columns).where(account.c.id.in_(names))
        with self._db.read() as conn:
            return {row[0]: AccountRow(*row) for row in conn.execute(query)}

    def statement(self, account: str, limit: int = 100, before: int | None = None) -> list[StatementRow]:
        """An account's entries, newest first; `before` is the `version` of the last row of the page before."""
        query = (
            sa.select(
                ledger_tx.c.id,
                ledger_tx.c.kind,
                ledger_entry.c.account,
                ledger_entry.c.amount,
                ledger_entry.c.balance_after,
                ledger_entry.c.version,
                ledger_tx.c.actor,
                ledger_tx.c.reason,
                ledger_tx.c.at_us,
            )
            .join(ledger_tx, ledger_tx.c.id == ledger_entry.c.tx)
            .where(ledger_entry.c.account == account)
            .order_by(ledger_entry.c.version.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(ledger_entry.c.version < before)
        with self._db.read() as conn:
            return [StatementRow(*row) for row in conn.execute(query)]

    @retried
    def set_quota_limit(self, key_id: str, window: str, new_limit: int, *, actor: str = "", at_us: int = 0) -> bool:
        """Change the limit of a quota window that is open already: its balance moves by the difference.

        It never falls under what is leased; calling again takes what has come back since. False where the window, such
        as ``D:2026-11-22``, is not open: it will be opened with the limit of its key.
        """
        with self._db.write(durable=True) as conn:
            return _move_limit(conn, quota_account(key_id, window), new_limit, actor, at_us) is not None

    def set_budget_limit(self, account: str, new_limit: int, *, actor: str = "", at_us: int = 0) -> int:
        """Change the limit of a budget's open window: that of this account, and of each that is named after it.

        Their balances move by the difference, and never under what is spent. Where workers hold leases on what is to
        be taken, they are asked to give back what they do not need, for at most `RECALL_WAIT_S` in all. Returns how
        many were moved. To be called again is harmless.
        """
        found = [row.account for row in self.accounts(account)]
        names = [name for name in found if name == account or name.startswith(account + ":")]
        deadline = self._clock() + RECALL_WAIT_S
        for start in range(0, len(names), _LIMITS_AT_ONCE):
            left = names[start : start + _LIMITS_AT_ONCE]
            while left := self._move_limits(left, new_limit, actor, at_us):
                if self._clock() >= deadline:
                    break
                self._pause(RECALL_PAUSE_S)
        return len(names)

    @retried
    def _move_limits(self, names: list[str], new_limit: int, actor: str, at_us: int) -> list[str]:
        """Move these accounts to a limit; gives those from which leases kept some of it from being taken."""
        with self._db.write(durable=True) as conn:
            lacking = [name for name in names if _move_limit(conn, name, new_limit, actor, at_us)]
            for name in lacking:
                conn.execute(recall, {"of": name})
            return lacking

    def window_sums(self, account: str) -> WindowSums:
        """What was charged to a budget's account and to each that is named after it, and is leased of them."""
        named = _named_after(account)
        with self._db.read() as conn:
            spent = conn.execute(_spent_together, named).scalar_one()
            leased, left = conn.execute(_standing_together, named).one()
            return WindowSums(int(spent), int(leased), left)

    def window_shares(self, account: str, limit: int) -> list[WindowShare]:
        """A budget's account and each that is named after it, at most so many, most spent first."""
        with self._db.read() as conn:
            rows = conn.execute(_shares.limit(limit), _named_after(account))
            return [WindowShare(row[0], int(row[1]), row[2], row[3]) for row in rows]

    def verify(self, progress: Progress | None = None) -> VerifyReport:
        """Prove the invariants on one consistent view of the database; nothing is locked."""
        return verify(self._db, progress)


account_table = account


def _of_window(name: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    after = sa.and_(name >= sa.bindparam("from"), name < sa.bindparam("until"))
    return sa.or_(name == sa.bindparam("of"), after)


def _named_after(account: str) -> dict[str, str]:
    return {"of": account, "from": account + ":", "until": account + ";"}  # what follows the colon


_usage = sa.func.coalesce(-sa.func.sum(sa.case((ledger_tx.c.kind == "usage", ledger_entry.c.amount), else_=0)), 0)
_available = account.c.balance + account.c.credit_limit - account.c.leased
_charged = ledger_entry.join(ledger_tx, ledger_tx.c.id == ledger_entry.c.tx)
_spent_together = sa.select(_usage).select_from(_charged).where(_of_window(ledger_entry.c.account))
_standing_together = sa.select(
    sa.func.coalesce(sa.func.sum(account.c.leased), 0),
    sa.func.max(sa.case((account.c.id == sa.bindparam("of"), _available))),
).where(_of_window(account.c.id))
_spent_each = (
    sa.select(ledger_entry.c.account, _usage.label("spent"))
    .select_from(_charged)
    .where(_of_window(ledger_entry.c.account))
    .group_by(ledger_entry.c.account)
    .subquery()
)
_spent = sa.func.coalesce(_spent_each.c.spent, 0)
_shares = (
    sa.select(account.c.id, _spent, account.c.leased, _available)
    .select_from(account.outerjoin(_spent_each, _spent_each.c.account == account.c.id))
    .where(_of_window(account.c.id))
    .order_by(_spent.desc(), account.c.id)
)
_issued = (
    sa.select(sa.func.coalesce(sa.func.sum(ledger_entry.c.amount), 0))
    .join(ledger_tx, ledger_tx.c.id == ledger_entry.c.tx)
    .where(ledger_entry.c.account == sa.bindparam("of"), ledger_tx.c.kind != "usage")
)


def _move_limit(conn: sa.Connection, name: str, new_limit: int, actor: str, at_us: int) -> int | None:
    """Move an open account to a limit; gives what could not be taken since it is leased, None for no such account."""
    lock_chain(conn)
    standings = lock_accounts(conn, [QUOTA_ISSUED, name])
    standing = standings.get(name)
    if standing is None:
        return None
    # What was issued so far is the sum of all that is not usage: a cut that met leased money is made up later.
    wanted = new_limit - int(conn.execute(_issued, {"of": name}).scalar_one())
    change = max(wanted, standing.leased - standing.balance)
    if change:
        carry_issued(conn, standings, change, at_us)
        amounts = {name: change, QUOTA_ISSUED: -change}
        post(conn, "adjust", amounts, standings, at_us=at_us, actor=actor, reason=f"limit {new_limit}")
        save(conn, standings.values())
    conn.execute(sa.update(account_table).where(account_table.c.id == name), {"quota_limit": new_limit})
    return change - wanted if standing.leased else 0
