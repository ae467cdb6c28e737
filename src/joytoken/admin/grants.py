"""What is done to wallets beyond top-up and adjustment: grants, refunds, transfers, thresholds."""

import re

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.times import spell_optional, spell_time
from joytoken.admin.wallets import (
    KEY_CHARS_MAX,
    WalletTransaction,
    amount_in,
    checked_owner,
    checked_reason,
    checked_tier,
    transaction,
)
from joytoken.domain.apikey import DEFAULT_OWNER
from joytoken.domain.errors import InvalidRequest, NotFound
from joytoken.domain.ledger import wallet_account
from joytoken.domain.money import NANO, format_amount, parse_amount
from joytoken.domain.tier import DEFAULT_TIER
from joytoken.store.ledger_grants import Grant

_PERCENT = re.compile(r"\d{1,3}(\.\d{1,9})?%")


class GrantQuery(msgspec.Struct, kw_only=True):
    """Whose grants to show: those that are not over, or all."""

    tier: str = DEFAULT_TIER
    owner: str = DEFAULT_OWNER
    all: bool = False


class GrantDocument(msgspec.Struct, kw_only=True):
    """Credits that came into a wallet together. `state`: active, waiting, expired, voided, or used up."""

    id: int
    state: str
    category: str
    priority: int
    amount: str
    remaining: str
    effective_at: str
    expires_at: str | None
    voided_at: str | None
    transaction: int


class GrantList(msgspec.Struct, kw_only=True):
    """The grants of a wallet in the order in which they are burned; those that are over come last."""

    owner: str
    tier: str
    grants: list[GrantDocument]


class GrantVoid(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A grant to end: what remains of it leaves the wallet, what of it is in use as soon as it comes back."""

    id: str
    idempotency_key: str
    reason: str


class Refund(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Credits to give back of a request's charge: an amount, a share such as 50%, or all that is left of it."""

    id: str
    idempotency_key: str
    reason: str
    amount: str | None = None


class Transfer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Credits to move between wallets; between tiers, whose credits differ in worth, `to_amount` says what arrives."""

    amount: str
    idempotency_key: str
    tier: str = DEFAULT_TIER
    owner: str = DEFAULT_OWNER
    to_owner: str | None = None
    to_tier: str | None = None
    to_amount: str | None = None
    reason: str = ""


class Threshold(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The balance below which the webhooks are told of a wallet; null for never."""

    below: str | None
    tier: str = DEFAULT_TIER
    owner: str = DEFAULT_OWNER


class ThresholdDocument(msgspec.Struct, kw_only=True):
    """The threshold of a wallet, and what is in it now."""

    owner: str
    tier: str
    below: str | None
    balance: str


def list_grants(desk: Desk, request: GrantQuery) -> GrantList:
    """The grants of a wallet. Raises InvalidRequest."""
    tier = checked_tier(request.tier)
    now = desk.now_us()
    found = desk.store.ledger.grants(wallet_account(request.owner, tier))
    never = 2**63
    found.sort(
        key=lambda g: (not g.remaining, g.priority, never if g.expires_us is None else g.expires_us, g.id),
    )
    shown = [_document(grant, now) for grant in found if request.all or grant.remaining]
    return GrantList(owner=request.owner, tier=tier, grants=shown)


def void_grant(desk: Desk, request: GrantVoid) -> WalletTransaction:
    """End a grant. Raises InvalidRequest, NotFound, Conflict."""
    checked_reason(request.reason, needed=True)
    _key(request.idempotency_key)
    if not re.fullmatch(r"\d{1,18}", request.id):
        raise NotFound(f"there is no grant {request.id!r}", "unknown_grant", param="id")
    return transaction(
        desk.store.ledger.void(int(request.id), request.reason, request.idempotency_key, desk.actor, desk.now_us())
    )


def refund_request(desk: Desk, request: Refund) -> WalletTransaction:
    """Give back what a request was charged, or a part. Raises InvalidRequest, NotFound, Conflict."""
    checked_reason(request.reason, needed=True)
    _key(request.idempotency_key)
    amount: int | None = None
    text = None if request.amount is None else request.amount.strip()
    if text is not None and _PERCENT.fullmatch(text):
        record = desk.store.usage.get(request.id)
        if record is None:
            return transaction(desk.store.ledger.earlier_refund(request.id, text, request.idempotency_key))
        share = parse_amount(text[:-1])
        if share > 100 * NANO:
            raise InvalidRequest("a share is at most 100%", param="amount")
        amount = record.charged * share // (100 * NANO)  # down: never more than the share
    elif text is not None:
        amount = amount_in(text, "amount")
    if amount is not None and amount <= 0:
        raise InvalidRequest("a refund is more than 0; this would give nothing back", param="amount")
    return transaction(
        desk.store.ledger.refund(
            request.id, amount, request.reason, request.idempotency_key, desk.actor, desk.now_us(), asked=text or "all"
        )
    )


def transfer(desk: Desk, request: Transfer) -> WalletTransaction:
    """Move credits. Raises InvalidRequest, or Conflict where there are not enough that are free."""
    _key(request.idempotency_key)
    checked_reason(request.reason, needed=False)
    owner, tier = checked_owner(request.owner, "owner"), checked_tier(request.tier)
    to_owner = owner if request.to_owner is None else checked_owner(request.to_owner, "to_owner")
    to_tier = tier if request.to_tier is None else checked_tier(request.to_tier, "to_tier")
    if (owner, tier) == (to_owner, to_tier):
        raise InvalidRequest("a transfer names another owner, another tier, or both", param="to_owner")
    amount = amount_in(request.amount, "amount")
    arriving = amount if request.to_amount is None else amount_in(request.to_amount, "to_amount")
    if amount <= 0 or arriving <= 0:
        raise InvalidRequest("a transfer is more than 0", param="amount" if amount <= 0 else "to_amount")
    if tier != to_tier and request.to_amount is None:
        said = f"a {tier} and a {to_tier} credit are not worth the same: say what arrives in to_amount"
        raise InvalidRequest(said, param="to_amount")
    if tier == to_tier and arriving != amount:
        raise InvalidRequest("within a tier, what leaves is what arrives: leave to_amount out", param="to_amount")
    source, target = wallet_account(owner, tier), wallet_account(to_owner, to_tier)
    return transaction(
        desk.store.ledger.transfer(
            source, target, amount, arriving, request.reason, request.idempotency_key, desk.actor, desk.now_us()
        )
    )


def set_threshold(desk: Desk, request: Threshold) -> ThresholdDocument:
    """Set below which balance the webhooks are told. Raises InvalidRequest."""
    owner, tier = checked_owner(request.owner, "owner"), checked_tier(request.tier)
    below = None if request.below is None else amount_in(request.below, "below")
    if below is not None and below <= 0:
        raise InvalidRequest("a threshold is more than 0; null takes it away", param="below")
    account = wallet_account(owner, tier)
    desk.store.ledger.set_threshold(account, below, desk.actor, desk.now_us())
    row = next(found for found in desk.store.ledger.accounts(account) if found.account == account)
    return ThresholdDocument(
        owner=owner,
        tier=tier,
        below=None if row.low_balance is None else format_amount(row.low_balance),
        balance=format_amount(row.balance),
    )


def _key(key: str) -> None:
    if not 1 <= len(key) <= KEY_CHARS_MAX or not key.isprintable():
        raise InvalidRequest(f"an idempotency key has 1 to {KEY_CHARS_MAX} characters", param="idempotency_key")


def _document(grant: Grant, now_us: int) -> GrantDocument:
    if grant.voided_us is not None:
        state = "voided"
    elif not grant.remaining:
        state = "used up"
    elif grant.entered_us is None:
        state = "waiting"
    else:
        state = "active" if grant.expires_us is None or grant.expires_us > now_us else "expired"
    return GrantDocument(
        id=grant.id,
        state=state,
        category=grant.category,
        priority=grant.priority,
        amount=format_amount(grant.amount),
        remaining=format_amount(grant.remaining),
        effective_at=spell_time(grant.effective_us),
        expires_at=spell_optional(grant.expires_us),
        voided_at=spell_optional(grant.voided_us),
        transaction=grant.tx,
    )
