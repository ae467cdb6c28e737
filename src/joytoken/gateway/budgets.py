"""The budgets of a key: which cover its requests, and on which accounts a request is held beside the wallet.

What a key alone decides is worked out when the configuration changes and when a window ends; what depends on the end
user and the run is remembered for as long as the windows last.
"""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from joytoken.domain.apikey import ApiKey
from joytoken.domain.budget import Budget, Dimension, budget_account, budget_of, covers, facts_of
from joytoken.domain.errors import InsufficientQuota
from joytoken.domain.ledger import Want
from joytoken.domain.window import FOREVER_US, window_of
from joytoken.gateway.lineage import Placed

RUN_BUDGET = "X-JoyToken-Run-Budget"
REMEMBERED = 4096  # combinations of end user and run of one key
REMEMBERED_CHARS_MAX = 256  # of an end user's name
_DAY_US = 86_400_000_000


class KeyBudgets:
    """The budgets that may cover a key's requests."""

    def __init__(self, key: ApiKey, budgets: tuple[Budget, ...]) -> None:
        self._facts = facts_of(key)
        self._budgets = budgets
        self._by_id = {budget.budget_id: budget for budget in budgets}
        self._names: dict[str, str] = {}  # of each budget's window now
        self._from_us = self._until_us = 0
        self._wants: tuple[Want, ...] = ()
        self._personal = tuple(budget for budget in budgets if budget.personal)
        self._remembered: dict[tuple[str, Placed | None], tuple[Want, ...]] = {}

    def wants(self, now_us: int, end_user: str, run: Placed | None) -> tuple[Want, ...]:
        """The accounts that a request of this moment drains, each once."""
        if not self._from_us <= now_us < self._until_us:
            self._turn(now_us)
        if not self._personal:
            return self._wants
        if len(end_user) > REMEMBERED_CHARS_MAX:  # a caller's word: it must not fill the memory
            return (*self._wants, *self._of_request(end_user, run))
        who = (end_user, run)
        found = self._remembered.get(who)
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            found = self._remembered[who] = (*self._wants, *self._of_request(end_user, run))
        return found

    @property
    def shared(self) -> tuple[Budget, ...]:
        """Those that cover each request of the key, in one amount."""
        return tuple(budget for budget in self._budgets if not budget.personal)

    def find(self, budget_id: str) -> Budget | None:
        """A budget by its id."""
        return self._by_id.get(budget_id)

    def _turn(self, now_us: int) -> None:
        """A window has ended, or the first request has come."""
        from_us, until_us = -FOREVER_US, FOREVER_US
        self._remembered.clear()
        for budget in self._budgets:
            window = window_of(budget.window, now_us, ZoneInfo(budget.zone))
            self._names[budget.budget_id] = window.name
            from_us, until_us = max(from_us, window.from_us), min(until_us, window.until_us)
        self._wants = tuple(self._want(budget, self._facts) for budget in self._budgets if not budget.personal)
        self._from_us, self._until_us = from_us, until_us

    def _want(self, budget: Budget, facts: dict[Dimension, str]) -> Want:
        return Want(budget_account(budget, self._names[budget.budget_id], facts), budget.limit)

    def _of_request(self, end_user: str, run: Placed | None) -> Iterable[Want]:
        """The accounts of an end user, of a run and of its parents; a run may be its budgets' only in part."""
        found: dict[str, Want] = {}
        for budget in self._personal:
            lineage = run.lineage if run is not None and budget.of_runs else ("",)
            for run_id in lineage:
                facts: dict[Dimension, str] = {**self._facts, "end_user": end_user, "run": run_id}
                if covers(budget, facts):
                    want = self._want(budget, facts)
                    found[want.account] = want
        return found.values()


def wants_of(budgets: KeyBudgets | None, now_us: int, end_user: str, run: Placed | None) -> tuple[Want, ...]:
    """The accounts that a request drains beside its wallet and its key's limits."""
    wants = () if budgets is None else budgets.wants(now_us, end_user, run)
    return wants if run is None else wants + run.own


def day_left_s(now_us: int) -> int:
    """Seconds until the next day in UTC, by which new values and runs are counted."""
    return -(-(_DAY_US - now_us % _DAY_US) // 1_000_000)


def budget_refusal(
    budgets: KeyBudgets | None, account: str, now_us: int, required: str = "", available: str = "", *, full: bool
) -> InsufficientQuota:
    """The refusal for a budget that cannot carry a request; amounts in credits, where they are known.

    `full`: it has an account for each value, and as many were opened today as may be.
    """
    budget_id, window = budget_of(account)
    details: dict[str, str | int] = {"budget": budget_id, "window": window, "account": account}
    budget = None if budgets is None else budgets.find(budget_id)
    if full and budget is not None:
        details |= {"budget": budget.name, "seconds_left": day_left_s(now_us)}
        message = (
            f"the budget {budget.name!r} has an amount for each {' and '.join(budget.each)}, and opened as many today "
            "as it may (`budget_values_daily_max`): use one that was named before, or wait for the next day (UTC)"
        )
        return InsufficientQuota(message, "budget_full", retry_after_s=day_left_s(now_us), details=details)
    seconds: int | None = None
    if budget is None:
        what, ways = "the budget of this run", [f"begin another run with a larger `{RUN_BUDGET}`"]
    else:
        what, ways = f"the budget {budget.name!r}", ["have it raised (`joytoken budgets set`)"]
        details["budget"] = budget.name
        if budget.window != "total":
            ways.append(f"wait for the next {budget.window}")
            seconds = window_of(budget.window, now_us, ZoneInfo(budget.zone)).seconds_left(now_us)
            details["seconds_left"] = seconds
    said = "is used up"
    if required:
        said = f"cannot carry this request, which needs up to {required} credits where {available} are left"
        details |= {"required": required, "available": available}
        ways.insert(0, "ask for a lower `max_tokens`")
    message = f"{what} ({window}) {said}: {', or '.join(ways)}"
    return InsufficientQuota(message, "budget_exceeded", retry_after_s=seconds, details=details)


def budgets_for(key: ApiKey, budgets: Iterable[Budget]) -> KeyBudgets | None:
    """The budgets that may cover a key's requests; None where there are none, so that nothing is looked at."""
    facts = facts_of(key)
    chosen = tuple(budget for budget in budgets if budget.status == "active" and covers(budget, facts))
    return KeyBudgets(key, chosen) if chosen else None
