"""Which of the models that could serve a request should: price, capability and measured latency, each from 0 to 1."""

from math import log1p

from joytoken.domain.money import NANO
from joytoken.routing.candidates import Served
from joytoken.routing.health import Health
from joytoken.routing.options import RoutingOptions


def rank(candidates: list[Served], health: Health, options: RoutingOptions) -> list[tuple[float, Served]]:
    """The candidates with their scores, best first; equal scores in the order of their names."""
    # Prices of one tier span two orders of magnitude, so that they are compared by their logarithm.
    prices = [log1p(served.price / NANO) for served in candidates]
    least = min(prices, default=0.0)
    span = max(prices, default=0.0) - least
    weights = options.weight_price + options.weight_capability + options.weight_latency
    scored = []
    for served, price in zip(candidates, prices, strict=True):
        cheap = 1 - (price - least) / span if span else 1.0
        total = options.weight_price * cheap
        total += options.weight_capability * capability(served, options)
        total += options.weight_latency * swiftness(served, health, options)
        scored.append((round(total / weights, 4) if weights else 0.0, served))
    scored.sort(key=lambda pair: (-pair[0], pair[1].name))
    return scored


def capability(served: Served, options: RoutingOptions) -> float:
    """The public quality score as a share of 1; the operator's stand-in where there is none."""
    mci = served.model.mci_score
    return min(max(options.capability_unknown if mci is None else mci, 0.0), 100.0) / 100


def swiftness(served: Served, health: Health, options: RoutingOptions) -> float:
    """How soon the first byte comes, by the average over the model's deployments as their weights share the calls."""
    total = weight = 0.0
    for choice in served.choices:
        ms = health.latency_ms(choice.deployment.deployment_id)
        if ms is not None:
            share = max(choice.deployment.weight, 1)
            total += ms * share
            weight += share
    if not weight:
        return 0.5
    return options.latency_half_ms / (options.latency_half_ms + total / weight)
