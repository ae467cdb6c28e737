"""`joytoken incidents`: what happened to money that an operator should know of."""

import click

from joytoken.admin.incidents import IncidentQuery, IncidentRef
from joytoken.admin.operations import INCIDENTS_CLOSE, INCIDENTS_LIST
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group()
def incidents() -> None:
    """Incidents: nodes that were lost with money leased to them."""


@incidents.command("list")
@click.option("--open", "open_", is_flag=True, help="Only those that are open.")
@click.option("--limit", default=50, show_default=True, help="At most so many.")
@managing
def list_(admin: Admin, out: Output, *, open_: bool, limit: int) -> None:
    """Incidents, newest first."""
    found = admin.call(INCIDENTS_LIST, IncidentQuery(limit=limit, open=open_))
    if out.as_json:
        out.document(found)
        return
    rows = [
        (
            *(str(i.id), i.at, i.kind, i.subject, i.closed or "open", str(len(i.returned))),
            *(str(i.late_records), i.late_charged, i.late_shortfall),
        )
        for i in found.incidents
    ]
    heads = ("id", "at", "kind", "subject", "closed", "accounts", "late records", "late credits", "shortfall")
    out.table(heads, rows, right=heads[5:])


@incidents.command()
@click.argument("incident", type=int)
@managing
def close(admin: Admin, out: Output, *, incident: int) -> None:
    """Close an incident that will not close by itself: its node's disk is gone."""
    done = admin.call(INCIDENTS_CLOSE, IncidentRef(id=str(incident)))
    if out.as_json:
        out.document(done)
    else:
        out.facts([("incident", str(done.id)), ("subject", done.subject), ("closed", done.closed)])
