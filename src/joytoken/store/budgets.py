"""Budgets as operators defined them, and runs as their first requests placed them."""

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.budget import Budget
from joytoken.domain.errors import Conflict, NotFound
from joytoken.store.engine import Database, retried
from joytoken.store.postgres import Turn
from joytoken.store.schema_budget import budget as table
from joytoken.store.schema_budget import opened
from joytoken.store.schema_budget import run as runs
from joytoken.store.setting import raise_generation


class Run(msgspec.Struct, frozen=True):
    """A run as its first request placed it. `budget` is what its caller allowed it, in nanocredits.

    `workflow`: what it is a run of, by its caller's word.
    """

    owner: str
    run_id: str
    parent_run_id: str = ""
    budget: int | None = None
    created_us: int = 0
    workflow: str = ""


# `Budgets.list` takes the name of the type within its class.
BudgetList = list[Budget]
RunList = list[Run]

_run_columns = [runs.c[name] for name in Run.__struct_fields__]
_DAY_US = 86_400_000_000
_RUNS = "run"  # stands for a budget's id where runs are counted
# One statement, so that two who open at the same time are counted one after the other.
_open_one = sa.text(
    f"INSERT INTO {opened.name} (subject, day, count) VALUES (:subject, :day, 1) ON CONFLICT (subject) DO UPDATE SET "  # noqa: S608
    f"day = excluded.day, count = CASE WHEN {opened.name}.day = excluded.day THEN {opened.name}.count + 1 ELSE 1 END "
    f"WHERE {opened.name}.day <> excluded.day OR {opened.name}.count < :most"
)
_limit_of = sa.select(table.c.limit_amount).where(table.c.budget_id == sa.bindparam("of"))


class Budgets:
    """The tables of budgets and runs. Each method is one transaction, callable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> BudgetList:
        """All budgets, oldest first."""
        with self._database.read() as conn:
            rows = conn.execute(sa.select(table).order_by(table.c.created_us, table.c.budget_id)).all()
        return [_budget(row) for row in rows]

    def find(self, name: str) -> Budget | None:
        """A budget by its name or its id."""
        with self._database.read() as conn:
            row = conn.execute(sa.select(table).where((table.c.name == name) | (table.c.budget_id == name))).first()
        return None if row is None else _budget(row)

    @retried
    def add(self, budget: Budget) -> None:
        """Insert a budget. Raises Conflict where its name is taken."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if conn.execute(sa.select(table.c.name).where(table.c.name == budget.name)).first() is not None:
                raise Conflict(f"a budget {budget.name!r} exists already", "budget_exists", param="name")
            conn.execute(sa.insert(table).values(_values(budget)))
            raise_generation(conn)

    @retried
    def save(self, budget: Budget) -> None:
        """Write a budget that is there; the generation rises where something changed. Raises NotFound."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            row = conn.execute(sa.select(table).where(table.c.budget_id == budget.budget_id)).first()
            if row is None:
                raise NotFound(f"there is no budget {budget.name!r}", "unknown_budget", param="name")
            if _budget(row) != budget:
                conn.execute(sa.update(table).where(table.c.budget_id == budget.budget_id).values(_values(budget)))
                raise_generation(conn)

    @retried
    def remove(self, budget_id: str) -> None:
        """Delete a budget; what was spent of it stays in the books. Without one, nothing happens."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if conn.execute(sa.delete(table).where(table.c.budget_id == budget_id)).rowcount:
                raise_generation(conn)

    @retried
    def place(self, run: Run, daily_max: int = 2**53) -> Run | None:
        """Insert a run, or give it as it was placed first; None where its owner has placed so many in this day."""
        with self._database.write(durable=False) as conn:
            here = sa.select(*_run_columns).where(runs.c.owner == run.owner, runs.c.run_id == run.run_id)
            row = conn.execute(here).first()
            if row is not None:
                return Run(*row)
            if not open_one(conn, f"{_RUNS}/{run.owner}", run.created_us, daily_max):
                return None
            conn.execute(sa.insert(runs).values(msgspec.structs.asdict(run)))
            return run

    def ancestry(self, owner: str, run_id: str, depth_max: int) -> RunList:
        """A run, its parent, its parent's parent and so on, at most so many, as far as they were placed."""
        found: RunList = []
        seen: set[str] = set()
        with self._database.read() as conn:
            while run_id and run_id not in seen and len(found) < depth_max:
                seen.add(run_id)
                here = sa.select(*_run_columns).where(runs.c.owner == owner, runs.c.run_id == run_id)
                row = conn.execute(here).first()
                if row is None:
                    break
                found.append(Run(*row))
                run_id = found[-1].parent_run_id
        return found

    def placed(self, run_ids: Iterable[str]) -> RunList:
        """The runs with these ids, of every owner."""
        with self._database.read() as conn:
            query = sa.select(*_run_columns).where(runs.c.run_id.in_(sorted(run_ids)))
            return [Run(*row) for row in conn.execute(query.order_by(runs.c.created_us, runs.c.run_id))]


def open_one(conn: sa.Connection, subject: str, at_us: int, daily_max: int) -> bool:
    """Count one more that a caller's word opens, within this transaction; False where this day (UTC) has so many."""
    row = {"subject": subject, "day": at_us // _DAY_US, "most": daily_max}
    return daily_max > 0 and conn.execute(_open_one, row).rowcount == 1


def limit_now(conn: sa.Connection, budget_id: str) -> int | None:
    """What a budget's limit is within this transaction; None where there is none of this id."""
    found = conn.execute(_limit_of, {"of": budget_id}).scalar_one_or_none()
    return None if found is None else int(found)


def _values(budget: Budget) -> dict[str, Any]:
    values = msgspec.structs.asdict(budget)
    values["limit_amount"] = values.pop("limit")
    values["each"] = ",".join(budget.each)
    return values


def _budget(row: Any) -> Budget:
    values = {name: getattr(row, name) for name in Budget.__struct_fields__ if name not in ("limit", "each")}
    return Budget(**values, limit=row.limit_amount, each=tuple(part for part in row.each.split(",") if part))
