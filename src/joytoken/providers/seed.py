"""What a fresh catalog is filled with: the models of a vendor with their prices, and the three of the echo provider.

Prices come from the package genai-prices as it is installed, without a network; it is asked once, when a provider is
added, and never while a request is served. What a model can do comes from `families.toml`, its score from `mci.toml`.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any, Final

import msgspec

from joytoken.domain.catalog import Deployment, Model, Provider, Tokenizer
from joytoken.domain.money import NANO, ceil_div
from joytoken.domain.price import Price, Rates, Step
from joytoken.domain.tier import ECONOMY, PREMIUM, STANDARD, Tier
from joytoken.providers.presets import Preset

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

PRICES_PACKAGE: Final = "genai-prices"
ECHO: Final = "echo"
_BPS: Final = 10_000
# Priced by the token, and yet not for conversations; ":" marks variants of a model and fine-tuned ones.
_NOT_CHAT: Final = re.compile(
    r"[:@]|-$|embed|tts|transcribe|whisper|moderation|image|realtime|-live|live-|\bocr|-ocr|guard|orpheus|rerank|decider"
    r"|^(ada|babbage|curie|davinci|text-davinci|computer-use)|turbo-instruct|-batch$",
    re.IGNORECASE,
)
# Our rate, and what genai-prices calls it.
_RATES: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "reasoning": "output_reasoning_mtok",
}


class SeedRules(msgspec.Struct, frozen=True, kw_only=True):
    """How a vendor's prices become credits and tiers. Money in nano-dollars.

    A model's band is the price of a million tokens, three parts input to one part output: up to `economy_usd_max` it is
    economy, up to `standard_usd_max` standard, above that premium.
    """

    usd_per_credit: Mapping[Tier, int]
    markup_bps: int = 0  # added to the price in credits, in hundredths of a percent
    economy_usd_max: int = 1 * NANO
    standard_usd_max: int = 7 * NANO + NANO // 2

    def tier(self, usd: Rates) -> Tier:
        """The tier of a model that costs so much, in nano-dollars a million tokens."""
        blended = ceil_div(3 * usd.input + usd.output, 4)
        if blended <= self.economy_usd_max:
            return ECONOMY
        return STANDARD if blended <= self.standard_usd_max else PREMIUM

    def credits(self, usd: Rates, tier: Tier) -> Rates:
        """The customer's rates in nanocredits for a cost in nano-dollars, each rounded up once, the markup included."""
        divisor = self.usd_per_credit[tier] * _BPS

        def exchanged(nanousd: int) -> int:
            return ceil_div(nanousd * NANO * (_BPS + self.markup_bps), divisor)

        rates = {name: getattr(usd, name) for name in (*_RATES, "request")}
        return msgspec.convert({name: None if rate is None else exchanged(rate) for name, rate in rates.items()}, Rates)


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of `families.toml`."""

    match: tuple[str, ...]
    features: tuple[str, ...]
    tokenizer: Tokenizer | None = None
    output_tokens_max: int | None = None


_STRANGER: Final = Family(match=(), features=("chat",))


@cache
def families() -> tuple[Family, ...]:
    """The shipped families, in the order in which they are asked."""
    return msgspec.convert(_shipped("families.toml")["family"], tuple[Family, ...])


def family_of(name: str) -> Family:
    """The family of a model by its name; one that can chat and no more where there is none."""
    segment = _segment(name)
    return next((f for f in families() if any(fnmatchcase(segment, p) for p in f.match)), _STRANGER)


@cache
def mci_scores() -> dict[str, float]:
    """The shipped quality scores, by the last segment of a model's name in lower case."""
    return {name: float(row["score"]) for row in _shipped("mci.toml")["model"] for name in row["names"]}


def prices_source() -> str:
    """Where seeded prices come from, with its version: ``genai-prices 0.2.3``."""
    return f"{PRICES_PACKAGE} {metadata.version(PRICES_PACKAGE)}"


def seed_models(preset: Preset, rules: SeedRules, at: datetime) -> list[Model]:
    """The models that a vendor serves, with the prices that hold at this time (aware of its zone), ordered by name.

    Each has one deployment at the preset's provider. Left out are models without a price for input and output tokens,
    those that are not for conversations, and those that the vendor gave up. Raises ValueError where the preset names
    a provider that genai-prices does not know.
    """
    if preset.prices is None:
        return []
    # Deferred: it takes a tenth of a second and eleven megabytes, and only this function needs it.
    from genai_prices.data_snapshot import get_snapshot

    source = next((p for p in get_snapshot().providers if p.id == preset.prices), None)
    if source is None:
        raise ValueError(f"{prices_source()} knows no provider {preset.prices!r}")
    models = [_model(preset, info, rules, at) for info in source.models if _wanted(preset, info)]
    return sorted((m for m in models if m is not None), key=lambda m: m.name)


def _wanted(preset: Preset, info: "ModelInfo") -> bool:
    return (
        not info.deprecated
        and not _NOT_CHAT.search(info.id)
        and any(fnmatchcase(info.id, pattern) for pattern in preset.models)
        and not any(fnmatchcase(info.id, pattern) for pattern in preset.skip)
    )


def _model(preset: Preset, info: "ModelInfo", rules: SeedRules, at: datetime) -> Model | None:
    priced = _dearest(info, at)
    if priced is None:
        return None
    usd, usd_steps = priced
    tier = rules.tier(usd)
    name = f"{preset.name}/{info.id}"
    family = family_of(name)
    return Model(
        name=name,
        tier=tier,
        price=Price(
            price_id="",  # the store names a price by its rates
            credits=rules.credits(usd, tier),
            cost_usd=usd,
            steps=tuple(Step(step.over_tokens, rules.credits(step.rates, tier)) for step in usd_steps),
            cost_steps=usd_steps,
        ),
        display_name=info.name or _segment(info.id),
        vendor=preset.name,
        features=family.features,
        description=(info.description or "").strip(),
        context_tokens=info.context_window,
        output_tokens_max=family.output_tokens_max,
        mci_score=mci_scores().get(_segment(name)),
        tokenizer=family.tokenizer,
        deployments=(
            Deployment(
                deployment_id=name, model=name, provider=preset.name, upstream_model=preset.upstream_prefix + info.id
            ),
        ),
    )


def _dearest(info: "ModelInfo", at: datetime) -> tuple[Rates, tuple[Step, ...]] | None:
    """The rates in nano-dollars that hold at a date; of those that hold at different hours, the dearest."""
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

    if isinstance(info.prices, ModelPrice):
        held = [info.prices]
    else:
        dated = [
            p.prices
            for p in info.prices
            if p.constraint is None or (isinstance(p.constraint, StartDateConstraint) and p.constraint.active(at))
        ]
        held = [p.prices for p in info.prices if isinstance(p.constraint, TimeOfDateConstraint)] + dated[-1:]
    priced = [rates for rates in map(_rates, held) if rates is not None]
    return max(priced, key=lambda rates: 3 * rates[0].input + rates[0].output, default=None)


def _rates(price: "ModelPrice") -> tuple[Rates, tuple[Step, ...]] | None:
    values: dict[str, Decimal | TieredPrices | None] = {k: getattr(price, name, None) for k, name in _RATES.items()}
    if values["input"] is None or values["output"] is None:
        return None
    request = _nano(getattr(price, "requests_kcount", None) or Decimal(0), per=1000)
    starts = sorted({tier.start for value in values.values() for tier in getattr(value, "tiers", ())})

    def rates(over: int) -> Rates:
        found = {ours: _at(value, over) for ours, value in values.items()}
        return msgspec.convert({**found, "request": request}, Rates)

    return rates(-1), tuple(Step(start, rates(start)) for start in starts)


def _at(value: "Decimal | TieredPrices | None", over: int) -> int | None:
    """A price past a long-context step, in nano-dollars: one number, or a base with steps of its own."""
    if value is None or isinstance(value, Decimal):
        return None if value is None else _nano(value)
    reached = [tier.price for tier in value.tiers if tier.start <= over]
    return _nano(reached[-1] if reached else value.base)


def _nano(usd: Decimal, per: int = 1) -> int:
    scaled = usd * NANO / per
    return int(scaled.to_integral_value(rounding="ROUND_CEILING"))


def _segment(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _shipped(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))


# ── the built-in provider ─────────────────────────────────────────────────────────────────────────────────────────────


def echo_provider() -> Provider:
    """The provider that answers without any vendor, so that a fresh gateway can be tried at once."""
    return Provider(name=ECHO, kind=ECHO)


def echo_models() -> list[Model]:
    """One model for each tier, at small prices, so that wallets, limits and receipts can be seen at work."""
    return [
        _echo(
            "echo-mini",
            ECONOMY,
            (10, 40),
            "Echo mini",
            "Repeats what it is told, at once and for next to nothing. For first steps and tests.",
            "原样复述收到的内容,响应即时,价格极低。适合入门与测试。",
        ),
        _echo(
            "echo",
            STANDARD,
            (75, 300),
            "Echo",
            "Repeats what it is told, at the price of a standard model. For trying out budgets and limits.",
            "原样复述收到的内容,按标准模型计价。适合试用预算与限额。",
        ),
        _echo(
            "echo-max",
            PREMIUM,
            (300, 1200),
            "Echo max",
            "Repeats what it is told, at the price of a premium model. For trying out tiers and fallbacks.",
            "原样复述收到的内容,按高级模型计价。适合试用档位与回退。",
        ),
    ]


def _echo(short: str, tier: Tier, mtok: tuple[int, int], title: str, english: str, chinese: str) -> Model:
    name = f"{ECHO}/{short}"
    return Model(
        name=name,
        tier=tier,
        price=Price(price_id="", credits=Rates(mtok[0] * NANO, mtok[1] * NANO), cost_usd=Rates(0, 0)),
        display_name=title,
        aliases=(short,),
        vendor=ECHO,
        features=("chat", "tools", "vision", "json_schema"),
        description=english,
        description_zh=chinese,
        context_tokens=128_000,
        deployments=(Deployment(deployment_id=name, model=name, provider=ECHO, upstream_model=short),),
    )
