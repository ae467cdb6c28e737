"""How an operator's act is entered: wallets locked with their grants, what is due seen to first, one transaction."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from joytoken.domain.errors import Conflict
from joytoken.domain.ledger import EXPIRY, PENDING, GrantTerms, TxKind, account_kind, funding_account
from joytoken.domain.money import format_amount
from joytoken.store.audit import write_audit
from joytoken.store.ledger_book import Standing, lock_accounts, open_account, post, save
from joytoken.store.ledger_grants import Grant, Purse, grants_made_by, load_purses
from joytoken.store.ledger_types import LedgerTx, Terms
from joytoken.store.schema import ledger_tx

HOUSE = "joytoken"  # who acts when grants begin and end
_by_key = sa.select(ledger_tx).where(ledger_tx.c.idempotency_key == sa.bindparam("key"))
_decode_terms = msgspec.json.Decoder(Terms).decode
_encode = msgspec.json.Encoder().encode

# A grant to be made: account, terms, amount, and when it is effective (None: now).
NewGrant = tuple[str, GrantTerms, int, int | None]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One act of an operator. `asked` is its whole content, by which a repetition is known."""

    kind: TxKind
    account: str
    asked: str
    key: str
    actor: str
    reason: str
    at_us: int
    action: str  # in the audit log
    other: str = ""


def earlier_act(conn: sa.Connection, kind: TxKind, asked: str, key: str) -> LedgerTx | None:
    """What was entered under an idempotency key; None where nothing was. Raises Conflict where it was another act."""
    tx = conn.execute(_by_key, {"key": key}).first()
    if tx is None:
        return None
    terms = _decode_terms(tx.terms) if tx.terms else Terms()
    if (tx.kind, terms.asked) != (kind, asked):
        message = f"the idempotency key {key!r} was used for another {tx.kind} already"
        raise Conflict(message, "idempotency_key_reused", param="idempotency_key")
    made = grants_made_by(conn, tx.id)
    return LedgerTx(
        tx.id, tx.kind, terms.account, terms.amount, terms.balance, tx.actor, tx.reason, key, tx.at_us,
        terms.other, made,
    )  # fmt: skip


class Books:
    """Wallets, locked with their grants, within one transaction that may append to the chain."""

    def __init__(self, conn: sa.Connection, wallets: Iterable[str], at_us: int, *, make: bool = True) -> None:
        names = sorted(set(wallets))
        self._conn = conn
        self._at_us = at_us
        self.standings = lock_accounts(conn, names)
        for name in names if make else ():
            if name not in self.standings:
                open_account(conn, name)
                self.standings[name] = Standing(name, 0, 0, 0, 0)
        self.purses = load_purses(conn, self.standings)
        for name, purse in self.purses.items():
            standing = self.standings[name]
            purse.level(standing.balance)
            if standing.due_us is not None and standing.due_us <= at_us:
                self._settle_due(standing, purse)

    def enter(
        self,
        order: Order,
        amount: int,
        moves: dict[str, int],
        new: Sequence[NewGrant] = (),
        *,
        batch: str | None = None,
    ) -> LedgerTx:
        """Append the transaction, with what moves in the grants; an order with a key leaves an entry in the audit log.

        What leaves a wallet and was not taken from a grant already is burned in the usual order.
        """
        conn, name, at_us = self._conn, order.account, order.at_us
        platform = [account for account in moves if account not in self.standings]
        self.standings.update(lock_accounts(conn, platform))
        balance = self.standings[name].balance + moves.get(name, 0)
        made = tuple(
            (account, terms.category, terms.priority, part, at_us if begins is None else begins, terms.expires_us)
            for account, terms, part, begins in new
        )
        terms = Terms(order.asked, name, amount, balance, order.other, made)
        tx_id = post(
            conn, order.kind, moves, self.standings, at_us=at_us, batch=batch, key=order.key or None,
            actor=order.actor, reason=order.reason, terms=_encode(terms).decode(),
        )  # fmt: skip
        grants = tuple(
            [self.purses[account].add(conn, tx_id, t, part, at_us, begins).id for account, t, part, begins in new]
        )
        for account, purse in self.purses.items():
            purse.level(self.standings[account].balance)
            purse.write(conn, tx_id)
            purse.write_flags(conn, self.standings[account])
        save(conn, self.standings.values())
        entered = LedgerTx(
            tx_id, order.kind, name, amount, balance, order.actor, order.reason, order.key, at_us, order.other, grants
        )
        if order.key:
            write_audit(conn, order.actor, order.action, name, "", _encode(_told(entered)).decode(), at_us)
        return entered

    def _settle_due(self, standing: Standing, purse: Purse) -> None:
        for grant in sorted(purse.pending, key=lambda grant: grant.id):
            if grant.effective_us <= self._at_us and grant.remaining:
                purse.enter(grant, self._at_us)
                moves = {standing.account: grant.remaining, PENDING: -grant.remaining}
                self._house("topup", grant, grant.remaining, moves, "effective")
        for grant in list(purse.grants):
            over = grant.voided_us is not None or (grant.expires_us is not None and grant.expires_us <= self._at_us)
            part = min(grant.remaining, standing.available)  # what is leased is in use, and goes when it comes back
            if over and part > 0:
                left = grant.remaining
                purse.take(grant, part)
                if grant.voided_us is None:
                    self._house("expire", grant, -part, {standing.account: -part, EXPIRY: part}, f"expired/{left}")
                else:
                    moves = {standing.account: -part, funding_account(grant.category): part}
                    self._house("void", grant, -part, moves, f"voided/{left}")
        purse.write_flags(self._conn, standing)

    def _house(self, kind: TxKind, grant: Grant, amount: int, moves: dict[str, int], why: str) -> None:
        reason = f"grant {grant.id} {why.partition('/')[0]}"
        order = Order(
            kind=kind, account=grant.account, asked="", key="", actor=HOUSE, reason=reason, at_us=self._at_us, action=""
        )
        # Two workers that see to the same grant at once are told apart by the lock; this only names it.
        self.enter(order, amount, moves, batch=f"grant/{grant.id}/{why}")


def settle_dues(conn: sa.Connection, names: Iterable[str], at_us: int) -> None:
    """Let grants of these wallets that are effective by now begin, and those that are over end."""
    Books(conn, [name for name in names if account_kind(name) == "wallet"], at_us, make=False)


def _told(entered: LedgerTx) -> dict[str, str | int | list[int]]:
    said: dict[str, str | int | list[int]] = {
        "id": entered.tx_id,
        "kind": entered.kind,
        "amount": format_amount(entered.amount),
        "balance": format_amount(entered.balance_after),
        "reason": entered.reason,
        "idempotency_key": entered.idempotency_key,
    }
    if entered.other:
        said["other"] = entered.other
    if entered.grants:
        said["grants"] = list(entered.grants)
    return said
