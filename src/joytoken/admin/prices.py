"""Prices as management writes and shows them: credits (or US dollars) per million tokens, as decimal strings."""

from typing import Any

import msgspec
from msgspec.structs import replace

from joytoken.admin.desk import Desk
from joytoken.domain.errors import InvalidRequest, NotFound
from joytoken.domain.money import NANO, AmountError, parse_amount, short_amount
from joytoken.domain.price import Price, Rates
from joytoken.domain.tier import TIERS, parse_tier

# A field of a request, and the rate that it sets.
RATE_FIELDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "audio_input_mtok": "audio_input",
    "audio_output_mtok": "audio_output",
    "reasoning_mtok": "reasoning",
    "request": "request",
}
COST_FIELDS = {"cost_input_mtok_usd": "input", "cost_output_mtok_usd": "output"}


class PriceFields(msgspec.Struct, kw_only=True):
    """What may be said of a price. Credits a million tokens, as decimal strings; `request` is for the call itself."""

    input_mtok: str | None = None
    output_mtok: str | None = None
    cache_read_mtok: str | None = None
    cache_write_mtok: str | None = None
    audio_input_mtok: str | None = None
    audio_output_mtok: str | None = None
    reasoning_mtok: str | None = None
    request: str | None = None
    cost_input_mtok_usd: str | None = None
    cost_output_mtok_usd: str | None = None


class RatesDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Rates of one price. What is left out costs as the bucket that includes it."""

    input_mtok: str
    output_mtok: str
    cache_read_mtok: str | None = None
    cache_write_mtok: str | None = None
    audio_input_mtok: str | None = None
    audio_output_mtok: str | None = None
    reasoning_mtok: str | None = None
    request: str = "0"
    over_tokens: int | None = None  # of a long-context step: these rates count past so many input tokens


class PriceDocument(msgspec.Struct, kw_only=True):
    """One row of the price book: what the customer pays in credits, and what the provider costs in US dollars."""

    price_id: str
    credits: RatesDocument
    steps: list[RatesDocument] = []
    cost_usd: RatesDocument | None = None
    cost_steps: list[RatesDocument] = []


class TierPrice(msgspec.Struct, kw_only=True):
    """What a credit of a tier is worth in US dollars."""

    tier: str
    usd_per_credit: str


class ModelPrice(msgspec.Struct, kw_only=True):
    """The price of a model now."""

    model: str
    tier: str
    price: PriceDocument


class PriceBook(msgspec.Struct, kw_only=True):
    """All prices now."""

    tiers: list[TierPrice]
    models: list[ModelPrice]


class PricesQuery(msgspec.Struct):
    """Nothing can be chosen."""


class PriceRef(msgspec.Struct):
    """A row of the price book, also one that no model has any more."""

    price_id: str


class TierPriceUpdate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new price of a tier's credit, in US dollars, from now on."""

    tier: str
    usd_per_credit: str


def list_prices(desk: Desk, request: PricesQuery) -> PriceBook:  # noqa: ARG001 - every operation takes a request
    """The price of each tier's credit and of each model."""
    worth = desk.store.catalog.usd_per_credit()
    return PriceBook(
        tiers=[TierPrice(tier=tier, usd_per_credit=short_amount(worth.get(tier, 0))) for tier in TIERS],
        models=[
            ModelPrice(model=model.name, tier=model.tier, price=price_document(model.price))
            for model in desk.store.catalog.models()
        ],
    )


def show_price(desk: Desk, request: PriceRef) -> PriceDocument:
    """One row of the price book. Raises NotFound."""
    price = desk.store.catalog.price(request.price_id)
    if price is None:
        raise NotFound(f"there is no price {request.price_id!r}", "unknown_price", param="price_id")
    return price_document(price)


def set_tier_price(desk: Desk, request: TierPriceUpdate) -> TierPrice:
    """Set what a tier's credit is worth. Raises InvalidRequest."""
    tier = parse_tier(request.tier)
    if tier is None:
        raise InvalidRequest(f"{request.tier!r} is not a tier; the tiers are {', '.join(TIERS)}", param="tier")
    nano = amount_of(request.usd_per_credit, "usd_per_credit")
    before = desk.store.catalog.usd_per_credit().get(tier, 0)
    desk.store.catalog.put_usd_per_credit(tier, nano, desk.now_us())
    made = TierPrice(tier=tier, usd_per_credit=short_amount(nano))
    desk.note("price.tier", tier, TierPrice(tier=tier, usd_per_credit=short_amount(before)), made)
    return made


def amount_of(text: str, param: str) -> int:
    """Nano-units of an amount that is not negative. Raises InvalidRequest naming `param`."""
    try:
        amount = parse_amount(text)
    except AmountError as error:
        raise InvalidRequest(str(error), param=param) from None
    if amount < 0:
        raise InvalidRequest("a price is not negative", param=param)
    return amount


def price_from(fields: PriceFields, base: Price | None) -> Price | None:
    """The base price with what the fields say; None where there is neither. Raises InvalidRequest.

    A new rate ends the long-context steps of the price that it replaces: they belonged to the old rates.
    """
    given = {rate: getattr(fields, name) for name, rate in RATE_FIELDS.items()}
    changes: dict[str, Any] = {
        rate: amount_of(text, name)
        for (name, rate), text in zip(RATE_FIELDS.items(), given.values(), strict=True)
        if text is not None
    }
    price = base
    if changes and base is not None:
        price = replace(base, credits=replace(base.credits, **changes), steps=())
    elif changes:
        for name in ("input_mtok", "output_mtok"):
            if RATE_FIELDS[name] not in changes:
                raise InvalidRequest("a price needs both an input and an output rate", param=name)
        price = Price("", Rates(**changes))
    cost = {rate: getattr(fields, name) for name, rate in COST_FIELDS.items()}
    if price is None or all(text is None for text in cost.values()):
        return price
    old = price.cost_usd or Rates(0, 0)
    rates = {
        rate: amount_of(text, name)
        for (name, rate), text in zip(COST_FIELDS.items(), cost.values(), strict=True)
        if text is not None
    }
    return replace(price, cost_usd=replace(old, **rates), cost_steps=())


def price_document(price: Price) -> PriceDocument:
    """A price as it is shown."""
    return PriceDocument(
        price_id=price.price_id,
        credits=_rates(price.credits),
        steps=[_rates(step.rates, step.over_tokens) for step in price.steps],
        cost_usd=None if price.cost_usd is None else _rates(price.cost_usd),
        cost_steps=[_rates(step.rates, step.over_tokens) for step in price.cost_steps],
    )


def credits_for(usd: int, usd_per_credit: int, markup_bps: int) -> int:
    """Nanocredits that are worth an amount of nano-dollars, with the markup, rounded up to a whole nanocredit."""
    return -(-usd * NANO * (10_000 + markup_bps) // (usd_per_credit * 10_000))


def _rates(rates: Rates, over_tokens: int | None = None) -> RatesDocument:
    shown = {name: getattr(rates, rate) for name, rate in RATE_FIELDS.items()}
    spelled = {name: short_amount(value) for name, value in shown.items() if value is not None}
    return RatesDocument(**spelled, over_tokens=over_tokens)
