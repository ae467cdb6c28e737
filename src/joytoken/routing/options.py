"""The knobs of routing, each with a name, a unit and a default."""

import msgspec

from joytoken.config.settings import Settings
from joytoken.domain.tier import DEFAULT_TIER, Tier


class RoutingOptions(msgspec.Struct, frozen=True):
    """What an operator can turn. Times are milliseconds, percentages whole numbers, weights relative to their sum."""

    default_model: str = ""  # what an omitted model means; "" or "auto": routing decides
    default_tier: Tier = DEFAULT_TIER  # of an unspecific request, where the key allows it
    choices_max: int = 4  # deployments in one plan
    candidates_explained_max: int = 20  # candidates listed one by one in a receipt
    plans_cached_max: int = 4096
    output_tokens_min: int = 256  # room that must be left for an answer in a model's context
    weight_price: float = 0.4
    weight_capability: float = 0.4
    weight_latency: float = 0.2
    capability_unknown: float = 50.0  # stands in for a missing quality score, on the 100-point scale
    latency_half_ms: float = 1000.0  # a first byte after this long scores 0.5; so does one never measured
    breaker_failures: int = 5  # consecutive failures that open a circuit
    breaker_percent: int = 50  # … or this share of failures within the window,
    breaker_calls_min: int = 20  # once the window holds so many calls
    breaker_window_ms: int = 30_000
    breaker_open_ms: int = 15_000  # the first pause; each failed probe doubles it
    breaker_open_ms_max: int = 240_000
    latency_alpha: float = 0.2  # weight of the newest first-byte time in the moving average
    latency_shift_percent: int = 20  # plans are made anew when an average moved by more than this,
    latency_shift_ms_min: float = 5.0  # and by more than this: microseconds of a local server are noise


def options_from(settings: Settings) -> RoutingOptions:
    """The options that an operator's settings ask for, by the same names; what has no setting keeps its default."""
    chosen = msgspec.structs.asdict(settings.routing)
    chosen |= {"default_model": settings.gateway.default_model, "default_tier": settings.gateway.default_tier}
    return RoutingOptions(**{name: chosen[name] for name in RoutingOptions.__struct_fields__ if name in chosen})
