"""Runs: an agent's piece of work, named by its caller with each request that it makes.

The first request of a run places it: under which parent, of which workflow, and with how much to spend. That holds for
good, in every worker, so that what a child run spends is taken from its parents' budgets as well.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Protocol

import msgspec

from joytoken.domain.budget import run_account
from joytoken.domain.errors import Conflict, InsufficientQuota, InvalidRequest, PolicyRejected, Unavailable
from joytoken.domain.ledger import Want
from joytoken.domain.money import AmountError, parse_amount, short_amount
from joytoken.gateway.budgets import RUN_BUDGET, day_left_s
from joytoken.gateway.keyring import Principal
from joytoken.gateway.lineage import Placed
from joytoken.store.budgets import Run
from joytoken.store.engine import StoreUnavailable

RUN_ID, PARENT_RUN_ID = "X-JoyToken-Run-Id", "X-JoyToken-Parent-Run-Id"
WORKFLOW, STEP = "X-JoyToken-Workflow", "X-JoyToken-Step"
REMEMBERED = 16_384  # runs that a worker knows without asking
_ASKED_AGAIN_S = 0.25  # a run with a parent that has not made a request yet is looked up anew after so long


class Places(Protocol):
    """Where runs are kept. Called from threads."""

    def place(self, run: Run, daily_max: int) -> Run | None:
        """Insert a run, or give it as it was placed first; None where its owner has placed so many in this day."""
        ...

    def ancestry(self, owner: str, run_id: str, depth_max: int) -> list[Run]:
        """A run, its parent and so on, as far as they were placed."""
        ...


class _Asked(msgspec.Struct, frozen=True):
    """What a request's headers say of its run."""

    run_id: str
    parent: str | None
    budget: int | None
    workflow: str | None


class Runs:
    """What a worker knows of runs."""

    def __init__(
        self,
        places: Places,
        *,
        depth_max: int,
        id_chars_max: int,
        daily_max: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._places = places
        self._depth_max = depth_max
        self._id_chars_max = id_chars_max
        self._daily_max = daily_max
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[Placed, float]] = {}
        self._under_way: dict[tuple[str, str], asyncio.Task[Placed]] = {}

    async def place(self, principal: Principal, headers: dict[str, bytes], now_us: int) -> Placed:
        """The place of the run that a request names.

        Raises InvalidRequest for a header that is wrong, PolicyRejected where the key may not set budgets, Conflict
        where the run was placed otherwise before, InsufficientQuota where its owner began too many today, and
        Unavailable where that cannot be looked up.
        """
        asked = self._read(headers)
        owner = principal.key.owner_id
        if asked.budget is not None and not principal.policy.run_budget:
            message = f"this key may not set the budget of a run; leave {RUN_BUDGET} out"
            raise PolicyRejected(message, "run_budget_not_allowed", param=RUN_BUDGET)
        known = self._known.get((owner, asked.run_id))
        if known is None or known[1] < self._clock():
            placed = await self._look_up(owner, asked, now_us)
        else:
            placed = known[0]
        if asked.parent is not None and asked.parent != placed.parent:
            said = f"under {placed.parent!r}" if placed.parent else "without a parent"
            raise Conflict(f"the run {asked.run_id!r} began {said}", "run_placed_otherwise", param=PARENT_RUN_ID)
        if asked.budget is not None and asked.budget != placed.budget:
            said = "no budget of its own" if placed.budget is None else f"a budget of {short_amount(placed.budget)}"
            message = f"the run {asked.run_id!r} began with {said}, which cannot be changed"
            raise Conflict(message, "run_placed_otherwise", param=RUN_BUDGET)
        if asked.workflow is not None and asked.workflow != placed.workflow:
            said = f"in the workflow {placed.workflow!r}" if placed.workflow else "without a workflow"
            message = f"the run {asked.run_id!r} began {said}, which cannot be changed"
            raise Conflict(message, "run_placed_otherwise", param=WORKFLOW)
        return placed

    def step_of(self, headers: dict[str, bytes]) -> str:
        """Which step of its run a request is, or the empty string. Raises InvalidRequest for a value that is wrong."""
        return self._word(STEP, headers[STEP]) if STEP in headers else ""

    async def _look_up(self, owner: str, asked: _Asked, now_us: int) -> Placed:
        """Ask the store; those who ask for the same run at the same time wait for one answer."""
        key = (owner, asked.run_id)
        task = self._under_way.get(key)
        if task is None:
            looking = asyncio.to_thread(self._placed, owner, asked, now_us)
            task = self._under_way[key] = asyncio.get_running_loop().create_task(looking)
            task.add_done_callback(lambda done: self._ended(key, done))
        try:
            placed = await asyncio.shield(task)
        except StoreUnavailable as error:
            raise Unavailable("the run cannot be looked up now", "store_away", retry_after_s=1) from error
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (placed, float("inf") if placed.whole else self._clock() + _ASKED_AGAIN_S)
        return placed

    def _ended(self, key: tuple[str, str], task: asyncio.Task[Placed]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # looked at, also where everybody who asked has hung up

    def _placed(self, owner: str, asked: _Asked, now_us: int) -> Placed:
        """Place a run where it is new, and find its parents."""
        found = self._places.ancestry(owner, asked.run_id, self._depth_max)
        if not found:
            above = self._places.ancestry(owner, asked.parent, self._depth_max) if asked.parent else []
            self._check(asked, above)
            workflow = asked.workflow or (above[0].workflow if above else "")  # a child's is its parent's
            new = Run(owner, asked.run_id, asked.parent or "", asked.budget, now_us, workflow)
            run = self._places.place(new, self._daily_max)
            if run is None:
                message = f"{self._daily_max} new runs were begun today (`runs_daily_max`): go on in one of them"
                raise InsufficientQuota(
                    f"{message}, or wait for the next day (UTC)", "runs_daily_limit", retry_after_s=day_left_s(now_us)
                )
            found = [run, *above] if run.parent_run_id == (asked.parent or "") else []
            found = found or self._places.ancestry(owner, asked.run_id, self._depth_max)
        lineage = tuple(run.run_id for run in found)
        last = found[-1].parent_run_id  # its parent has made no request yet, or is too far up
        if last in lineage:
            raise InvalidRequest(f"the run {asked.run_id!r} is among its own parents", "run_cycle", param=PARENT_RUN_ID)
        if last and len(found) >= self._depth_max:
            raise self._too_deep()
        own = tuple(Want(run_account(owner, run.run_id), run.budget) for run in found if run.budget is not None)
        return Placed(lineage + ((last,) if last else ()), own, found[0].budget, not last, found[0].workflow)

    def _check(self, asked: _Asked, above: list[Run]) -> None:
        lineage = [asked.run_id, *([asked.parent] if asked.parent else [])]
        lineage += [run.parent_run_id for run in above if run.parent_run_id]
        if len(set(lineage)) < len(lineage):
            raise InvalidRequest(f"the run {asked.run_id!r} is among its own parents", "run_cycle", param=PARENT_RUN_ID)
        if len(lineage) > self._depth_max:
            raise self._too_deep()

    def _too_deep(self) -> InvalidRequest:
        message = f"runs are nested at most {self._depth_max} deep (`run_depth_max`)"
        return InvalidRequest(message, "run_too_deep", param=PARENT_RUN_ID)

    def _read(self, headers: dict[str, bytes]) -> _Asked:
        if RUN_ID not in headers:
            name = next(iter(headers))
            raise InvalidRequest(f"{name} needs {RUN_ID} beside it", "run_id_missing", param=RUN_ID)
        given = headers.get(RUN_BUDGET)
        budget: int | None = None
        if given is not None:
            try:
                budget = parse_amount(given.decode("latin-1").strip())
            except AmountError as error:
                raise InvalidRequest(f"{RUN_BUDGET}: {error}", "invalid_header", param=RUN_BUDGET) from None
            if budget <= 0:
                raise InvalidRequest(
                    f"{RUN_BUDGET} is a positive amount of credits", "invalid_header", param=RUN_BUDGET
                )
        parent = self._word(PARENT_RUN_ID, headers[PARENT_RUN_ID]) if PARENT_RUN_ID in headers else None
        workflow = self._word(WORKFLOW, headers[WORKFLOW]) if WORKFLOW in headers else None
        return _Asked(self._word(RUN_ID, headers[RUN_ID]), parent, budget, workflow)

    def _word(self, name: str, value: bytes) -> str:
        if not 1 <= len(value) <= self._id_chars_max or not all(0x21 <= byte <= 0x7E for byte in value):
            message = f"{name} has 1 to {self._id_chars_max} visible ASCII characters, without spaces"
            raise InvalidRequest(message, "invalid_header", param=name)
        return value.decode("ascii")
