"""`joytoken runs`: what an agent's run has cost, with the runs below it."""

import click

from joytoken.admin.operations import RUNS_SHOW
from joytoken.admin.runs import RunRef
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group()
def runs() -> None:
    """Runs of agents, as their callers name them by `X-JoyToken-Run-Id`."""


@runs.command()
@click.argument("run_id", metavar="ID")
@click.option("--owner", metavar="NAME", help="Whose run, where several owners have one of this id.")
@managing
def show(admin: Admin, out: Output, *, run_id: str, owner: str | None) -> None:
    """A run and the runs below it, with what each has cost."""
    tree = admin.call(RUNS_SHOW, RunRef(id=run_id, owner=owner))
    if out.as_json:
        out.document(tree)
        return
    heads = ("run", "requests", "errors", "input", "output", "credits", "with below", "budget", "left", "started")
    rows = [
        (
            "  " * run.depth + run.id,
            run.requests,
            run.errors,
            run.input_tokens,
            run.output_tokens,
            run.charged,
            run.total,
            run.budget,
            run.left,
            run.started_at,
        )
        for run in tree.runs
    ]
    out.table(heads, rows, right=heads[1:-1])
    if tree.more:
        out.say("There are more runs below than are shown.")
