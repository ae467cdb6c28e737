import pytest

from joytoken.admin.keys import KeyCreate, create_key
from joytoken.admin.routes import RouteQuery, explain_route
from joytoken.domain.errors import InvalidRequest, NotFound


def test_auto_is_explained_without_a_call(desk):
    told = explain_route(desk, RouteQuery())
    assert (told.model, told.tier, told.refusal) == ("auto", "standard", None)
    assert [choice.model for choice in told.choices] == ["echo/echo"]
    assert [(c.model, c.reason) for c in told.candidates if not c.chosen] == [
        ("echo/echo-mini", "tier"),
        ("echo/echo-max", "tier"),
    ]


def test_an_empty_wallet_leads_to_the_next_tier(desk):
    assert explain_route(desk, RouteQuery(exclude_tiers=["standard"])).tier == "premium"


def test_a_keys_policy_counts(desk):
    create_key(desk, KeyCreate(name="k", tier="economy"))
    assert explain_route(desk, RouteQuery(key="k")).tier == "economy"
    told = explain_route(desk, RouteQuery(key="k", model="echo"))
    assert (told.refusal_code, told.choices) == ("tier_not_allowed", [])


def test_an_unknown_model_is_a_refusal_and_wrong_words_are_errors(desk):
    assert explain_route(desk, RouteQuery(model="gpt-9")).refusal_code == "unknown_model"
    with pytest.raises(InvalidRequest):
        explain_route(desk, RouteQuery(tier="gold"))
    with pytest.raises(NotFound):
        explain_route(desk, RouteQuery(key="nobody"))
