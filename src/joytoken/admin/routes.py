"""What routing would decide, without a call."""

import time

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.keys import find_key
from joytoken.domain.apikey import Policy
from joytoken.domain.errors import GatewayError, InvalidRequest
from joytoken.domain.money import short_amount
from joytoken.domain.route import Candidate, Needs
from joytoken.domain.tier import TIERS, Tier, parse_tier
from joytoken.routing.health import Health
from joytoken.routing.options import RoutingOptions
from joytoken.routing.plan import Router


class RouteQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request to explain: the model and tier that it would name, what it would need, and under which key."""

    model: str = ""
    tier: str | None = None
    key: str | None = None
    tools: bool = False
    vision: bool = False
    audio: bool = False
    json_schema: bool = False
    input_tokens: int = 0
    exclude_tiers: list[str] = []  # as though their wallets were empty


class RouteChoice(msgspec.Struct, kw_only=True):
    """One step of the plan: what would be called, and what it costs a million tokens in credits."""

    model: str
    provider: str
    upstream: str
    deployment: str
    tier: str
    input_mtok: str
    output_mtok: str


class Explanation(msgspec.Struct, kw_only=True):
    """What would be called and, for every candidate, why or why not. `refusal` is the error that a caller would get.

    Judged by policy, catalog and price; circuits and latencies are known only to the workers that serve.
    """

    model: str
    tier: str | None
    rule: str
    choices: list[RouteChoice]
    candidates: list[Candidate]
    refusal: str | None = None
    refusal_code: str | None = None


def explain_route(desk: Desk, request: RouteQuery) -> Explanation:
    """Explain a route. Raises InvalidRequest, or NotFound for an unknown key."""
    policy = find_key(desk, request.key).policy if request.key is not None else Policy()
    needs = Needs(
        model=request.model,
        tier=None if request.tier is None else _tier(request.tier, "tier"),
        tools=request.tools,
        vision=request.vision,
        audio=request.audio,
        json_schema=request.json_schema,
    )
    exclude = tuple(_tier(text, "exclude_tiers") for text in request.exclude_tiers)
    options = routing_options(desk)
    catalog = desk.store.catalog.snapshot()
    router = Router(lambda: catalog, Health(options, time.monotonic), options)
    tokens = max(request.input_tokens, 0)
    told = Explanation(model=request.model or "auto", tier=needs.tier, rule="", choices=[], candidates=[])
    try:
        plan = router.plan(policy, needs, exclude_tiers=exclude, input_tokens=tokens)
    except GatewayError as error:
        told.refusal, told.refusal_code = error.message, error.code
    else:
        told.tier, told.rule = plan.tier, plan.rule
        told.choices = [
            RouteChoice(
                model=choice.model.name,
                provider=choice.provider.name,
                upstream=choice.deployment.upstream_model,
                deployment=choice.deployment.deployment_id,
                tier=choice.model.tier,
                input_mtok=short_amount(choice.model.price.credits.input),
                output_mtok=short_amount(choice.model.price.credits.output),
            )
            for choice in plan.choices
        ]
    try:
        told.candidates = router.explain(policy, needs, exclude_tiers=exclude, input_tokens=tokens)
    except GatewayError:
        told.candidates = []  # the refusal has said it
    return told


def routing_options(desk: Desk) -> RoutingOptions:
    """The options of routing from the settings of the same names."""
    known = set(RoutingOptions.__struct_fields__)
    chosen = msgspec.structs.asdict(desk.settings.routing)
    chosen |= {
        "default_model": desk.settings.gateway.default_model,
        "default_tier": desk.settings.gateway.default_tier,
    }
    return RoutingOptions(**{name: value for name, value in chosen.items() if name in known})


def _tier(text: str, param: str) -> Tier:
    tier = parse_tier(text)
    if tier is None:
        raise InvalidRequest(f"{text!r} is not a tier; the tiers are {', '.join(TIERS)}", param=param)
    return tier
