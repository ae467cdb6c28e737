import pytest

from joytoken.domain.tier import DEFAULT_TIER, FALLBACK, TIERS, parse_tier


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_is_found_by_its_name(tier):
    assert parse_tier(tier) == tier


@pytest.mark.parametrize("name", ["", "Standard", " standard", "gold", "standard\n"])
def test_no_other_name_is_a_tier(name):
    assert parse_tier(name) is None


def test_the_default_is_standard():
    assert DEFAULT_TIER == "standard"


def test_each_tier_falls_back_to_both_others_in_the_documented_order():
    assert FALLBACK == {
        "premium": ("standard", "economy"),
        "standard": ("premium", "economy"),
        "economy": ("standard", "premium"),
    }
    for tier, others in FALLBACK.items():
        assert {tier, *others} == set(TIERS)
