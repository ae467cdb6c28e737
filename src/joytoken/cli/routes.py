"""`joytoken routes`: why a request would go where."""

from typing import Any

import click

from joytoken.admin.operations import ROUTES_EXPLAIN
from joytoken.admin.routes import RouteQuery
from joytoken.cli.failure import REFUSED, Stop
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group()
def routes() -> None:
    """Why a request would go where."""


@routes.command()
@click.argument("model", default="")
@click.option("--tier", metavar="T", help="The tier that the request names.")
@click.option("--key", metavar="ID", help="The key that calls, by id or name.")
@click.option("--tools", is_flag=True, help="The request has tools.")
@click.option("--vision", is_flag=True, help="The request has images.")
@click.option("--audio", is_flag=True, help="The request has audio.")
@click.option("--json-schema", is_flag=True, help="The request asks for structured output.")
@click.option("--input-tokens", default=0, help="How long it is, about.")
@click.option("--without-tier", "exclude", multiple=True, metavar="T", help="As though this wallet were empty. Repeat.")
@managing
def explain(admin: Admin, out: Output, *, exclude: tuple[str, ...], **wanted: Any) -> None:
    """Which deployment would serve MODEL (or auto), and why, without a call."""
    query = RouteQuery(exclude_tiers=list(exclude), **wanted)
    told = admin.call(ROUTES_EXPLAIN, query)
    if out.as_json:
        out.document(told)
    else:
        out.facts([("model", told.model), ("tier", told.tier), ("rule", told.rule), ("refusal", told.refusal)])
        rows = [
            ("→" if c.chosen else "", c.model, c.deployment, "" if c.score is None else f"{c.score:.3f}", c.reason)
            for c in told.candidates
        ]
        out.table(("", "model", "deployment", "score", "why"), rows, right=("score",))
    if told.refusal is not None:
        raise Stop(REFUSED)
