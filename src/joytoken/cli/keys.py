"""`joytoken keys`: keys and their policies."""

from collections.abc import Callable
from typing import Any

import click

from joytoken.admin.keys import (
    DEFAULT_OVERLAP,
    KeyCreate,
    KeyCreated,
    KeyDocument,
    KeyQuery,
    KeyRef,
    KeyRotate,
    KeyUpdate,
)
from joytoken.admin.operations import KEYS_CREATE, KEYS_LIST, KEYS_REVOKE, KEYS_ROTATE, KEYS_SHOW, KEYS_UPDATE
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing

_LISTS = ("allowed_tiers", "allow_models", "deny_models", "ip_allow", "ip_block")


def policy_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option that a key's policy has."""
    for option in reversed(
        (
            click.option("--tier", metavar="T", help="Only this tier, also for requests that name none."),
            click.option(
                "--allowed-tier", "allowed_tiers", multiple=True, metavar="T", help="A tier that may be used. Repeat."
            ),
            click.option("--fixed-model", metavar="M", help="The one model that may be called."),
            click.option("--allow-model", "allow_models", multiple=True, metavar="M", help="Only such models. Repeat."),
            click.option("--deny-model", "deny_models", multiple=True, metavar="M", help="Never this model. Repeat."),
            click.option("--ip-allow", multiple=True, metavar="CIDR", help="Only from such networks. Repeat."),
            click.option("--ip-block", multiple=True, metavar="CIDR", help="Never from this network. Repeat."),
            click.option("--limit-daily", metavar="C", help="Credits a day."),
            click.option("--limit-weekly", metavar="C", help="Credits a week."),
            click.option("--rpm", "requests_per_minute", type=int, metavar="N", help="Requests a minute."),
            click.option("--tpm", "tokens_per_minute", type=int, metavar="N", help="Tokens a minute."),
            click.option("--concurrency", type=int, metavar="N", help="Requests under way at once."),
            click.option("--max-output-tokens", "output_tokens_max", type=int, metavar="N", help="Greatest output."),
            click.option("--clamp-output/--no-clamp-output", default=None, help="Shorten what is not affordable."),
            click.option("--run-budget/--no-run-budget", default=None, help="Let a run's caller set its budget."),
            click.option("--blocked/--no-blocked", default=None, help="Refuse everything for now."),
            click.option("--expires", metavar="WHEN", help="30d, 2027-01-31 or an ISO 8601 time."),
            click.option("--project", metavar="NAME", help="Label for attribution."),
            click.option("--application", metavar="NAME", help="Label for attribution."),
            click.option("--environment", metavar="NAME", help="Label for attribution."),
            click.option("--task", metavar="NAME", help="Label for attribution."),
        )
    ):
        command = option(command)
    return command


@click.group()
def keys() -> None:
    """Keys and their policies. A change is live in a running gateway within a second."""


@keys.command()
@click.argument("name")
@click.option("--owner", default="default", show_default=True, help="Whose wallets pay.")
@policy_options
@managing
def create(admin: Admin, out: Output, *, name: str, owner: str, **policy: Any) -> None:
    """Make a key, and show its credential this once."""
    made = admin.call(KEYS_CREATE, KeyCreate(name=name, owner=owner, **_given(policy)))
    _show_created(out, made)


@keys.command("list")
@click.option("--active", is_flag=True, help="Leave revoked keys out.")
@managing
def list_(admin: Admin, out: Output, *, active: bool) -> None:
    """All keys, oldest first."""
    found = admin.call(KEYS_LIST, KeyQuery(revoked=not active))
    if out.as_json:
        out.document(found)
        return
    heads = ("id", "name", "status", "hint", "tiers", "models", "daily", "weekly", "project", "expires")
    out.table(heads, [_row(key) for key in found.keys], right=("daily", "weekly"))


@keys.command()
@click.argument("key_id", metavar="ID")
@managing
def show(admin: Admin, out: Output, *, key_id: str) -> None:
    """One key, by its id or unique name."""
    _show(out, admin.call(KEYS_SHOW, KeyRef(key_id)))


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--name", metavar="NAME", help="Another name.")
@click.option(
    "--clear", multiple=True, metavar="FIELD", help="Take a limit or a label off, such as limit-daily. Repeat."
)
@policy_options
@managing
def update(admin: Admin, out: Output, *, key_id: str, name: str | None, clear: tuple[str, ...], **policy: Any) -> None:
    """Change a key. What is not named stays; a list that is given replaces the old one."""
    request = KeyUpdate(id=key_id, name=name, clear=_parts(clear), **_given(policy))
    _show(out, admin.call(KEYS_UPDATE, request))


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default=DEFAULT_OVERLAP, show_default=True, help="How long the old credential stays good.")
@managing
def rotate(admin: Admin, out: Output, *, key_id: str, overlap: str) -> None:
    """Give a key a new credential, and show it this once."""
    _show_created(out, admin.call(KEYS_ROTATE, KeyRotate(id=key_id, overlap=overlap)))


@keys.command()
@click.argument("key_id", metavar="ID")
@managing
def revoke(admin: Admin, out: Output, *, key_id: str) -> None:
    """End a key for good."""
    _show(out, admin.call(KEYS_REVOKE, KeyRef(key_id)))


def _given(policy: dict[str, Any]) -> dict[str, Any]:
    """What was said, without what was not: an option that was left out changes nothing."""
    given = {name: value for name, value in policy.items() if value not in (None, ())}
    return given | {name: _parts(given[name]) for name in _LISTS if name in given}


def _parts(values: tuple[str, ...]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _row(key: KeyDocument) -> tuple[object, ...]:
    tiers = key.tier or ",".join(key.allowed_tiers) or "all"
    models = (
        key.fixed_model
        or ",".join(key.allow_models)
        or ("all but " * bool(key.deny_models)) + ",".join(key.deny_models)
    )
    return (
        key.id,
        key.name,
        "blocked" if key.blocked and key.status == "active" else key.status,
        key.hint,
        tiers,
        models or "all",
        key.limit_daily,
        key.limit_weekly,
        key.project or None,
        key.expires_at,
    )


def _show_created(out: Output, made: KeyCreated) -> None:
    if not out.as_json:
        out.say("This credential is shown once; store it now.")
    _show(out, made)


def _show(out: Output, key: KeyDocument) -> None:
    out.warn(key.warnings)
    if out.as_json:
        out.document(key)
        return
    first = ("api_key", "id", "name", "status", "hint", "owner", "created_at", "expires_at")
    rest = [name for name in key.__struct_fields__ if name not in (*first, "secrets", "warnings", "organisation")]
    shown = [(name, getattr(key, name, None)) for name in (*first, *rest)]
    out.facts([(name, value) for name, value in shown if value is not False])
    for secret in key.secrets:
        if secret.expires_at:
            out.facts([("also good", f"{secret.hint} until {secret.expires_at}")])
