"""`joytoken prices`: what a credit of a tier is worth, and what models cost."""

import click

from joytoken.admin.operations import PRICES_LIST, PRICES_SHOW, PRICES_TIER
from joytoken.admin.prices import PriceRef, PricesQuery, TierPriceUpdate
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing


@click.group()
def prices() -> None:
    """What a credit is worth, and what models cost. Receipts keep the price of their time."""


@prices.command("list")
@managing
def list_(admin: Admin, out: Output) -> None:
    """The price of each model now."""
    found = admin.call(PRICES_LIST, PricesQuery())
    if out.as_json:
        out.document(found)
        return
    heads = ("model", "tier", "input/Mtok", "output/Mtok", "price")
    rows = [
        (m.model, m.tier, m.price.credits.input_mtok, m.price.credits.output_mtok, m.price.price_id)
        for m in found.models
    ]
    out.table(heads, rows, right=heads[2:4])


@prices.command()
@click.argument("price_id", metavar="ID")
@managing
def show(admin: Admin, out: Output, *, price_id: str) -> None:
    """One row of the price book, also an old one."""
    found = admin.call(PRICES_SHOW, PriceRef(price_id))
    if out.as_json:
        out.document(found)
        return
    out.facts([("price", found.price_id), *((n, getattr(found.credits, n)) for n in found.credits.__struct_fields__)])


@prices.command()
@click.argument("tier", required=False)
@click.argument("usd", required=False)
@managing
def credit(admin: Admin, out: Output, *, tier: str | None, usd: str | None) -> None:
    """What a credit of each tier is worth in US dollars; with TIER and USD, set it from now on."""
    if tier is not None and usd is not None:
        made = admin.call(PRICES_TIER, TierPriceUpdate(tier=tier, usd_per_credit=usd))
        if out.as_json:
            out.document(made)
        else:
            out.facts([("tier", made.tier), ("USD per credit", made.usd_per_credit)])
        return
    tiers = [price for price in admin.call(PRICES_LIST, PricesQuery()).tiers if tier in {None, price.tier}]
    if not tiers:
        raise click.UsageError(f"{tier!r} is not a tier")
    if out.as_json:
        out.document(tiers)
        return
    out.table(
        ("tier", "USD per credit"), [(price.tier, price.usd_per_credit) for price in tiers], right=("USD per credit",)
    )
