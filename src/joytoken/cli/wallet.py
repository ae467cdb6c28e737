"""`joytoken wallet`: balances, top-ups, grants, refunds, transfers, statements, proof."""

from typing import Any

import click

from joytoken.admin.grants import GrantQuery, GrantVoid, Refund, Threshold, Transfer
from joytoken.admin.operations import VERIFY, WALLETS_ADJUST, WALLETS_SHOW, WALLETS_STATEMENT, WALLETS_TOP_UP
from joytoken.admin.operations_credit import (
    GRANTS_LIST,
    GRANTS_VOID,
    REQUESTS_REFUND,
    WALLETS_THRESHOLD,
    WALLETS_TRANSFER,
)
from joytoken.admin.wallets import (
    StatementQuery,
    VerifyQuery,
    WalletChange,
    WalletQuery,
    WalletTopUp,
    WalletTransaction,
)
from joytoken.cli.failure import REFUSED, Stop
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing
from joytoken.domain.apikey import DEFAULT_OWNER
from joytoken.domain.tier import DEFAULT_TIER

_owner = click.option("--owner", default=DEFAULT_OWNER, show_default=True, help="Whose wallet.")
_tier = click.option("--tier", default=DEFAULT_TIER, show_default=True, help="Which of the three.")
_idempotency_key = click.option(
    "--idempotency-key", required=True, metavar="K", help="The same key again changes nothing twice."
)
# A negative amount begins like an option.
_NEGATIVE = {"ignore_unknown_options": True}


@click.group()
def wallet() -> None:
    """Wallets: one for each owner and tier, in credits."""


@wallet.command()
@_owner
@click.option("--tier", help="Only this tier.")
@click.option("--all", "all_", is_flag=True, help="Of every owner.")
@managing
def show(admin: Admin, out: Output, *, owner: str, tier: str | None, all_: bool) -> None:
    """What is in the wallets."""
    found = admin.call(WALLETS_SHOW, WalletQuery(owner=owner, tier=tier, all=all_))
    if out.as_json:
        out.document(found)
        return
    heads = ("owner", "tier", "balance", "frozen", "available", "usd")
    rows = [(w.owner, w.tier, w.balance, w.frozen, w.available, w.usd) for w in found.wallets]
    out.table(heads, rows, right=heads[2:])


@wallet.command("top-up")
@click.argument("amount")
@_idempotency_key
@_tier
@_owner
@click.option("--promo", is_flag=True, help="Given, not sold: burned before what was paid for.")
@click.option("--priority", type=int, metavar="N", help="The lowest is burned first. [default: promo 50, paid 100]")
@click.option("--effective", metavar="WHEN", help="Not spendable before: 7d, 2027-01-31 or an ISO 8601 time.")
@click.option("--expires", metavar="WHEN", help="What is left then is gone: 30d, 2027-01-31 or an ISO 8601 time.")
@click.option("--reason", default="", help="Kept in the ledger.")
@managing
def top_up(admin: Admin, out: Output, *, promo: bool, **fields: Any) -> None:
    """Add credits to a wallet, as a grant."""
    _show(out, admin.call(WALLETS_TOP_UP, WalletTopUp(category="promo" if promo else "paid", **fields)))


@wallet.command(context_settings=_NEGATIVE)
@click.argument("amount")
@_idempotency_key
@_tier
@_owner
@click.option("--reason", required=True, help="Kept in the ledger.")
@managing
def adjust(admin: Admin, out: Output, *, amount: str, idempotency_key: str, tier: str, owner: str, reason: str) -> None:
    """Correct a wallet by an amount that may be negative, such as -5."""
    change = WalletChange(amount=amount, idempotency_key=idempotency_key, tier=tier, owner=owner, reason=reason)
    _show(out, admin.call(WALLETS_ADJUST, change))


@wallet.command()
@_tier
@_owner
@click.option("--all", "all_", is_flag=True, help="Those that are over, too.")
@managing
def grants(admin: Admin, out: Output, *, tier: str, owner: str, all_: bool) -> None:
    """The grants of a wallet, in the order in which they are burned."""
    found = admin.call(GRANTS_LIST, GrantQuery(tier=tier, owner=owner, all=all_))
    if out.as_json:
        out.document(found)
        return
    heads = ("id", "state", "category", "priority", "amount", "remaining", "effective", "expires")
    rows = [
        (g.id, g.state, g.category, g.priority, g.amount, g.remaining, g.effective_at, g.expires_at)
        for g in found.grants
    ]
    out.table(heads, rows, right=("id", "priority", "amount", "remaining"))


@wallet.command()
@click.argument("grant_id", metavar="GRANT")
@_idempotency_key
@click.option("--reason", required=True, help="Kept in the ledger.")
@managing
def void(admin: Admin, out: Output, *, grant_id: str, idempotency_key: str, reason: str) -> None:
    """End a grant: what remains of it leaves the wallet."""
    _show(out, admin.call(GRANTS_VOID, GrantVoid(id=grant_id, idempotency_key=idempotency_key, reason=reason)))


@wallet.command()
@click.argument("request_id", metavar="REQUEST")
@_idempotency_key
@click.option("--amount", metavar="C", help="Credits, or a share such as 50%. [default: all that is left]")
@click.option("--reason", required=True, help="Kept in the ledger.")
@managing
def refund(admin: Admin, out: Output, *, request_id: str, **fields: Any) -> None:
    """Give back what a request was charged, or a part of it."""
    _show(out, admin.call(REQUESTS_REFUND, Refund(id=request_id, **fields)))


@wallet.command()
@click.argument("amount")
@_idempotency_key
@_tier
@_owner
@click.option("--to-owner", metavar="NAME", help="Whose wallet gets it. [default: the same owner]")
@click.option("--to-tier", metavar="T", help="Which of theirs. [default: the same tier]")
@click.option("--to-amount", metavar="C", help="What arrives: between tiers it must be said.")
@click.option("--reason", default="", help="Kept in the ledger.")
@managing
def transfer(admin: Admin, out: Output, **fields: Any) -> None:
    """Move credits from one wallet to another."""
    _show(out, admin.call(WALLETS_TRANSFER, Transfer(**fields)))


@wallet.command()
@click.argument("below")
@_tier
@_owner
@managing
def threshold(admin: Admin, out: Output, *, below: str, tier: str, owner: str) -> None:
    """Tell the webhooks when a balance falls below BELOW credits; `off` for never."""
    given = None if below == "off" else below
    made = admin.call(WALLETS_THRESHOLD, Threshold(below=given, tier=tier, owner=owner))
    if out.as_json:
        out.document(made)
        return
    out.facts([(name, getattr(made, name)) for name in made.__struct_fields__])


@wallet.command()
@_tier
@_owner
@click.option("--limit", default=50, show_default=True, help="Entries of a page.")
@click.option("--before", type=int, metavar="N", help="Go on from the `next` of the page before.")
@managing
def statement(admin: Admin, out: Output, *, tier: str, owner: str, limit: int, before: int | None) -> None:
    """The ledger entries of a wallet, newest first."""
    found = admin.call(WALLETS_STATEMENT, StatementQuery(tier=tier, owner=owner, limit=limit, before=before))
    if out.as_json:
        out.document(found)
        return
    heads = ("id", "at", "kind", "amount", "balance", "actor", "reason")
    rows = [(e.id, e.at, e.kind, e.amount, e.balance, e.actor, e.reason) for e in found.entries]
    out.table(heads, rows, right=("id", "amount", "balance"))
    if found.next is not None:
        out.say(f"More: --before {found.next}")


@wallet.command()
@managing
def verify(admin: Admin, out: Output) -> None:
    """Prove the books, to the last nanocredit; exit code 4 where they are wrong."""
    found = admin.call(VERIFY, VerifyQuery())
    if out.as_json:
        out.document(found)
    else:
        out.table(("check", "ok", "detail"), [(check.name, check.ok, check.detail) for check in found.checks])
        word = "The books are right" if found.ok else "THE BOOKS ARE WRONG"
        out.say(f"{word}: {found.accounts} accounts, {found.records} requests.")
    if not found.ok:
        raise Stop(REFUSED)


def _show(out: Output, made: WalletTransaction) -> None:
    if out.as_json:
        out.document(made)
        return
    out.facts([(name, getattr(made, name)) for name in made.__struct_fields__])
