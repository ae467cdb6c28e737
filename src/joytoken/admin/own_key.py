"""A key as its holder sees it: what it may do, and what is left for it."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.policy import document_of
from joytoken.admin.times import spell_optional
from joytoken.admin.wallets import WalletQuery, show_wallets
from joytoken.domain.apikey import ApiKey
from joytoken.domain.budget import Budget, budget_account, facts_of
from joytoken.domain.ledger import quota_account
from joytoken.domain.money import format_amount
from joytoken.domain.window import Window, WindowKind, window_of
from joytoken.store.ledger_types import AccountRow


class OwnLimit(msgspec.Struct, kw_only=True):
    """A limit of the key, or a budget that covers all of its requests, in the window that is open; credits as strings.

    `spent` was charged, `frozen` is held for requests under way or lent to a worker for the next ones, and `left` is
    the rest.
    """

    name: str  # of the budget; empty for a limit of the key's own
    window: str  # day, week, month or total
    limit: str
    spent: str
    frozen: str
    left: str
    ends_at: str | None  # when the next window begins


class OwnWallet(msgspec.Struct, kw_only=True):
    """A wallet of the key's owner; credits and US dollars as decimal strings."""

    tier: str
    balance: str
    frozen: str
    available: str
    usd: str


class OwnKey(msgspec.Struct, kw_only=True):
    """The key that asks: its labels, its policy, and what is left for it."""

    id: str
    name: str
    status: str
    owner: str
    expires_at: str | None
    project: str
    application: str
    environment: str
    task: str
    policy: dict[str, Any]  # as management shows it
    limits: list[OwnLimit]
    budgets: list[OwnLimit]
    wallets: list[OwnWallet]


def own_key(desk: Desk, key: ApiKey, budgets: Sequence[Budget]) -> OwnKey:
    """What the holder of a key is told of it. `budgets`: those that cover each of its requests in one amount."""
    now, labels = desk.now_us(), key.labels
    wallets = show_wallets(desk, WalletQuery(owner=key.owner_id)).wallets
    limits, covering = _limits(desk, key, now), _budgets(key, budgets, now)
    rows = desk.store.ledger.named([bound.account for bound in (*limits, *covering)])
    return OwnKey(
        id=key.key_id,
        name=key.name,
        status=key.status,
        owner=key.owner_id,
        expires_at=spell_optional(key.expires_us),
        project=labels.project,
        application=labels.application,
        environment=labels.environment,
        task=labels.task,
        policy=document_of(key.policy),
        limits=[_shown(bound, rows.get(bound.account)) for bound in limits],
        budgets=[_shown(bound, rows.get(bound.account)) for bound in covering],
        wallets=[
            OwnWallet(tier=w.tier, balance=w.balance, frozen=w.frozen, available=w.available, usd=w.usd)
            for w in wallets
        ],
    )


class _Bound(NamedTuple):
    """What bounds the key in the window that is open."""

    account: str
    name: str  # of a budget
    kind: WindowKind
    limit: int  # nanocredits
    window: Window


def _limits(desk: Desk, key: ApiKey, now: int) -> list[_Bound]:
    zone = ZoneInfo(desk.settings.money.zone)
    limits: tuple[tuple[WindowKind, int | None], ...] = (
        ("day", key.policy.limit_daily),
        ("week", key.policy.limit_weekly),
    )
    found = []
    for kind, limit in limits:
        if limit is not None:
            window = window_of(kind, now, zone)
            found.append(_Bound(quota_account(key.key_id, window.name), "", kind, limit, window))
    return found


def _budgets(key: ApiKey, budgets: Sequence[Budget], now: int) -> list[_Bound]:
    found = []
    for budget in budgets:
        window = window_of(budget.window, now, ZoneInfo(budget.zone))
        account = budget_account(budget, window.name, facts_of(key))
        found.append(_Bound(account, budget.name, budget.window, budget.limit, window))
    return found


def _shown(bound: _Bound, row: AccountRow | None) -> OwnLimit:
    # What the account was opened with, or last set to, less what is there: no entries are summed for whoever asks.
    spent = 0 if row is None or row.quota_limit is None else row.quota_limit - row.balance
    return OwnLimit(
        name=bound.name,
        window=bound.kind,
        limit=format_amount(bound.limit),
        spent=format_amount(spent),
        frozen=format_amount(0 if row is None else row.leased),
        left=format_amount(bound.limit if row is None else row.available),
        ends_at=None if bound.kind == "total" else spell_optional(bound.window.until_us),
    )
