from collections import Counter

import msgspec
import pytest

from joytoken.config.settings import Gateway, Routing, Settings
from joytoken.domain.apikey import Policy
from joytoken.domain.catalog import Deployment
from joytoken.domain.errors import PolicyRejected, RoutingFailed
from joytoken.domain.route import Candidate, Needs
from joytoken.domain.tier import FALLBACK, TIERS
from joytoken.routing import RoutingOptions, options_from
from tests.routing.catalogs import World, called, catalog, echo, model, names

ANY = Policy()
AUTO = Needs("auto")
CHEAP = RoutingOptions(weight_price=1, weight_capability=0, weight_latency=0)


def reasons(listed):
    return [(c.deployment or c.model, c.reason) for c in listed]


# ── auto ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_auto_takes_the_best_and_falls_back_to_the_next_best():
    world = World(*(model(f"a/{n}", price=n) for n in (30, 10, 50, 20, 40)), options=CHEAP)
    plan = world.plan(ANY, AUTO)
    assert names(plan) == ["a/10", "a/20", "a/30", "a/40"]
    assert (plan.rule, plan.tier, plan.score) == ("auto", "standard", 1.0)
    assert reasons(plan.candidates) == [
        ("a/10#0", "chosen"),
        ("a/20#0", "next"),
        ("a/30#0", "next"),
        ("a/40#0", "next"),
        ("a/50", "score"),
    ]
    assert [c.chosen for c in plan.candidates] == [True, False, False, False, False]
    assert plan.candidates[-1].score == 0.0
    assert msgspec.json.decode(plan.candidates_json, type=list[Candidate]) == list(plan.candidates)


def test_all_deployments_of_the_best_model_come_before_the_next():
    world = World(model("a/1", price=1, on=2), model("a/2", price=2, on=3), options=CHEAP)
    assert called(world.plan(ANY, AUTO)) == ["a/1#0", "a/1#1", "a/2#0", "a/2#1"]


@pytest.mark.parametrize(
    ("policy", "tier", "served"),
    [
        (ANY, None, "standard"),
        (ANY, "premium", "premium"),
        (Policy(tier="economy"), None, "economy"),
        (Policy(allowed_tiers=("premium", "economy")), None, "economy"),
    ],
)
def test_the_tier_is_the_callers_else_the_keys_else_the_default(policy, tier, served):
    world = World(*(model(f"a/{t}", t) for t in TIERS))
    plan = world.plan(policy, Needs("auto", tier=tier))
    assert (plan.tier, names(plan)) == (served, [f"a/{served}"])


def test_a_tier_outside_the_key_is_refused():
    with pytest.raises(PolicyRejected):
        World(model("a/a")).plan(Policy(tier="economy"), Needs("auto", tier="standard"))


@pytest.mark.parametrize("tier", TIERS)
def test_excluded_wallets_move_the_plan_along_the_documented_order(tier):
    world = World(*(model(f"a/{t}", t) for t in TIERS), options=RoutingOptions(default_tier=tier))
    tried = [world.plan(ANY, AUTO).tier]
    while len(tried) < 3:
        tried.append(world.plan(ANY, AUTO, exclude_tiers=tuple(tried)).tier)
    assert tuple(tried) == (tier, *FALLBACK[tier])
    with pytest.raises(RoutingFailed, match="no tier is left"):
        world.plan(ANY, AUTO, exclude_tiers=tuple(tried))


def test_a_tier_without_a_candidate_is_passed_over_and_the_rule_says_so():
    world = World(model("a/s", features=("chat",)), model("a/e", "economy"))
    plan = world.plan(ANY, Needs("auto", tools=True))
    assert (plan.tier, plan.rule) == ("economy", "auto: no candidate in standard or premium")


def test_but_not_where_the_caller_named_the_tier():
    world = World(model("a/s", features=("chat",)), model("a/e", "economy"))
    with pytest.raises(RoutingFailed, match="1 without tools"):
        world.plan(ANY, Needs("auto", tier="standard", tools=True))


def test_nor_into_a_tier_that_the_key_does_not_allow():
    world = World(model("a/s", features=("chat",)), model("a/e", "economy"))
    with pytest.raises(RoutingFailed):
        world.plan(Policy(allowed_tiers=("standard", "premium")), Needs("auto", tools=True))


def test_room_for_an_answer_is_part_of_the_context():
    world = World(model("a/small", price=1, context_tokens=1000), model("a/large", price=9, context_tokens=9000))
    tokens = 1000 - world.options.output_tokens_min
    assert names(world.plan(ANY, AUTO, input_tokens=tokens))[0] == "a/small"
    assert names(world.plan(ANY, AUTO, input_tokens=tokens + 1)) == ["a/large"]


def test_auto_leaves_out_open_circuits_while_others_are_healthy():
    world = World(model("a/1", price=1), model("a/2", price=2, on=2), options=CHEAP)
    world.break_down("a/1#0")
    world.break_down("a/2#0")
    plan = world.plan(ANY, AUTO)
    assert called(plan) == ["a/2#1"]
    assert ("a/1", "health:open") in reasons(plan.candidates)


def test_healthy_models_of_another_tier_come_before_open_circuits():
    world = World(model("a/s"), model("a/p", "premium"))
    world.break_down("a/s#0")
    assert names(world.plan(ANY, AUTO)) == ["a/p"]
    assert names(world.plan(ANY, Needs("auto", tier="standard"))) == ["a/s"]


def test_where_nothing_is_healthy_the_call_is_the_probe():
    world = World(model("a/1", price=1), model("a/2", price=2), options=CHEAP)
    world.break_down("a/1#0")
    world.break_down("a/2#0")
    plan = world.plan(ANY, AUTO)
    assert names(plan) == ["a/1", "a/2"]
    assert plan.rule == "auto: every circuit is open"
    assert plan.candidates[0].reason == "chosen: probe"


def test_echo_answers_auto_where_there_is_nothing_else():
    assert names(World(echo("echo/echo")).plan(ANY, AUTO)) == ["echo/echo"]
    assert names(World(echo("echo/echo"), model("a/1", enabled=False)).plan(ANY, AUTO)) == ["echo/echo"]


def test_echo_never_stands_in_for_a_real_model():
    world = World(echo("echo/echo"), echo("echo/max", "premium"), model("a/1", price=100))
    plan = world.plan(ANY, AUTO)
    assert names(plan) == ["a/1"]
    assert ("echo/echo", "stand-in") in reasons(plan.candidates)
    world.break_down("a/1#0")
    assert names(world.plan(ANY, AUTO)) == ["a/1"]
    with pytest.raises(RoutingFailed, match="1 that only echo"):
        world.plan(ANY, Needs("auto", tier="premium"))


def test_but_it_answers_to_its_name_and_for_keys_that_are_held_to_it():
    world = World(echo("echo/echo"), model("a/1"))
    assert names(world.plan(ANY, Needs("echo/echo"))) == ["echo/echo"]
    assert names(world.plan(Policy(allow_models=("echo/*",)), AUTO)) == ["echo/echo"]
    assert names(world.plan(Policy(fixed_model="echo/echo"), AUTO)) == ["echo/echo"]


# ── concrete ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_concrete_model_is_served_by_its_deployments_alone():
    world = World(model("a/1", weights=(1, 1, 1)), model("a/2"))
    plan = world.plan(ANY, Needs("a/1"))
    assert sorted(called(plan)) == ["a/1#0", "a/1#1", "a/1#2"]
    assert plan.score == 0.0


def test_a_concrete_model_is_not_held_to_features_or_the_requested_tier():
    world = World(model("a/1", "premium", features=("chat",), context_tokens=10))
    plan = world.plan(ANY, Needs("a/1", tier="economy", tools=True, vision=True), input_tokens=10**6)
    assert (plan.tier, names(plan)) == ("premium", ["a/1"])


def test_calls_are_shared_by_weight():
    world = World(model("a/1", weights=(3, 2, 1, 0)))
    firsts = Counter(called(world.plan(ANY, Needs("a/1")))[0] for _ in range(600))
    assert firsts == {"a/1#0": 300, "a/1#1": 200, "a/1#2": 100}


def test_calls_are_shared_even_where_every_plan_is_made_anew():
    world = World(model("a/1", on=2), model("a/2"))
    firsts = Counter()
    for _ in range(100):
        firsts[called(world.plan(ANY, Needs("a/1")))[0]] += 1
        world.catalog = catalog(*world.catalog.models.values())
    assert firsts == {"a/1#0": 50, "a/1#1": 50}


def test_the_same_calls_give_the_same_plans():
    def run():
        world = World(model("a/1", weights=(3, 2)), model("a/2", on=2), model("a/3"))
        return [called(world.plan(ANY, needs)) for _ in range(20) for needs in (AUTO, Needs("a/1"), Needs("a/2"))]

    assert run() == run()


def test_open_circuits_go_last_and_are_still_there():
    world = World(model("a/1", weights=(9, 5, 1)))
    world.break_down("a/1#0")
    plans = [world.plan(ANY, Needs("a/1")) for _ in range(12)]
    assert all(called(plan)[-1] == "a/1#0" for plan in plans)
    assert Counter(called(plan)[0] for plan in plans) == {"a/1#1": 10, "a/1#2": 2}
    assert plans[0].candidates[-1].reason == "health:open"


def test_a_concrete_model_with_every_circuit_open_is_tried_all_the_same():
    world = World(model("a/1", on=2))
    world.break_down("a/1#0")
    world.break_down("a/1#1")
    plan = world.plan(ANY, Needs("a/1"))
    assert sorted(called(plan)) == ["a/1#0", "a/1#1"]
    assert plan.candidates[0].reason == "chosen: probe"


def test_deployments_that_are_off_are_listed_but_not_called():
    made = model("a/1", on=3)
    off = Deployment("a/1#x", "a/1", "provider-0", "u", enabled=False)
    made = msgspec.structs.replace(made, deployments=(*made.deployments, off))
    plan = World(made, off_providers=("provider-1",)).plan(ANY, Needs("a/1"))
    assert sorted(called(plan)) == ["a/1#0", "a/1#2"]
    assert reasons(plan.candidates)[2:] == [("a/1#1", "provider disabled"), ("a/1#x", "disabled")]


def test_a_plan_is_no_longer_than_its_limit():
    world = World(model("a/1", on=4), options=RoutingOptions(choices_max=2))
    assert len(world.plan(ANY, Needs("a/1")).choices) == 2


# ── what is remembered, and until when ────────────────────────────────────────────────────────────────────────────────


def test_a_plan_is_remembered():
    world = World(model("a/1"), model("a/2"))
    assert world.plan(ANY, AUTO) is world.plan(Policy(requests_per_minute=5), Needs("auto"), input_tokens=3)


@pytest.mark.parametrize(
    ("policy", "needs", "tokens", "exclude"),
    [
        (Policy(deny_models=("a/2",)), AUTO, 0, ()),
        (Policy(allow_models=("a/1",)), AUTO, 0, ()),
        (Policy(tier="standard"), AUTO, 0, ()),
        (Policy(allowed_tiers=("standard",)), AUTO, 0, ()),
        (Policy(fixed_model="auto"), AUTO, 0, ()),
        (ANY, Needs("auto", tools=True), 0, ()),
        (ANY, AUTO, 5000, ()),
        (ANY, AUTO, 0, ("premium",)),
    ],
)
def test_but_not_for_another_question(policy, needs, tokens, exclude):
    world = World(model("a/1"), model("a/2", context_tokens=4000))
    first = world.plan(ANY, AUTO)
    assert world.plan(policy, needs, input_tokens=tokens, exclude_tiers=exclude) is not first


def test_a_new_catalog_drops_the_plans():
    world = World(model("a/1", price=5), options=CHEAP)
    assert names(world.plan(ANY, AUTO)) == ["a/1"]
    world.catalog = catalog(model("a/1", price=5), model("a/2", price=1))
    assert names(world.plan(ANY, AUTO)) == ["a/2", "a/1"]
    world.catalog = catalog(model("a/2", price=1, enabled=False), model("a/1", price=5))
    assert names(world.plan(ANY, AUTO)) == ["a/1"]


def test_a_circuit_drops_the_plans_when_it_opens_and_when_it_may_heal():
    world = World(model("a/1", price=1), model("a/2", price=2), options=CHEAP)
    before = world.plan(ANY, AUTO)
    for _ in range(world.options.breaker_failures - 1):
        world.health.failed("a/1#0", 500)
    assert world.plan(ANY, AUTO) is before
    world.health.failed("a/1#0", 500)
    assert names(world.plan(ANY, AUTO)) == ["a/2"]
    world.clock.now += world.options.breaker_open_ms / 1000
    assert names(world.plan(ANY, AUTO)) == ["a/1", "a/2"]  # half-open: this caller probes
    assert names(world.plan(ANY, AUTO)) == ["a/2"]  # and the others stay away meanwhile
    world.health.succeeded("a/1#0", 10.0)
    assert names(world.plan(ANY, AUTO)) == ["a/1", "a/2"]


def test_explaining_takes_no_probe():
    world = World(model("a/1", price=1), model("a/2", price=2), options=CHEAP)
    world.break_down("a/1#0")
    world.clock.now += world.options.breaker_open_ms / 1000
    assert world.explain(ANY, AUTO)[0].model == "a/1"
    assert names(world.plan(ANY, AUTO))[0] == "a/1"


def test_a_latency_that_moved_drops_the_plans():
    only_latency = RoutingOptions(weight_price=0, weight_capability=0, weight_latency=1)
    world = World(model("a/1"), model("a/2"), options=only_latency)
    assert names(world.plan(ANY, AUTO)) == ["a/1", "a/2"]
    world.health.succeeded("a/1#0", 4000.0)
    moved = world.plan(ANY, AUTO)
    assert names(moved) == ["a/2", "a/1"]
    world.health.succeeded("a/1#0", 4100.0)
    assert world.plan(ANY, AUTO) is moved


def test_no_more_plans_are_remembered_than_the_limit():
    world = World(*(model(f"a/{i}") for i in range(10)), options=RoutingOptions(plans_cached_max=3))
    for i in range(10):
        world.plan(ANY, Needs(f"a/{i}"))
    assert len(world.router._plans) <= 3


# ── explanations ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receipt_lists_so_many_candidates_and_counts_the_others():
    world = World(
        *(model(f"a/{i:02}") for i in range(10)),
        *(model(f"b/{i:02}", features=("chat",)) for i in range(30)),
        options=RoutingOptions(candidates_explained_max=12),
    )
    candidates = world.plan(ANY, Needs("auto", tools=True)).candidates
    assert len(candidates) == 13
    assert reasons(candidates)[-1] == ("*", "28 more: 28 feature:tools")


def test_explain_tells_all_without_a_limit():
    world = World(
        *(model(f"a/{i:02}") for i in range(40)),
        model("b/no-tools", features=("chat",)),
        model("b/denied"),
        model("b/short", context_tokens=10),
        model("b/off", enabled=False),
        model("b/open"),
        model("b/elsewhere", "premium"),
    )
    world.break_down("b/open#0")
    listed = world.explain(Policy(deny_models=("b/denied",)), Needs("auto", tools=True))
    told = dict(reasons(listed))
    assert len(listed) == 46
    assert Counter(told.values())["score"] == 36
    assert {name: told[name] for name in told if name.startswith("b/")} == {
        "b/no-tools": "feature:tools",
        "b/denied": "policy",
        "b/short": "context",
        "b/off": "disabled",
        "b/open": "health:open",
        "b/elsewhere": "tier",
    }


def test_explain_answers_where_a_plan_would_fail():
    world = World(model("a/1", features=("chat",)), model("a/2", "premium"))
    listed = world.explain(ANY, Needs("auto", tier="standard", tools=True))
    assert reasons(listed) == [("a/1", "feature:tools"), ("a/2", "tier")]


def test_explain_lists_all_deployments_of_a_concrete_model():
    world = World(model("a/1", on=4), options=RoutingOptions(choices_max=1))
    assert reasons(world.explain(ANY, Needs("a/1"))) == [
        ("a/1#0", "chosen"),
        ("a/1#1", "next"),
        ("a/1#2", "next"),
        ("a/1#3", "next"),
    ]


def test_the_settings_reach_the_options():
    settings = Settings(
        gateway=Gateway(default_model="a/b", default_tier="premium"),
        routing=Routing(weight_price=0.9, choices_max=7, breaker_failures=2),
    )
    options = options_from(settings)
    assert (options.default_model, options.default_tier) == ("a/b", "premium")
    assert (options.weight_price, options.choices_max, options.breaker_failures) == (0.9, 7, 2)


def test_options_and_settings_have_the_same_defaults():
    assert options_from(Settings()) == RoutingOptions()
