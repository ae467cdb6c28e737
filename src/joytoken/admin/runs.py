"""Runs: what a run and everything below it has cost, as a tree."""

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.times import spell_optional
from joytoken.domain.budget import run_account
from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.money import format_amount
from joytoken.store.usage_runs import RunSum

RUNS_MAX = 1000  # runs of one tree
DEPTH_MAX = 64


class RunRef(msgspec.Struct, kw_only=True):
    """A run by the id that its caller gave it; `owner` where several owners have one of this id."""

    id: str
    owner: str | None = None


class RunDocument(msgspec.Struct, kw_only=True):
    """One run of a tree. `charged` is its own, `total` that of the runs below it too; credits as decimal strings."""

    id: str
    parent: str
    depth: int  # below the run that was asked for
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


class RunTree(msgspec.Struct, kw_only=True):
    """A run, and behind each run those that it began; `more` where there are more than are shown."""

    owner: str
    runs: list[RunDocument]
    more: bool


def show_run(desk: Desk, request: RunRef) -> RunTree:
    """A run and what runs below it. Raises NotFound, or Conflict where several owners have such a run."""
    usage = desk.store.usage
    first = usage.runs([request.id], below=False) + usage.runs([request.id], below=True)
    owners = sorted({row.owner for row in first if request.owner in (None, row.owner)})
    if not owners:
        raise NotFound(f"no request was recorded of a run {request.id!r}", "unknown_run", param="id")
    if len(owners) > 1:
        message = f"{len(owners)} owners have a run {request.id!r}; say which one is meant: {', '.join(owners[:5])}"
        raise Conflict(message, "ambiguous_name", param="owner")
    owner = owners[0]
    found: dict[str, RunSum] = {}
    level, depth = [request.id], 0
    for row in usage.runs([request.id], below=False, owner=owner):
        found[row.run_id] = row
    while level and depth < DEPTH_MAX and len(found) <= RUNS_MAX:
        below = [row for row in usage.runs(level, below=True, owner=owner) if row.run_id not in found]
        found |= {row.run_id: row for row in below}
        level, depth = [row.run_id for row in below], depth + 1
    found.setdefault(request.id, RunSum(owner, request.id, ""))
    runs = _tree(desk, owner, request.id, found)
    return RunTree(owner=owner, runs=runs[:RUNS_MAX], more=len(runs) > RUNS_MAX or bool(level))


def _tree(desk: Desk, owner: str, root: str, found: dict[str, RunSum]) -> list[RunDocument]:
    children: dict[str, list[str]] = {}
    for row in sorted(found.values(), key=lambda row: (row.started_us or 0, row.run_id)):
        if row.run_id != root:
            children.setdefault(row.parent_run_id, []).append(row.run_id)
    placed = {run.run_id: run.budget for run in desk.store.budgets.placed(found) if run.owner == owner}
    shown: list[RunDocument] = []

    def walk(run_id: str, depth: int) -> int:
        row, at = found[run_id], len(shown)
        budget = placed.get(run_id)
        shown.append(_document(desk, row, depth, budget))
        total = row.charged + sum(walk(child, depth + 1) for child in children.get(run_id, ()))
        shown[at].total = format_amount(total)
        return total

    walk(root, 0)
    return shown


def _document(desk: Desk, row: RunSum, depth: int, budget: int | None) -> RunDocument:
    left = None
    if budget is not None:
        account = run_account(row.owner, row.run_id)
        standing = next((found for found in desk.store.ledger.accounts(account) if found.account == account), None)
        left = format_amount(budget if standing is None else standing.available)
    return RunDocument(
        id=row.run_id,
        parent=row.parent_run_id,
        depth=depth,
        requests=row.requests,
        errors=row.errors,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        charged=format_amount(row.charged),
        total="",
        budget=None if budget is None else format_amount(budget),
        left=left,
        started_at=spell_optional(row.started_us),
        finished_at=spell_optional(row.finished_us),
    )
