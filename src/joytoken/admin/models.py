"""Models and their deployments: what can be called, through whom, at what price."""

from typing import Any

import msgspec
from msgspec.structs import replace

from joytoken.admin.desk import Desk
from joytoken.admin.prices import PriceDocument, PriceFields, price_document, price_from
from joytoken.domain.catalog import FEATURES, Deployment, Model, Tokenizer
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.domain.price import MTOK, Price, Rates
from joytoken.domain.tier import DEFAULT_TIER, TIERS, Tier, parse_tier
from joytoken.routing.candidates import AUTO

NAME_CHARS_MAX = 200
WEIGHT_MAX = 1000
_PLAIN = ("display_name", "vendor", "description", "description_zh", "tokenizer", "enabled")
_LISTS = ("aliases", "tags", "scenarios")


class ModelFields(PriceFields, kw_only=True):
    """What may be said of a model."""

    tier: str | None = None
    context_tokens: int | None = None
    output_tokens_max: int | None = None
    features: list[str] | None = None
    aliases: list[str] | None = None
    tags: list[str] | None = None
    scenarios: list[str] | None = None
    display_name: str | None = None
    vendor: str | None = None
    description: str | None = None
    description_zh: str | None = None
    mci_score: float | None = None
    tokenizer: Tokenizer | None = None
    enabled: bool | None = None


class ModelAdd(ModelFields, kw_only=True, forbid_unknown_fields=True):
    """A model behind a provider. For a model that is there already this adds a deployment, and what else is said."""

    name: str
    provider: str
    upstream: str | None = None  # the model's name at the provider; without it, the public name
    weight: int = 1  # share of the calls among the deployments of the model


class ModelUpdate(ModelFields, kw_only=True, forbid_unknown_fields=True):
    """Changes of a model; what is left out stays."""

    name: str


class ModelRemove(msgspec.Struct, kw_only=True):
    """A model to remove, or one of its deployments."""

    name: str
    deployment: str | None = None


class ModelQuery(msgspec.Struct, kw_only=True):
    """Which models to list."""

    provider: str | None = None
    tier: str | None = None


class DeploymentDocument(msgspec.Struct, kw_only=True):
    """One way to serve a model."""

    id: str
    provider: str
    upstream: str
    weight: int
    enabled: bool


class ModelDocument(msgspec.Struct, kw_only=True):
    """A model with its price and its deployments."""

    name: str
    tier: str
    display_name: str
    vendor: str
    enabled: bool
    price: PriceDocument
    context_tokens: int | None
    output_tokens_max: int | None
    features: list[str]
    aliases: list[str]
    tags: list[str]
    scenarios: list[str]
    description: str
    description_zh: str
    mci_score: float | None
    tokenizer: str | None
    deployments: list[DeploymentDocument]


class ModelList(msgspec.Struct):
    """Models by name."""

    models: list[ModelDocument]


class Removed(msgspec.Struct):
    """What was removed."""

    removed: str


def list_models(desk: Desk, request: ModelQuery) -> ModelList:
    """All models, or those of a provider or a tier."""
    found = [
        model
        for model in desk.store.catalog.models()
        if (request.tier is None or model.tier == request.tier)
        and (request.provider is None or any(d.provider == request.provider for d in model.deployments))
    ]
    return ModelList([model_document(model) for model in found])


def add_model(desk: Desk, request: ModelAdd) -> ModelDocument:
    """Add a model, or a deployment to a model. Raises InvalidRequest, NotFound for an unknown provider, or Conflict."""
    models = desk.store.catalog.models()
    if not any(provider.name == request.provider for provider in desk.store.catalog.providers()):
        said = f"there is no provider {request.provider!r}; add it first: joytoken providers add {request.provider} …"
        raise NotFound(said, "unknown_provider", param="provider")
    if not 0 <= request.weight <= WEIGHT_MAX:
        raise InvalidRequest(f"a weight is between 0 and {WEIGHT_MAX}", param="weight")
    old = next((model for model in models if model.name == request.name), None)
    if old is None and (not request.name or len(request.name) > NAME_CHARS_MAX or not _visible(request.name)):
        raise InvalidRequest(f"a model's name has 1 to {NAME_CHARS_MAX} visible ASCII characters", param="name")
    if old is None and request.name == AUTO:
        raise Conflict(f"{AUTO!r} asks the router to choose; a model needs another name", "name_taken", param="name")
    if old is None and any(request.name in model.aliases for model in models):
        raise Conflict(f"{request.name!r} is an alias of another model", "name_taken", param="name")
    price = price_from(request, old.price if old else None)
    if price is None:
        price = _missing_price(desk, request.tier)
    base = old or Model(name=request.name, tier=DEFAULT_TIER, price=price, display_name=request.name)
    model = _with_fields(base, price, request, models)
    upstream = request.upstream or _upstream(request.name, request.provider)
    deployment = Deployment(
        deployment_id=_deployment_id(model, request.provider, upstream, models),
        model=model.name,
        provider=request.provider,
        upstream_model=upstream,
        weight=request.weight,
    )
    others = tuple(d for d in model.deployments if d.deployment_id != deployment.deployment_id)
    if len(others) < len(model.deployments):  # written anew where it stood
        others = tuple(deployment if d.deployment_id == deployment.deployment_id else d for d in model.deployments)
        desk.store.catalog.put_model(replace(model, deployments=others))
    else:
        desk.store.catalog.put_model(replace(model, deployments=(*others, deployment)))
    after = model_document(find_model(desk, model.name))
    desk.note("model.add", model.name, None if old is None else model_document(old), after)
    return after


def update_model(desk: Desk, request: ModelUpdate) -> ModelDocument:
    """Change a model. Raises NotFound, InvalidRequest or Conflict."""
    old = find_model(desk, request.name)
    price = price_from(request, old.price) or old.price
    desk.store.catalog.put_model(_with_fields(old, price, request, desk.store.catalog.models()))
    after = model_document(find_model(desk, old.name))
    desk.note("model.update", old.name, model_document(old), after)
    return after


def remove_model(desk: Desk, request: ModelRemove) -> Removed:
    """Remove a model with all its deployments, or one deployment by its id or provider. Raises NotFound."""
    old = find_model(desk, request.name)
    if request.deployment is None:
        desk.store.catalog.remove_model(old.name)
        desk.note("model.remove", old.name, model_document(old))
        return Removed(old.name)
    named = [d for d in old.deployments if request.deployment in {d.deployment_id, d.provider}]
    if not named:
        said = f"model {old.name!r} has no deployment {request.deployment!r}"
        raise NotFound(said, "unknown_deployment", param="deployment")
    for deployment in named:
        desk.store.catalog.remove_deployment(deployment.deployment_id)
    desk.note("deployment.remove", old.name, [_deployment_document(d) for d in named])
    return Removed(", ".join(d.deployment_id for d in named))


def find_model(desk: Desk, name: str) -> Model:
    """A model by its public name or an alias. Raises NotFound."""
    models = desk.store.catalog.models()
    found = next((m for m in models if m.name == name), None) or next((m for m in models if name in m.aliases), None)
    if found is None:
        raise NotFound(f"there is no model {name!r}", "unknown_model", param="name")
    return found


def model_document(model: Model) -> ModelDocument:
    """A model as it is shown."""
    shown: dict[str, Any] = {name: getattr(model, name) for name in (*_PLAIN, "mci_score")}
    shown |= {name: list(getattr(model, name)) for name in (*_LISTS, "features")}
    return ModelDocument(
        **shown,
        name=model.name,
        tier=model.tier,
        price=price_document(model.price),
        context_tokens=model.context_tokens,
        output_tokens_max=model.output_tokens_max,
        deployments=[_deployment_document(deployment) for deployment in model.deployments],
    )


def _deployment_document(deployment: Deployment) -> DeploymentDocument:
    return DeploymentDocument(
        id=deployment.deployment_id,
        provider=deployment.provider,
        upstream=deployment.upstream_model,
        weight=deployment.weight,
        enabled=deployment.enabled,
    )


def _with_fields(base: Model, price: Price, fields: ModelFields, models: list[Model]) -> Model:
    changes: dict[str, Any] = {"price": price}
    for name in _PLAIN:
        if (value := getattr(fields, name)) is not None:
            changes[name] = value
    for name in _LISTS:
        if (items := getattr(fields, name)) is not None:
            changes[name] = tuple(dict.fromkeys(item.strip() for item in items if item.strip()))
    for name in ("context_tokens", "output_tokens_max"):
        if (tokens := getattr(fields, name)) is not None:
            if not 1 <= tokens <= 1000 * MTOK:
                raise InvalidRequest("a number of tokens is at least 1", param=name)
            changes[name] = tokens
    if fields.features is not None:
        changes["features"] = _features(fields.features)
    if fields.tier is not None:
        changes["tier"] = _tier(fields.tier)
    if fields.mci_score is not None:
        if not 0 <= fields.mci_score <= 100:
            raise InvalidRequest("an MCI score is between 0 and 100", param="mci_score")
        changes["mci_score"] = fields.mci_score
    for alias in changes.get("aliases", ()):
        if len(alias) > NAME_CHARS_MAX or not _visible(alias):
            said = f"an alias has 1 to {NAME_CHARS_MAX} visible ASCII characters"
            raise InvalidRequest(said, param="aliases")
        if alias == AUTO or any(alias == m.name or alias in m.aliases for m in models if m.name != base.name):
            raise Conflict(f"{alias!r} names another model already", "name_taken", param="aliases")
    return replace(base, **changes)


def _missing_price(desk: Desk, tier: str | None) -> Price:
    """What the setting says of a model without a price: refuse it, serve it free, or take its tier's most usual."""
    if desk.settings.gateway.on_missing_price == "reject":
        raise InvalidRequest(
            "a new model needs a price: --input-mtok and --output-mtok, in credits", param="input_mtok"
        )
    if desk.settings.gateway.on_missing_price == "zero":
        return Price("", Rates(0, 0))
    same = [m.price for m in desk.store.catalog.models() if m.tier == (tier or DEFAULT_TIER) and not m.price.free]
    if not same:
        raise InvalidRequest("its tier has no priced model to take a price from", param="input_mtok")
    dearest = max(same, key=lambda price: price.credits.most(MTOK, MTOK))
    return Price("", dearest.credits)


def _deployment_id(model: Model, provider: str, upstream: str, models: list[Model]) -> str:
    """The id of a deployment: that of the one which is there already, else the model's name, or a longer one."""
    for there in model.deployments:
        if (there.provider, there.upstream_model) == (provider, upstream):
            return there.deployment_id
    taken = {d.deployment_id for m in models for d in m.deployments}
    wanted = (model.name, f"{model.name}@{provider}", f"{model.name}@{provider}/{upstream}")
    return next(name for name in wanted if name not in taken)


def _upstream(name: str, provider: str) -> str:
    return name.removeprefix(provider + "/")


def _features(names: list[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise InvalidRequest(f"{unknown[0]!r} is not a feature; they are {', '.join(FEATURES)}", param="features")
    # Everything that is served here is a chat model, whatever else it can do.
    wanted = set(names) if "embedding" in names else {*names, "chat"}
    return tuple(name for name in FEATURES if name in wanted)


def _tier(text: str) -> Tier:
    tier = parse_tier(text)
    if tier is None:
        raise InvalidRequest(f"{text!r} is not a tier; the tiers are {', '.join(TIERS)}", param="tier")
    return tier


def _visible(name: str) -> bool:
    return all("!" <= char <= "~" for char in name)
