"""Who could serve a request: policy ∩ capability ∩ health, each refusal with its reason."""

import difflib
from bisect import bisect_left
from collections.abc import Iterable
from heapq import nlargest
from typing import Final

from joytoken.domain.apikey import Policy
from joytoken.domain.catalog import Catalog, Deployment, Model
from joytoken.domain.errors import PolicyRejected
from joytoken.domain.route import Choice, Needs
from joytoken.domain.tier import DEFAULT_TIER, FALLBACK, TIERS, Tier
from joytoken.routing.health import Health

AUTO: Final = "auto"
STAND_IN_KINDS: Final = frozenset({"echo"})  # providers that answer without a model
NAME_CHARS_MAX: Final = 200  # longer names are not compared with the catalog's
NEAREST_CACHED_MAX: Final = 256
_LOOK_ALIKES_MAX: Final = 24
MATCHES_CACHED_MAX: Final = 1024


def allowed_tiers(policy: Policy) -> tuple[Tier, ...]:
    """The tiers that a key may use, in the order economy, standard, premium; empty where its two limits contradict."""
    return tuple(
        tier
        for tier in TIERS
        if (not policy.allowed_tiers or tier in policy.allowed_tiers) and (policy.tier is None or tier == policy.tier)
    )


def tiers_for(policy: Policy, needs: Needs, default_tier: Tier = DEFAULT_TIER) -> tuple[Tier, ...]:
    """The tiers in which a request for `auto` may be served, in the order in which they are tried.

    A tier that the caller names is the only one. Otherwise it is the key's, else the gateway's default, else the
    first that the key allows, followed by its fallbacks. Raises PolicyRejected (`tier_not_allowed`).
    """
    allowed = allowed_tiers(policy)
    first = _first_tier(policy, needs, default_tier, allowed)
    if needs.tier is not None:
        return (first,)
    return (first, *(tier for tier in FALLBACK[first] if tier in allowed))


def tiers_left(policy: Policy, needs: Needs, default_tier: Tier, exclude: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """As `tiers_for`, without the excluded ones; where the tier that the caller named is excluded, the next in order.

    Excluding is the gateway's decision, so that it outweighs the caller's wish; the key's policy still holds.
    """
    if not exclude:
        return tiers_for(policy, needs, default_tier)
    allowed = allowed_tiers(policy)
    first = _first_tier(policy, needs, default_tier, allowed)
    left = tuple(tier for tier in (first, *FALLBACK[first]) if tier in allowed and tier not in exclude)
    return left[:1] if needs.tier is not None else left


def _first_tier(policy: Policy, needs: Needs, default_tier: Tier, allowed: tuple[Tier, ...]) -> Tier:
    wanted = needs.tier or policy.tier
    if wanted is not None:
        if wanted not in allowed:
            raise PolicyRejected("requested tier is not allowed", "tier_not_allowed", param="tier")
        return wanted
    return default_tier if default_tier in allowed else allowed[0]


class Served:
    """A model with what routing asks of it, worked out once per catalog."""

    __slots__ = ("choices", "context", "features", "idle", "model", "name", "off", "price", "stand_in")

    def __init__(self, model: Model, catalog: Catalog) -> None:
        self.model = model
        self.name = model.name
        self.features = frozenset(model.features)
        self.context = model.context_tokens or 2**53  # unknown: the provider will tell
        rates = model.price.credits
        self.price = (3 * rates.input + rates.output) / 4  # nanocredits a million tokens, at three in for one out
        choices: list[Choice] = []
        self.idle: list[tuple[Deployment, str]] = []  # deployments that cannot be called, and why
        for deployment in model.deployments:
            provider = catalog.providers.get(deployment.provider)
            if not deployment.enabled:
                self.idle.append((deployment, "disabled"))
            elif provider is None or not provider.enabled:
                self.idle.append((deployment, "provider disabled"))
            else:
                choices.append(Choice(deployment=deployment, provider=provider, model=model))
        # Heaviest first; names break ties, so that the same catalog gives the same plan everywhere.
        self.choices = sorted(choices, key=lambda c: (-c.deployment.weight, c.deployment.deployment_id))
        self.stand_in = all(choice.provider.kind in STAND_IN_KINDS for choice in choices)
        self.off = "" if model.enabled and choices else "disabled" if not model.enabled else "no deployment"


class Index:
    """A catalog, arranged for routing."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.served = {name: Served(catalog.models[name], catalog) for name in sorted(catalog.models)}
        self.by_tier: dict[Tier, list[Served]] = {tier: [] for tier in TIERS}
        self._aliases: dict[str, list[str]] = {}
        self._segments: dict[str, list[str]] = {}
        for served in self.served.values():
            self.by_tier[served.model.tier].append(served)
            for alias in served.model.aliases:
                self._aliases.setdefault(alias, []).append(served.name)
            self._segments.setdefault(last_segment(served.name), []).append(served.name)
        # Once there is a real model, `auto` never answers with a stand-in, cheap and swift as that is.
        self.real = any(not served.off and not served.stand_in for served in self.served.values())
        # Two inputs on the same side of every model's context are the same to routing.
        self.contexts = sorted({served.context for served in self.served.values()})
        self._matches: dict[tuple[str, ...], frozenset[str]] = {}
        self._nearest: dict[str, list[str]] = {}
        self._spelled: dict[str, tuple[str, frozenset[str]]] = {}  # made when the first unknown name comes

    def bucket(self, tokens: int) -> int:
        """How many models' contexts are too short for so many tokens, as a number that plans can be remembered by."""
        return bisect_left(self.contexts, tokens)

    def named(self, name: str) -> list[Served]:
        """The models that a name can mean: by public name, else by alias, else by its last segment."""
        served = self.served.get(name)
        if served is not None:
            return [served]
        names = self._aliases.get(name) or self._segments.get(name) or []
        # Two models of one name: where just one of them can be called, that one is meant.
        found = [self.served[n] for n in names]
        return [s for s in found if not s.off] or found

    def matching(self, entries: tuple[str, ...]) -> frozenset[str]:
        """The public names that a policy's list means.

        An entry is a public name, an alias, a bare last segment, ``vendor/*`` or ``*``; one that means several models
        means all of them, one that means none has no effect.
        """
        found = self._matches.get(entries)
        if found is None:
            if len(self._matches) >= MATCHES_CACHED_MAX:
                self._matches.clear()
            found = self._matches[entries] = frozenset(self._expand(entries))
        return found

    def _expand(self, entries: Iterable[str]) -> Iterable[str]:
        for entry in entries:
            if entry == "*":
                yield from self.served
            elif entry.endswith("/*"):
                vendor = entry[:-2]
                yield from (
                    s.name for s in self.served.values() if s.name.startswith(entry[:-1]) or s.model.vendor == vendor
                )
            elif entry in self.served:
                yield entry
            else:
                yield from self._aliases.get(entry) or self._segments.get(entry) or ()

    def nearest(self, name: str) -> list[str]:
        """The two public names that look most like a name that nobody serves."""
        if len(name) > NAME_CHARS_MAX:
            return []
        found = self._nearest.get(name)
        if found is None:
            if len(self._nearest) >= NEAREST_CACHED_MAX:
                self._nearest.clear()
            found = self._nearest[name] = self._look_alikes(name)
        return found

    def _look_alikes(self, name: str) -> list[str]:
        if not self._spelled:
            for served in self.served.values():
                if not served.off:
                    for spelling in (last_segment(served.name), *served.model.aliases, served.name):
                        self._spelled[spelling.lower()] = (served.name, _threes(spelling.lower()))
        # The matcher of sequences takes 20 microseconds a name; those worth it are found by their common letters.
        asked = _threes(name.lower())
        worth = nlargest(_LOOK_ALIKES_MAX, self._spelled, key=lambda spelling: len(asked & self._spelled[spelling][1]))
        close = difflib.get_close_matches(name.lower(), worth, n=6, cutoff=0.5)
        return list(dict.fromkeys(self._spelled[spelling][0] for spelling in close))[:2]


def _threes(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 3] for i in range(max(len(text) - 2, 1)))


def last_segment(name: str) -> str:
    """The part of a public name after its last slash."""
    return name.rpartition("/")[2]


def wanted_features(needs: Needs) -> list[str]:
    """The feature tags that a model must have for these needs; `auto` is for conversations."""
    wanted = ["chat"]
    for feature, needed in (
        ("tools", needs.tools),
        ("vision", needs.vision),
        ("audio", needs.audio),
        ("json_schema", needs.json_schema),
    ):
        if needed:
            wanted.append(feature)
    return wanted


class Survey:
    """What came of looking at every model of one tier."""

    __slots__ = ("open", "ready", "refused")

    def __init__(self) -> None:
        self.ready: list[Served] = []
        self.open: list[Served] = []  # fit, but with every circuit open
        self.refused: list[tuple[Served, str]] = []


def survey(index: Index, policy: Policy, needs: Needs, tier: Tier, tokens: int, health: Health) -> Survey:
    """Sort the models of a tier into those that can serve `tokens` of context now, and those that cannot, and why."""
    found = Survey()
    denied = index.matching(policy.deny_models)
    allowed = index.matching(policy.allow_models) if policy.allow_models else None
    wanted = wanted_features(needs)
    barred = health.barred
    for served in index.by_tier[tier]:
        if served.off:
            found.refused.append((served, served.off))
        elif served.name in denied or (allowed is not None and served.name not in allowed):
            found.refused.append((served, "policy"))
        elif served.stand_in and index.real and allowed is None:
            found.refused.append((served, "stand-in"))
        elif not served.features.issuperset(wanted):
            missing = next(f for f in wanted if f not in served.features)
            found.refused.append((served, "feature:" + missing))
        elif served.context < tokens:
            found.refused.append((served, "context"))
        elif barred and all(c.deployment.deployment_id in barred for c in served.choices):
            found.open.append(served)
        else:
            found.ready.append(served)
    return found
