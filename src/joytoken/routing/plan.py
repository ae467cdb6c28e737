"""From a key's policy and a request's needs to an ordered plan.

A concrete name gives that model's deployments, the healthy first. `auto` gives the best model of one tier that policy,
capability and health leave over, and the next best as fallbacks. Plans are remembered until the catalog or the health
of a deployment changes; where several deployments share a model's calls by weight, what is remembered is a short cycle
of plans, one for each turn.
"""

from collections import Counter
from collections.abc import Callable
from itertools import cycle
from typing import Final

import msgspec

from joytoken.domain.apikey import Policy
from joytoken.domain.catalog import Catalog
from joytoken.domain.errors import RoutingFailed
from joytoken.domain.route import Candidate, Choice, Needs, Plan
from joytoken.domain.tier import TIERS, Tier
from joytoken.routing.candidates import Index, Served, Survey, survey, tiers_left
from joytoken.routing.health import Health
from joytoken.routing.options import RoutingOptions
from joytoken.routing.resolve import resolve
from joytoken.routing.score import rank
from joytoken.routing.turns import led_by, turns

OTHERS: Final = "*"  # the model's name in the candidate that sums up what is not listed
_WORDS: Final = {
    "policy": "not allowed by the key",
    "stand-in": "that only echo",
    "context": "with too short a context",
    "disabled": "switched off",
    "no deployment": "without a deployment",
}


class _Draft(msgspec.Struct, frozen=True):
    """A decision before it is cut into plans."""

    tier: Tier
    rule: str
    lead: list[Choice]  # the deployments that take turns in front
    rest: list[Choice]  # what comes after them
    not_called: list[Candidate]
    scores: dict[str, float]


class Router:
    """Plans requests against the current catalog and health. One per worker, used from its event loop alone.

    `catalog_source` returns the snapshot to use: the same object for as long as nothing changed.
    """

    def __init__(self, catalog_source: Callable[[], Catalog], health: Health, options: RoutingOptions) -> None:
        self._source = catalog_source
        self._health = health
        self._options = options
        self._index = Index(catalog_source())
        self._plans: dict[tuple[object, ...], Callable[[], Plan]] = {}
        self._version = health.version
        self._made = 0

    def plan(
        self,
        policy: Policy,
        needs: Needs,
        *,
        exclude_tiers: tuple[Tier, ...] = (),
        input_tokens: int = 0,
    ) -> Plan:
        """The plan for a request of about `input_tokens` under a key's policy.

        `exclude_tiers` are those whose wallets could not carry the request. Raises PolicyRejected
        (`fixed_model_mismatch`, `model_blacklisted`, `model_not_allowed`, `tier_not_allowed`), NotFound
        (`unknown_model`) or RoutingFailed (`no_candidate`).
        """
        self._refresh()
        key = (
            policy.fixed_model,
            policy.tier,
            policy.allowed_tiers,
            policy.allow_models,
            policy.deny_models,
            needs,
            exclude_tiers,
            self._index.bucket(input_tokens + self._options.output_tokens_min),
        )
        turn = self._plans.get(key)
        if turn is None:
            if len(self._plans) >= self._options.plans_cached_max:
                self._plans.clear()
            turn = self._plans[key] = self._cycle(self._draft(policy, needs, exclude_tiers, input_tokens))
        plan = turn()
        if self._health.waiting:
            self._health.claim(plan.choices[0].deployment.deployment_id)
        return plan

    def explain(
        self,
        policy: Policy,
        needs: Needs,
        *,
        exclude_tiers: tuple[Tier, ...] = (),
        input_tokens: int = 0,
    ) -> list[Candidate]:
        """Every candidate of every tier with its reason, for a person who asks why.

        Raises as `plan` does, except that a request without any candidate gives the refusals instead of an error.
        """
        self._refresh()
        served, rule = resolve(self._index, policy, needs, self._options.default_model, exclude_tiers)
        if served is not None:
            draft = self._concrete(served, rule)
            return self._explained(draft, draft.lead + draft.rest)
        tiers = tiers_left(policy, needs, self._options.default_tier, exclude_tiers)
        surveys = self._surveys(policy, needs, tiers, input_tokens)
        used = self._pick(tiers, surveys)
        listed: list[Candidate] = []
        if used is not None:
            draft = self._auto(surveys[used], used, rule)
            listed = self._explained(draft, (draft.lead + draft.rest)[: self._options.choices_max])
        for tier in TIERS:
            if tier not in surveys:
                listed += [Candidate(model=s.name, reason="tier") for s in self._index.by_tier[tier]]
            elif tier != used:
                listed += _refusals(surveys[tier])
        return listed

    def _refresh(self) -> None:
        catalog = self._source()
        if catalog is not self._index.catalog:
            self._index = Index(catalog)
            self._health.keep(frozenset(d.deployment_id for m in catalog.models.values() for d in m.deployments))
            self._plans.clear()
        version = self._health.tick()
        if version != self._version:
            self._version = version
            self._plans.clear()

    # ── the decision ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _draft(self, policy: Policy, needs: Needs, exclude: tuple[Tier, ...], input_tokens: int) -> _Draft:
        served, rule = resolve(self._index, policy, needs, self._options.default_model, exclude)
        if served is not None:
            return self._concrete(served, rule)
        tiers = tiers_left(policy, needs, self._options.default_tier, exclude)
        surveys = self._surveys(policy, needs, tiers, input_tokens)
        used = self._pick(tiers, surveys)
        if used is None:
            raise RoutingFailed(_no_candidate(tiers, surveys), "no_candidate")
        if used != tiers[0]:
            rule += f": no candidate in {' or '.join(tiers[: tiers.index(used)])}"
        if not surveys[used].ready:
            rule += ": every circuit is open"
        return self._auto(surveys[used], used, rule)

    def _surveys(self, policy: Policy, needs: Needs, tiers: tuple[Tier, ...], input_tokens: int) -> dict[Tier, Survey]:
        tokens = input_tokens + self._options.output_tokens_min
        surveys: dict[Tier, Survey] = {}
        for tier in tiers:
            surveys[tier] = survey(self._index, policy, needs, tier, tokens, self._health)
            if surveys[tier].ready:
                break
        return surveys

    @staticmethod
    def _pick(tiers: tuple[Tier, ...], surveys: dict[Tier, Survey]) -> Tier | None:
        """The first tier with a healthy candidate; else the first with any, whose call is then the probe that heals."""
        looked = [tier for tier in tiers if tier in surveys]
        return next((t for t in looked if surveys[t].ready), next((t for t in looked if surveys[t].open), None))

    def _concrete(self, served: Served, rule: str) -> _Draft:
        usable, barred = self._split(served)
        idle = [Candidate(model=served.name, deployment=d.deployment_id, reason=why) for d, why in served.idle]
        return _Draft(served.model.tier, rule, usable or barred, barred if usable else [], idle, {})

    def _auto(self, looked: Survey, tier: Tier, rule: str) -> _Draft:
        ranked = rank(looked.ready or looked.open, self._health, self._options)
        usable, barred = self._split(ranked[0][1])
        lead = usable or barred
        rest: list[Choice] = []
        not_called: list[Candidate] = []
        for score, served in ranked[1:]:
            if len(lead) + len(rest) < self._options.choices_max:
                usable, barred = self._split(served)
                rest += usable or barred
            else:
                not_called.append(Candidate(model=served.name, reason="score", score=score))
        not_called += _refusals(looked) if looked.ready else _refused(looked)
        return _Draft(tier, rule, lead, rest, not_called, {served.name: score for score, served in ranked})

    def _split(self, served: Served) -> tuple[list[Choice], list[Choice]]:
        barred = self._health.barred
        if not barred:
            return served.choices, []
        usable = [c for c in served.choices if c.deployment.deployment_id not in barred]
        return usable, [c for c in served.choices if c.deployment.deployment_id in barred]

    # ── from the decision to plans ────────────────────────────────────────────────────────────────────────────────────

    def _cycle(self, draft: _Draft) -> Callable[[], Plan]:
        made: dict[int, Plan] = {}
        plans = []
        for first in turns(draft.lead):
            if first not in made:
                made[first] = self._plan(draft, first)
            plans.append(made[first])
        # A cycle made anew goes on where another would be by now, lest frequent changes favour the head.
        start = self._made % len(plans)
        self._made += 1
        return cycle(plans[start:] + plans[:start]).__next__

    def _plan(self, draft: _Draft, first: int) -> Plan:
        ordered = led_by(draft.lead, first) + draft.rest
        choices = ordered[: self._options.choices_max]
        candidates = _capped(self._explained(draft, choices), self._options.candidates_explained_max)
        return Plan(
            tier=draft.tier,
            choices=tuple(choices),
            candidates=tuple(candidates),
            rule=draft.rule,
            score=draft.scores.get(choices[0].model.name, 0.0),
            candidates_json=msgspec.json.encode(candidates),
            output_tokens_max=min([c.model.output_tokens_max or 2**53 for c in choices]),
            tokenizers=tuple(dict.fromkeys([c.model.tokenizer for c in choices])),
            prices=tuple(dict.fromkeys([c.model.price for c in choices])),
        )

    def _explained(self, draft: _Draft, choices: list[Choice]) -> list[Candidate]:
        listed = []
        for i, choice in enumerate(choices):
            name, deployment = choice.model.name, choice.deployment.deployment_id
            reason = "next" if i else "chosen"
            if not self._health.usable(deployment):
                reason = "health:open" if i else "chosen: probe"
            listed.append(Candidate(name, deployment, i == 0, reason, draft.scores.get(name)))
        return listed + draft.not_called


def _refused(looked: Survey) -> list[Candidate]:
    return [Candidate(model=served.name, reason=reason) for served, reason in looked.refused]


def _refusals(looked: Survey) -> list[Candidate]:
    return [Candidate(model=served.name, reason="health:open") for served in looked.open] + _refused(looked)


def _capped(listed: list[Candidate], most: int) -> list[Candidate]:
    """At most so many candidates, and one that counts the others by their reasons."""
    if len(listed) <= most:
        return listed
    counts = Counter(candidate.reason for candidate in listed[most:])
    others = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return [*listed[:most], Candidate(model=OTHERS, reason=f"{len(listed) - most} more: {others}")]


def _no_candidate(tiers: tuple[Tier, ...], surveys: dict[Tier, Survey]) -> str:
    """Why nothing is left, with the reasons counted."""
    if not tiers:
        return "no tier is left to route in"
    where = f"the tier {tiers[0]}" if len(tiers) == 1 else f"the tiers {', '.join(tiers)}"
    counts = Counter(reason for looked in surveys.values() for _served, reason in looked.refused)
    if not counts:
        return f"no model can serve this request: {where} has none" if len(tiers) == 1 else f"no model in {where}"
    reasons = []
    for reason, count in counts.most_common():
        kind, _, feature = reason.partition(":")
        reasons.append(f"{count} without {feature}" if kind == "feature" else f"{count} {_WORDS[reason]}")
    return f"no model in {where} can serve this request: {', '.join(reasons)}"
