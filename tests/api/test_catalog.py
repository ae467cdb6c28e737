import re
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.api.catalog import ANSWERS_CACHED_BYTES_MAX, ANSWERS_CACHED_MAX, Filter, Shelf, credits_per_usd
from joytoken.domain.money import NANO
from joytoken.domain.price import Rates
from tests.api.worlds import GOOD, NEVER, World, make_catalog, make_model

MODELS = [
    make_model("acme/coder", vendor="acme", tags=("lock",), features=("chat", "code"), scenarios=("software",)),
    make_model(
        "acme/lawyer",
        "premium",
        vendor="acme",
        tags=("spot", "first"),
        scenarios=("law", "office"),
        description="Reads contracts",
        description_zh="阅读合同",
    ),
    make_model("bolt/writer", "economy", on=("bolt",), scenarios=("office",), description="Writes"),
    make_model("bolt/tiny", "economy", on=("bolt",), off=("acme",), features=("chat", "code"), tags=("spot",)),
    make_model("acme/off", enabled=False),
    make_model("acme/alone", on=(), off=("acme",)),
    make_model("gone/away", on=("gone",), vendor="gone"),
]
CODER, LAWYER, TINY, WRITER = "acme/coder", "acme/lawyer", "bolt/tiny", "bolt/writer"
ALL = [CODER, LAWYER, TINY, WRITER]


def keys_of(found):
    assert found.status == 200
    assert (found.json["code"], found.json["message"], list(found.json["data"])) == (0, "success", ["models"])
    return [model["modelKey"] for model in found.json["data"]["models"]]


FILTERS = [
    ("", ALL),
    ("?tier=economy", [TINY, WRITER]),
    ("?tier=standard&feature_tag=code", [CODER]),
    ("?feature_tag=code", [CODER, TINY]),
    ("?feature_tag=chat&tier=premium", [LAWYER]),
    ("?provider=acme", [CODER, LAWYER]),
    ("?provider=bolt", [TINY, WRITER]),
    ("?provider=acme&tier=economy", []),
    ("?pack=spot", [LAWYER, TINY]),
    ("?pack=office", [LAWYER, WRITER]),
    ("?pack=software", [CODER]),
    ("?industry_packs=law", [LAWYER]),
    ("?industry_packs=law&industry_packs=software", [CODER, LAWYER]),
    ("?industry_packs=office&industry_packs=nothing", [LAWYER, WRITER]),
    ("?industry_packs=office&tier=economy&pack=office&provider=bolt&feature_tag=chat", [WRITER]),
    ("?industry_packs=spot", []),
    ("?tier=gold", []),
    ("?provider=gone", []),
    ("?feature_tag=flying", []),
    ("?pack=nothing", []),
    ("?industry_packs=nothing", []),
    ("?tier=economy&tier=premium", [LAWYER]),
    ("?tier=&provider=&feature_tag=&pack=&industry_packs=&locale=", ALL),
    ("?colour=blue&page=7", ALL),
    ("?locale=fr", ALL),
    ("?tier=%65conomy", [TINY, WRITER]),
    ("?tier=%ff&&=&%", []),
]


@pytest.mark.parametrize(("query", "names"), FILTERS)
async def test_the_list_follows_its_filters(query, names):
    world = World(*MODELS)
    assert keys_of(await world.ask("/api/v1/models" + query)) == names
    assert keys_of(await world.ask("/api/v1/models" + query)) == names  # from memory


LOCALES = [
    ("", "Reads contracts", "Writes"),
    ("?locale=en", "Reads contracts", "Writes"),
    ("?locale=zh", "阅读合同", "Writes"),
    ("?locale=zh-CN", "阅读合同", "Writes"),
    ("?locale=ZH", "阅读合同", "Writes"),
    ("?locale=fr", "Reads contracts", "Writes"),
]


@pytest.mark.parametrize(("query", "lawyer", "writer"), LOCALES)
async def test_descriptions_are_in_the_asked_language_where_there_is_one(query, lawyer, writer):
    found = await World(*MODELS).ask("/api/v1/models" + query)
    described = {model["modelKey"]: model["description"] for model in found.json["data"]["models"]}
    assert (described[LAWYER], described[WRITER]) == (lawyer, writer)


async def test_an_entry_in_full():
    rates = Rates(int(0.15 * NANO), 75 * NANO, cache_read=1, cache_write=100 * NANO)
    model = make_model(
        "acme/full",
        rates=rates,
        display_name="Full",
        aliases=("filled", "f"),
        vendor="Acme Inc",
        tags=("lock", "first"),
        features=("chat", "vision"),
        scenarios=("law",),
        description="All of it",
        mci_score=57.5,
    )
    found = await World(model).ask("/api/v1/models")
    assert found.json["data"]["models"] == [
        {
            "modelId": "acme/full",
            "modelKey": "acme/full",
            "displayName": "Full",
            "alias": "filled",
            "tier": "standard",
            "tags": ["lock", "first"],
            "description": "All of it",
            "customerInputMtok": 0.15,
            "customerOutputMtok": 75,
            "customerCachereadMtok": 0.000000001,
            "customerCachewriteMtok": 100,
            "customerImageInputMtok": "",
            "customerImageOutputMtok": "",
            "customerImageCachedInputMtok": "",
            "provider": "Acme Inc",
            "featureTags": ["chat", "vision"],
            "scenarioTags": ["law"],
            "mciScore": 57.5,
        }
    ]
    assert b'"customerInputMtok":0.15,' in found.body  # the decimal itself, not its nearest float


async def test_a_bare_entry_says_what_is_true_of_it():
    found = await World(make_model("plain", rates=Rates(2 * NANO, 0))).ask("/api/v1/models")
    [model] = found.json["data"]["models"]
    shown = {name: model[name] for name in ("displayName", "alias", "provider", "mciScore", "description")}
    assert shown == {"displayName": "plain", "alias": "", "provider": "acme", "mciScore": None, "description": ""}
    prices = [model[f"customer{bucket}Mtok"] for bucket in ("Input", "Output", "Cacheread", "Cachewrite")]
    assert prices == [2, 0, 2, 2]  # cached input costs as input where it has no rate of its own


@pytest.mark.parametrize("query", ["", "?tier=gold"])
async def test_without_a_catalog_the_list_says_so(query):
    found = await World(catalog=NEVER).ask("/api/v1/models" + query)
    assert (found.status, found.json) == (503, {"code": 50300, "message": "admin-bff not available"})
    assert found.headers["cache-control"] == "no-store"
    assert "etag" not in found.headers


@pytest.mark.parametrize("path", ["/api/v1/models/meta", "/api/v1/pricing"])
async def test_without_a_catalog_its_other_pages_say_so_too(path):
    found = await World(catalog=NEVER).ask(path, key=GOOD)
    assert (found.status, found.json) == (503, {"code": 50300, "message": "admin-bff not available"})


# ── asking again ──────────────────────────────────────────────────────────────────────────────────────────────────────

KNOWN = [
    ("{}", 304),
    ("W/{}", 304),
    ('"other", {}', 304),
    ("*", 304),
    ('"other"', 200),
    ("", 200),
    ("garbage,,", 200),
]


@pytest.mark.parametrize(("header", "status"), KNOWN)
async def test_a_caller_who_has_the_answer_is_not_sent_it_again(header, status):
    world = World(*MODELS)
    first = await world.ask("/api/v1/models")
    again = await world.ask("/api/v1/models", headers={"If-None-Match": header.format(first.headers["etag"])})
    assert again.status == status
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == "no-cache"
    assert again.body == (b"" if status == 304 else first.body)


async def test_the_tag_changes_with_what_is_seen_and_with_nothing_else():
    world = World(*MODELS)
    first = await world.ask("/api/v1/models")
    filtered = await world.ask("/api/v1/models?tier=economy")
    assert filtered.headers["etag"] != first.headers["etag"]
    world.catalog = make_catalog(*MODELS, generation=8)  # a key was changed somewhere
    assert (await world.ask("/api/v1/models")).headers["etag"] == first.headers["etag"]
    world.catalog = make_catalog(*MODELS[1:], generation=9)
    changed = await world.ask("/api/v1/models", headers={"If-None-Match": first.headers["etag"]})
    assert keys_of(changed) == ALL[1:]
    assert changed.headers["etag"] != first.headers["etag"]


async def test_a_new_catalog_shows_on_every_page_at_once():
    world = World()
    assert keys_of(await world.ask("/api/v1/models")) == []
    world.catalog = make_catalog(make_model("acme/new", scenarios=("law",)), generation=8, usd_per_credit={})
    assert keys_of(await world.ask("/api/v1/models")) == ["acme/new"]
    meta = (await world.ask("/api/v1/models/meta", key=GOOD)).json["data"]
    assert meta["industryPacks"] == [{"value": "law", "label": "Law"}]
    assert (await world.ask("/api/v1/pricing", key=GOOD)).json["data"]["tiers"] == []


@dataclass
class Kept:
    listings: int
    size: int


def kept(shelf):
    return Kept(len(shelf._listings), sum(len(listing.body) for listing in shelf._listings.values()))


def test_what_is_remembered_is_bounded_whatever_is_asked():
    scenarios = tuple(f"pack-{i}" for i in range(12))
    shelf = Shelf(make_catalog(make_model("acme/all", scenarios=scenarios)))
    for i in range(1, 2**10):
        asked = frozenset(name for bit, name in enumerate(scenarios) if i >> bit & 1)
        assert b"acme/all" in shelf.listing(Filter(industry_packs=asked)).body
    assert kept(shelf).listings == ANSWERS_CACHED_MAX
    for i in range(1000):
        shelf.listing(Filter(provider=f"nobody-{i}"))
        shelf.listing(Filter(industry_packs=frozenset(("pack-0", f"nothing-{i}"))))
    assert not any(wanted.provider for wanted in shelf._listings)
    assert not any("nothing" in name for wanted in shelf._listings for name in wanted.industry_packs)


def test_what_is_remembered_is_bounded_in_bytes():
    large = make_model("acme/large", description="x" * (ANSWERS_CACHED_BYTES_MAX // 4), scenarios=("a", "b", "c"))
    shelf = Shelf(make_catalog(large))
    for pack in ("a", "b", "c"):
        for tier in (None, "standard"):
            shelf.listing(Filter(pack=pack, tier=tier))
    assert kept(shelf).listings == 3
    assert kept(shelf).size == shelf._bytes <= ANSWERS_CACHED_BYTES_MAX


# ── meta and pricing ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_meta_names_what_can_be_filtered_by():
    found = await World(*MODELS).ask("/api/v1/models/meta", key=GOOD)
    assert (found.status, found.json["code"], found.json["message"]) == (200, 0, "success")
    meta = found.json["data"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", meta.pop("updatedAt"))
    for options in meta.values():
        assert all(option.keys() == {"value", "label"} and option["label"] for option in options)
    assert {name: [option["value"] for option in options] for name, options in meta.items()} == {
        "tiers": ["economy", "standard", "premium"],
        "skus": ["lock", "spot", "auction", "first"],
        "featureTags": ["chat", "code"],
        "industryPacks": ["law", "office", "software"],
        "providers": ["acme", "bolt"],
    }


async def test_every_value_of_meta_finds_the_models_that_have_it():
    world = World(*MODELS)
    meta = (await world.ask("/api/v1/models/meta", key=GOOD)).json["data"]
    for name, parameter in (("featureTags", "feature_tag"), ("industryPacks", "pack"), ("providers", "provider")):
        for option in meta[name]:
            assert keys_of(await world.ask(f"/api/v1/models?{parameter}={option['value']}"))


async def test_a_tag_of_ones_own_is_offered_beside_the_known():
    found = await World(make_model("acme/x", tags=("night_rate",))).ask("/api/v1/models/meta", key=GOOD)
    assert found.json["data"]["skus"][-1] == {"value": "night_rate", "label": "Night rate"}


async def test_pricing_in_full():
    found = await World(*MODELS).ask("/api/v1/pricing", key=GOOD)
    assert (found.status, found.json["code"], found.json["message"]) == (200, 0, "success")
    pricing = found.json["data"]
    assert pricing.keys() == {"tiers", "skus", "currentVersion", "updatedAt"}
    rows = [(t["code"], t["name"], t["usdPerCredit"], t["creditsPerUsd"], t["sortOrder"]) for t in pricing["tiers"]]
    assert rows == [
        ("economy", "Economy", "0.001", "1000", 1),
        ("standard", "Standard", "0.002", "500", 2),
        ("premium", "Premium", "0.005", "200", 3),
    ]
    for tier in pricing["tiers"]:
        assert tier["unit"] == "USD/Credit"
        assert tier["updatedAt"] == pricing["updatedAt"]
        assert isinstance(tier["rateVersion"], str)
        assert isinstance(tier["description"], str)
    assert [sku["code"] for sku in pricing["skus"]] == ["lock", "spot", "auction", "first"]
    assert all(sku.keys() == {"code", "name", "description"} for sku in pricing["skus"])


async def test_the_version_of_a_rate_changes_with_the_rate_and_with_nothing_else():
    async def versions(catalog):
        pricing = (await World(catalog=catalog).ask("/api/v1/pricing", key=GOOD)).json["data"]
        return pricing["currentVersion"], {tier["code"]: tier["rateVersion"] for tier in pricing["tiers"]}

    before, tiers = await versions(make_catalog())
    assert await versions(make_catalog(*MODELS, generation=8)) == (before, tiers)
    rates = make_catalog().usd_per_credit | {"premium": NANO // 100}
    after, changed = await versions(make_catalog(usd_per_credit=rates))
    assert after != before
    assert {tier for tier in tiers if tiers[tier] != changed[tier]} == {"premium"}


@pytest.mark.parametrize(("nanousd", "text"), [(0, "0"), (NANO, "1"), (3 * NANO, "0.333333333"), (1, "1000000000")])
def test_credits_for_a_dollar(nanousd, text):
    assert credits_per_usd(nanousd) == text


@given(st.integers(1, 10**12))
def test_a_dollar_never_buys_more_than_it_is_worth(nanousd):
    bought = Decimal(credits_per_usd(nanousd)) * nanousd
    assert 0 <= NANO - bought < Decimal(nanousd) / NANO
