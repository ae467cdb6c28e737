"""Whom a budget covers, and how its accounts are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.budget import Budget, budget_account, budget_of, covers, opened_of, run_account, subject
from joytoken.domain.ledger import account_kind

FACTS = {
    "owner": "acme",
    "key": "key-1",
    "project": "blue",
    "application": "",
    "environment": "live",
    "end_user": "u-7",
    "run": "",
}


def a_budget(**fields):
    return Budget(**{"budget_id": "bud-1", "name": "b", "limit": 10, "window": "day", **fields})


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"project": "blue"}, True),
        ({"project": "red"}, False),
        ({"project": "blue", "environment": "live"}, True),
        ({"project": "blue", "environment": "test"}, False),
        ({"each": ("project",)}, True),
        ({"each": ("application",)}, False),  # there is none
        ({"each": ("end_user",), "owner": "acme"}, True),
        ({"each": ("run",)}, False),
        ({"key": "key-2"}, False),
    ],
)
def test_everything_that_it_names_must_be_the_requests(scope, covered):
    assert covers(a_budget(**scope), FACTS) is covered


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ({"project": "blue"}, "budget:bud-1:D:2026-11-22"),
        ({"each": ("project",)}, "budget:bud-1:D:2026-11-22:blue"),
        ({"each": ("end_user",)}, "budget:bud-1:D:2026-11-22:acme/u-7"),
        ({"each": ("owner", "end_user")}, "budget:bud-1:D:2026-11-22:acme/u-7"),
        ({"each": ("project", "end_user")}, "budget:bud-1:D:2026-11-22:acme/blue/u-7"),
    ],
)
def test_accounts(scope, name):
    account = budget_account(a_budget(**scope), "D:2026-11-22", FACTS)
    assert account == name
    assert account_kind(account) == "budget"
    assert budget_of(account) == ("bud-1", "D:2026-11-22")


def test_a_run_that_was_given_its_own():
    assert run_account("acme", "r:1") == "budget:run:T:all:acme/r:1"
    assert budget_of(run_account("acme", "r:1")) == ("run", "T:all")
    with pytest.raises(ValueError):
        budget_of("wallet:acme:standard")


@pytest.mark.parametrize(
    ("account", "of"),
    [
        (f"budget:b:D:2026-11-22:{subject(('acme', 'u'))}", "b/acme"),
        (f"budget:b:D:2026-11-22:{subject(('acme', 'x' * 300))}", "b/acme"),
        (f"budget:b:D:2026-11-22:{subject(('acme', 'a/b'))}", "b/acme"),
        (f"budget:b:D:2026-11-22:{subject(('acme', '~0'))}", "b/acme"),
        (f"budget:b:T:all:{subject(('ac:me', 'u:v'))}", "b/ac:me"),
        (f"budget:b:T:all:{subject(('a/c', 'u'))}", "b"),
        ("budget:b:T:all", None),
        (run_account("acme", "r"), None),
        ("quota:key:D:2026-11-22", None),
        ("wallet:a:b:c:d:e/f:standard", None),
    ],
)
def test_what_is_counted_together_is_one_owners(account, of):
    assert opened_of(account) == of


words = st.text(max_size=5) | st.sampled_from(["a", "a/b", "b", "/", "~", "\0", "é", "x" * 200])


@given(st.lists(words, min_size=1, max_size=3), st.lists(words, min_size=1, max_size=3))
def test_different_values_have_different_accounts(one, other):
    """Callers choose these values: none may reach another's account, nor write what a database cannot hold."""
    if len(one) == len(other):
        assert (subject(one) == subject(other)) == (one == other)
    made = subject(one)
    assert made.isprintable()
    assert len(made) <= 128
