"""Grants: what a wallet's balance is made of, and in which order it is burned.

A wallet whose grants are all plain (paid for, without an end) is not touched here when a batch is applied: the order is
that of their ids, so what was charged is burned with the wallet's next transaction that is not usage. Where they
differ (`account.mixed`), each batch burns them. All of it happens under the lock on the wallet's row.
"""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from joytoken.domain.ledger import Category, GrantTerms
from joytoken.store.ledger_book import Standing
from joytoken.store.schema import account
from joytoken.store.schema_credit import credit_grant, grant_entry

_NEVER = 2**63


class Grant(msgspec.Struct):
    """A grant as it stands; `entered_us` is None until it is effective."""

    id: int
    account: str
    tx: int
    category: Category
    priority: int
    amount: int
    remaining: int
    effective_us: int
    entered_us: int | None
    expires_us: int | None
    voided_us: int | None

    @property
    def terms(self) -> GrantTerms:
        """What is special about its credits."""
        return GrantTerms(self.category, self.priority, self.expires_us)

    @property
    def due_us(self) -> int | None:
        """When it begins, or else ends."""
        if self.voided_us is not None:
            return self.voided_us
        return self.effective_us if self.entered_us is None else self.expires_us


_columns = [credit_grant.c[name] for name in Grant.__struct_fields__]
# The last condition is the partial index's.
_open = sa.select(*_columns).where(
    credit_grant.c.account.in_(sa.bindparam("ids", expanding=True)), credit_grant.c.remaining > sa.literal_column("0")
)
_all = sa.select(*_columns).where(credit_grant.c.account == sa.bindparam("of")).order_by(credit_grant.c.id)
_one = sa.select(*_columns).where(credit_grant.c.id == sa.bindparam("of"))
_made_by = sa.select(credit_grant.c.id).where(credit_grant.c.tx == sa.bindparam("of")).order_by(credit_grant.c.id)
_save = (
    sa.update(credit_grant)
    .where(credit_grant.c.id == sa.bindparam("of"))
    .values(remaining=sa.bindparam("left"), entered_us=sa.bindparam("entered"), voided_us=sa.bindparam("voided"))
)
_flags = (
    sa.update(account)
    .where(account.c.id == sa.bindparam("of"))
    .values(mixed=sa.bindparam("is_mixed"), due_us=sa.bindparam("due"))
)


def burn_order(grant: Grant) -> tuple[int, int, int]:
    """Grants are burned by priority, then by expiry, then by age."""
    return grant.priority, _NEVER if grant.expires_us is None else grant.expires_us, grant.id


class Purse:
    """A wallet's open grants within one transaction, and what moves in them."""

    def __init__(self, name: str, grants: Iterable[Grant] = ()) -> None:
        self.account = name
        self.pending: list[Grant] = []
        self.grants: list[Grant] = []
        for grant in grants:
            (self.pending if grant.entered_us is None else self.grants).append(grant)
        self.grants.sort(key=burn_order)
        self._moved: dict[int, int] = {}
        self._touched: dict[int, Grant] = {}

    @property
    def total(self) -> int:
        """What is left of all grants that are in the balance."""
        return sum(grant.remaining for grant in self.grants)

    def take(self, grant: Grant, amount: int) -> None:
        """Take so much of one grant."""
        grant.remaining -= amount
        self._moved[grant.id] = self._moved.get(grant.id, 0) - amount
        self._touched[grant.id] = grant

    def touch(self, grant: Grant) -> None:
        """Remember that something else of a grant changed."""
        self._touched[grant.id] = grant

    def burn(self, amount: int) -> list[tuple[Grant, int]]:
        """Take an amount in the burn order, as far as there is one; returns what was taken of which."""
        taken = []
        for grant in self.grants:
            part = min(grant.remaining, amount)
            if part > 0:
                self.take(grant, part)
                taken.append((grant, part))
                amount -= part
            if amount <= 0:
                break
        return taken

    def level(self, balance: int) -> None:
        """Burn what is more than the balance: what plain grants were charged since the last transaction."""
        self.burn(self.total - max(balance, 0))

    def add(
        self, conn: sa.Connection, tx_id: int, terms: GrantTerms, amount: int, at_us: int,
        effective_us: int | None = None,
    ) -> Grant:  # fmt: skip
        """A new grant; one that is not effective yet waits outside of the balance."""
        pending = effective_us is not None and effective_us > at_us
        values = {
            "account": self.account,
            "tx": tx_id,
            "category": terms.category,
            "priority": terms.priority,
            "amount": amount,
            "remaining": amount,
            "effective_us": at_us if effective_us is None else effective_us,
            "entered_us": None if pending else at_us,
            "expires_us": terms.expires_us,
            "voided_us": None,
        }
        made = int(conn.execute(sa.insert(credit_grant).returning(credit_grant.c.id), values).scalar_one())
        grant = Grant(id=made, **values)  # type: ignore[arg-type]
        self._moved[made] = amount
        (self.pending if pending else self.grants).append(grant)
        self.grants.sort(key=burn_order)
        return grant

    def enter(self, grant: Grant, at_us: int) -> None:
        """A grant has become effective."""
        grant.entered_us = at_us
        self.pending.remove(grant)
        self.grants.append(grant)
        self.grants.sort(key=burn_order)
        self.touch(grant)

    def write(self, conn: sa.Connection, tx_id: int) -> None:
        """Write what moved, as a part of this transaction."""
        changes = sorted((number, amount) for number, amount in self._moved.items() if amount)
        moved = [{"tx": tx_id, "grant_id": number, "amount": amount} for number, amount in changes]
        if self._touched:
            conn.execute(
                _save,
                [
                    {"of": g.id, "left": g.remaining, "entered": g.entered_us, "voided": g.voided_us}
                    for _, g in sorted(self._touched.items())
                ],
            )
        if moved:
            conn.execute(sa.insert(grant_entry), moved)
        self._moved, self._touched = {}, {}

    def write_flags(self, conn: sa.Connection, standing: Standing) -> None:
        """Write what the workers' side needs to know of the wallet, where it changed."""
        left = [grant for grant in (*self.grants, *self.pending) if grant.remaining]
        mixed = any(
            not grant.terms.plain or grant.voided_us is not None for grant in left if grant.entered_us is not None
        )
        due = min((grant.due_us for grant in left if grant.due_us is not None), default=None)
        if (bool(standing.mixed), standing.due_us) != (mixed, due):
            standing.mixed, standing.due_us = mixed, due
            conn.execute(_flags, {"of": self.account, "is_mixed": mixed, "due": due})


def load_purses(conn: sa.Connection, names: Iterable[str]) -> dict[str, Purse]:
    """The open grants of these wallets, whose rows are locked."""
    wanted = sorted(set(names))
    found: dict[str, list[Grant]] = {name: [] for name in wanted}
    for row in conn.execute(_open, {"ids": wanted}):
        found[row.account].append(Grant(*row))
    return {name: Purse(name, grants) for name, grants in found.items()}


def burn_batch(conn: sa.Connection, tx_id: int, charges: dict[str, int]) -> None:
    """Burn what a batch charged to wallets whose grants differ."""
    for name, purse in load_purses(conn, charges).items():
        purse.burn(charges[name])
        purse.write(conn, tx_id)


def all_grants(conn: sa.Connection, name: str) -> list[Grant]:
    """Every grant of a wallet there ever was, oldest first."""
    return [Grant(*row) for row in conn.execute(_all, {"of": name})]


def one_grant(conn: sa.Connection, grant_id: int) -> Grant | None:
    """A grant by its number."""
    row = conn.execute(_one, {"of": grant_id}).first()
    return None if row is None else Grant(*row)


def grants_made_by(conn: sa.Connection, tx_id: int) -> tuple[int, ...]:
    """The numbers of the grants that a transaction made."""
    return tuple(conn.execute(_made_by, {"of": tx_id}).scalars())
