"""The models that come with a vendor, written into the catalog."""

from datetime import UTC, datetime

from msgspec.structs import replace

from joytoken.admin.desk import Desk
from joytoken.admin.times import SECOND_US
from joytoken.domain.catalog import Deployment, Model
from joytoken.domain.money import parse_amount
from joytoken.providers.presets import Preset
from joytoken.providers.seed import SeedRules, seed_models


def seed_provider(desk: Desk, provider: str, preset: Preset) -> list[str]:
    """Add a vendor's models with their prices behind a provider; returns the names of those that are new.

    A model that is there already keeps its price and all that was set by hand, and gains the deployment.
    """
    worth, settings = desk.store.catalog.usd_per_credit(), desk.settings
    rules = SeedRules(
        usd_per_credit={**settings.usd_per_credit, **{tier: nano for tier, nano in worth.items() if nano > 0}},
        markup_bps=settings.money.markup_bps,
        economy_usd_max=parse_amount(settings.routing.economy_usd_max),
        standard_usd_max=parse_amount(settings.routing.standard_usd_max),
    )
    known = {model.name: model for model in desk.store.catalog.models()}
    taken = {alias for model in known.values() for alias in model.aliases}
    seeded = []
    for made in seed_models(preset, rules, datetime.fromtimestamp(desk.now_us() / SECOND_US, UTC)):
        name = f"{provider}/{made.name.partition('/')[2]}" if provider != preset.name else made.name
        model = _behind(provider, name, made)
        if model.name in known:
            has = {(d.provider, d.upstream_model) for d in known[model.name].deployments}
            for deployment in model.deployments:
                if (deployment.provider, deployment.upstream_model) not in has:
                    desk.store.catalog.put_deployment(deployment)
        elif model.name not in taken:
            desk.store.catalog.put_model(model)
            seeded.append(model.name)
    return seeded


def _behind(provider: str, name: str, model: Model) -> Model:
    deployments = tuple(
        Deployment(name, name, provider, deployment.upstream_model, deployment.weight)
        for deployment in model.deployments
    )
    return replace(model, name=name, deployments=deployments)
