"""A key as its holder sees it: what it may do, and what is left for it."""

import msgspec
import pytest

from joytoken.admin.budgets import BudgetSet, set_budget
from joytoken.admin.keys import KeyCreate, KeyUpdate, create_key, show_key, update_key
from joytoken.admin.own_key import own_key
from joytoken.admin.wallets import WalletQuery, show_wallets
from joytoken.domain.ledger import Want
from joytoken.gateway.budgets import budgets_for
from tests.admin.conftest import NOW_US
from tests.admin.worlds import CREDIT, paid

DAY, WEEK = "D:2026-11-22", "W:2026-W47"


@pytest.fixture
def seen(desk):
    """What the holder of a key is told, by the key's id."""

    def told(key_id):
        key = desk.store.keys.get(key_id)
        budgets = budgets_for(key, desk.store.budgets.list())
        return msgspec.to_builtins(own_key(desk, key, () if budgets is None else budgets.shared))

    return told


def freeze(desk, account, limit, amount):
    epoch = desk.store.ledger.register("freezer", "host", NOW_US)
    desk.store.ledger.grant("freezer", epoch, [(Want(account, limit), amount, amount)])


def test_labels_and_policy_are_those_of_management(desk, seen):
    made = create_key(
        desk,
        KeyCreate(name="ci", project="p", task="t", allowed_tiers=["economy"], deny_models=["a"], run_budget=True),
    )
    shown, managed = seen(made.id), msgspec.to_builtins(show_key(desk, msgspec.convert({"id": made.id}, KeyUpdate)))
    for name in ("id", "name", "status", "owner", "project", "application", "environment", "task"):
        assert shown[name] == managed[name]
    assert shown["policy"] == {name: managed[name] for name in shown["policy"]}
    assert (shown["policy"]["allowed_tiers"], shown["policy"]["deny_models"]) == (["economy"], ["a"])
    assert (shown["expires_at"], shown["limits"], shown["budgets"]) == (None, [], [])
    assert made.api_key not in str(shown)
    assert "hint" not in shown


def test_what_is_left_of_its_limits(desk, seen):
    key = create_key(desk, KeyCreate(name="ci", limit_daily="5", limit_weekly="7.5")).id
    fresh = [limit["left"] for limit in seen(key)["limits"]]
    assert fresh == ["5.000000", "7.500000"]
    day, week = (Want(f"quota:{key}:{DAY}", 5 * CREDIT), Want(f"quota:{key}:{WEEK}", 7_500_000_000))
    paid(desk, charged=CREDIT, limits=(day, week))
    freeze(desk, day.account, day.limit, 2 * CREDIT)
    assert seen(key)["limits"] == [
        {
            "name": "",
            "window": "day",
            "limit": "5.000000",
            "spent": "1.000000",
            "frozen": "2.000000",
            "left": "2.000000",
            "ends_at": "2026-11-23T00:00:00.000Z",
        },
        {
            "name": "",
            "window": "week",
            "limit": "7.500000",
            "spent": "1.000000",
            "frozen": "0.000000",
            "left": "6.500000",
            "ends_at": "2026-11-23T00:00:00.000Z",
        },
    ]
    update_key(desk, KeyUpdate(id=key, limit_daily="4", clear=["limit_weekly"]))
    (left,) = seen(key)["limits"]
    assert (left["limit"], left["spent"], left["left"]) == ("4.000000", "1.000000", "1.000000")


def test_wallets_are_its_owners(desk, seen):
    key = create_key(desk, KeyCreate(name="ci")).id
    other = create_key(desk, KeyCreate(name="ci", owner="acme")).id
    managed = msgspec.to_builtins(show_wallets(desk, WalletQuery()).wallets)
    assert seen(key)["wallets"] == [{name: wallet[name] for name in seen(key)["wallets"][0]} for wallet in managed]
    assert [wallet["tier"] for wallet in seen(key)["wallets"]] == ["economy", "standard", "premium"]
    assert {wallet["balance"] for wallet in seen(other)["wallets"]} == {"0.000000"}


def test_budgets_that_cover_each_of_its_requests_in_one_amount(desk, seen):
    """Not those of end users and runs: these are whose the request is."""
    key = create_key(desk, KeyCreate(name="ci", project="blue")).id
    blue = set_budget(desk, BudgetSet(name="blue", limit="9", window="month", project="blue"))
    set_budget(desk, BudgetSet(name="all", limit="8", window="total", each=["project"]))
    set_budget(desk, BudgetSet(name="red", limit="9", window="month", project="red"))
    set_budget(desk, BudgetSet(name="users", limit="9", window="month", each=["end-user"]))
    set_budget(desk, BudgetSet(name="run", limit="9", window="total", run="r"))
    set_budget(desk, BudgetSet(name="paused", limit="9", window="month", project="blue", status="paused"))
    paid(desk, charged=CREDIT, limits=(Want(f"budget:{blue.id}:M:2026-11", 9 * CREDIT),))
    told = seen(key)["budgets"]
    assert [
        (b["name"], b["window"], b["limit"], b["spent"], b["left"], b["ends_at"])
        for b in sorted(told, key=lambda b: b["name"])
    ] == [
        ("all", "total", "8.000000", "0.000000", "8.000000", None),
        ("blue", "month", "9.000000", "1.000000", "8.000000", "2026-12-01T00:00:00.000Z"),
    ]
