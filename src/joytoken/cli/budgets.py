"""`joytoken budgets`: what projects, end users and runs may spend."""

from typing import Any

import click

from joytoken.admin.budgets import BudgetDocument, BudgetQuery, BudgetRef, BudgetSet, BudgetShown
from joytoken.admin.operations import BUDGETS_LIST, BUDGETS_REMOVE, BUDGETS_SET, BUDGETS_SHOW
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing
from joytoken.domain.budget import DIMENSIONS


@click.group()
def budgets() -> None:
    """Budgets of projects, applications, end users and runs. A change is live in a running gateway within a second."""


@budgets.command("set")
@click.argument("name")
@click.option("--limit", metavar="C", help="Credits in one window.")
@click.option("--window", metavar="W", help="day, week, month or total.")
@click.option("--zone", metavar="Z", help="Time zone of the window. [default: the reporting zone]")
@click.option("--owner", metavar="NAME", help="Only what this owner's wallets pay.")
@click.option("--key", metavar="ID", help="Only of this key.")
@click.option("--project", metavar="NAME", help="Only of this project.")
@click.option("--application", metavar="NAME", help="Only of this application.")
@click.option("--environment", metavar="NAME", help="Only of this environment.")
@click.option("--end-user", metavar="NAME", help="Only for this user of the caller's.")
@click.option("--run", metavar="ID", help="Only of this run, and of those below it.")
@click.option("--each", multiple=True, metavar="D", help="An amount for each end-user, run, project, … Repeat.")
@click.option("--paused/--active", default=None, help="Neither count nor enforce it for now.")
@managing
def set_(admin: Admin, out: Output, *, name: str, each: tuple[str, ...], paused: bool | None, **fields: Any) -> None:
    """Make a budget, or change its limit, zone or status."""
    parts = [part.strip() for value in each for part in value.split(",") if part.strip()]
    status = None if paused is None else "paused" if paused else "active"
    request = BudgetSet(name=name, each=parts or None, status=status, **fields)
    _show(out, admin.call(BUDGETS_SET, request))


@budgets.command("list")
@managing
def list_(admin: Admin, out: Output) -> None:
    """All budgets, with what is spent in their open windows."""
    found = admin.call(BUDGETS_LIST, BudgetQuery())
    if out.as_json:
        out.document(found)
        return
    heads = ("name", "covers", "window", "limit", "spent", "left", "status", "resets")
    out.table(heads, [_row(budget) for budget in found.budgets], right=("limit", "spent", "left"))


@budgets.command()
@click.argument("name")
@managing
def show(admin: Admin, out: Output, *, name: str) -> None:
    """One budget, and what each has spent of it where it is for each."""
    _show(out, admin.call(BUDGETS_SHOW, BudgetRef(name)))


@budgets.command()
@click.argument("name")
@managing
def remove(admin: Admin, out: Output, *, name: str) -> None:
    """Remove a budget. What was spent of it stays in the books."""
    gone = admin.call(BUDGETS_REMOVE, BudgetRef(name))
    if out.as_json:
        out.document(gone)
    else:
        out.say(f"Removed {gone.removed}.")


def _covers(budget: BudgetDocument) -> str:
    named = [f"{name} {getattr(budget, name)}" for name in DIMENSIONS if getattr(budget, name)]
    return ", ".join([*named, *(f"each {name}" for name in budget.each)]).replace("_", " ")


def _row(budget: BudgetDocument) -> tuple[object, ...]:
    return (
        budget.name,
        _covers(budget),
        budget.open_window,
        budget.limit,
        budget.spent,
        budget.left,
        budget.status,
        budget.resets_at,
    )


def _show(out: Output, budget: BudgetShown) -> None:
    if out.as_json:
        out.document(budget)
        return
    out.facts(
        [
            ("name", budget.name),
            ("id", budget.id),
            ("covers", _covers(budget)),
            ("limit", f"{budget.limit} credits, {budget.window}, {budget.zone}"),
            ("status", budget.status),
            ("window", budget.open_window),
            ("resets", budget.resets_at),
            ("spent", budget.spent),
            ("frozen", budget.frozen),
            ("left", budget.left),
        ]
    )
    if budget.shares:
        heads = ("for", "spent", "frozen", "left")
        out.table(heads, [(s.subject, s.spent, s.frozen, s.left) for s in budget.shares], right=heads[1:])
    if budget.more:
        out.say(f"These {len(budget.shares)} have spent most; there are more.")
