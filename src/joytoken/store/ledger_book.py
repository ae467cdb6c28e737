"""Double entry: transactions whose entries sum to zero, each chained to the one before by its hash.

One writer at a time appends: SQLite has one anyway, and elsewhere it waits for its turn before it locks any account.
Accounts are locked in sorted order, and those of the platform only by who appends: so no two wait for each other.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from joytoken.domain.errors import Conflict
from joytoken.domain.ledger import QUOTA_ISSUED, AccountKind, TxKind, account_kind
from joytoken.domain.money import AMOUNT_MAX
from joytoken.store.outbox import tell_low_balance
from joytoken.store.postgres import Turn, take_turn
from joytoken.store.schema import account, ledger_entry, ledger_tx
from joytoken.store.statement import Listing, Statement

_ISSUED_MAX = 2**62  # nanocredits: half of what a column holds
GENESIS = b"\0" * 32
_encode = msgspec.json.Encoder().encode

# Sequence, account, amount, balance after, version.
Entry = tuple[int, str, int, int, int]

_head = Statement(sa.select(ledger_tx.c.id, ledger_tx.c.hash).order_by(ledger_tx.c.id.desc()).limit(1))
_rows = Listing(
    lambda names: (
        sa.select(
            *(account.c[name] for name in ("id", "balance", "leased", "credit_limit", "version")),
            *(account.c[name] for name in ("mixed", "due_us", "low_balance")),
        )
        .where(account.c.id.in_(names))
        .order_by(account.c.id)
        .with_for_update()
    )
)
# Those that what was issued was put aside to.
_aside = sa.select(sa.func.count()).where(account.c.id > f"{QUOTA_ISSUED}:", account.c.id < f"{QUOTA_ISSUED};")
_add_tx = Statement(sa.insert(ledger_tx), ledger_tx.c.keys())
_add_entries = Statement(sa.insert(ledger_entry), ledger_entry.c.keys())
_save = Statement(
    sa.update(account)
    .where(account.c.id == sa.bindparam("of"))
    .values(balance=sa.bindparam("b"), leased=sa.bindparam("l"), version=sa.bindparam("v"))
)


class Standing:
    """An account's row, locked, as it changes within one transaction."""

    __slots__ = ("account", "balance", "credit_limit", "due_us", "leased", "low_balance", "mixed", "version")

    def __init__(
        self, name: str, balance: int, leased: int, credit_limit: int, version: int,
        mixed: int = 0, due_us: int | None = None, low_balance: int | None = None,
    ) -> None:  # fmt: skip
        self.account = name
        self.balance = balance
        self.leased = leased
        self.credit_limit = credit_limit
        self.version = version
        self.mixed = mixed  # its grants differ: each flush burns them
        self.due_us = due_us  # when the first of its grants begins or ends
        self.low_balance = low_balance

    @property
    def available(self) -> int:
        """What is neither spent nor leased."""
        return self.balance + self.credit_limit - self.leased


def lock_chain(conn: sa.Connection) -> None:
    """Become the one who appends, for the rest of the transaction."""
    take_turn(conn, Turn.LEDGER)


def lock_accounts(conn: sa.Connection, names: Iterable[str]) -> dict[str, Standing]:
    """Lock the rows of these accounts that exist, in sorted order. The platform's are made where they are not there."""
    wanted = sorted(set(names))
    found = {row[0]: Standing(*row) for row in _rows.rows(conn, wanted)}
    lacking = [name for name in wanted if name not in found and account_kind(name) == "platform"]
    for name in lacking:
        open_account(conn, name)
        found[name] = Standing(name, 0, 0, 0, 0)
    return found


def open_account(conn: sa.Connection, name: str, *, quota_limit: int | None = None) -> None:
    """Add the row of an account, with nothing in it."""
    kind, owner, tier, window = account_words(name)
    row = {"id": name, "kind": kind, "owner_id": owner, "tier": tier, "window": window, "quota_limit": quota_limit}
    conn.execute(sa.insert(account), row)


def account_words(name: str) -> tuple[AccountKind, str, str, str]:
    """The kind, owner, tier and window that an account's name says."""
    kind = account_kind(name)
    _, _, rest = name.partition(":")
    owner, _, detail = rest.partition(":")
    if kind == "wallet":  # an owner's name may have colons, a tier has none
        owner, _, detail = rest.rpartition(":")
    return kind, "" if kind == "platform" else owner, detail if kind == "wallet" else "", _window(kind, detail)


def _window(kind: str, detail: str) -> str:
    if kind == "budget":
        return ":".join(detail.split(":", 2)[:2])
    return detail if kind == "quota" else ""


def carry_issued(conn: sa.Connection, standings: dict[str, Standing], amount: int, at_us: int) -> None:
    """Before so much more is issued to quotas and budgets: put what was issued aside where the sum would be too large.

    Whoever sets a limit far beyond what is ever spent has it issued anew in each window, and for each end user or run.
    """
    issued = standings[QUOTA_ISSUED]
    if issued.balance - amount >= -_ISSUED_MAX or issued.balance >= 0:
        return
    aside = f"{QUOTA_ISSUED}:{conn.execute(_aside).scalar_one() + 1}"
    standings.update(lock_accounts(conn, [aside]))
    moves = {QUOTA_ISSUED: -issued.balance, aside: issued.balance}
    post(conn, "adjust", moves, standings, at_us=at_us, reason="put aside")


def save(conn: sa.Connection, standings: Iterable[Standing]) -> None:
    """Write balances, leased parts and versions back, in sorted order."""
    rows = [
        {"of": s.account, "b": s.balance, "l": s.leased, "v": s.version}
        for s in sorted(standings, key=lambda s: s.account)
    ]
    if rows:
        _save.run_many(conn, rows)


def tx_hash(
    prev: bytes, tx_id: int, kind: str, batch: str | None, key: str | None, actor: str, reason: str, terms: str,
    at_us: int, entries: Sequence[Sequence[int | str]],
) -> bytes:  # fmt: skip
    """The hash of a transaction: BLAKE2b-256 over the previous one and a JSON array of all that it says."""
    said = _encode((tx_id, kind, batch, key, actor, reason, terms, at_us, entries))
    return hashlib.blake2b(prev + said, digest_size=32).digest()


def post(
    conn: sa.Connection,
    kind: TxKind,
    amounts: dict[str, int],
    standings: dict[str, Standing],
    *,
    at_us: int,
    batch: str | None = None,
    key: str | None = None,
    actor: str = "",
    reason: str = "",
    terms: str = "",
) -> int:
    """Append a transaction and move the balances of `standings`; the caller saves those. Returns its id.

    `amounts` sums to zero; accounts whose amount is 0 get no entry. Raises Conflict where an account cannot hold so
    much. A balance that falls below its threshold is told to
    the webhooks, by the same transaction.
    """
    if sum(amounts.values()):
        raise ValueError(f"the entries of a transaction sum to zero, not to {sum(amounts.values())}")
    entries: list[Entry] = []
    low: list[Standing] = []
    for name in sorted(amounts):
        amount = amounts[name]
        if amount:
            standing = standings[name]
            standing.balance += amount
            standing.version += 1
            if abs(standing.balance) > AMOUNT_MAX:
                raise Conflict(f"the account {name} would hold more than the books can", "books_full", param="amount")
            if (
                standing.low_balance is not None
                and standing.balance < standing.low_balance <= standing.balance - amount
            ):
                low.append(standing)
            entries.append((len(entries), name, amount, standing.balance, standing.version))
    last = _head.row(conn)
    tx_id, prev = (last[0] + 1, bytes(last[1])) if last is not None else (1, GENESIS)
    made = tx_hash(prev, tx_id, kind, batch, key, actor, reason, terms, at_us, entries)
    _add_tx.run(
        conn,
        {
            "id": tx_id, "kind": kind, "batch": batch, "idempotency_key": key, "actor": actor, "reason": reason,
            "terms": terms, "at_us": at_us, "prev_hash": prev, "hash": made,
        },
    )  # fmt: skip
    if entries:
        _add_entries.run_many(
            conn,
            [
                {"tx": tx_id, "seq": seq, "account": name, "amount": amount, "balance_after": after, "version": version}
                for seq, name, amount, after, version in entries
            ],
        )
    for standing in low:
        tell_low_balance(conn, tx_id, standing.account, standing.balance, standing.low_balance or 0, at_us)
    return tx_id
