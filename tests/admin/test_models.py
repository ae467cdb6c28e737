import pytest
from msgspec.structs import replace

from joytoken.admin.models import (
    ModelAdd,
    ModelQuery,
    ModelRemove,
    ModelUpdate,
    add_model,
    list_models,
    remove_model,
    update_model,
)
from joytoken.admin.providers import ProviderAdd, add_provider
from joytoken.config.settings import Gateway
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound

PRICED = {"input_mtok": "75", "output_mtok": "300"}


def test_a_model_with_everything(desk):
    made = add_model(
        desk,
        ModelAdd(
            name="acme/big",
            provider="echo",
            upstream="big-1",
            tier="premium",
            context_tokens=1000,
            features=["tools"],
            aliases=["big"],
            mci_score=71.5,
            cost_input_mtok_usd="0.1",
            cost_output_mtok_usd="0.4",
            cache_read_mtok="7.5",
            request="0.01",
            description="x",
            **PRICED,
        ),
    )
    assert (made.tier, made.features, made.aliases, made.mci_score) == ("premium", ["chat", "tools"], ["big"], 71.5)
    assert (made.price.credits.input_mtok, made.price.credits.cache_read_mtok, made.price.credits.request) == (
        "75",
        "7.5",
        "0.01",
    )
    assert made.price.cost_usd.output_mtok == "0.4"
    assert [(d.provider, d.upstream) for d in made.deployments] == [("echo", "big-1")]
    assert made.price.price_id.startswith("price-")
    assert [m.name for m in list_models(desk, ModelQuery(tier="premium")).models] == ["acme/big", "echo/echo-max"]


def test_a_second_add_of_one_name_adds_a_deployment(desk):
    add_provider(desk, ProviderAdd(name="two", base_url="http://127.0.0.1:1/v1"))
    add_model(desk, ModelAdd(name="m", provider="echo", tier="economy", **PRICED))
    made = add_model(desk, ModelAdd(name="m", provider="two", upstream="m-2", weight=3))
    assert [(d.provider, d.upstream, d.weight) for d in made.deployments] == [("echo", "m", 1), ("two", "m-2", 3)]
    assert (made.tier, made.price.credits.input_mtok) == ("economy", "75")
    assert len({d.id for d in made.deployments}) == 2
    again = add_model(desk, ModelAdd(name="m", provider="two", upstream="m-2", weight=5))
    assert [d.weight for d in again.deployments] == [1, 5]
    assert [d.id for d in again.deployments] == [d.id for d in made.deployments]


def test_the_providers_prefix_is_not_part_of_the_upstream_name(desk):
    made = add_model(desk, ModelAdd(name="echo/new", provider="echo", **PRICED))
    assert made.deployments[0].upstream == "new"


def test_an_old_price_stays_in_the_book(desk):
    made = add_model(desk, ModelAdd(name="m", provider="echo", **PRICED))
    after = update_model(desk, ModelUpdate(name="m", input_mtok="80", tier="premium"))
    assert (after.price.credits.input_mtok, after.price.credits.output_mtok, after.tier) == ("80", "300", "premium")
    assert desk.store.catalog.price(made.price.price_id).credits.input == 75 * 10**9


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    (
        ({"provider": "nobody"}, NotFound, "provider"),
        ({"input_mtok": None}, InvalidRequest, "input_mtok"),
        ({"output_mtok": None}, InvalidRequest, "output_mtok"),
        ({"input_mtok": None, "output_mtok": None}, InvalidRequest, "input_mtok"),
        ({"input_mtok": "-1"}, InvalidRequest, "input_mtok"),
        ({"input_mtok": "free"}, InvalidRequest, "input_mtok"),
        ({"name": "a b"}, InvalidRequest, "name"),
        ({"name": "echo-mini"}, Conflict, "name"),
        ({"name": "auto"}, Conflict, "name"),
        ({"aliases": ["auto"]}, Conflict, "aliases"),
        ({"aliases": ["a\nb"]}, InvalidRequest, "aliases"),
        ({"aliases": ["echo"]}, Conflict, "aliases"),
        ({"tier": "gold"}, InvalidRequest, "tier"),
        ({"features": ["telepathy"]}, InvalidRequest, "features"),
        ({"mci_score": 101.0}, InvalidRequest, "mci_score"),
        ({"context_tokens": 0}, InvalidRequest, "context_tokens"),
        ({"weight": -1}, InvalidRequest, "weight"),
    ),
)
def test_a_wrong_model_names_its_field(desk, fields, error, param):
    before = desk.store.generation()
    with pytest.raises(error) as caught:
        add_model(desk, ModelAdd(**{"name": "m", "provider": "echo", **PRICED, **fields}))
    assert caught.value.param == param
    assert desk.store.generation() == before


@pytest.mark.parametrize(("rule", "price"), (("zero", "0"), ("tier_default", "75")))
def test_what_a_missing_price_means_is_a_setting(desk, rule, price):
    other = replace(desk.settings, gateway=Gateway(on_missing_price=rule))
    desk = type(desk)(desk.store, other, desk.vault)
    assert add_model(desk, ModelAdd(name="m", provider="echo", tier="standard")).price.credits.input_mtok == price


def test_removing_a_deployment_and_a_model(desk):
    add_provider(desk, ProviderAdd(name="two", base_url="http://127.0.0.1:1/v1"))
    add_model(desk, ModelAdd(name="m", provider="echo", **PRICED))
    add_model(desk, ModelAdd(name="m", provider="two"))
    remove_model(desk, ModelRemove(name="m", deployment="echo"))
    (left,) = [m for m in list_models(desk, ModelQuery(provider="two")).models if m.name == "m"]
    assert [d.provider for d in left.deployments] == ["two"]
    with pytest.raises(NotFound):
        remove_model(desk, ModelRemove(name="m", deployment="echo"))
    assert remove_model(desk, ModelRemove(name="m")).removed == "m"
    with pytest.raises(NotFound):
        remove_model(desk, ModelRemove(name="m"))
