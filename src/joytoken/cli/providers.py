"""`joytoken providers`: who answers."""

import os
import sys
from typing import Any

import click

from joytoken.admin.operations import (
    PROVIDERS_ADD,
    PROVIDERS_LIST,
    PROVIDERS_PRESETS,
    PROVIDERS_REMOVE,
    PROVIDERS_TEST,
)
from joytoken.admin.providers import ProviderAdd, ProviderQuery, ProviderRef, ProviderRemove
from joytoken.cli.failure import UNREACHABLE, Stop
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group()
def providers() -> None:
    """Providers: an account at a vendor, or a server of one's own."""


@providers.command("list")
@managing
def list_(admin: Admin, out: Output) -> None:
    """All providers."""
    found = admin.call(PROVIDERS_LIST, ProviderQuery())
    if out.as_json:
        out.document(found)
        return
    heads = ("name", "kind", "base URL", "credential", "models", "enabled")
    rows = [(p.name, p.kind, p.base_url, p.api_key_env or p.credential, p.models, p.enabled) for p in found.providers]
    out.table(heads, rows, right=("models",))


@providers.command()
@managing
def presets(admin: Admin, out: Output) -> None:
    """Vendors that can be added by name alone."""
    found = admin.call(PROVIDERS_PRESETS, ProviderQuery())
    if out.as_json:
        out.document(found)
        return
    rows = [(p.name, p.title, p.base_url, p.found or p.api_key_env, p.found is not None) for p in found.presets]
    out.table(("name", "title", "base URL", "credential from", "found"), rows)


@providers.command()
@click.argument("name")
@click.option("--kind", metavar="KIND", help="The protocol it speaks. [default: the preset's, else openai]")
@click.option("--base-url", metavar="URL", help="Such as http://127.0.0.1:8080/v1.")
@click.option("--preset", metavar="NAME", help="Take a vendor's settings under another name.")
@click.option("--api-key-env", metavar="VAR", help="Environment variable of the gateway that holds the credential.")
@click.option("--api-key-stdin", is_flag=True, help="Read the credential from standard input, and keep it sealed.")
@click.option("--on-disconnect", type=click.Choice(["close", "drain"]), help="What to do when a caller hangs up.")
@click.option("--ca-file", metavar="FILE", help="Authorities of its certificate.")
@click.option("--enabled/--disabled", default=None, help="Whether it is called.")
@click.option("--no-models", is_flag=True, help="Leave the preset's models out.")
@managing
def add(admin: Admin, out: Output, *, api_key_stdin: bool, no_models: bool, **fields: Any) -> None:
    """Add a provider, or write it anew. A preset's name is enough for a known vendor."""
    api_key = sys.stdin.readline().strip() if api_key_stdin else None
    made = admin.call(PROVIDERS_ADD, ProviderAdd(api_key=api_key, seed=not no_models, **fields))
    if out.as_json:
        out.document(made)
        return
    out.facts([(name, getattr(made, name)) for name in made.__struct_fields__ if name != "seeded"])
    if made.seeded:
        out.say(f"{len(made.seeded)} models came with it: joytoken models list --provider {made.name}")
    if made.api_key_env and made.api_key_env not in os.environ and api_key is None:
        out.warn([f"{made.api_key_env} is not set here; set it where the gateway runs, or its calls will be refused"])
    if made.kind != "echo":
        out.say(f"See whether it answers: joytoken providers test {made.name}")


@providers.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also the deployments that name it.")
@managing
def remove(admin: Admin, out: Output, *, name: str, force: bool) -> None:
    """Remove a provider."""
    removed = admin.call(PROVIDERS_REMOVE, ProviderRemove(name=name, force=force))
    if out.as_json:
        out.document(removed)
    else:
        out.facts([("removed", removed.removed)])


@providers.command()
@click.argument("name")
@managing
def test(admin: Admin, out: Output, *, name: str) -> None:
    """Ask a provider for its models, which costs nothing; exit code 5 where it does not answer."""
    result = admin.call(PROVIDERS_TEST, ProviderRef(name=name))
    if out.as_json:
        out.document(result)
    else:
        out.facts([(field, getattr(result, field)) for field in result.__struct_fields__])
    if not result.ok:
        raise Stop(UNREACHABLE)
