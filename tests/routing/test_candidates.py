import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.apikey import Policy
from joytoken.domain.errors import PolicyRejected, RoutingFailed
from joytoken.domain.route import Needs
from joytoken.domain.tier import TIERS
from joytoken.routing import allowed_tiers, tiers_for
from joytoken.routing.candidates import Index, tiers_left
from tests.routing.catalogs import World, called, catalog, model, names

E, S, P = TIERS


@pytest.mark.parametrize(
    ("policy", "tiers"),
    [
        (Policy(), (E, S, P)),
        (Policy(allowed_tiers=(P, E)), (E, P)),
        (Policy(tier=S), (S,)),
        (Policy(allowed_tiers=(E, S), tier=S), (S,)),
        (Policy(allowed_tiers=(E,), tier=P), ()),
    ],
)
def test_the_tiers_of_a_key(policy, tiers):
    assert allowed_tiers(policy) == tiers


@pytest.mark.parametrize(
    ("policy", "asked", "default", "tiers"),
    [
        (Policy(), None, S, (S, P, E)),
        (Policy(), None, E, (E, S, P)),
        (Policy(), None, P, (P, S, E)),
        (Policy(), P, S, (P,)),
        (Policy(tier=E), None, S, (E,)),
        (Policy(allowed_tiers=(E, P)), None, S, (E, P)),
        (Policy(allowed_tiers=(P,)), None, S, (P,)),
        (Policy(allowed_tiers=(S, E)), None, S, (S, E)),
    ],
)
def test_the_order_of_tiers(policy, asked, default, tiers):
    assert tiers_for(policy, Needs("auto", tier=asked), default) == tiers


@pytest.mark.parametrize(
    ("policy", "asked"),
    [(Policy(allowed_tiers=(E, S)), P), (Policy(tier=E), S), (Policy(allowed_tiers=(E,), tier=P), None)],
)
def test_a_tier_that_the_key_does_not_allow(policy, asked):
    with pytest.raises(PolicyRejected) as refusal:
        tiers_for(policy, Needs("auto", tier=asked))
    assert refusal.value.code == "tier_not_allowed"


@pytest.mark.parametrize(
    ("policy", "asked", "exclude", "tiers"),
    [
        (Policy(), None, (S,), (P, E)),
        (Policy(), None, (S, P), (E,)),
        (Policy(), None, (S, P, E), ()),
        (Policy(), P, (P,), (S,)),  # the gateway's decision outweighs the caller's wish
        (Policy(tier=P), None, (P,), ()),
        (Policy(allowed_tiers=(S, E)), None, (S,), (E,)),
    ],
)
def test_tiers_whose_wallets_are_empty_are_left_out(policy, asked, exclude, tiers):
    assert tiers_left(policy, Needs("auto", tier=asked), S, exclude) == tiers


def test_a_bucket_tells_inputs_apart_where_a_context_lies_between():
    index = Index(catalog(model("a/a", context_tokens=100), model("a/b", context_tokens=200), model("a/c")))
    assert [index.bucket(tokens) for tokens in (0, 100, 101, 200, 201, 10**9)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("models", "needs", "tokens", "message"),
    [
        ((), Needs("auto", tier=E), 0, "no model can serve this request: the tier economy has none"),
        ((model("a/a", E, features=("chat",)),), Needs("auto", tier=E, tools=True), 0, "1 without tools"),
        ((model("a/a", E, features=("chat",)),), Needs("auto", tier=E, vision=True), 0, "1 without vision"),
        ((model("a/a", E, features=("chat",)),), Needs("auto", tier=E, audio=True), 0, "1 without audio"),
        ((model("a/a", E, features=("chat",)),), Needs("auto", tier=E, json_schema=True), 0, "1 without json_schema"),
        ((model("a/a", E, features=("embedding",)),), Needs("auto", tier=E), 0, "1 without chat"),
        ((model("a/a", E, context_tokens=1000),), Needs("auto", tier=E), 900, "1 with too short a context"),
        ((model("a/a", E, enabled=False),), Needs("auto", tier=E), 0, "1 switched off"),
        ((model("a/a", E, on=0, weights=()),), Needs("auto", tier=E), 0, "1 switched off"),
        (
            (model("a/a", features=("chat",)), model("a/b", features=("chat",)), model("b/c")),
            Needs("auto", tier=S, tools=True),
            0,
            "2 without tools, 1 not allowed by the key",
        ),
    ],
)
def test_nothing_left_is_explained_by_counts(models, needs, tokens, message):
    models = [m if m.deployments else model(m.name, m.tier, enabled=False) for m in models]
    with pytest.raises(RoutingFailed) as failure:
        World(*models).plan(Policy(deny_models=("b/*",)), needs, input_tokens=tokens)
    assert failure.value.code == "no_candidate"
    assert message in failure.value.message


def test_a_model_whose_providers_are_all_off_is_no_candidate():
    with pytest.raises(RoutingFailed, match="1 without a deployment"):
        World(model("a/a"), off_providers=("provider-0",)).plan(Policy(), Needs("auto"))


vendors = st.sampled_from(["a", "b", "c"])
features = st.sets(st.sampled_from(["chat", "tools", "vision", "audio", "json_schema", "embedding"]))


@st.composite
def models(draw):
    name = f"{draw(vendors)}/{draw(st.sampled_from('uvwxyz'))}"
    return model(
        name,
        draw(st.sampled_from(TIERS)),
        price=draw(st.integers(0, 100)),
        weights=tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))),
        features=tuple(draw(features)),
        enabled=draw(st.booleans()),
        context_tokens=draw(st.sampled_from([None, 500, 5000])),
        mci_score=draw(st.sampled_from([None, 10.0, 90.0])),
    )


entries = st.lists(
    st.one_of(st.sampled_from(["a/*", "b/*", "u", "v"]), st.builds("{}/{}".format, vendors, st.sampled_from("uvwxyz"))),
    max_size=3,
).map(tuple)
policies = st.builds(
    Policy,
    deny_models=entries,
    allow_models=entries,
    allowed_tiers=st.sets(st.sampled_from(TIERS)).map(tuple),
)
needs = st.builds(
    Needs, st.just("auto"), tools=st.booleans(), vision=st.booleans(), audio=st.booleans(), json_schema=st.booleans()
)


def means(entry, name):
    return entry in (name, name.split("/")[1], name.split("/")[0] + "/*")


@given(
    st.lists(models(), max_size=12, unique_by=lambda m: m.name),
    policies,
    needs,
    st.integers(0, 6000),
    st.sets(st.sampled_from(range(12))),
)
def test_auto_never_picks_what_it_must_not(offered, policy, asked, tokens, broken):
    world = World(*offered)
    for i in broken & set(range(len(offered))):
        world.break_down(offered[i].deployments[0].deployment_id)

    def fits(m):
        wanted = {"chat"} | {f for f in ("tools", "vision", "audio", "json_schema") if getattr(asked, f)}
        return (
            m.enabled
            and wanted <= set(m.features)
            and not any(means(e, m.name) for e in policy.deny_models)
            and (not policy.allow_models or any(means(e, m.name) for e in policy.allow_models))
            and (not policy.allowed_tiers or m.tier in policy.allowed_tiers)
            and (m.context_tokens is None or m.context_tokens >= tokens + world.options.output_tokens_min)
        )

    fit = [m for m in offered if fits(m)]
    try:
        plan = world.plan(policy, asked, input_tokens=tokens)
    except RoutingFailed:
        assert not fit
        return
    assert 1 <= len(plan.choices) <= world.options.choices_max
    assert len(set(called(plan))) == len(plan.choices)
    assert all(choice.model in fit and choice.model.tier == plan.tier for choice in plan.choices)
    healthy = [m for m in fit if any(world.health.usable(d.deployment_id) for d in m.deployments)]
    assert not healthy or all(world.health.usable(d) for d in called(plan))
    again = World(*reversed(offered))
    for i in broken & set(range(len(offered))):
        again.break_down(offered[i].deployments[0].deployment_id)
    assert names(again.plan(policy, asked, input_tokens=tokens)) == names(plan)
