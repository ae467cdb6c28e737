"""Wallets: what is in them, top-ups, adjustments, statements, and the proof of the books."""

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.times import parse_moment, spell_time
from joytoken.domain.apikey import DEFAULT_OWNER
from joytoken.domain.errors import InvalidRequest
from joytoken.domain.ledger import CATEGORIES, PRIORITY, PRIORITY_MAX, GrantTerms, wallet_account
from joytoken.domain.money import NANO, AmountError, format_amount, parse_amount
from joytoken.domain.tier import DEFAULT_TIER, TIERS, Tier, parse_tier
from joytoken.store.ledger_types import LedgerTx

KEY_CHARS_MAX = 200
REASON_CHARS_MAX = 500
STATEMENT_MAX = 1000


class WalletQuery(msgspec.Struct, kw_only=True):
    """Whose wallets to show: all tiers, or one."""

    owner: str = DEFAULT_OWNER
    tier: str | None = None
    all: bool = False  # of every owner


class WalletDocument(msgspec.Struct, kw_only=True):
    """A wallet in credits, as decimal strings.

    `balance` is what has not been spent; `frozen` of it is held for requests under way, or leased to a worker for
    them; `available` is the rest.
    """

    owner: str
    tier: str
    balance: str
    frozen: str
    available: str
    usd: str  # what the balance is worth
    threshold: str | None = None  # below which the webhooks are told


class WalletList(msgspec.Struct):
    """Wallets by owner and tier."""

    wallets: list[WalletDocument]


class WalletChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Credits to add to a wallet. The same idempotency key with the same amount changes nothing twice."""

    amount: str
    idempotency_key: str
    tier: str = DEFAULT_TIER
    owner: str = DEFAULT_OWNER
    reason: str = ""


class WalletTopUp(WalletChange, kw_only=True, forbid_unknown_fields=True):
    """Credits to add to a wallet, as a grant.

    `category` is paid or promo. The grant with the lowest `priority` is burned first; left out, it is 50 for promo and
    100 for paid. `effective` and `expires` are durations from now, days, or ISO 8601 times.
    """

    category: str = "paid"
    priority: int | None = None
    effective: str | None = None
    expires: str | None = None


class WalletTransaction(msgspec.Struct, kw_only=True):
    """A change of a wallet as it stands in the ledger."""

    id: int
    kind: str
    owner: str
    tier: str
    amount: str
    balance: str  # after it
    actor: str
    reason: str
    idempotency_key: str
    at: str
    other: str | None = None  # the wallet at the other end of a transfer, or the request of a refund
    grants: list[int] = []  # that it made


class StatementQuery(msgspec.Struct, kw_only=True):
    """Which entries of a wallet to show, newest first; `before` is the last one's `version` of the page before."""

    tier: str = DEFAULT_TIER
    owner: str = DEFAULT_OWNER
    limit: int = 50
    before: int | None = None


class StatementEntry(msgspec.Struct, kw_only=True):
    """One entry: usage is entered in sums, everything else one by one."""

    id: int
    version: int
    at: str
    kind: str
    amount: str
    balance: str
    actor: str
    reason: str


class Statement(msgspec.Struct, kw_only=True):
    """Entries of one wallet, newest first. `next` is the cursor of the page after, if there is one."""

    owner: str
    tier: str
    entries: list[StatementEntry]
    next: int | None = None


class VerifyQuery(msgspec.Struct):
    """Nothing can be chosen."""


class Check(msgspec.Struct, kw_only=True):
    """One invariant of the books."""

    name: str
    ok: bool
    detail: str


class Verified(msgspec.Struct, kw_only=True):
    """The proof of the books, account by account and entry by entry."""

    ok: bool
    checks: list[Check]
    accounts: int
    records: int


def show_wallets(desk: Desk, request: WalletQuery) -> WalletList:
    """The wallets of an owner; one that was never topped up is shown empty. Raises InvalidRequest."""
    tiers = TIERS if request.tier is None else (checked_tier(request.tier),)
    prefix = "wallet:" if request.all else f"wallet:{request.owner}:"
    worth = desk.store.catalog.usd_per_credit()
    rows = {(row.owner_id, row.tier): row for row in desk.store.ledger.accounts(prefix)}
    owners = sorted({owner for owner, _ in rows}) if request.all else [request.owner]
    shown = []
    for owner in owners:
        for tier in tiers:
            row = rows.get((owner, tier))
            balance, leased, free = (row.balance, row.leased, row.available) if row else (0, 0, 0)
            shown.append(
                WalletDocument(
                    owner=owner,
                    tier=tier,
                    balance=format_amount(balance),
                    frozen=format_amount(leased),
                    available=format_amount(free),
                    usd=format_amount(balance * worth.get(tier, 0) // NANO),
                    threshold=None if row is None or row.low_balance is None else format_amount(row.low_balance),
                )
            )
    return WalletList(shown)


def top_up(desk: Desk, request: WalletTopUp) -> WalletTransaction:
    """Add credits. Raises InvalidRequest, or Conflict where the key was used for something else."""
    account, amount = _checked(request)
    if amount <= 0:
        raise InvalidRequest("a top-up is more than 0; to take credits away, adjust", param="amount")
    now, zone = desk.now_us(), desk.settings.money.zone
    category = next((known for known in CATEGORIES if known == request.category), None)
    if category is None:
        raise InvalidRequest(f"{request.category!r} is neither paid nor promo", param="category")
    priority = PRIORITY[category] if request.priority is None else request.priority
    if not 0 <= priority <= PRIORITY_MAX:
        raise InvalidRequest(f"a priority is 0 to {PRIORITY_MAX}; the lowest is burned first", param="priority")
    begins, ends = (
        None if text is None else parse_moment(text, name, now, ahead=True, zone=zone)
        for name, text in (("effective", request.effective), ("expires", request.expires))
    )
    if ends is not None and ends <= max(begins or now, now):
        raise InvalidRequest("credits that expire before they are effective are none", param="expires")
    terms = GrantTerms(category, priority, ends)
    # A duration means another moment in each repetition: it is the text that must be the same.
    asked = f"{category} {priority} {request.effective} {request.expires}"
    return transaction(
        desk.store.ledger.top_up(
            account, amount, request.reason, request.idempotency_key, desk.actor, now,
            terms=terms, effective_us=begins, asked=asked,
        )
    )  # fmt: skip


def adjust(desk: Desk, request: WalletChange) -> WalletTransaction:
    """Add credits or, with a negative amount, take them away. Raises InvalidRequest, InsufficientQuota or Conflict."""
    account, amount = _checked(request)
    if amount == 0:
        raise InvalidRequest("an adjustment by 0 changes nothing", param="amount")
    if not request.reason.strip():
        raise InvalidRequest("an adjustment needs a reason", param="reason")
    now = desk.now_us()
    return transaction(
        desk.store.ledger.adjust(account, amount, request.reason, request.idempotency_key, desk.actor, now)
    )


def statement(desk: Desk, request: StatementQuery) -> Statement:
    """The entries of a wallet, newest first. Raises InvalidRequest."""
    if not 1 <= request.limit <= STATEMENT_MAX:
        raise InvalidRequest(f"a page has 1 to {STATEMENT_MAX} entries", param="limit")
    tier = checked_tier(request.tier)
    # One more than asked for tells whether there is a next page.
    rows = desk.store.ledger.statement(wallet_account(request.owner, tier), request.limit + 1, request.before)
    page = rows[: request.limit]
    entries = [
        StatementEntry(
            id=row.tx_id,
            version=row.version,
            at=spell_time(row.at_us),
            kind=row.kind,
            amount=format_amount(row.amount),
            balance=format_amount(row.balance_after),
            actor=row.actor,
            reason=row.reason,
        )
        for row in page
    ]
    return Statement(
        owner=request.owner,
        tier=tier,
        entries=entries,
        next=page[-1].version if len(rows) > len(page) else None,
    )


def verify(desk: Desk, request: VerifyQuery) -> Verified:  # noqa: ARG001 - every operation takes a request
    """Prove the books."""
    report = desk.store.ledger.verify(desk.progress)
    checks = [Check(name=check.name, ok=check.ok, detail=check.detail) for check in report.checks]
    return Verified(
        ok=all(check.ok for check in checks), checks=checks, accounts=report.accounts, records=report.records
    )


def transaction(tx: LedgerTx) -> WalletTransaction:
    """A change of a wallet as it is shown."""
    owner, tier = tx.account.split(":")[1:]
    return WalletTransaction(
        id=tx.tx_id,
        kind=tx.kind,
        owner=owner,
        tier=tier,
        amount=format_amount(tx.amount),
        balance=format_amount(tx.balance_after),
        actor=tx.actor,
        reason=tx.reason,
        idempotency_key=tx.idempotency_key,
        at=spell_time(tx.at_us),
        other=tx.other or None,
        grants=list(tx.grants),
    )


def checked_tier(text: str, param: str = "tier") -> Tier:
    """The tier of this name. Raises InvalidRequest."""
    tier = parse_tier(text)
    if tier is None:
        raise InvalidRequest(f"{text!r} is not a tier; the tiers are {', '.join(TIERS)}", param=param)
    return tier


def checked_owner(text: str, param: str) -> str:
    """An owner's name. Raises InvalidRequest."""
    if not text.strip() or ":" in text:
        raise InvalidRequest("an owner is a name without colons", param=param)
    return text


def checked_reason(text: str, *, needed: bool) -> None:
    """Raise InvalidRequest where a reason is too long, or lacks."""
    if needed and not text.strip():
        raise InvalidRequest("this needs a reason", param="reason")
    if len(text) > REASON_CHARS_MAX:
        raise InvalidRequest(f"a reason has at most {REASON_CHARS_MAX} characters", param="reason")


def amount_in(text: str, param: str) -> int:
    """Nanocredits of an amount. Raises InvalidRequest naming `param`."""
    try:
        return parse_amount(text)
    except AmountError as error:
        raise InvalidRequest(str(error), param=param) from None


def _checked(request: WalletChange) -> tuple[str, int]:
    tier = checked_tier(request.tier)
    owner = checked_owner(request.owner, "owner")
    key = request.idempotency_key
    if not 1 <= len(key) <= KEY_CHARS_MAX or not key.isprintable():
        raise InvalidRequest(f"an idempotency key has 1 to {KEY_CHARS_MAX} characters", param="idempotency_key")
    checked_reason(request.reason, needed=False)
    return wallet_account(owner, tier), amount_in(request.amount, "amount")
