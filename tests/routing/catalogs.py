"""Small catalogs, a clock that is moved by hand, and a router over them."""

import msgspec

from joytoken.domain.catalog import Catalog, Deployment, Model, Provider
from joytoken.domain.money import NANO
from joytoken.domain.price import Price, Rates
from joytoken.routing import Health, Router, RoutingOptions


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def model(name, tier="standard", *, price=10, on=1, weights=None, **fields):
    """A model of `price` credits a million tokens with `on` deployments, named after it: ``name#0``, ``name#1``…"""
    weights = weights or (1,) * on
    deployments = tuple(
        Deployment(f"{name}#{i}", name, f"provider-{i}", "upstream", weight) for i, weight in enumerate(weights)
    )
    fields.setdefault("features", ("chat", "tools", "vision", "json_schema"))
    rates = Rates(int(price * NANO), int(price * NANO))
    return Model(name, tier, Price("price-0", rates), deployments=deployments, **fields)


def echo(name, tier="standard", **fields):
    """A model of the built-in provider, cheaper than all others."""
    deployment = Deployment(f"{name}#echo", name, "echo", "echo")
    return msgspec.structs.replace(model(name, tier, price=0, **fields), deployments=(deployment,))


def catalog(*models, off_providers=()):
    providers = {
        f"provider-{i}": Provider(f"provider-{i}", "openai", enabled=f"provider-{i}" not in off_providers)
        for i in range(4)
    }
    providers["echo"] = Provider("echo", "echo")
    return Catalog(1, providers, {m.name: m for m in models}, {})


class World:
    """A router whose catalog, clock and health a test can change."""

    def __init__(self, *models, options=None, off_providers=()):
        self.options = options or RoutingOptions()
        self.clock = Clock()
        self.health = Health(self.options, self.clock)
        self.catalog = catalog(*models, off_providers=off_providers)
        self.router = Router(lambda: self.catalog, self.health, self.options)
        self.plan = self.router.plan
        self.explain = self.router.explain

    def break_down(self, deployment):
        for _ in range(self.options.breaker_failures):
            self.health.failed(deployment, 500)


def names(plan):
    return [choice.model.name for choice in plan.choices]


def called(plan):
    return [choice.deployment.deployment_id for choice in plan.choices]
