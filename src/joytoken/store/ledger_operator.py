"""What operators do to wallets: each act is one durable transaction, done once under its idempotency key."""

import time
from collections.abc import Callable

import sqlalchemy as sa

from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.ledger import (
    ADJUSTMENTS,
    CONVERSION,
    PENDING,
    PLAIN,
    REFUND,
    GrantTerms,
    account_kind,
    funding_account,
)
from joytoken.domain.money import format_amount, short_amount
from joytoken.store.audit import write_audit
from joytoken.store.clock import now_us
from joytoken.store.engine import Database, retried
from joytoken.store.ledger_book import Standing, lock_accounts, lock_chain, open_account
from joytoken.store.ledger_grants import Grant, Purse, all_grants, one_grant
from joytoken.store.ledger_late import LateLedger
from joytoken.store.ledger_orders import Books, NewGrant, Order, earlier_act, settle_dues
from joytoken.store.ledger_refunds import charged_record, given_back, not_there, paid_by, refunded_so_far
from joytoken.store.ledger_types import LedgerTx
from joytoken.store.schema import account
from joytoken.store.schema_credit import refund as refund_table

RECALL_WAIT_S = 1.0  # how long an act that takes credits away waits for workers to give some back
RECALL_PAUSE_S = 0.02
_RECALL_US = int(RECALL_WAIT_S * 1e6) + 500_000  # withdrawn as soon as the wait is over

_of = account.c.id == sa.bindparam("of")
recall = sa.update(account).where(_of).values(recall_until_us=now_us() + _RECALL_US)
end_recall = sa.update(account).where(_of).values(recall_until_us=0)
_due = sa.select(account.c.id).where(account.c.due_us <= sa.bindparam("at")).order_by(account.c.id)
_balance = sa.select(account.c.balance).where(account.c.id == sa.bindparam("of"))

Act = Callable[[sa.Connection, Books], LedgerTx]


class OperatorLedger(LateLedger):
    """The operators' side of the ledger. Each method is one transaction; callable from any thread.

    The same idempotency key again gives the first outcome; with another content it raises Conflict.
    """

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
        self, account: str, amount: int, reason: str, idempotency_key: str, actor: str, at_us: int,
        *, terms: GrantTerms = PLAIN, effective_us: int | None = None, asked: str = "",
    ) -> LedgerTx:  # fmt: skip
        """Add credits to a wallet, which is opened where it is not there yet; durable when this returns.

        `amount` is in nanocredits and positive (ValueError otherwise). What is not effective yet comes into the balance
        when it is. `asked` says what was asked for where the terms were worked out from it, such as a lifetime.
        """
        if amount <= 0:
            raise ValueError("a top-up is a positive amount")
        later = effective_us if effective_us is not None and effective_us > at_us else None
        if terms.expires_us is not None and terms.expires_us <= (later or at_us):
            raise ValueError("a grant that expires before it is effective")
        said = f"{terms.category} {terms.priority} {terms.expires_us} {effective_us}"
        order = Order(
            kind="topup", account=account, asked=f"topup {account} {amount} {asked or said}", key=idempotency_key,
            actor=actor, reason=reason, at_us=at_us, action="wallet.top_up",
        )  # fmt: skip

        def act(_: sa.Connection, books: Books) -> LedgerTx:
            source = funding_account(terms.category)
            moves = {PENDING if later else account: amount, source: -amount}
            return books.enter(order, amount, moves, [(account, terms, amount, later)])

        return self._enter(order, act)

    @retried
    def adjust(
        self, account: str, amount: int, reason: str, idempotency_key: str, actor: str, at_us: int
    ) -> LedgerTx:  # fmt: skip
        """Correct a wallet by an amount, which may be negative; durable when this returns.

        Where workers hold leases on what is to be taken, they are asked to give back what they do not need, for at most
        `RECALL_WAIT_S`. Raises Conflict with the available amount where that is not enough.
        """
        if not amount:
            raise ValueError("an adjustment by nothing")
        order = Order(
            kind="adjust", account=account, asked=f"adjust {account} {amount}", key=idempotency_key,
            actor=actor, reason=reason, at_us=at_us, action="wallet.adjust",
        )  # fmt: skip
        new: list[NewGrant] = [(account, PLAIN, amount, None)] if amount > 0 else []

        def act(_: sa.Connection, books: Books) -> LedgerTx:
            return books.enter(order, amount, {account: amount, ADJUSTMENTS: -amount}, new)

        return self._enter(order, act, need=max(-amount, 0))

    @retried
    def transfer(
        self, source: str, target: str, amount: int, target_amount: int, reason: str, idempotency_key: str, actor: str,
        at_us: int,
    ) -> LedgerTx:  # fmt: skip
        """Move credits from a wallet to another; they stay of their kind. Waits for leases as `adjust` does.

        `target_amount` is what arrives: the same, but between tiers, whose credits are worth different amounts.
        """
        if amount <= 0 or target_amount <= 0 or source == target:
            raise ValueError("a transfer moves a positive amount from one wallet to another")
        if account_kind(target) != "wallet":
            raise ValueError(f"{target} is not a wallet")
        order = Order(
            kind="transfer", account=source, asked=f"transfer {source} {target} {amount} {target_amount}",
            key=idempotency_key, actor=actor, reason=reason, at_us=at_us, action="wallet.transfer", other=target,
        )  # fmt: skip

        def act(_: sa.Connection, books: Books) -> LedgerTx:
            taken = [(grant.terms, part) for grant, part in books.purses[source].burn(amount)]
            rest = amount - sum(part for _, part in taken)
            moves = {source: -amount, target: target_amount}
            if amount != target_amount:
                moves[CONVERSION] = amount - target_amount
            parts = _in_proportion([*taken, (PLAIN, rest)], amount, target_amount)
            return books.enter(order, -amount, moves, [(target, terms, part, None) for terms, part in parts if part])

        return self._enter(order, act, need=amount)

    @retried
    def refund(
        self, request_id: str, amount: int | None, reason: str, idempotency_key: str, actor: str, at_us: int,
        *, asked: str = "",
    ) -> LedgerTx:  # fmt: skip
        """Give back what a request was charged: a part, or (None) all that was not given back yet.

        It comes back as credits of the kind that it was paid with. Raises NotFound, and Conflict where all refunds
        together would be more than the charge.
        """
        if amount is not None and amount <= 0:
            raise ValueError("a refund is a positive amount")
        asked = asked or str(amount)
        with self._db.read() as conn:  # neither a record nor its batch ever changes, as long as they are there
            record = charged_record(conn, request_id)
            paid = [] if record is None else paid_by(conn, record)
        if record is None:
            return self.earlier_refund(request_id, asked, idempotency_key)
        wallet = f"wallet:{record.owner_id}:{record.tier}"
        order = Order(
            kind="refund", account=wallet, asked=f"refund {request_id} {asked}", key=idempotency_key,
            actor=actor, reason=reason, at_us=at_us, action="request.refund", other=request_id,
        )  # fmt: skip

        def act(conn: sa.Connection, books: Books) -> LedgerTx:
            if charged_record(conn, request_id) is None:  # its month was dropped just now
                raise not_there(conn, request_id)
            already = refunded_so_far(conn, request_id)
            left = record.charged - already
            wanted = left if amount is None else amount
            if wanted > left or not wanted:
                raise _over_refunded(request_id, wanted, left, record.charged)
            back = given_back(paid, already, wanted, at_us)
            new: list[NewGrant] = [(wallet, terms, part, None) for terms, part in back]
            entered = books.enter(order, wanted, {wallet: wanted, REFUND: -wanted}, new)
            row = {"tx": entered.tx_id, "request_id": request_id, "account": wallet, "amount": wanted, "at_us": at_us}
            conn.execute(sa.insert(refund_table), row)
            return entered

        return self._enter(order, act)

    def earlier_refund(self, request_id: str, asked: str, idempotency_key: str) -> LedgerTx:
        """What was done under this key, of a request that has no record (any more). Raises NotFound, Conflict."""
        with self._db.read() as conn:
            earlier = earlier_act(conn, "refund", f"refund {request_id} {asked}", idempotency_key)
            if earlier is None:
                raise not_there(conn, request_id)
            return earlier

    @retried
    def void(self, grant_id: int, reason: str, idempotency_key: str, actor: str, at_us: int) -> LedgerTx:
        """End a grant: what remains of it leaves the wallet at once, and what of it is in use when it comes back.

        Raises NotFound, and Conflict where nothing remains of it or it was voided before.
        """
        with self._db.read() as conn:
            found = one_grant(conn, grant_id)
        if found is None:
            raise NotFound(f"there is no grant {grant_id}", "unknown_grant", param="id")
        order = Order(
            kind="void", account=found.account, asked=f"void {grant_id}", key=idempotency_key,
            actor=actor, reason=reason, at_us=at_us, action="grant.void",
        )  # fmt: skip

        def act(_: sa.Connection, books: Books) -> LedgerTx:
            purse, standing = books.purses[found.account], books.standings[found.account]
            grant = next((g for g in (*purse.grants, *purse.pending) if g.id == grant_id and g.remaining), None)
            if grant is None or grant.voided_us is not None:
                raise Conflict(f"nothing remains of grant {grant_id}: it is used up, expired or voided", "grant_over")
            waits = grant.entered_us is None
            part = grant.remaining if waits else min(grant.remaining, max(standing.available, 0))
            grant.voided_us = at_us
            purse.take(grant, part)
            moves = {PENDING if waits else found.account: -part, funding_account(grant.category): part} if part else {}
            return books.enter(order, -part, moves)

        return self._enter(order, act)

    @retried
    def set_threshold(self, name: str, low_balance: int | None, actor: str, at_us: int) -> int | None:
        """Tell the webhooks when a wallet's balance falls below this (None: never); returns what it was before."""
        with self._db.write(durable=True) as conn:
            standing = lock_accounts(conn, [name]).get(name)
            if standing is None:
                open_account(conn, name)
            before = None if standing is None else standing.low_balance
            conn.execute(sa.update(account).where(account.c.id == name), {"low_balance": low_balance})
            said = ["" if value is None else f'"{format_amount(value)}"' for value in (before, low_balance)]
            write_audit(conn, actor, "wallet.threshold", name, said[0], said[1], at_us)
            return before

    def grants(self, name: str) -> list[Grant]:
        """Every grant of a wallet, oldest first, with what remains of it now."""
        with self._db.read() as conn:
            found = all_grants(conn, name)
            balance = conn.execute(_balance, {"of": name}).scalar_one_or_none() or 0
            Purse(name, [grant for grant in found if grant.remaining]).level(balance)
            return found

    def sweep(self, at_us: int) -> int:
        """Let grants begin and end whose time has come, a wallet at a time; returns for how many wallets.

        Any worker may do it, and two at once do no more than one.
        """
        with self._db.read() as conn:
            names = list(conn.execute(_due, {"at": at_us}).scalars())
        for name in names:
            self._sweep(name, at_us)
        return len(names)

    @retried
    def _sweep(self, name: str, at_us: int) -> None:
        with self._db.write(durable=True) as conn:
            lock_chain(conn)
            settle_dues(conn, [name], at_us)

    def _enter(self, order: Order, act: Act, need: int = 0) -> LedgerTx:
        name = order.account
        if account_kind(name) != "wallet":
            raise ValueError(f"{name} is not a wallet")
        if not order.key:
            raise ValueError("an idempotency key is mandatory")
        wallets = [name, order.other] if order.kind == "transfer" else [name]
        deadline = self._clock() + RECALL_WAIT_S
        recalled = False
        while True:
            with self._db.write(durable=True) as conn:
                lock_chain(conn)
                earlier = earlier_act(conn, order.kind, order.asked, order.key)
                if earlier is not None:
                    return earlier
                books = Books(conn, wallets, order.at_us)
                standing = books.standings[name]
                fits = standing.available >= need or not need
                free_soon = standing.leased > 0 and self._clock() < deadline
                if fits:
                    entered = act(conn, books)
                if recalled and (fits or not free_soon):
                    conn.execute(end_recall, {"of": name})
                elif not fits and free_soon and not recalled:
                    # In the workers' clock, which is a wall clock too; withdrawn as soon as this is over.
                    conn.execute(recall, {"of": name})
                    recalled = True
            if fits:
                return entered
            if not free_soon:
                raise _lacking(standing, need)
            self._pause(RECALL_PAUSE_S)


def _in_proportion(parts: list[tuple[GrantTerms, int]], amount: int, target: int) -> list[tuple[GrantTerms, int]]:
    """Each part's share of what arrives; together they are all of it."""
    found, at = [], 0
    for terms, part in parts:
        found.append((terms, target * (at + part) // amount - target * at // amount))
        at += part
    return found


def _lacking(standing: Standing, need: int) -> Conflict:
    available = max(standing.available, 0)
    free, wanted, in_use = short_amount(available), short_amount(need), short_amount(standing.leased)
    message = f"{standing.account} has {free} credits free, and {wanted} were to be taken; {in_use} are in use"
    return Conflict(message, "insufficient_balance", details={"available": free, "leased": in_use})


def _over_refunded(request_id: str, wanted: int, left: int, charged: int) -> Conflict:
    message = f"of {request_id}, {short_amount(left)} credits are left to be given back, of {short_amount(charged)}"
    said = {"charged": short_amount(charged), "refundable": short_amount(left), "asked": short_amount(wanted)}
    return Conflict(message, "refund_exceeds_charge", param="amount", details={**said})
