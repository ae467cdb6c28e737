import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.types import Tier as PriceTier
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.catalog import FEATURES
from joytoken.domain.money import NANO
from joytoken.domain.price import Rates, Step
from joytoken.domain.tier import TIERS
from joytoken.domain.usage import Usage
from joytoken.providers import seed
from joytoken.providers.presets import Preset, presets
from joytoken.providers.seed import (
    SeedRules,
    echo_models,
    echo_provider,
    families,
    family_of,
    mci_scores,
    prices_source,
    seed_models,
)

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = SeedRules(usd_per_credit={"economy": NANO // 1000, "standard": 2 * NANO // 1000, "premium": 5 * NANO // 1000})
ALL = presets()


def usd(text):
    return int(Decimal(text) * NANO)


def info(prices, **fields):
    return ModelInfo(id="m", match=ClauseEquals("m"), prices=prices, **fields)


def price(input_mtok, output_mtok, **more):
    values = {name: Decimal(value) if isinstance(value, str) else value for name, value in more.items()}
    return ModelPrice(input_mtok=_decimal(input_mtok), output_mtok=_decimal(output_mtok), **values)


def _decimal(value):
    return Decimal(value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def openai():
    return {model.name: model for model in seed_models(ALL["openai"], RULES, AT)}


# ── the real data ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("openai/gpt-4o-mini", "economy"),
        ("openai/gpt-4.1-nano", "economy"),
        ("openai/gpt-4o", "standard"),
        ("openai/gpt-4.1", "standard"),
        ("openai/o1", "premium"),
        ("openai/o1-pro", "premium"),
    ],
)
def test_the_band_of_well_known_models(openai, name, tier):
    assert openai[name].tier == tier


def test_opus_is_premium_and_sonnet_is_standard():
    models = {model.name: model.tier for model in seed_models(ALL["anthropic"], RULES, AT)}
    assert models["anthropic/claude-opus-4-1"] == "premium"
    assert models["anthropic/claude-sonnet-4-5"] == "standard"


def test_a_seeded_model_is_complete(openai):
    mini = openai["openai/gpt-4o-mini"]
    assert mini.price.cost_usd == Rates(usd("0.15"), usd("0.6"), cache_read=usd("0.075"))
    assert mini.price.credits == Rates(150 * NANO, 600 * NANO, cache_read=75 * NANO)
    assert (mini.vendor, mini.tokenizer, mini.context_tokens) == ("openai", "o200k_base", 128_000)
    assert {"chat", "tools", "vision", "json_schema"} <= set(mini.features)
    assert [(d.provider, d.upstream_model) for d in mini.deployments] == [("openai", "gpt-4o-mini")]


@pytest.mark.parametrize("name", [name for name, preset in ALL.items() if preset.prices])
def test_every_preset_seeds_models_that_hold_together(name):
    models = seed_models(ALL[name], RULES, AT)
    assert models
    assert [m.name for m in models] == sorted({m.name for m in models})
    known = {info.id: info for p in get_snapshot().providers if p.id == ALL[name].prices for info in p.models}
    for model in models:
        upstream = model.deployments[0].upstream_model.removeprefix(ALL[name].upstream_prefix)
        assert not known[upstream].deprecated
        assert model.price.cost_usd.input >= 0
        assert model.price.credits.output >= 0
        assert set(model.features) <= set(FEATURES)
        assert [s.over_tokens for s in model.price.steps] == sorted(s.over_tokens for s in model.price.cost_steps)
        assert not any(word in upstream for word in ("embed", "whisper", "tts", "realtime", "image", ":"))


def test_credits_are_worth_what_the_provider_costs(openai):
    usage = Usage(1_000_000, 1_000_000)
    for model in openai.values():
        paid = model.price.charge(usage) * RULES.usd_per_credit[model.tier]
        cost = model.price.provider_cost(usage) * NANO
        assert 0 <= paid - cost < 10 * RULES.usd_per_credit[model.tier] * 2


def test_a_vendor_with_long_names_is_called_by_them():
    model = next(m for m in seed_models(ALL["fireworks"], RULES, AT) if m.name == "fireworks/gpt-oss-120b")
    assert model.deployments[0].upstream_model == "accounts/fireworks/models/gpt-oss-120b"


def test_a_local_server_has_no_prices_to_seed():
    assert seed_models(ALL["ollama"], RULES, AT) == []


def test_a_preset_of_unknown_prices_is_refused():
    with pytest.raises(ValueError, match="no provider 'nobody'"):
        seed_models(Preset(name="n", title="N", base_url="https://n.test", prices="nobody"), RULES, AT)


def test_the_source_names_its_version():
    assert prices_source().startswith("genai-prices 0.")


def test_the_price_package_is_loaded_by_seeding_alone():
    code = (
        "import sys, joytoken.providers.seed as s\n"
        "s.echo_models(); s.family_of('x'); s.mci_scores(); s.prices_source()\n"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ── prices of every shape ─────────────────────────────────────────────────────────────────────────────────────────────


def test_long_context_prices_become_steps():
    tiered = TieredPrices(Decimal(2), [PriceTier(200_000, Decimal(4))])
    later = TieredPrices(Decimal(10), [PriceTier(200_000, Decimal(15)), PriceTier(500_000, Decimal(30))])
    rates, steps = seed._dearest(info(price(tiered, later, cache_read_mtok="0.2")), AT)
    assert rates == Rates(usd("2"), usd("10"), cache_read=usd("0.2"))
    assert steps == (
        Step(200_000, Rates(usd("4"), usd("15"), cache_read=usd("0.2"))),
        Step(500_000, Rates(usd("4"), usd("30"), cache_read=usd("0.2"))),
    )


@pytest.mark.parametrize(("day", "expected"), [(1, "5"), (10, "3"), (30, "3")])
def test_a_dated_price_holds_from_its_date(day, expected):
    prices = [
        ConditionalPrice(prices=price("5", "25")),
        ConditionalPrice(StartDateConstraint(date(2026, 11, 10)), prices=price("3", "15")),
    ]
    rates, _ = seed._dearest(info(prices), datetime(2026, 11, day, tzinfo=UTC))
    assert rates.input == usd(expected)


def test_of_prices_by_the_hour_the_dearest_holds():
    at_night = datetime(2026, 11, 22, 23, tzinfo=UTC)
    day = TimeOfDateConstraint(at_night.replace(hour=1).timetz(), at_night.replace(hour=10).timetz())
    prices = [ConditionalPrice(prices=price("1", "2")), ConditionalPrice(day, prices=price("3", "6"))]
    assert seed._dearest(info(prices), at_night)[0].input == usd("3")


@pytest.mark.parametrize(
    "prices", [ModelPrice(), ModelPrice(input_mtok=Decimal(1)), ModelPrice(audio_hours=Decimal(3))]
)
def test_a_model_without_token_prices_is_left_out(prices):
    assert seed._dearest(info(prices), AT) is None


def test_a_fee_for_each_request_and_odd_fractions():
    rates, _ = seed._dearest(info(price("0.0000000001", "1", requests_kcount="12", output_reasoning_mtok="3")), AT)
    assert rates == Rates(1, NANO, reasoning=usd("3"), request=usd("0.012"))


@pytest.mark.parametrize(
    ("id_", "wanted"),
    [
        ("gpt-4o", True),
        ("gpt-4o:extended", False),
        ("ft:gpt-4o", False),
        ("gpt-4o-mini-2024-07-18.ft-", False),
        ("text-embedding-3-small", False),
        ("mistral-ocr-2512", False),
        ("llama-guard-4-12b", False),
        ("gpt-4o-mini-tts", False),
        ("gpt-3.5-turbo-instruct", False),
        ("text-davinci-003", False),
        ("meta-llama/llama-3-8b-instruct", True),
    ],
)
def test_only_models_for_conversations_are_wanted(id_, wanted):
    anyone = Preset(name="n", title="N", base_url="https://n.test")
    model = ModelInfo(id=id_, match=ClauseEquals(id_), prices=price("1", "1"))
    assert seed._wanted(anyone, model) is wanted
    assert not seed._wanted(anyone, ModelInfo(id=id_, match=model.match, prices=model.prices, deprecated=True))
    assert not seed._wanted(msgspec.structs.replace(anyone, skip=("*",)), model)


@given(
    st.integers(0, 10**13),
    st.integers(1, 10**10),
    st.integers(0, 100_000),
    st.sampled_from(TIERS),
)
def test_credits_are_rounded_up_once(nanousd, per_credit, bps, tier):
    rules = SeedRules(usd_per_credit=dict.fromkeys(TIERS, per_credit), markup_bps=bps)
    rate = rules.credits(Rates(nanousd, 0), tier).input
    exact = Decimal(nanousd) * NANO * (10_000 + bps)
    assert (rate - 1) * per_credit * 10_000 < exact <= rate * per_credit * 10_000


@pytest.mark.parametrize(
    ("input_usd", "output_usd", "tier"),
    [
        ("0", "0", "economy"),
        ("1", "1", "economy"),
        ("1", "1.000000001", "standard"),
        ("7.5", "7.5", "standard"),
        ("7.5", "7.6", "premium"),
    ],
)
def test_the_edges_of_the_bands(input_usd, output_usd, tier):
    assert RULES.tier(Rates(usd(input_usd), usd(output_usd))) == tier


# ── shipped tables ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "tokenizer"),
    [
        ("openai/gpt-4o-mini", "o200k_base"),
        ("openai/gpt-5-nano", "o200k_base"),
        ("openai/o3-mini", "o200k_base"),
        ("openai/gpt-4-turbo", "cl100k_base"),
        ("openai/gpt-3.5-turbo", "cl100k_base"),
        ("groq/openai/gpt-oss-20b", "o200k_harmony"),
        ("groq/llama-3.1-8b-instant", "llama3"),
        ("groq/meta-llama/llama-4-scout-17b-16e-instruct", None),
        ("groq/qwen/qwen3-32b", "qwen3"),
        ("anthropic/claude-opus-4-1", None),
        ("gemini/gemini-2.5-pro", None),
        ("perplexity/sonar-deep-research", None),
        ("nobody/knows", None),
    ],
)
def test_the_tokenizer_of_a_family(name, tokenizer):
    assert family_of(name).tokenizer == tokenizer


def test_a_stranger_can_chat_and_nothing_else_is_promised():
    assert family_of("nobody/knows").features == ("chat",)


@pytest.mark.parametrize("name", ["openai/o1-pro", "openai/gpt-audio-mini", "openai/gpt-4o-search-preview"])
def test_models_for_other_things_than_conversations_are_nothing_for_auto(name):
    assert "chat" not in family_of(name).features


def test_families_use_the_catalogs_words():
    assert all(set(family.features) <= set(FEATURES) for family in families())


def test_scores_are_on_the_scale_and_in_lower_case():
    scores = mci_scores()
    assert len(scores) > 29
    assert all(0 < score < 100 and name == name.lower() and "/" not in name for name, score in scores.items())
    assert scores["llama-3.1-8b-instant"] == scores["meta-llama-3.1-8b-instruct-turbo"] == 44.19
    assert "gpt-4o" not in scores


def test_a_known_score_reaches_the_model_and_an_unknown_one_stays_unknown(openai):
    groq = {model.name: model.mci_score for model in seed_models(ALL["groq"], RULES, AT)}
    assert groq["groq/llama-3.1-8b-instant"] == 44.19
    assert openai["openai/gpt-4o"].mci_score is None


# ── echo ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_echo_has_one_model_in_each_tier():
    models = echo_models()
    assert [(m.name, m.tier, m.aliases) for m in models] == [
        ("echo/echo-mini", "economy", ("echo-mini",)),
        ("echo/echo", "standard", ("echo",)),
        ("echo/echo-max", "premium", ("echo-max",)),
    ]
    for model in models:
        assert model.features == ("chat", "tools", "vision", "json_schema")
        assert (model.context_tokens, model.tokenizer) == (128_000, None)
        assert model.description
        assert model.description_zh
        assert not model.price.free
        assert model.price.provider_cost(Usage(10, 10)) == 0
        assert [d.provider for d in model.deployments] == [echo_provider().name]
    assert [m.price.charge(Usage(1_000_000, 1_000_000)) // NANO for m in models] == [50, 375, 1500]
