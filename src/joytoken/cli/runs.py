"""`joytoken runs`: what an agent's run has cost, with the runs below it."""

import click

from joytoken.admin.operations import RUNS_SHOW
from joytoken.admin.runs import RunRef, RunTree
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group()
def runs() -> None:
    """Runs of agents, as their callers name them by `X-JoyToken-Run-Id`."""


@runs.command()
@click.argument("run_id", metavar="ID")
@click.option("--owner", metavar="NAME", help="Whose run, where several owners have one of this id.")
@click.option("--steps", is_flag=True, help="With the requests that they made.")
@managing
def show(admin: Admin, out: Output, *, run_id: str, owner: str | None, steps: bool) -> None:
    """A run and the runs below it, with what each has cost."""
    tree = admin.call(RUNS_SHOW, RunRef(id=run_id, owner=owner, steps=steps))
    if out.as_json:
        out.document(tree)
        return
    if tree.workflow:
        out.facts([("workflow", tree.workflow)])
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
    if steps:
        _print_requests(out, tree)
    if tree.more:
        out.say("There is more of it than is shown.")


def _print_requests(out: Output, tree: RunTree) -> None:
    heads = ("request", "run", "step", "started", "ending", "model", "tier", "in", "out", "credits", "ms")
    rows = [
        (
            request.request_id,
            request.run,
            request.step or None,
            request.started_at,
            request.ending,
            request.model,
            request.tier,
            request.input_tokens,
            request.output_tokens,
            request.credits_used,
            round(request.total_ms, 1),
        )
        for request in tree.requests
    ]
    out.table(heads, rows, right=("in", "out", "credits", "ms"))
