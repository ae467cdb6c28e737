"""A key's policy as management writes and shows it."""

import difflib
import ipaddress
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from joytoken.admin.desk import Desk
from joytoken.domain.apikey import Labels, Policy
from joytoken.domain.errors import InvalidRequest
from joytoken.domain.money import AmountError, parse_amount, short_amount
from joytoken.domain.tier import TIERS, Tier, parse_tier

LABEL_FIELDS = ("project", "application", "environment", "task")
LABEL_CHARS_MAX = 200
LIST_ITEMS_MAX = 1000
COUNT_MAX = 2**31

_AMOUNTS = ("limit_daily", "limit_weekly")


class PolicyFields(msgspec.Struct, kw_only=True):
    """What may be said of a key. What is left out is not limited. Limits are credits as decimal strings."""

    project: str | None = None
    application: str | None = None
    environment: str | None = None
    task: str | None = None
    expires: str | None = None  # a duration from now (30d), a day, or an ISO 8601 time
    blocked: bool | None = None
    tier: str | None = None
    allowed_tiers: list[str] | None = None
    tiers: list[str] | None = None  # another spelling of allowed_tiers
    fixed_model: str | None = None
    allow_models: list[str] | None = None
    deny_models: list[str] | None = None
    model_blacklist: list[str] | None = None  # another spelling of deny_models
    ip_allow: list[str] | None = None
    ip_block: list[str] | None = None
    limit_daily: str | None = None
    limit_weekly: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    output_tokens_max: int | None = None
    clamp_output: bool | None = None
    run_budget: bool | None = None


class PolicyDocument(msgspec.Struct, kw_only=True):
    """A policy as it is shown. Null or an empty list means: no such limit."""

    project: str = ""
    application: str = ""
    environment: str = ""
    task: str = ""
    blocked: bool = False
    tier: str | None = None
    allowed_tiers: list[str] = []
    fixed_model: str | None = None
    allow_models: list[str] = []
    deny_models: list[str] = []
    ip_allow: list[str] = []
    ip_block: list[str] = []
    limit_daily: str | None = None
    limit_weekly: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    output_tokens_max: int | None = None
    clamp_output: bool = False
    run_budget: bool = False


def policy_from(fields: PolicyFields, base: Policy) -> Policy:
    """The base policy with what the fields say. Raises InvalidRequest naming the field at fault."""
    changes: dict[str, Any] = {}
    for name, (field, read) in _READERS.items():
        value = getattr(fields, name)
        if value is not None:
            changes[field] = read(value, name)
    policy = replace(base, **changes)
    if policy.tier and policy.allowed_tiers and policy.tier not in policy.allowed_tiers:
        raise InvalidRequest(f"tier {policy.tier} is not among the allowed tiers", param="tier")
    if policy.fixed_model and policy.fixed_model in policy.deny_models:
        raise InvalidRequest("the fixed model is among the denied models", param="fixed_model")
    return policy


def labels_from(fields: PolicyFields, base: Labels) -> Labels:
    """The base labels with what the fields say. Raises InvalidRequest naming the field at fault."""
    changes: dict[str, str] = {}
    for name in LABEL_FIELDS:
        if (text := getattr(fields, name)) is not None:
            if len(text) > LABEL_CHARS_MAX or (text and not text.isprintable()):
                raise InvalidRequest(f"a label has at most {LABEL_CHARS_MAX} printable characters", param=name)
            changes[name] = text.strip()
    return replace(base, **changes)


def cleared(
    names: list[str], policy: Policy, labels: Labels, expires_us: int | None
) -> tuple[Policy, Labels, int | None]:
    """Policy, labels and expiry with the named fields back at no limit. Raises InvalidRequest for an unknown name."""
    known = [name for name in PolicyDocument.__struct_fields__ if name not in LABEL_FIELDS]
    for written in names:
        name = {"tiers": "allowed_tiers", "model_blacklist": "deny_models", "rpm": "requests_per_minute"}.get(
            written.replace("-", "_"), written.replace("-", "_")
        )
        name = "tokens_per_minute" if name == "tpm" else name
        if name == "expires":
            expires_us = None
        elif name in LABEL_FIELDS:
            labels = replace(labels, **{name: ""})
        elif name in known:
            policy = replace(policy, **{name: getattr(Policy(), name)})
        else:
            near = difflib.get_close_matches(name, [*known, *LABEL_FIELDS, "expires"], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidRequest(f"{written!r} is nothing that could be cleared{hint}", param="clear")
    return policy, labels, expires_us


def document_of(policy: Policy) -> dict[str, Any]:
    """The fields of a PolicyDocument that come from a policy."""
    shown: dict[str, Any] = {}
    for name in PolicyDocument.__struct_fields__:
        if name not in LABEL_FIELDS:
            value = getattr(policy, name)
            shown[name] = list(value) if isinstance(value, tuple) else value
    for name in _AMOUNTS:
        shown[name] = None if shown[name] is None else short_amount(shown[name])
    return shown


def unknown_models(desk: Desk, policy: Policy) -> list[str]:
    """A warning for each model that the policy names and the catalog does not have."""
    named = [*policy.allow_models, *policy.deny_models, *([policy.fixed_model] if policy.fixed_model else [])]
    if not named:
        return []
    known: set[str] = {"auto"}
    for model in desk.store.catalog.models():
        known |= {model.name, model.name.rpartition("/")[2], *model.aliases}
    return [f"model {name!r} is not in the catalog" for name in named if name not in known]


def _flag(flag: bool, param: str) -> bool:  # noqa: ARG001, FBT001 - as the other readers
    return flag


def _limit(text: str, param: str) -> int:
    try:
        amount = parse_amount(text)
    except AmountError as error:
        raise InvalidRequest(str(error), param=param) from None
    if amount < 0:
        raise InvalidRequest("a limit is not negative", param=param)
    return amount


def _count(count: int, param: str) -> int:
    if not 0 <= count <= COUNT_MAX:
        raise InvalidRequest(f"a limit is between 0 and {COUNT_MAX}", param=param)
    return count


def _network(text: str, param: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise InvalidRequest(f"{text!r} is not an address or a network such as 10.0.0.0/8", param=param) from None


def _model(text: str, param: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise InvalidRequest("a model's name is not empty", param=param)
    return text


def _tier(text: str, param: str) -> Tier:
    tier = parse_tier(text)
    if tier is None:
        raise InvalidRequest(f"{text!r} is not a tier; the tiers are {', '.join(TIERS)}", param=param)
    return tier


def _tiers(texts: list[str], param: str) -> tuple[Tier, ...]:
    named = {_tier(text, param) for text in texts}
    return tuple(tier for tier in TIERS if tier in named)


def _bounded(items: list[str], param: str) -> list[str]:
    if len(items) > LIST_ITEMS_MAX:
        raise InvalidRequest(f"a list has at most {LIST_ITEMS_MAX} entries", param=param)
    return items


def _networks(texts: list[str], param: str) -> tuple[str, ...]:
    return tuple(_network(text, param) for text in _bounded(texts, param))


def _models(texts: list[str], param: str) -> tuple[str, ...]:
    return tuple(_model(text, param) for text in _bounded(texts, param))


# What a request may say, the field of the policy that it sets, and how it is read.
_READERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "blocked": ("blocked", _flag),
    "clamp_output": ("clamp_output", _flag),
    "run_budget": ("run_budget", _flag),
    "tier": ("tier", _tier),
    "allowed_tiers": ("allowed_tiers", _tiers),
    "tiers": ("allowed_tiers", _tiers),
    "fixed_model": ("fixed_model", _model),
    "allow_models": ("allow_models", _models),
    "deny_models": ("deny_models", _models),
    "model_blacklist": ("deny_models", _models),
    "ip_allow": ("ip_allow", _networks),
    "ip_block": ("ip_block", _networks),
    "limit_daily": ("limit_daily", _limit),
    "limit_weekly": ("limit_weekly", _limit),
    "requests_per_minute": ("requests_per_minute", _count),
    "tokens_per_minute": ("tokens_per_minute", _count),
    "concurrency": ("concurrency", _count),
    "output_tokens_max": ("output_tokens_max", _count),
}
