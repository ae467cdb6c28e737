"""`joytoken admin-keys`: credentials of the management API."""

import click

from joytoken.admin.admin_keys import AdminKeyCreate, AdminKeyDocument, AdminKeyQuery, AdminKeyRef
from joytoken.admin.operations_credit import ADMIN_KEYS_CREATE, ADMIN_KEYS_LIST, ADMIN_KEYS_REVOKE
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group("admin-keys")
def admin_keys() -> None:
    """Credentials of the management API. Each may do everything."""


@admin_keys.command("list")
@managing
def list_(admin: Admin, out: Output) -> None:
    """All admin keys, oldest first."""
    found = admin.call(ADMIN_KEYS_LIST, AdminKeyQuery())
    if out.as_json:
        out.document(found)
        return
    heads = ("id", "name", "status", "hint", "created", "revoked")
    rows = [(key.id, key.name, key.status, key.hint, key.created_at, key.revoked_at) for key in found.admin_keys]
    out.table(heads, rows)


@admin_keys.command()
@click.argument("name")
@managing
def create(admin: Admin, out: Output, *, name: str) -> None:
    """Make an admin key, and show its credential this once."""
    made = admin.call(ADMIN_KEYS_CREATE, AdminKeyCreate(name=name))
    if not out.as_json:
        out.say("This credential is shown once; store it now.")
    _show(out, made)


@admin_keys.command()
@click.argument("key_id", metavar="ID")
@managing
def revoke(admin: Admin, out: Output, *, key_id: str) -> None:
    """End an admin key for good; it is refused from the next request on."""
    _show(out, admin.call(ADMIN_KEYS_REVOKE, AdminKeyRef(key_id)))


def _show(out: Output, key: AdminKeyDocument) -> None:
    if out.as_json:
        out.document(key)
        return
    names = ("admin_key", "id", "name", "status", "hint", "created_at", "revoked_at")
    out.facts([(name, getattr(key, name, None)) for name in names])
