"""Budgets: what a project, an application, an end user or a run may spend, beside what a key and a wallet may.

A budget says whom it covers, how much they may spend, and in which window. It covers a request where everything that it
names is the request's: `project` blue and `environment` live cover what is both. For each dimension in `each`, every
value has an amount of its own: ``each = ("end_user",)`` is a limit for every end user, and not for all together.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from joytoken.domain.apikey import ApiKey
from joytoken.domain.ledger import account_kind
from joytoken.domain.window import WindowKind

Dimension = Literal["owner", "key", "project", "application", "environment", "end_user", "run"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
PERSONAL: tuple[Dimension, ...] = ("end_user", "run")  # known with each request, not with its key
BudgetStatus = Literal["active", "paused"]

OWN_RUN_BUDGET = "run"  # stands for a budget's id where a caller set the budget of a run
_SUBJECT_CHARS_MAX = 128
_FIRST_CHARS_MAX = 64
_HASHED = "~"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as an operator defined it. `limit` is nanocredits in one window of `zone`; "" covers any value."""

    budget_id: str
    name: str
    limit: int
    window: WindowKind
    zone: str = "UTC"
    status: BudgetStatus = "active"
    owner: str = ""
    key: str = ""  # the key's id
    project: str = ""
    application: str = ""
    environment: str = ""
    end_user: str = ""
    run: str = ""
    each: tuple[Dimension, ...] = ()
    created_us: int = 0

    @property
    def personal(self) -> bool:
        """Whether the request itself, and not its key alone, says if and what it covers."""
        return any(dimension in self.each or getattr(self, dimension) for dimension in PERSONAL)

    @property
    def of_runs(self) -> bool:
        """Whether it is about runs, so that a run's parents are drained with it."""
        return bool(self.run) or "run" in self.each


def facts_of(key: ApiKey) -> dict[Dimension, str]:
    """What a key says of each dimension that is known without a request."""
    labels = key.labels
    return {
        "owner": key.owner_id,
        "key": key.key_id,
        "project": labels.project,
        "application": labels.application,
        "environment": labels.environment,
    }


def covers(budget: Budget, facts: dict[Dimension, str]) -> bool:
    """Whether a budget covers what has these facts. A dimension that is not among them is not asked for."""
    for dimension, value in facts.items():
        wanted = getattr(budget, dimension)
        if (wanted and wanted != value) or (dimension in budget.each and not value):
            return False
    return True


def budget_account(budget: Budget, window: str, facts: dict[Dimension, str]) -> str:
    """The account of a budget in one window, such as ``budget:bud-1:M:2026-11``, and for whom, where it is for each.

    An end user or a run is its owner's: two owners' ``42`` are two.
    """
    name = f"budget:{budget.budget_id}:{window}"
    apart = [facts[dimension] for dimension in DIMENSIONS if dimension in budget.each]
    if not apart:
        return name
    if budget.personal and "owner" not in budget.each:
        apart.insert(0, facts["owner"])
    return f"{name}:{subject(apart)}"


def run_account(owner: str, run: str) -> str:
    """The account of the budget that a run's own caller asked for."""
    return f"budget:{OWN_RUN_BUDGET}:T:all:{subject((owner, run))}"


def subject(parts: Sequence[str]) -> str:
    """Values as one text that stands in an account's name, different for different values.

    What is short and can be printed reads as it is. Anything else is a digest, behind the first value where that can
    be read: an owner, whose values are counted together.
    """
    plain = "/".join(parts)
    ambiguous = len(parts) > 1 and any("/" in part for part in parts)
    hashed = any(part.startswith(_HASHED) for part in parts)
    if len(plain) <= _SUBJECT_CHARS_MAX and plain.isprintable() and not hashed and not ambiguous:
        return plain
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        said = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(said), said))
    first = parts[0]
    readable = len(first) <= _FIRST_CHARS_MAX and first.isprintable() and not first.startswith(_HASHED)
    before = f"{first}/" if len(parts) > 1 and readable and "/" not in first else ""
    return before + _HASHED + digest.hexdigest()


def opened_of(account: str) -> str | None:
    """As part of what an account is counted when it is opened: of one budget, those of one owner's callers.

    None for an account that no caller's word makes another one: a quota, a budget that is not for each, and that of a
    run's own caller, whose runs are counted when they are placed.
    """
    parts = account.split(":", 4)
    if parts[0] != "budget" or len(parts) < 5 or parts[1] == OWN_RUN_BUDGET:
        return None
    owner, slash, _ = parts[4].partition("/")
    return f"{parts[1]}/{owner}" if slash else parts[1]


def budget_of(account: str) -> tuple[str, str]:
    """The id and the window that a budget's account names."""
    if account_kind(account) != "budget":
        raise ValueError(f"{account} is not a budget's account")
    _, budget_id, kind, window = account.split(":", 4)[:4]
    return budget_id, f"{kind}:{window}"
