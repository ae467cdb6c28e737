"""Which model a request means: the key's fixed model, a name, the gateway's default, or `auto`."""

from typing import Final

from joytoken.domain.apikey import Policy
from joytoken.domain.errors import NotFound, PolicyRejected
from joytoken.domain.route import Needs
from joytoken.domain.tier import Tier
from joytoken.routing.candidates import AUTO, Index, Served, allowed_tiers

_SHOWN_CHARS_MAX: Final = 100  # of a caller's name in a message
_UNNAMED: Final = ("", AUTO)


def resolve(
    index: Index, policy: Policy, needs: Needs, default_model: str, exclude: tuple[Tier, ...]
) -> tuple[Served | None, str]:
    """The model that a request means, permitted and served, and the rule that found it; None for `auto`.

    Raises PolicyRejected or NotFound as `Router.plan` does.
    """
    if policy.fixed_model:
        return _fixed(index, policy, policy.fixed_model, needs.model)
    if needs.model not in _UNNAMED:
        served = _permitted(index, policy, needs.model)
        return served, "concrete" if needs.model == served.name else "alias"
    if needs.model or default_model in _UNNAMED:
        return None, AUTO
    # The caller named nothing, so that no refusal may blame them for the gateway's default.
    try:
        served = _permitted(index, policy, default_model)
    except (NotFound, PolicyRejected) as refusal:
        return None, f"{AUTO}: the default model is out of reach ({refusal.code})"
    if served.model.tier in exclude:
        return None, f"{AUTO}: the default model's tier is excluded"
    return served, "default_model"


def _fixed(index: Index, policy: Policy, fixed: str, name: str) -> tuple[Served | None, str]:
    if name not in _UNNAMED and name != fixed:
        meant = index.named(fixed)
        if not any(served in meant for served in index.named(name)):
            raise PolicyRejected(f"this key may only use the model {fixed!r}", "fixed_model_mismatch", param="model")
    if fixed == AUTO:  # a key that may only leave the choice to the gateway
        return None, "fixed_model"
    return _permitted(index, policy, fixed), "fixed_model"


def _permitted(index: Index, policy: Policy, name: str) -> Served:
    served = _one(index, policy, name)
    if served.name in index.matching(policy.deny_models):
        raise _blacklisted(name)
    if policy.allow_models and served.name not in index.matching(policy.allow_models):
        raise PolicyRejected(
            f"the model {name!r} is not among those this key may use", "model_not_allowed", param="model"
        )
    if served.model.tier not in allowed_tiers(policy):
        raise PolicyRejected(
            f"the model {name!r} belongs to the tier {served.model.tier}, which this key may not use",
            "tier_not_allowed",
            param="model",
        )
    if served.off:
        raise NotFound(f"the model {name!r} is not served at the moment", "unknown_model", param="model")
    return served


def _one(index: Index, policy: Policy, name: str) -> Served:
    found = index.named(name)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(served.name for served in found[:5])
        raise NotFound(f"{name!r} means several models: {names}; name one in full", "unknown_model", param="model")
    if _denied_as_text(name, policy.deny_models):
        raise _blacklisted(name)
    near = " or ".join(index.nearest(name))
    hint = f"did you mean {near}? " if near else ""
    shown = name if len(name) <= _SHOWN_CHARS_MAX else name[:_SHOWN_CHARS_MAX] + "…"
    message = f"no model is served as {shown!r}; {hint}GET /openai/v1/models lists what is"
    raise NotFound(message, "unknown_model", param="model")


def _blacklisted(name: str) -> PolicyRejected:
    return PolicyRejected(f"this key may not use the model {name!r}", "model_blacklisted", param="model")


def _denied_as_text(name: str, deny: tuple[str, ...]) -> bool:
    # A name that nobody serves under a forbidden vendor is forbidden all the same, not unknown.
    return any(name == entry or (entry.endswith("*") and name.startswith(entry[:-1])) for entry in deny)
