"""Budgets: set, listed, shown with what is spent of them, removed."""

from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from joytoken.admin.desk import Desk
from joytoken.admin.keys import find_key
from joytoken.admin.times import spell_optional, spell_time
from joytoken.domain.budget import DIMENSIONS, Budget, BudgetStatus, Dimension
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.domain.ids import uuid7_hex
from joytoken.domain.money import AmountError, format_amount, parse_amount, short_amount
from joytoken.domain.window import WINDOW_KINDS, Window, WindowKind, window_of

NAME_CHARS_MAX = 100
VALUE_CHARS_MAX = 256
SHARES_MAX = 1000


class BudgetSet(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A budget to make or to change. Whom it covers and its window are fixed once it is there."""

    name: str
    limit: str | None = None  # credits in one window
    window: str | None = None  # day, week, month or total
    zone: str | None = None  # of the window; the reporting zone where left out
    status: str | None = None  # active, or paused: not counted and not enforced
    owner: str | None = None
    key: str | None = None
    project: str | None = None
    application: str | None = None
    environment: str | None = None
    end_user: str | None = None
    run: str | None = None
    each: list[str] | None = None  # dimensions that have an amount for each value


class BudgetRef(msgspec.Struct, forbid_unknown_fields=True):
    """A budget by its name or id."""

    name: str


class BudgetQuery(msgspec.Struct):
    """Nothing can be chosen."""


class BudgetDocument(msgspec.Struct, kw_only=True):
    """A budget and its open window, in credits as decimal strings. "" covers any value.

    `frozen` is held for requests under way, or leased to a worker for them. Of a budget for each value, the sums are
    those of all values together, and `left` is null: `budgets.show` has them one by one.
    """

    id: str
    name: str
    limit: str
    window: str
    zone: str
    status: str
    owner: str
    key: str
    project: str
    application: str
    environment: str
    end_user: str
    run: str
    each: list[str]
    created_at: str
    open_window: str  # its name: D:2026-11-22, W:2026-W47, M:2026-11, T:all
    resets_at: str | None
    spent: str
    frozen: str
    left: str | None


class BudgetShare(msgspec.Struct, kw_only=True):
    """What one value of a budget for each has spent, in the open window."""

    subject: str
    spent: str
    frozen: str
    left: str


class BudgetShown(BudgetDocument, kw_only=True):
    """A budget with its shares, most spent first, at most a thousand; `more` where there are more than are shown."""

    shares: list[BudgetShare] = []
    more: bool = False


class BudgetList(msgspec.Struct):
    """Budgets, oldest first."""

    budgets: list[BudgetDocument]


class BudgetRemoved(msgspec.Struct):
    """What was removed."""

    removed: str


def set_budget(desk: Desk, request: BudgetSet) -> BudgetShown:
    """Make or change a budget. Raises InvalidRequest naming the field at fault, and Conflict for what is fixed."""
    before = desk.store.budgets.find(request.name)
    now = desk.now_us()
    if before is None:
        made = _new(desk, request, now)
        desk.store.budgets.add(made)
        after = _shown(desk, made, now)
        desk.note("budget.set", made.name, None, after)
        return after
    _refuse_other_scope(desk, request, before)
    changed = replace(
        before,
        limit=before.limit if request.limit is None else _limit(request.limit),
        zone=before.zone if request.zone is None else _zone(request.zone),
        status=before.status if request.status is None else _status(request.status),
    )
    was = _document(desk, before, now)
    # Written first: whoever opens a window from here on opens it by the new limit.
    desk.store.budgets.save(changed)
    desk.store.ledger.set_budget_limit(_account(changed, now), changed.limit, actor=desk.actor, at_us=now)
    after = _shown(desk, changed, now)
    desk.note("budget.set", changed.name, was, after)
    return after


def list_budgets(desk: Desk, request: BudgetQuery) -> BudgetList:  # noqa: ARG001
    """All budgets."""
    now = desk.now_us()
    return BudgetList([_document(desk, budget, now) for budget in desk.store.budgets.list()])


def show_budget(desk: Desk, request: BudgetRef) -> BudgetShown:
    """One budget. Raises NotFound."""
    return _shown(desk, _found(desk, request.name), desk.now_us())


def remove_budget(desk: Desk, request: BudgetRef) -> BudgetRemoved:
    """Remove a budget: it is enforced no more, and what was spent of it stays in the books. Raises NotFound."""
    budget = _found(desk, request.name)
    before = _document(desk, budget, desk.now_us())
    desk.store.budgets.remove(budget.budget_id)
    desk.note("budget.remove", budget.name, before, None)
    return BudgetRemoved(budget.name)


def _found(desk: Desk, name: str) -> Budget:
    budget = desk.store.budgets.find(name)
    if budget is None:
        raise NotFound(f"there is no budget {name!r}", "unknown_budget", param="name")
    return budget


def _new(desk: Desk, request: BudgetSet, now: int) -> Budget:
    name = request.name.strip()
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable() or "/" in name:
        raise InvalidRequest(f"a name has 1 to {NAME_CHARS_MAX} printable characters, no slash", param="name")
    if request.limit is None:
        raise InvalidRequest("a new budget needs a limit in credits", param="limit")
    if request.window is None:
        raise InvalidRequest(f"a new budget needs a window: {', '.join(WINDOW_KINDS)}", param="window")
    values = {dimension: _value(desk, request, dimension) or "" for dimension in DIMENSIONS}
    each = _each(request.each or [])
    if not any(values.values()) and not each:
        said = ", ".join(DIMENSIONS)
        raise InvalidRequest(f"a budget covers something: name one of {said}, or `each`", param="project")
    both = [dimension for dimension in each if values[dimension]]
    if both:
        raise InvalidRequest(f"a budget is for one {both[0]} or for each, not both", param="each")
    return Budget(
        budget_id="bud-" + uuid7_hex(now // 1000, int.from_bytes(desk.entropy(10), "big")),
        name=name,
        limit=_limit(request.limit),
        window=_kind(request.window),
        zone=_zone(request.zone or desk.settings.money.zone),
        status=_status(request.status or "active"),
        each=each,
        created_us=now,
        **values,
    )


def _refuse_other_scope(desk: Desk, request: BudgetSet, before: Budget) -> None:
    """Whom a budget covers, and by which windows, is what its accounts mean: it never changes."""
    asked: dict[str, Any] = {dimension: _value(desk, request, dimension) for dimension in DIMENSIONS}
    asked["window"] = None if request.window is None else _kind(request.window)
    asked["each"] = None if request.each is None else _each(request.each)
    for name, value in asked.items():
        if value is not None and value != getattr(before, name):
            message = f"the {name} of a budget is fixed; remove {before.name!r} and set another one"
            raise Conflict(message, "budget_fixed", param=name)


def _value(desk: Desk, request: BudgetSet, dimension: Dimension) -> str | None:
    value: str | None = getattr(request, dimension)
    if not value:
        return value
    if len(value) > VALUE_CHARS_MAX or not value.isprintable():
        raise InvalidRequest(f"it has at most {VALUE_CHARS_MAX} printable characters", param=dimension)
    return find_key(desk, value).key_id if dimension == "key" else value


def _each(given: list[str]) -> tuple[Dimension, ...]:
    names = {name.strip().replace("-", "_") for name in given}
    unknown = sorted(names - set(DIMENSIONS))
    if unknown:
        raise InvalidRequest(f"{unknown[0]!r} is not one of {', '.join(DIMENSIONS)}", param="each")
    return tuple(dimension for dimension in DIMENSIONS if dimension in names)


def _limit(text: str) -> int:
    try:
        limit = parse_amount(text)
    except AmountError as error:
        raise InvalidRequest(str(error), param="limit") from None
    if limit < 0:
        raise InvalidRequest("a limit is not negative", param="limit")
    return limit


def _kind(text: str) -> WindowKind:
    for kind in WINDOW_KINDS:
        if kind == text:
            return kind
    raise InvalidRequest(f"{text!r} is not a window; they are {', '.join(WINDOW_KINDS)}", param="window")


def _status(text: str) -> BudgetStatus:
    statuses: tuple[BudgetStatus, ...] = get_args(BudgetStatus)
    for status in statuses:
        if status == text:
            return status
    raise InvalidRequest(f"{text!r} is not a status; they are {', '.join(statuses)}", param="status")


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise InvalidRequest(
            f"{text!r} is not a time zone such as Europe/Berlin", "unknown_zone", param="zone"
        ) from None
    return text


def _window(budget: Budget, now: int) -> Window:
    return window_of(budget.window, now, ZoneInfo(budget.zone))


def _shown(desk: Desk, budget: Budget, now: int) -> BudgetShown:
    document = msgspec.structs.asdict(_document(desk, budget, now))
    if not budget.each:
        return BudgetShown(**document)
    account = _account(budget, now)
    found = desk.store.ledger.window_shares(account, SHARES_MAX + 1)
    shares = [
        BudgetShare(
            subject=share.account.removeprefix(account).removeprefix(":"),
            spent=format_amount(share.spent),
            frozen=format_amount(share.leased),
            left=format_amount(share.left),
        )
        for share in found[:SHARES_MAX]
    ]
    return BudgetShown(**document, shares=shares, more=len(found) > SHARES_MAX)


def _account(budget: Budget, now: int) -> str:
    return f"budget:{budget.budget_id}:{_window(budget, now).name}"


def _document(desk: Desk, budget: Budget, now: int) -> BudgetDocument:
    window = _window(budget, now)
    sums = desk.store.ledger.window_sums(_account(budget, now))
    left = None if budget.each else format_amount(budget.limit if sums.left is None else sums.left)
    scope: dict[str, Any] = {dimension: getattr(budget, dimension) for dimension in DIMENSIONS}
    return BudgetDocument(
        id=budget.budget_id,
        name=budget.name,
        limit=short_amount(budget.limit),
        window=budget.window,
        zone=budget.zone,
        status=budget.status,
        **scope,
        each=list(budget.each),
        created_at=spell_time(budget.created_us),
        open_window=window.name,
        resets_at=spell_optional(None if budget.window == "total" else window.until_us),
        spent=format_amount(sums.spent),
        frozen=format_amount(sums.leased),
        left=left,
    )
