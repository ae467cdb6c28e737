from contextlib import suppress

import pytest

from joytoken.domain.apikey import Policy
from joytoken.domain.errors import NotFound, PolicyRejected
from joytoken.domain.route import Needs
from joytoken.routing import RoutingOptions
from tests.routing.catalogs import World, catalog, model, names

MINI = model("openai/gpt-4o-mini", "economy", aliases=("mini",), vendor="openai")
BIG = model("openai/gpt-4o", "standard", vendor="openai")
OPUS = model("anthropic/opus", "premium", aliases=("best",), vendor="anthropic")
RESOLD = model("reseller/opus", "premium", vendor="anthropic")
OFF = model("openai/old", "standard", enabled=False)
BARE = model("nobody/home", "standard", on=0, weights=())
MODELS = (MINI, BIG, OPUS, RESOLD, OFF, BARE)


@pytest.mark.parametrize(
    ("asked", "found", "rule"),
    [
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini", "concrete"),
        ("mini", "openai/gpt-4o-mini", "alias"),
        ("gpt-4o", "openai/gpt-4o", "alias"),
        ("best", "anthropic/opus", "alias"),
    ],
)
def test_a_concrete_name_is_that_model_and_its_tier(asked, found, rule):
    plan = World(*MODELS).plan(Policy(), Needs(asked))
    assert set(names(plan)) == {found}
    assert plan.rule == rule
    assert plan.tier == plan.choices[0].model.tier


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("gpt-4o-mnii", "did you mean openai/gpt-4o-mini or openai/gpt-4o?"),
        ("opus", "means several models: anthropic/opus, reseller/opus"),
        ("zzzzzzzz", "no model is served as 'zzzzzzzz'; GET /openai/v1/models"),
        ("openai/old", "is not served at the moment"),
        ("nobody/home", "is not served at the moment"),
        ("x" * 5000, "xxx…'"),
    ],
)
def test_a_name_that_nobody_serves(asked, said):
    with pytest.raises(NotFound) as refusal:
        World(*MODELS).plan(Policy(), Needs(asked))
    assert refusal.value.code == "unknown_model"
    assert refusal.value.param == "model"
    assert said in refusal.value.message
    assert len(refusal.value.message) < 400


def test_the_way_out_is_named():
    with pytest.raises(NotFound, match="GET /openai/v1/models"):
        World(*MODELS).plan(Policy(), Needs("gpt-5"))


def test_of_two_models_of_one_name_the_one_that_is_served_is_meant():
    world = World(OPUS, model("reseller/opus", "premium", enabled=False))
    assert names(world.plan(Policy(), Needs("opus"))) == ["anthropic/opus"]


@pytest.mark.parametrize(
    ("policy", "asked", "code"),
    [
        (Policy(fixed_model="openai/gpt-4o"), "openai/gpt-4o-mini", "fixed_model_mismatch"),
        (Policy(fixed_model="openai/gpt-4o"), "unheard-of", "fixed_model_mismatch"),
        (Policy(fixed_model="auto"), "openai/gpt-4o", "fixed_model_mismatch"),
        (Policy(fixed_model="openai/gpt-4o", deny_models=("openai/gpt-4o-mini",)), "mini", "fixed_model_mismatch"),
        (Policy(fixed_model="openai/gpt-4o", deny_models=("openai/*",)), "auto", "model_blacklisted"),
        (Policy(fixed_model="openai/gpt-4o", tier="economy"), "auto", "tier_not_allowed"),
        (Policy(deny_models=("openai/gpt-4o-mini",)), "mini", "model_blacklisted"),
        (Policy(deny_models=("mini",)), "openai/gpt-4o-mini", "model_blacklisted"),
        (Policy(deny_models=("gpt-4o-mini",)), "openai/gpt-4o-mini", "model_blacklisted"),
        (Policy(deny_models=("openai/*",)), "gpt-4o", "model_blacklisted"),
        (Policy(deny_models=("openai/*",)), "openai/unheard-of", "model_blacklisted"),
        (Policy(deny_models=("openai/*",)), "openai/old", "model_blacklisted"),
        (Policy(deny_models=("anthropic/*",)), "reseller/opus", "model_blacklisted"),
        (Policy(deny_models=("*",)), "best", "model_blacklisted"),
        (Policy(deny_models=("opus",)), "reseller/opus", "model_blacklisted"),
        (Policy(allow_models=("mini",)), "openai/gpt-4o", "model_not_allowed"),
        (Policy(allow_models=("unheard-of",)), "openai/gpt-4o", "model_not_allowed"),
        (Policy(allow_models=("openai/*",), deny_models=("mini",)), "mini", "model_blacklisted"),
        (Policy(tier="economy"), "openai/gpt-4o", "tier_not_allowed"),
        (Policy(allowed_tiers=("economy", "premium")), "gpt-4o", "tier_not_allowed"),
        (Policy(allowed_tiers=("economy",), tier="premium"), "mini", "tier_not_allowed"),
    ],
)
def test_what_a_key_may_not_name(policy, asked, code):
    with pytest.raises(PolicyRejected) as refusal:
        World(*MODELS).plan(policy, Needs(asked))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("policy", "asked", "found"),
    [
        (Policy(fixed_model="openai/gpt-4o-mini"), "auto", "openai/gpt-4o-mini"),
        (Policy(fixed_model="openai/gpt-4o-mini"), "", "openai/gpt-4o-mini"),
        (Policy(fixed_model="openai/gpt-4o-mini"), "mini", "openai/gpt-4o-mini"),
        (Policy(fixed_model="openai/gpt-4o-mini"), "gpt-4o-mini", "openai/gpt-4o-mini"),
        (Policy(fixed_model="mini"), "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        (Policy(fixed_model="mini"), "mini", "openai/gpt-4o-mini"),
        (Policy(fixed_model="mini", tier="economy"), "auto", "openai/gpt-4o-mini"),
    ],
)
def test_a_fixed_model_is_used_for_whatever_is_not_another(policy, asked, found):
    plan = World(*MODELS).plan(policy, Needs(asked, tier="premium"))
    assert names(plan) == [found]
    assert plan.rule == "fixed_model"
    assert plan.tier == "economy"


def test_a_fixed_model_that_left_the_catalog_is_not_served():
    with pytest.raises(NotFound):
        World(*MODELS).plan(Policy(fixed_model="gone/model"), Needs("auto"))


def test_a_key_may_be_held_to_auto():
    plan = World(*MODELS).plan(Policy(fixed_model="auto"), Needs("auto"))
    assert (plan.rule, names(plan)) == ("fixed_model", ["openai/gpt-4o"])


DEFAULT = RoutingOptions(default_model="mini")


@pytest.mark.parametrize(
    ("policy", "needs", "exclude", "found", "rule"),
    [
        (Policy(), Needs(""), (), "openai/gpt-4o-mini", "default_model"),
        (Policy(), Needs("auto"), (), "openai/gpt-4o", "auto"),
        (Policy(), Needs(""), ("economy",), "openai/gpt-4o", "auto: the default model's tier is excluded"),
        (
            Policy(tier="premium"),
            Needs(""),
            (),
            "anthropic/opus",
            "auto: the default model is out of reach (tier_not_allowed)",
        ),
        (
            Policy(deny_models=("mini",)),
            Needs(""),
            (),
            "openai/gpt-4o",
            "auto: the default model is out of reach (model_blacklisted)",
        ),
        (Policy(fixed_model="best"), Needs(""), (), "anthropic/opus", "fixed_model"),
    ],
)
def test_an_omitted_model_is_the_default_model_else_auto(policy, needs, exclude, found, rule):
    plan = World(*MODELS, options=DEFAULT).plan(policy, needs, exclude_tiers=exclude)
    assert names(plan)[0] == found
    assert plan.rule == rule


def test_without_a_default_model_omitted_is_auto():
    assert World(*MODELS).plan(Policy(), Needs("")).rule == "auto"


def test_a_default_model_that_nobody_serves_does_not_stop_those_who_name_none():
    world = World(*MODELS, options=RoutingOptions(default_model="gone/model"))
    assert world.plan(Policy(), Needs("")).rule == "auto: the default model is out of reach (unknown_model)"


def test_a_changed_catalog_changes_what_names_mean():
    world = World(MINI)
    with pytest.raises(NotFound):
        world.plan(Policy(), Needs("gpt-4o"))
    world.catalog = catalog(MINI, BIG)
    assert names(world.plan(Policy(), Needs("gpt-4o"))) == ["openai/gpt-4o"]


@pytest.mark.parametrize(
    ("policy", "asked", "code"),
    [
        (Policy(), "gpt-4o", None),
        (Policy(), "unheard-of", None),
        (Policy(), "openai/old", None),
        (Policy(fixed_model="gone/model"), "auto", None),
        (Policy(tier="economy"), "auto", None),
        (Policy(fixed_model="mini"), "gpt-4o", "fixed_model_mismatch"),
        (Policy(deny_models=("openai/*",)), "gpt-4o", "model_blacklisted"),
        (Policy(allow_models=("mini",)), "gpt-4o", "model_not_allowed"),
        (Policy(tier="economy"), "gpt-4o", "tier_not_allowed"),
    ],
)
def test_a_key_is_judged_before_a_model_is_missed(policy, asked, code):
    router = World(*MODELS).router
    if code is None:
        with suppress(NotFound):
            router.plan(policy, Needs(asked))
        return
    with pytest.raises(PolicyRejected) as refusal:
        router.plan(policy, Needs(asked))
    assert refusal.value.code == code


@pytest.mark.parametrize("asked", ["", "x", "gp", "GPT-4O-MNI", "openai/gpt4o", "anthropc/opus", "bset"])
def test_names_of_any_length_are_compared(asked):
    near = World(*MODELS).router._index.nearest(asked)
    assert len(near) <= 2
    assert set(near) <= {m.name for m in MODELS}
