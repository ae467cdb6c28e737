"""Runs: what a run and everything below it has cost, as a tree, and the requests that they made."""

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.receipts import place_in_run
from joytoken.admin.times import spell_optional, spell_time
from joytoken.domain.budget import run_account
from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.money import format_amount
from joytoken.domain.record import UsageRecord
from joytoken.store.budgets import Run
from joytoken.store.ledger_types import AccountRow
from joytoken.store.usage_runs import RunSum

RUNS_MAX = 1000  # runs of one tree
REQUESTS_MAX = 1000  # requests of one tree
DEPTH_MAX = 64


class RunRef(msgspec.Struct, kw_only=True):
    """A run by the id that its caller gave it; `owner` where several owners have one of this id.

    `steps`: with the requests that it and the runs below it made.
    """

    id: str
    owner: str | None = None
    steps: bool = False


class RunDocument(msgspec.Struct, kw_only=True):
    """One run of a tree. `charged` is its own, `total` that of the runs below it too; credits as decimal strings."""

    id: str
    parent: str
    depth: int  # below the run that was asked for
    workflow: str  # what it is a run of, by its caller's word
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    charged: str
    total: str
    budget: str | None  # what its caller allowed it
    left: str | None
    started_at: str | None
    finished_at: str | None


class RunRequest(msgspec.Struct, kw_only=True):
    """One request of a tree of runs; its receipt says the rest. Credits as a decimal string."""

    request_id: str
    run: str
    step: str  # of the run, by its caller's word
    model: str
    tier: str
    ending: str
    credits_used: str
    input_tokens: int | None
    output_tokens: int | None
    started_at: str
    total_ms: float


class RunTree(msgspec.Struct, kw_only=True):
    """A run, and behind each run those that it began; `more` where there is more than is shown.

    `requests` are those of all these runs, oldest first, where they were asked for.
    """

    id: str
    owner: str
    workflow: str
    runs: list[RunDocument]
    requests: list[RunRequest] = []
    more: bool


def show_run(desk: Desk, request: RunRef) -> RunTree:
    """A run and what runs below it. Raises NotFound, or Conflict where several owners have such a run."""
    owner = _owner(desk, request)
    usage = desk.store.usage
    found = {row.run_id: row for row in usage.runs([request.id], below=False, owner=owner)}
    level, depth = [request.id], 0
    while level and depth < DEPTH_MAX and len(found) <= RUNS_MAX:
        below = usage.runs(level, below=True, owner=owner, limit=RUNS_MAX + 1)
        new = {row.run_id: row for row in below if row.run_id not in found}
        found |= new
        level, depth = list(new), depth + 1
    found.setdefault(request.id, RunSum(owner, request.id, ""))
    placed = {run.run_id: run for run in desk.store.budgets.placed(found) if run.owner == owner}
    runs = _tree(desk, request.id, found, placed)
    more = len(runs) > RUNS_MAX or bool(level)
    runs = runs[:RUNS_MAX]
    records = []
    if request.steps:
        records = usage.of_runs([run.id for run in runs], owner=owner, limit=REQUESTS_MAX + 1)
    return RunTree(
        id=request.id,
        owner=owner,
        workflow=runs[0].workflow,
        runs=runs,
        requests=[_request(record) for record in records[:REQUESTS_MAX]],
        more=more or len(records) > REQUESTS_MAX,
    )


def _owner(desk: Desk, request: RunRef) -> str:
    """Whose run is meant. Raises NotFound, or Conflict where several owners have such a run."""
    usage = desk.store.usage
    first = usage.runs([request.id], below=False, owner=request.owner)
    first += usage.runs([request.id], below=True, owner=request.owner)
    owners = sorted({row.owner for row in first})
    if not owners:
        raise NotFound(f"no request was recorded of a run {request.id!r}", "unknown_run", param="id")
    if len(owners) > 1:
        message = f"{len(owners)} owners have a run {request.id!r}; say which one is meant: {', '.join(owners[:5])}"
        raise Conflict(message, "ambiguous_name", param="owner")
    return owners[0]


def _tree(desk: Desk, root: str, found: dict[str, RunSum], placed: dict[str, Run]) -> list[RunDocument]:
    children: dict[str, list[str]] = {}
    for row in sorted(found.values(), key=lambda row: (row.started_us or 0, row.run_id)):
        if row.run_id != root:
            children.setdefault(row.parent_run_id, []).append(row.run_id)
    with_budget = [run_account(run.owner, run.run_id) for run in placed.values() if run.budget is not None]
    accounts = desk.store.ledger.named(with_budget)
    shown: list[RunDocument] = []

    def walk(run_id: str, depth: int) -> int:
        row, at = found[run_id], len(shown)
        shown.append(_document(row, depth, placed.get(run_id), accounts))
        total = row.charged + sum(walk(child, depth + 1) for child in children.get(run_id, ()))
        shown[at].total = format_amount(total)
        return total

    walk(root, 0)
    return shown


def _document(row: RunSum, depth: int, run: Run | None, accounts: dict[str, AccountRow]) -> RunDocument:
    budget = None if run is None else run.budget
    left = budget
    if budget is not None and (account := accounts.get(run_account(row.owner, row.run_id))) is not None:
        left = account.available
    return RunDocument(
        id=row.run_id,
        parent=row.parent_run_id,
        depth=depth,
        workflow="" if run is None else run.workflow,
        requests=row.requests,
        errors=row.errors,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        charged=format_amount(row.charged),
        total="",
        budget=None if budget is None else format_amount(budget),
        left=None if left is None else format_amount(left),
        started_at=spell_optional(row.started_us),
        finished_at=spell_optional(row.finished_us),
    )


def _request(record: UsageRecord) -> RunRequest:
    return RunRequest(
        request_id=record.request_id,
        run=record.run_id,
        step=place_in_run(record).step,
        model=record.model,
        tier=record.tier,
        ending=record.ending,
        credits_used=format_amount(record.charged),
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        started_at=spell_time(record.started_us),
        total_ms=record.total_ms,
    )
