"""`joytoken webhooks`: who is told of events, and what became of what was sent."""

import click

from joytoken.admin.operations_credit import (
    WEBHOOKS_DELIVERIES,
    WEBHOOKS_LIST,
    WEBHOOKS_REMOVE,
    WEBHOOKS_SET,
    WEBHOOKS_TEST,
)
from joytoken.admin.webhooks import DeliveryQuery, WebhookQuery, WebhookRef, WebhookSet
from joytoken.cli.failure import UNREACHABLE, Stop
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group()
def webhooks() -> None:
    """Who is told of events, such as a low balance. Events are signed as Standard Webhooks are."""


@webhooks.command("list")
@managing
def list_(admin: Admin, out: Output) -> None:
    """All webhooks."""
    found = admin.call(WEBHOOKS_LIST, WebhookQuery())
    if out.as_json:
        out.document(found)
        return
    rows = [(webhook.name, webhook.url, webhook.enabled, webhook.created_at) for webhook in found.webhooks]
    out.table(("name", "url", "enabled", "created"), rows)


@webhooks.command("set")
@click.argument("name")
@click.argument("address", metavar="URL", required=False)
@click.option("--secret", metavar="S", help="Sign with this one, of the form whsec_…. [default: one is made]")
@click.option("--rotate", is_flag=True, help="Make a new secret.")
@click.option("--enabled/--disabled", default=None, help="Whether events are sent there.")
@managing
def set_(
    admin: Admin, out: Output, *, name: str, address: str | None, secret: str | None, rotate: bool, enabled: bool | None
) -> None:
    """Send events to URL; of a webhook that is there, change what is named. A secret that is made is shown once."""
    made = admin.call(WEBHOOKS_SET, WebhookSet(name=name, url=address, secret=secret, rotate=rotate, enabled=enabled))
    if out.as_json:
        out.document(made)
        return
    if made.secret is not None:
        out.say("This secret is shown once; store it now.")
    out.facts([(field, getattr(made, field)) for field in ("name", "url", "enabled", "secret")])


@webhooks.command()
@click.argument("name")
@managing
def test(admin: Admin, out: Output, *, name: str) -> None:
    """Send a test event now; exit code 5 where it was not taken."""
    found = admin.call(WEBHOOKS_TEST, WebhookRef(name))
    if out.as_json:
        out.document(found)
    else:
        out.facts([(field, getattr(found, field)) for field in ("name", "ok", "status", "message", "event_id")])
    if not found.ok:
        raise Stop(UNREACHABLE)


@webhooks.command()
@click.option("--webhook", metavar="NAME", help="Only to this one.")
@click.option("--state", metavar="S", help="pending, delivered or given_up.")
@click.option("--limit", default=50, show_default=True, help="Deliveries of a page.")
@managing
def deliveries(admin: Admin, out: Output, *, webhook: str | None, state: str | None, limit: int) -> None:
    """What was sent, newest first, and what came of it."""
    found = admin.call(WEBHOOKS_DELIVERIES, DeliveryQuery(webhook=webhook, state=state, limit=limit))
    if out.as_json:
        out.document(found)
        return
    heads = ("event", "webhook", "type", "subject", "state", "attempts", "status", "error", "next")
    rows = [
        (d.event_id, d.webhook, d.type, d.subject, d.state, d.attempts, d.status, d.error or None, d.next_at)
        for d in found.deliveries
    ]
    out.table(heads, rows, right=("attempts", "status"))


@webhooks.command()
@click.argument("name")
@managing
def remove(admin: Admin, out: Output, *, name: str) -> None:
    """Remove a webhook; what waits for it is given up."""
    removed = admin.call(WEBHOOKS_REMOVE, WebhookRef(name))
    if out.as_json:
        out.document(removed)
    else:
        out.facts([("removed", removed.removed)])
