"""Every ending has a name and a rule."""

from typing import get_args

from joytoken.domain.ending import RULES, Ending


def test_each_ending_has_a_rule_that_a_payer_can_read():
    assert set(RULES) == set(get_args(Ending))
    assert all(len(rule) > 10 for rule in RULES.values())
