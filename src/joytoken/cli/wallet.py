"""`joytoken wallet`: balances, top-ups, statements, proof."""

import click

from joytoken.admin.operations import VERIFY, WALLETS_ADJUST, WALLETS_SHOW, WALLETS_STATEMENT, WALLETS_TOP_UP
from joytoken.admin.wallets import StatementQuery, VerifyQuery, WalletChange, WalletQuery, WalletTransaction
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
@click.option("--reason", default="", help="Kept in the ledger.")
@managing
def top_up(admin: Admin, out: Output, *, amount: str, idempotency_key: str, tier: str, owner: str, reason: str) -> None:
    """Add credits to a wallet."""
    change = WalletChange(amount=amount, idempotency_key=idempotency_key, tier=tier, owner=owner, reason=reason)
    _show(out, admin.call(WALLETS_TOP_UP, change))


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
