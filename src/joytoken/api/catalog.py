"""The public catalog: models with their prices in credits, what they can be filtered by, and what a credit costs."""

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from joytoken.admin.times import spell_time
from joytoken.api.access import Access
from joytoken.api.answer import answer, envelope
from joytoken.domain.catalog import Catalog
from joytoken.domain.money import NANO, short_amount
from joytoken.domain.tier import TIERS, Tier
from joytoken.routing.candidates import Index, Served

ANSWERS_CACHED_MAX = 256
ANSWERS_CACHED_BYTES_MAX = 16 * 1024 * 1024

_encode = msgspec.json.Encoder().encode
_UNAVAILABLE = _encode({"code": 50300, "message": "admin-bff not available"})
_TIERS: dict[Tier, tuple[str, str]] = {
    "economy": ("Economy", "The least expensive models"),
    "standard": ("Standard", "Models for everyday work"),
    "premium": ("Premium", "The most capable models"),
}
_SKUS = {
    "lock": ("Lock", "Offered at a price that is fixed in advance"),
    "spot": ("Spot", "Offered from spare capacity"),
    "auction": ("Auction", "Offered by bidding"),
    "first": ("First", "Offered with priority"),
}


class Source(Protocol):
    """Where the catalog comes from."""

    def current(self) -> Catalog:
        """The catalog, the same object for as long as nothing changed; its generation is negative before the first."""
        ...


class ModelEntry(msgspec.Struct, rename="camel"):
    """A model as the catalog shows it. Prices are JSON numbers: credits for a million tokens, exactly."""

    model_id: str
    model_key: str
    display_name: str
    alias: str
    tier: str
    tags: tuple[str, ...]
    description: str
    customer_input_mtok: Raw
    customer_output_mtok: Raw
    customer_cacheread_mtok: Raw
    customer_cachewrite_mtok: Raw
    customer_image_input_mtok: str
    customer_image_output_mtok: str
    customer_image_cached_input_mtok: str
    provider: str
    feature_tags: tuple[str, ...]
    scenario_tags: tuple[str, ...]
    mci_score: float | None


class Filter(msgspec.Struct, frozen=True):
    """Which models are asked for; None: all. Every part must hold, and any one of the industry packs."""

    tier: str | None = None
    provider: str | None = None
    feature_tag: str | None = None
    pack: str | None = None  # a SKU tag or a scenario
    industry_packs: frozenset[str] = frozenset()
    chinese: bool = False

    def takes(self, served: Served, provider: str) -> bool:
        """Whether a model is asked for."""
        model = served.model
        return (
            (self.tier is None or self.tier == model.tier)
            and (self.provider is None or self.provider == provider)
            and (self.feature_tag is None or self.feature_tag in served.features)
            and (self.pack is None or self.pack in model.tags or self.pack in model.scenarios)
            and (not self.industry_packs or not self.industry_packs.isdisjoint(model.scenarios))
        )


def read_filter(query: QueryParams) -> Filter:
    """The filter of a query. Of a repeated parameter the last counts; empty values and unknown parameters do not."""
    return Filter(
        tier=query.get("tier") or None,
        provider=query.get("provider") or None,
        feature_tag=query.get("feature_tag") or None,
        pack=query.get("pack") or None,
        industry_packs=frozenset(pack for pack in query.getlist("industry_packs") if pack),
        chinese=query.get("locale", "").lower().partition("-")[0] == "zh",
    )


class Listing(NamedTuple):
    """An encoded answer, and the tag by which a caller can ask whether it is still the same."""

    body: bytes
    etag: str


class Shelf:
    """One catalog as the outside sees it: what can be called now. Each answer is encoded once."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.index = Index(catalog)
        self.served = [served for served in self.index.served.values() if not served.off]
        self.scenarios = frozenset(scenario for served in self.served for scenario in served.model.scenarios)
        self._listings: dict[Filter, Listing] = {}
        self._bytes = 0

    @staticmethod
    def provider_of(served: Served) -> str:
        """The provider that is shown: the model's vendor, or where none is known, who serves it."""
        return served.model.vendor or served.choices[0].provider.name

    @property
    def updated_at(self) -> str:
        """When the catalog last changed, in ISO 8601."""
        return spell_time(self.catalog.updated_us)

    def listing(self, wanted: Filter) -> Listing:
        """The answer to a filter. The newest are kept, bounded in number and in bytes: anyone may ask for anything."""
        known = wanted.industry_packs & self.scenarios
        if known and known != wanted.industry_packs:
            wanted = msgspec.structs.replace(wanted, industry_packs=known)
        found = self._listings.get(wanted)
        if found is not None:
            return found
        entries = self._entries_zh if wanted.chinese else self._entries_en
        models = [
            entry
            for served, entry in zip(self.served, entries, strict=True)
            if wanted.takes(served, self.provider_of(served))
        ]
        body = _encode(envelope({"models": models}))
        found = Listing(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
        if models:  # an empty answer is quickly made, and its filter can be any text
            self._keep(wanted, found)
        return found

    @cached_property
    def _entries_en(self) -> list[Raw]:
        return [Raw(_encode(_entry(served, self.provider_of(served), chinese=False))) for served in self.served]

    @cached_property
    def _entries_zh(self) -> list[Raw]:
        return [Raw(_encode(_entry(served, self.provider_of(served), chinese=True))) for served in self.served]

    def _keep(self, wanted: Filter, listing: Listing) -> None:
        self._listings[wanted] = listing
        self._bytes += len(listing.body)
        while len(self._listings) > ANSWERS_CACHED_MAX or self._bytes > ANSWERS_CACHED_BYTES_MAX:
            oldest = next(iter(self._listings))
            self._bytes -= len(self._listings.pop(oldest).body)

    @cached_property
    def meta(self) -> bytes:
        """What models can be filtered by."""
        models = [served.model for served in self.served]
        tags = {tag for model in models for tag in model.tags}
        document = {
            "tiers": [_option(tier, _TIERS[tier][0]) for tier in TIERS],
            "skus": [_option(sku, name) for sku, (name, _) in _SKUS.items()] + _options(tags.difference(_SKUS)),
            "featureTags": _options({feature for model in models for feature in model.features}),
            "industryPacks": _options(self.scenarios),
            "providers": [_option(name, name) for name in sorted({self.provider_of(s) for s in self.served})],
            "updatedAt": self.updated_at,
        }
        return _encode(envelope(document))

    @cached_property
    def pricing(self) -> bytes:
        """What a credit of each tier costs. A tier whose credit has no price is left out."""
        rates = {tier: self.catalog.usd_per_credit[tier] for tier in TIERS if tier in self.catalog.usd_per_credit}
        tiers = [
            {
                "code": tier,
                "name": _TIERS[tier][0],
                "description": _TIERS[tier][1],
                "usdPerCredit": short_amount(rate),
                "creditsPerUsd": credits_per_usd(rate),
                "unit": "USD/Credit",
                "rateVersion": _version({tier: rate}),
                "sortOrder": TIERS.index(tier) + 1,
                "updatedAt": self.updated_at,
            }
            for tier, rate in rates.items()
        ]
        skus = [{"code": sku, "name": name, "description": text} for sku, (name, text) in _SKUS.items()]
        document = {"tiers": tiers, "skus": skus, "currentVersion": _version(rates), "updatedAt": self.updated_at}
        return _encode(envelope(document))


class Shop:
    """The shelf of the catalog in force."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._shelf: Shelf | None = None

    def shelf(self) -> Shelf | None:
        """What is offered now; None where no catalog has been read yet."""
        catalog = self._source.current()
        if catalog.generation < 0:
            return None
        if self._shelf is None or self._shelf.catalog is not catalog:
            self._shelf = Shelf(catalog)
        return self._shelf


def catalog_routes(shop: Shop, access: Access) -> list[BaseRoute]:
    """`GET /api/v1/models` for anyone; `/api/v1/models/meta` and `/api/v1/pricing` with a key."""

    async def models(request: Request) -> Response:
        shelf = shop.shelf()
        if shelf is None:
            return answer(_UNAVAILABLE, 503)
        listing = shelf.listing(read_filter(request.query_params))
        headers = {"etag": listing.etag, "cache-control": "no-cache"}  # keep it, but ask whether it still holds
        if _is_known(request.headers.getlist("if-none-match"), listing.etag):
            return Response(status_code=304, headers=headers)
        return answer(listing.body, 200, headers)

    def keyed(part: Callable[[Shelf], bytes]) -> Callable[[Request], Any]:
        async def show(request: Request) -> Response:
            access.principal(request.scope)
            shelf = shop.shelf()
            return answer(_UNAVAILABLE, 503) if shelf is None else answer(part(shelf))

        return show

    return [
        Route("/api/v1/models", models),
        Route("/api/v1/models/meta", keyed(lambda shelf: shelf.meta)),
        Route("/api/v1/pricing", keyed(lambda shelf: shelf.pricing)),
    ]


def credits_per_usd(nanousd: int) -> str:
    """How many credits a US dollar buys, as a decimal string rounded down to nine decimals; "0" where they are free."""
    return short_amount(NANO * NANO // nanousd) if nanousd else "0"


def _entry(served: Served, provider: str, *, chinese: bool) -> ModelEntry:
    model, rates = served.model, served.model.price.credits
    return ModelEntry(
        model_id=model.name,
        model_key=model.name,
        display_name=model.display_name or model.name,
        alias=model.aliases[0] if model.aliases else "",
        tier=model.tier,
        tags=model.tags,
        description=(model.description_zh if chinese else "") or model.description,
        customer_input_mtok=_number(rates.input),
        customer_output_mtok=_number(rates.output),
        # A bucket without a rate of its own costs as the one that includes it.
        customer_cacheread_mtok=_number(rates.input if rates.cache_read is None else rates.cache_read),
        customer_cachewrite_mtok=_number(rates.input if rates.cache_write is None else rates.cache_write),
        customer_image_input_mtok="",
        customer_image_output_mtok="",
        customer_image_cached_input_mtok="",
        provider=provider,
        feature_tags=model.features,
        scenario_tags=model.scenarios,
        mci_score=model.mci_score,
    )


def _number(nano: int) -> Raw:
    return Raw(short_amount(nano).encode())


def _options(values: Iterable[str]) -> list[dict[str, str]]:
    return [_option(value, value.replace("_", " ").capitalize()) for value in sorted(values)]


def _option(value: str, label: str) -> dict[str, str]:
    return {"value": value, "label": label}


def _version(rates: dict[Tier, int]) -> str:
    """The name of these rates: the same rates have the same name, other rates another."""
    spelled = " ".join(f"{tier}={rate}" for tier, rate in sorted(rates.items()))
    return "rates-" + hashlib.blake2b(spelled.encode(), digest_size=6).hexdigest()


def _is_known(if_none_match: list[str], etag: str) -> bool:
    """Whether a caller has this answer already (weak comparison, RFC 9110 section 13.1.2)."""
    given = [tag.strip().removeprefix("W/") for line in if_none_match for tag in line.split(",")]
    return etag in given or "*" in given
