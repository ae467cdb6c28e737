"""Budgets as operators set, change, look at and remove them."""

import msgspec
import pytest

from joytoken.admin import budgets, runs
from joytoken.admin.audit import AuditQuery, list_audit
from joytoken.admin.budgets import (
    BudgetQuery,
    BudgetRef,
    BudgetSet,
    list_budgets,
    remove_budget,
    set_budget,
    show_budget,
)
from joytoken.admin.keys import KeyCreate, create_key
from joytoken.admin.requests import RequestQuery, list_requests
from joytoken.admin.runs import RunRef, show_run
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.domain.ledger import Want
from joytoken.domain.record import Detail
from joytoken.store.batch import Batch
from joytoken.store.budgets import Run
from joytoken.store.ledger import Ledger
from tests.admin.conftest import NOW_US
from tests.admin.worlds import CREDIT, paid


def a_request(name="blue", **fields):
    return BudgetSet(name=name, **{"limit": "5", "window": "month", "project": "blue", **fields})


def spend(desk, account, charged, limit=5 * CREDIT, name="w-b"):
    epoch = desk.store.ledger.register(name, "host", NOW_US)
    desk.store.ledger.grant(name, epoch, [(Want(account, limit), charged, charged)])
    return lambda: desk.store.ledger.flush(name, epoch, Batch(1, [], {account: charged}, NOW_US))


def test_a_budget_is_made_shown_changed_and_removed(desk):
    generation = desk.store.generation()
    made = set_budget(desk, a_request(zone="Asia/Shanghai"))
    assert (made.limit, made.window, made.zone, made.status, made.project) == (
        "5",
        "month",
        "Asia/Shanghai",
        "active",
        "blue",
    )
    assert (made.open_window, made.resets_at, made.left) == ("M:2026-11", "2026-11-30T16:00:00.000Z", "5.000000")
    assert desk.store.generation() == generation + 1
    back = spend(desk, f"budget:{made.id}:M:2026-11", CREDIT)
    shown = show_budget(desk, BudgetRef(made.id))
    assert (shown.spent, shown.frozen, shown.left) == ("0.000000", "1.000000", "4.000000")
    back()
    changed = set_budget(desk, BudgetSet(name="blue", limit="7", status="paused"))
    assert (changed.id, changed.limit, changed.status, changed.left) == (made.id, "7", "paused", "7.000000")
    assert desk.store.generation() == generation + 2
    assert [budget.name for budget in list_budgets(desk, BudgetQuery()).budgets] == ["blue"]
    assert remove_budget(desk, BudgetRef("blue")).removed == "blue"
    assert list_budgets(desk, BudgetQuery()).budgets == []
    with pytest.raises(NotFound):
        show_budget(desk, BudgetRef("blue"))
    actions = [entry.action for entry in list_audit(desk, AuditQuery()).entries]
    assert actions[:3] == ["budget.remove", "budget.set", "budget.set"]
    assert desk.store.ledger.verify().first_bad is None


def test_what_each_has_spent(desk):
    made = set_budget(desk, BudgetSet(name="users", limit="5", window="total", each=["end-user"], owner="default"))
    assert (made.each, made.resets_at, made.left, made.shares) == (["end_user"], None, None, [])
    for user, charged in (("u1", 1), ("u2", 2)):
        spend(desk, f"budget:{made.id}:T:all:default/{user}", charged * CREDIT, name=user)
    shown = show_budget(desk, BudgetRef("users"))
    assert [(s.subject, s.frozen, s.left) for s in shown.shares] == [
        ("default/u1", "1.000000", "4.000000"),
        ("default/u2", "2.000000", "3.000000"),
    ]
    assert shown.frozen == "3.000000"


def test_of_many_the_most_spent_are_shown_and_all_are_summed(desk, monkeypatch):
    monkeypatch.setattr(budgets, "SHARES_MAX", 2)
    made = set_budget(desk, BudgetSet(name="users", limit="5", window="total", each=["end-user"], owner="default"))
    for n in range(3):
        spend(desk, f"budget:{made.id}:T:all:default/u{n}", CREDIT, name=f"u{n}")
        shown = show_budget(desk, BudgetRef("users"))
        assert (len(shown.shares), shown.more, shown.frozen) == (min(n + 1, 2), n == 2, f"{n + 1}.000000")


def test_a_list_reads_sums_and_not_every_account(desk, monkeypatch):
    made = set_budget(desk, BudgetSet(name="users", limit="5", window="total", each=["end-user"], owner="default"))
    spend(desk, f"budget:{made.id}:T:all:default/u", CREDIT)
    for reader in ("accounts", "window_shares"):
        monkeypatch.delattr(Ledger, reader)
    (listed,) = list_budgets(desk, BudgetQuery()).budgets
    assert (listed.frozen, listed.left) == ("1.000000", None)


def test_a_key_is_named_or_given_by_its_id(desk):
    key = create_key(desk, KeyCreate(name="k"))
    made = set_budget(desk, BudgetSet(name="b", limit="1", window="month", key="k"))
    assert made.key == key.id
    assert set_budget(desk, BudgetSet(name="b", limit="2", key=key.id)).limit == "2"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": " "}, "name"),
        ({"name": "a/b"}, "name"),
        ({"limit": None}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "lots"}, "limit"),
        ({"window": None}, "window"),
        ({"window": "year"}, "window"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"status": "on"}, "status"),
        ({"project": None}, "project"),
        ({"project": "x\n"}, "project"),
        ({"each": ["month"]}, "each"),
        ({"each": ["project"]}, "each"),
    ],
)
def test_what_is_wrong_is_named(desk, fields, param):
    with pytest.raises(InvalidRequest) as caught:
        set_budget(desk, a_request(**fields))
    assert caught.value.param == param
    assert list_budgets(desk, BudgetQuery()).budgets == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"project": "red"}, "project"),
        ({"window": "day"}, "window"),
        ({"each": ["run"]}, "each"),
        ({"run": "r"}, "run"),
    ],
)
def test_whom_it_covers_is_fixed(desk, fields, param):
    set_budget(desk, a_request())
    with pytest.raises(Conflict) as caught:
        set_budget(desk, BudgetSet(name="blue", **fields))
    assert (caught.value.code, caught.value.param) == ("budget_fixed", param)
    assert set_budget(desk, a_request(limit="9")).limit == "9"  # the same again is no change of those


# -- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_is_a_tree_with_sums(desk):
    paid(desk, charged=CREDIT, run_id="top")
    paid(desk, charged=2 * CREDIT, run_id="a", parent_run_id="top")
    paid(desk, charged=CREDIT, run_id="a", parent_run_id="top", ending="client_gone")
    paid(desk, charged=4 * CREDIT, run_id="a1", parent_run_id="a")
    paid(desk, charged=8 * CREDIT, run_id="other")
    desk.store.budgets.place(Run("default", "top", "", 9 * CREDIT))
    tree = show_run(desk, RunRef(id="top"))
    assert (tree.owner, tree.more) == ("default", False)
    assert [(r.id, r.parent, r.depth, r.requests, r.errors, r.charged, r.total, r.budget) for r in tree.runs] == [
        ("top", "", 0, 1, 0, "1.000000", "8.000000", "9.000000"),
        ("a", "top", 1, 2, 1, "3.000000", "7.000000", None),
        ("a1", "a", 2, 1, 0, "4.000000", "4.000000", None),
    ]
    assert msgspec.json.encode(tree)


def test_a_run_has_a_workflow_and_its_requests_steps(desk):
    desk.store.budgets.place(Run("default", "top", "", None, 1, "nightly"))
    desk.store.budgets.place(Run("default", "a", "top", None, 1, "search"))
    step = msgspec.json.encode(Detail(rule="alias", workflow="nightly", step="1"))
    paid(desk, charged=CREDIT, run_id="top", detail=step, started_us=NOW_US - 3)
    last = paid(desk, charged=CREDIT, run_id="top", detail=b"", started_us=NOW_US - 1, ending="recovered")
    paid(desk, charged=2 * CREDIT, run_id="a", parent_run_id="top", started_us=NOW_US - 2)
    assert show_run(desk, RunRef(id="top")).requests == []
    tree = show_run(desk, RunRef(id="top", steps=True))
    assert (tree.id, tree.workflow, tree.more) == ("top", "nightly", False)
    assert [(run.id, run.workflow) for run in tree.runs] == [("top", "nightly"), ("a", "search")]
    assert [(r.run, r.step, r.credits_used) for r in tree.requests] == [
        ("top", "1", "1.000000"),
        ("a", "", "2.000000"),
        ("top", "", "1.000000"),
    ]
    assert (tree.requests[-1].request_id, tree.requests[-1].ending) == (last.request_id, "recovered")
    (shown,) = [r for r in list_requests(desk, RequestQuery(workflow="nightly")).requests if r.step]
    assert (shown.run, shown.parent_run, shown.workflow, shown.step) == ("top", "", "nightly", "1")
    assert len(list_requests(desk, RequestQuery(workflow="nightly")).requests) == 2


def test_a_tree_is_shown_as_far_as_it_is_allowed_to_be(desk, monkeypatch):
    monkeypatch.setattr(runs, "RUNS_MAX", 2)
    monkeypatch.setattr(runs, "REQUESTS_MAX", 2)
    paid(desk, run_id="top")
    paid(desk, run_id="a", parent_run_id="top")
    tree = show_run(desk, RunRef(id="top", steps=True))
    assert (len(tree.runs), len(tree.requests), tree.more) == (2, 2, False)
    paid(desk, run_id="a", parent_run_id="top")
    tree = show_run(desk, RunRef(id="top", steps=True))
    assert (len(tree.runs), len(tree.requests), tree.more) == (2, 2, True)
    assert not show_run(desk, RunRef(id="top")).more
    for n in range(5):
        paid(desk, run_id=f"b{n}", parent_run_id="top")
    tree = show_run(desk, RunRef(id="top"))
    assert (len(tree.runs), tree.more) == (2, True)


def test_what_is_left_of_a_run_is_its_own(desk):
    """Of another whose id begins with the same letters, or goes on behind a colon, nothing is read."""
    for run_id in ("r", "r1", "r:1"):
        desk.store.budgets.place(Run("default", run_id, "", 5 * CREDIT))
    spend(desk, "budget:run:T:all:default/r", CREDIT, name="r")
    spend(desk, "budget:run:T:all:default/r:1", 3 * CREDIT, name="r1")
    for run_id in ("r", "r1", "r:1"):
        paid(desk, run_id=run_id)
    left = [show_run(desk, RunRef(id=run_id)).runs[0].left for run_id in ("r", "r1", "r:1")]
    assert left == ["4.000000", "5.000000", "2.000000"]


def test_a_run_that_made_no_request_itself(desk):
    paid(desk, charged=CREDIT, run_id="a", parent_run_id="quiet")
    tree = show_run(desk, RunRef(id="quiet"))
    assert next((r.id, r.requests, r.total, r.started_at) for r in tree.runs) == ("quiet", 0, "1.000000", None)
    with pytest.raises(NotFound):
        show_run(desk, RunRef(id="nobody"))
    with pytest.raises(NotFound):
        show_run(desk, RunRef(id="a", owner="someone"))


def test_runs_of_two_owners_are_two(desk):
    for owner in ("default", "acme"):
        paid(desk, charged=CREDIT, run_id="r", owner_id=owner)
    with pytest.raises(Conflict) as caught:
        show_run(desk, RunRef(id="r"))
    assert caught.value.param == "owner"
    assert show_run(desk, RunRef(id="r", owner="acme")).owner == "acme"
