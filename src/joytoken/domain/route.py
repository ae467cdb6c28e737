"""The outcome of routing: an ordered plan, and the reason of each candidate."""

import msgspec

from joytoken.domain.catalog import Deployment, Model, Provider, Tokenizer
from joytoken.domain.price import Price
from joytoken.domain.tier import Tier


class Needs(msgspec.Struct, frozen=True, gc=False):
    """What a request asks of a model. Hashable: plans are remembered by it."""

    model: str  # a public name, an alias, "auto", or "" where the caller named none
    tier: Tier | None = None  # the caller's
    tools: bool = False
    vision: bool = False
    audio: bool = False
    json_schema: bool = False


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model (or deployment) that was looked at, and why it was chosen or not."""

    model: str
    deployment: str = ""
    chosen: bool = False
    reason: str = ""  # "chosen", "next", or why not: tier, policy, feature:tools, context, health, disabled, score, …
    score: float | None = None


class Choice(msgspec.Struct, frozen=True):
    """One step of a plan: the deployment to call and all that the call needs to know of it."""

    deployment: Deployment
    provider: Provider
    model: Model


class Plan(msgspec.Struct, frozen=True):
    """Ordered deployments in one tier. `choices` is never empty; the first is called first."""

    tier: Tier
    choices: tuple[Choice, ...]
    candidates: tuple[Candidate, ...] = ()
    rule: str = ""  # how the model was found: concrete, alias, fixed_model, default_model, auto
    score: float = 0.0  # of the first choice
    # Worked out once, as a plan serves many requests:
    candidates_json: bytes = b"[]"
    output_tokens_max: int = 2**53  # the least of the models' own bounds
    tokenizers: tuple[Tokenizer | None, ...] = ()  # each one once
    prices: tuple[Price, ...] = ()  # each one once
