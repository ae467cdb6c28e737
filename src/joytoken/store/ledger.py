"""The ledger as the house uses it: what workers do, what operators do, what everybody may read."""

import time
from collections.abc import Callable

import sqlalchemy as sa

from joytoken.domain.errors import Conflict
from joytoken.domain.ledger import ADJUSTMENTS, FUNDING, QUOTA_ISSUED, TxKind, account_kind, quota_account
from joytoken.domain.money import short_amount
from joytoken.store.clock import now_us
from joytoken.store.engine import Database, retried
from joytoken.store.ledger_book import Standing, lock_accounts, lock_chain, open_account, post, save
from joytoken.store.ledger_late import LateLedger
from joytoken.store.ledger_types import (
    AccountRow,
    Batch,
    Flushed,
    LedgerTx,
    SettleRow,
    StatementRow,
    WorkerFenced,
    WorkerState,
)
from joytoken.store.schema import account, ledger_entry, ledger_tx
from joytoken.store.verify import VerifyReport, verify

__all__ = [
    "AccountRow",
    "Batch",
    "Flushed",
    "Ledger",
    "LedgerTx",
    "SettleRow",
    "StatementRow",
    "VerifyReport",
    "WorkerFenced",
    "WorkerState",
]

RECALL_WAIT_S = 1.0  # how long an adjustment waits for workers to give money back
_RECALL_PAUSE_S = 0.02
_LIMITS_AT_ONCE = 200  # accounts that one transaction moves to a new limit
_RECALL_US = int(RECALL_WAIT_S * 1e6) + 500_000  # withdrawn as soon as the wait is over

_by_key = sa.select(ledger_tx).where(ledger_tx.c.idempotency_key == sa.bindparam("key"))
_entry_of = sa.select(ledger_entry.c.account, ledger_entry.c.amount, ledger_entry.c.balance_after).where(
    ledger_entry.c.tx == sa.bindparam("of")
)
_of = account.c.id == sa.bindparam("of")
_recall = sa.update(account).where(_of).values(recall_until_us=now_us() + _RECALL_US)
_end_recall = sa.update(account).where(_of).values(recall_until_us=0)
_account_columns = [account.c[name] for name in AccountRow.__struct_fields__ if name != "account"]


class Ledger(LateLedger):
    """Accounts and their history. Each method is one transaction, callable from any thread."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(database)
        self._clock = clock
        self._pause = pause

    @retried
    def top_up(
        self, account: str, amount: int, reason: str, idempotency_key: str, actor: str, at_us: int
    ) -> LedgerTx:  # fmt: skip
        """Add money to a wallet, which is opened where it is not there yet; durable when this returns.

        `amount` is in nanocredits and positive (ValueError otherwise). The same key again gives the same answer; with
        another account or amount it raises Conflict.
        """
        if amount <= 0:
            raise ValueError("a top-up is a positive amount")
        return self._enter("topup", FUNDING, account, amount, reason, idempotency_key, actor, at_us)

    @retried
    def adjust(
        self, account: str, amount: int, reason: str, idempotency_key: str, actor: str, at_us: int
    ) -> LedgerTx:  # fmt: skip
        """Correct a wallet by an amount, which may be negative; durable when this returns. Keys as for `top_up`.

        Where workers hold leases on what is to be taken, they are asked to give back what they do not need, for at most
        `RECALL_WAIT_S`. Raises Conflict with the available amount where that is not enough.
        """
        if not amount:
            raise ValueError("an adjustment by nothing")
        return self._enter("adjust", ADJUSTMENTS, account, amount, reason, idempotency_key, actor, at_us)

    def accounts(self, prefix: str = "") -> list[AccountRow]:
        """All accounts whose name begins with a prefix, by name."""
        query = sa.select(account.c.id, *_account_columns).order_by(account.c.id)
        if prefix:
            query = query.where(account.c.id >= prefix, account.c.id < prefix + "\U0010ffff")
        with self._db.read() as conn:
            return [AccountRow(*row) for row in conn.execute(query)]

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
                self._pause(_RECALL_PAUSE_S)
        return len(names)

    @retried
    def _move_limits(self, names: list[str], new_limit: int, actor: str, at_us: int) -> list[str]:
        """Move these accounts to a limit; gives those from which leases kept some of it from being taken."""
        with self._db.write(durable=True) as conn:
            lacking = [name for name in names if _move_limit(conn, name, new_limit, actor, at_us)]
            for name in lacking:
                conn.execute(_recall, {"of": name})
            return lacking

    def spent(self, account: str) -> dict[str, int]:
        """What was charged to a budget's account, and to each that is named after it, in nanocredits."""
        with self._db.read() as conn:
            after = account + ";"  # what follows the colon
            rows = conn.execute(_spent, {"of": account, "from": account + ":", "until": after})
            return {row[0]: -int(row[1]) for row in rows}

    def verify(self) -> VerifyReport:
        """Prove the invariants on one consistent view of the database; nothing is locked."""
        return verify(self._db)

    def _enter(
        self, kind: TxKind, against: str, name: str, amount: int, reason: str, key: str, actor: str, at_us: int
    ) -> LedgerTx:
        if account_kind(name) != "wallet":
            raise ValueError(f"{name} is not a wallet")
        if not key:
            raise ValueError("an idempotency key is mandatory")
        deadline = self._clock() + RECALL_WAIT_S
        recalled = False
        while True:
            with self._db.write(durable=True) as conn:
                lock_chain(conn)
                earlier = _earlier(conn, kind, name, amount, key)
                if earlier is not None:
                    return earlier
                standings = lock_accounts(conn, [against, name])
                if name not in standings:
                    open_account(conn, name)
                    standings[name] = Standing(name, 0, 0, 0, 0)
                standing = standings[name]
                fits = amount > 0 or standing.available >= -amount
                free_soon = standing.leased > 0 and self._clock() < deadline
                if fits:
                    moves = {name: amount, against: -amount}
                    tx_id = post(conn, kind, moves, standings, at_us=at_us, key=key, actor=actor, reason=reason)
                    save(conn, standings.values())
                if recalled and (fits or not free_soon):
                    conn.execute(_end_recall, {"of": name})
                elif not fits and free_soon and not recalled:
                    conn.execute(_recall, {"of": name})
                    recalled = True
            if fits:
                return LedgerTx(tx_id, kind, name, amount, standing.balance, actor, reason, key, at_us)
            if not free_soon:
                raise _lacking(standing, amount)
            self._pause(_RECALL_PAUSE_S)


account_table = account
_usage_amount = sa.case((ledger_tx.c.kind == "usage", ledger_entry.c.amount), else_=0)
_spent = (
    sa.select(ledger_entry.c.account, sa.func.sum(_usage_amount))
    .join(ledger_tx, ledger_tx.c.id == ledger_entry.c.tx)
    .where(
        sa.or_(
            ledger_entry.c.account == sa.bindparam("of"),
            sa.and_(ledger_entry.c.account >= sa.bindparam("from"), ledger_entry.c.account < sa.bindparam("until")),
        )
    )
    .group_by(ledger_entry.c.account)
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
        amounts = {name: change, QUOTA_ISSUED: -change}
        post(conn, "adjust", amounts, standings, at_us=at_us, actor=actor, reason=f"limit {new_limit}")
        save(conn, standings.values())
    conn.execute(sa.update(account_table).where(account_table.c.id == name), {"quota_limit": new_limit})
    return change - wanted if standing.leased else 0


def _earlier(conn: sa.Connection, kind: TxKind, name: str, amount: int, key: str) -> LedgerTx | None:
    tx = conn.execute(_by_key, {"key": key}).first()
    if tx is None:
        return None
    for entered, moved, after in conn.execute(_entry_of, {"of": tx.id}):
        if (tx.kind, entered, moved) == (kind, name, amount):
            return LedgerTx(tx.id, tx.kind, name, moved, after, tx.actor, tx.reason, key, tx.at_us)
    raise Conflict(
        f"the idempotency key {key!r} was used for another {tx.kind} already", "idempotency_key_reused"
    )  # fmt: skip


def _lacking(standing: Standing, amount: int) -> Conflict:
    available = max(standing.available, 0)
    free, wanted, in_use = short_amount(available), short_amount(-amount), short_amount(standing.leased)
    message = f"{standing.account} has {free} credits free, and {wanted} were to be taken; {in_use} are in use"
    return Conflict(message, "insufficient_balance", details={"available": free, "leased": in_use})
