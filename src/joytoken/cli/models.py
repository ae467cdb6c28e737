"""`joytoken models`: models, deployments and prices."""

from collections.abc import Callable
from typing import Any

import click

from joytoken.admin.models import ModelAdd, ModelDocument, ModelQuery, ModelRemove, ModelUpdate
from joytoken.admin.operations import MODELS_ADD, MODELS_LIST, MODELS_REMOVE, MODELS_UPDATE
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing

_LISTS = ("features", "aliases", "tags", "scenarios")


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option that a model has."""
    for option in reversed(
        (
            click.option("--tier", metavar="T", help="economy, standard or premium."),
            click.option("--input-mtok", metavar="C", help="Credits a million input tokens."),
            click.option("--output-mtok", metavar="C", help="Credits a million output tokens."),
            click.option("--cache-read-mtok", metavar="C", help="Credits a million cached input tokens."),
            click.option("--cache-write-mtok", metavar="C", help="Credits a million tokens written to a cache."),
            click.option("--audio-input-mtok", metavar="C", help="Credits a million audio input tokens."),
            click.option("--audio-output-mtok", metavar="C", help="Credits a million audio output tokens."),
            click.option("--reasoning-mtok", metavar="C", help="Credits a million reasoning tokens."),
            click.option("--request", metavar="C", help="Credits for each call."),
            click.option("--cost-input-mtok-usd", metavar="USD", help="What the provider costs."),
            click.option("--cost-output-mtok-usd", metavar="USD", help="What the provider costs."),
            click.option("--context", "context_tokens", type=int, metavar="N", help="Context in tokens."),
            click.option("--max-output-tokens", "output_tokens_max", type=int, metavar="N", help="Greatest output."),
            click.option(
                "--feature", "features", multiple=True, metavar="F", help="tools, vision, json_schema, … Repeat."
            ),
            click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name. Repeat."),
            click.option("--tag", "tags", multiple=True, metavar="TAG", help="An SKU tag. Repeat."),
            click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="An industry pack. Repeat."),
            click.option("--display-name", metavar="NAME", help="For people."),
            click.option("--vendor", metavar="NAME", help="Who made it."),
            click.option("--description", metavar="TEXT", help="For the catalog, in English."),
            click.option("--description-zh", metavar="TEXT", help="For the catalog, in Chinese."),
            click.option("--mci-score", type=float, metavar="N", help="On the 100-point scale."),
            click.option("--tokenizer", metavar="NAME", help="Such as o200k_base; else a bound is counted."),
            click.option("--enabled/--disabled", default=None, help="Whether it can be called."),
        )
    ):
        command = option(command)
    return command


@click.group()
def models() -> None:
    """Models, deployments and prices."""


@models.command("list")
@click.option("--provider", help="Only those served through this one.")
@click.option("--tier", help="Only those of this tier.")
@managing
def list_(admin: Admin, out: Output, *, provider: str | None, tier: str | None) -> None:
    """All models."""
    found = admin.call(MODELS_LIST, ModelQuery(provider=provider, tier=tier))
    if out.as_json:
        out.document(found)
        return
    heads = ("name", "tier", "input/Mtok", "output/Mtok", "context", "mci", "features", "providers", "enabled")
    rows = [
        (
            m.name,
            m.tier,
            m.price.credits.input_mtok,
            m.price.credits.output_mtok,
            m.context_tokens,
            m.mci_score,
            m.features,
            [d.provider for d in m.deployments],
            m.enabled,
        )
        for m in found.models
    ]
    out.table(heads, rows, right=("input/Mtok", "output/Mtok", "context", "mci"))


@models.command()
@click.argument("name", metavar="PUBLIC")
@click.option("--provider", required=True, metavar="NAME", help="Who serves it.")
@click.option("--upstream", metavar="NAME", help="Its name there. [default: the public one]")
@click.option("--weight", default=1, show_default=True, help="Share of the calls among its deployments.")
@model_options
@managing
def add(
    admin: Admin, out: Output, *, name: str, provider: str, upstream: str | None, weight: int, **fields: Any
) -> None:
    """Add a model; of a model that is there, one more deployment."""
    request = ModelAdd(name=name, provider=provider, upstream=upstream, weight=weight, **_given(fields))
    _show(out, admin.call(MODELS_ADD, request))


@models.command()
@click.argument("name", metavar="PUBLIC")
@model_options
@managing
def update(admin: Admin, out: Output, *, name: str, **fields: Any) -> None:
    """Change a model or its price. Receipts keep the price of their time."""
    _show(out, admin.call(MODELS_UPDATE, ModelUpdate(name=name, **_given(fields))))


@models.command()
@click.argument("name", metavar="PUBLIC")
@click.option("--deployment", metavar="ID", help="Only this deployment, by its id or provider.")
@managing
def remove(admin: Admin, out: Output, *, name: str, deployment: str | None) -> None:
    """Remove a model, or one of its deployments."""
    removed = admin.call(MODELS_REMOVE, ModelRemove(name=name, deployment=deployment))
    if out.as_json:
        out.document(removed)
    else:
        out.facts([("removed", removed.removed)])


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in fields.items() if value not in (None, ())}
    for name in _LISTS:
        if name in given:
            given[name] = [part.strip() for value in given[name] for part in value.split(",") if part.strip()]
    return given


def _show(out: Output, model: ModelDocument) -> None:
    if out.as_json:
        out.document(model)
        return
    price = model.price
    out.facts(
        [
            *((name, getattr(model, name)) for name in ("name", "tier", "vendor", "enabled")),
            ("input/Mtok", f"{price.credits.input_mtok} credits"),
            ("output/Mtok", f"{price.credits.output_mtok} credits"),
            ("price", price.price_id),
            *((name, getattr(model, name)) for name in ("context_tokens", "features", "aliases", "mci_score")),
        ]
    )
    for deployment in model.deployments:
        out.facts([("deployment", f"{deployment.id}  {deployment.provider} → {deployment.upstream}")])
