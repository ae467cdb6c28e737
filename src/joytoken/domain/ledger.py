"""Accounts, and what moves between them.

An account is named by a string, so that it reads the same in a table, in a log and in a receipt:

    wallet:{owner}:{tier}            a wallet
    quota:{key}:D:2026-11-22         a key's daily quota; it starts at the limit and drains like a wallet
    quota:{key}:W:2026-W47           a key's weekly quota
    budget:{id}:M:2026-11            a budget in one window, which drains likewise (`domain.budget` names it)
    budget:{id}:T:all:{owner}/{run}  the same, of one of those for each of whom it is
    platform:{name}                  the operator's side of each movement
"""

from typing import Literal

import msgspec

from joytoken.domain.tier import Tier

AccountKind = Literal["wallet", "quota", "budget", "platform"]
TxKind = Literal["usage", "topup", "refund", "adjust", "expire", "void", "transfer", "shortfall", "open", "drop"]
Category = Literal["paid", "promo"]

REVENUE = "platform:revenue"  # the other side of usage on wallets
FUNDING = "platform:funding"  # the other side of paid top-ups
PROMO = "platform:promo"  # the other side of promotional ones
PENDING = "platform:pending"  # credits that were granted, and are not effective yet
EXPIRY = "platform:expiry"  # what expired
REFUND = "platform:refund"  # what was given back of charges: revenue that was none
CONVERSION = "platform:conversion"  # the difference of a transfer between tiers
ADJUSTMENTS = "platform:adjustments"  # the other side of adjustments
QUOTA_ISSUED = "platform:quota"  # the other side of quota and budget accounts; `:1`, `:2` hold what was put aside of it
SHORTFALL = "platform:shortfall"  # what a call cost beyond what could be charged
PLATFORM_ACCOUNTS = (
    REVENUE, FUNDING, ADJUSTMENTS, QUOTA_ISSUED, SHORTFALL, PROMO, PENDING, EXPIRY, REFUND, CONVERSION,
)  # fmt: skip
CATEGORIES: tuple[Category, ...] = ("paid", "promo")
PRIORITY: dict[Category, int] = {"promo": 50, "paid": 100}  # of a grant that names none; the lowest is burned first
PRIORITY_MAX = 1000


def wallet_account(owner_id: str, tier: Tier) -> str:
    """The account of an owner's wallet for a tier."""
    return f"wallet:{owner_id}:{tier}"


def quota_account(key_id: str, window: str) -> str:
    """The account of a key's quota in one window, such as ``D:2026-11-22`` or ``W:2026-W47``."""
    return f"quota:{key_id}:{window}"


def account_kind(account: str) -> AccountKind:
    """The kind that an account's name tells."""
    kind = account.partition(":")[0]
    if kind == "wallet":
        return "wallet"
    if kind == "quota":
        return "quota"
    return "budget" if kind == "budget" else "platform"


class Want(msgspec.Struct, frozen=True, gc=False):
    """One account's part of a hold. `limit` (nanocredits) opens a quota or budget on first use; None for wallets."""

    account: str
    limit: int | None = None


class Granted(msgspec.Struct, frozen=True, gc=False):
    """The store's answer for one account: how much was leased, and how much more there would be (nanocredits)."""

    account: str
    amount: int
    available: int  # free at the centre after this grant
    elsewhere: int = 0  # leased by other workers, who may give some of it back
    full: bool = False  # it was not opened: as many as may be were opened today


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What a settle came to, in nanocredits: ``cost = charged + shortfall``, ``released = hold - charged`` or 0."""

    charged: int
    shortfall: int
    released: int


class GrantTerms(msgspec.Struct, frozen=True):
    """What is special about some credits of a wallet."""

    category: Category = "paid"
    priority: int = PRIORITY["paid"]
    expires_us: int | None = None

    @property
    def plain(self) -> bool:
        """Whether they are as nearly all credits: paid for, without an end, burned in the order in which they came."""
        return self.category == "paid" and self.priority == PRIORITY["paid"] and self.expires_us is None


PLAIN = GrantTerms()


def funding_account(category: Category) -> str:
    """The other side of credits of a category."""
    return FUNDING if category == "paid" else PROMO
