"""Budgets in the store: defined, opened by a grant, moved to another limit, and runs that are placed once."""

import pytest

from joytoken.domain.budget import Budget
from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.ledger import Want
from joytoken.store.budgets import Budgets, Run
from joytoken.store.ledger import Batch, Ledger, WindowShare, WindowSums
from joytoken.store.setting import Settings
from tests.store.making import record

W = "wallet:owner:standard"
MONTH = "budget:bud-1:M:2026-11"


def a_budget(**fields):
    return Budget(**{"budget_id": "bud-1", "name": "blue", "limit": 1_000, "window": "month", **fields})


@pytest.fixture
def budgets(database):
    return Budgets(database)


@pytest.fixture
def ledger(database):
    clock = [0.0]
    made = Ledger(database, clock=lambda: clock[0], pause=lambda s: clock.__setitem__(0, clock[0] + s))
    made.top_up(W, 10_000, "r", "k", "root", 5)
    yield made
    assert made.verify().first_bad is None


def row(ledger, account=MONTH):
    return next(found for found in ledger.accounts(account) if found.account == account)


def worker(ledger, *wants, name="h:0"):
    epoch = ledger.register(name, "h", 1)
    ledger.grant(name, epoch, [(want, need, need) for want, need in wants], 1)
    return epoch


def spend(ledger, epoch, charged, accounts=(W, MONTH), seq=1, name="h:0"):
    settle = (seq, accounts, charged, record(seq, charged=charged, shortfall=0))
    ledger.flush(name, epoch, Batch(seq, [settle], {}, 1))


def test_what_is_written_is_read(budgets, database):
    before = Settings(database).generation()
    first = a_budget(each=("end_user", "run"), owner="acme", zone="Asia/Kathmandu", created_us=1)
    second = a_budget(budget_id="bud-2", name="red", run="r", status="paused", created_us=2)
    for budget in (first, second):
        budgets.add(budget)
    assert budgets.list() == [first, second]
    assert budgets.find("red") == budgets.find("bud-2") == second
    assert budgets.find("green") is None
    with pytest.raises(Conflict):
        budgets.add(a_budget(budget_id="bud-3"))
    changed = a_budget(budget_id="bud-2", name="red", run="r", limit=5, created_us=2)
    budgets.save(changed)
    budgets.save(changed)  # nothing new
    budgets.remove("bud-1")
    budgets.remove("bud-1")
    assert budgets.list() == [changed]
    assert Settings(database).generation() == before + 4
    with pytest.raises(NotFound):
        budgets.save(first)


def test_a_budget_is_opened_with_its_limit_and_drains_like_a_wallet(ledger):
    epoch = worker(ledger, (Want(W), 600), (Want(MONTH, 1_000), 600))
    found = row(ledger)
    assert (found.kind, found.owner_id, found.window) == ("budget", "bud-1", "M:2026-11")
    assert (found.balance, found.leased, found.quota_limit) == (1_000, 600, 1_000)
    spend(ledger, epoch, 600)
    assert (row(ledger).balance, row(ledger, W).balance) == (400, 9_400)
    assert ledger.window_sums(MONTH) == WindowSums(600, 0, 400)
    assert ledger.window_shares(MONTH, 9) == [WindowShare(MONTH, 600, 0, 400)]
    assert ledger.grant("h:0", epoch, [(Want(MONTH, 1_000), 500, 500)], 1)[0].amount == 400


def test_a_window_is_opened_by_the_limit_that_is_written_down(ledger, budgets):
    """A worker that has not heard of a change yet must not open the window by the old one."""
    budgets.add(a_budget(limit=70))
    worker(ledger, (Want(MONTH, 1_000), 10), (Want("budget:run:T:all:a/r", 55), 10), (Want("budget:gone:T:all", 7), 1))
    assert row(ledger).balance == 70
    assert row(ledger, "budget:run:T:all:a/r").balance == 55
    assert row(ledger, "budget:gone:T:all").balance == 7


@pytest.mark.parametrize(("new", "left"), [(2_000, 1_400), (700, 100), (600, 0), (100, 0), (1_000, 400)])
def test_a_changed_limit_moves_the_open_window(ledger, new, left):
    epoch = worker(ledger, (Want(W), 600), (Want(MONTH, 1_000), 600))
    spend(ledger, epoch, 600)
    assert ledger.set_budget_limit(MONTH, new, actor="root", at_us=9) == 1
    assert row(ledger).balance == left
    ledger.set_budget_limit(MONTH, 1_000)
    assert row(ledger).balance == 400  # as if nothing had been


def test_a_limit_moves_every_share_and_nothing_else(ledger):
    names = [f"{MONTH}:a/{n}" for n in range(3)]
    others = [MONTH + "1", "budget:bud-1:M:2026-12:a/1", "budget:bud-10:M:2026-11:a/1"]
    worker(ledger, *[(Want(name, 1_000), 1) for name in (*names, *others)])
    assert ledger.set_budget_limit(MONTH, 300) == 3
    assert {name: row(ledger, name).balance for name in names} == dict.fromkeys(names, 300)
    assert {row(ledger, name).balance for name in others} == {1_000}
    assert {share.account for share in ledger.window_shares(MONTH, 9)} == set(names)


def test_shares_are_summed_and_the_largest_are_named(ledger):
    """What was issued and moved is not spent; neither is what others of a similar name have spent."""
    names = [f"{MONTH}:a/{n}" for n in range(4)]
    others = [MONTH + "1", "budget:bud-10:M:2026-11:a/1"]
    epoch = worker(ledger, (Want(W), 900), *[(Want(name, 1_000), 100) for name in (*names, *others)])
    spent = dict(zip((*names, *others), (30, 90, 0, 30, 100, 100), strict=True))
    settles = [
        (n, (W, name), charged, record(n, charged=charged)) for n, (name, charged) in enumerate(spent.items(), 1)
    ]
    ledger.flush("h:0", epoch, Batch(len(settles), settles, {}, 3))
    ledger.set_budget_limit(MONTH, 500)
    assert ledger.window_sums(MONTH) == WindowSums(150, 250, None)
    assert ledger.window_shares(MONTH, 3) == [
        WindowShare(names[1], 90, 10, 400),
        WindowShare(names[0], 30, 70, 400),
        WindowShare(names[3], 30, 70, 400),
    ]
    assert ledger.window_shares(MONTH, 9)[3] == WindowShare(names[2], 0, 100, 400)
    assert (ledger.window_sums("budget:none:T:all"), ledger.window_shares("budget:none:T:all", 9)) == (
        WindowSums(0, 0, None),
        [],
    )


def test_a_cut_takes_what_is_leased_as_far_as_it_comes_back(ledger):
    epoch = worker(ledger, (Want(W), 900), (Want(MONTH, 1_000), 900))
    ledger.set_budget_limit(MONTH, 200)
    assert (row(ledger).balance, row(ledger).leased) == (900, 900)  # nobody gave anything back
    ledger.flush("h:0", epoch, Batch(1, [], {MONTH: 850}, 1))
    ledger.set_budget_limit(MONTH, 200)
    assert (row(ledger).balance, row(ledger).leased) == (200, 50)


def test_a_budget_without_anything_is_there_and_gives_nothing(ledger):
    epoch = worker(ledger, (Want(MONTH, 0), 10))
    assert row(ledger).balance == 0
    assert ledger.grant("h:0", epoch, [(Want(MONTH, 0), 5, 5)], 1)[0].amount == 0


def test_accounts_are_found_by_their_whole_names(ledger):
    worker(ledger, (Want(W), 600), (Want(MONTH, 1_000), 400))
    found = ledger.named([W, MONTH, MONTH + ":a", "none"])
    assert found == {W: row(ledger, W), MONTH: row(ledger)}
    assert (found[W].available, found[MONTH].available) == (9_400, 600)
    assert ledger.named([]) == {}


def test_a_run_is_placed_once(budgets):
    first = budgets.place(Run("acme", "r1", "", 50, 1, "nightly"))
    assert budgets.placed(["r1"]) == [first]
    assert budgets.place(Run("acme", "r1", "r0", 60, 2)) == first
    assert budgets.place(Run("other", "r1", "r0", None, 2)).parent_run_id == "r0"
    budgets.place(Run("acme", "r2", "r1"))
    budgets.place(Run("acme", "r3", "r2"))
    assert [run.run_id for run in budgets.ancestry("acme", "r3", 8)] == ["r3", "r2", "r1"]
    assert [run.run_id for run in budgets.ancestry("acme", "r3", 2)] == ["r3", "r2"]
    assert [run.run_id for run in budgets.ancestry("other", "r1", 8)] == ["r1"]
    assert budgets.ancestry("acme", "r9", 8) == []
    assert {run.owner for run in budgets.placed(["r1"])} == {"acme", "other"}


def test_workers_never_have_more_than_the_limit_together(ledger):
    epochs = {name: ledger.register(name, "h", 1) for name in ("h:0", "h:1", "h:2")}
    given = 0
    for turn in range(12):
        name = f"h:{turn % 3}"
        (granted,) = ledger.grant(name, epochs[name], [(Want(MONTH, 1_000), 130, 400)], 1)
        given += granted.amount
    assert given == row(ledger).leased == 1_000
    assert row(ledger).available == 0


def test_what_callers_open_is_counted_by_day_and_owner(budgets, ledger):
    """Also where two ask at once: the count is raised by one statement."""
    day = 86_400_000_000
    ledger.values_daily_max = 2
    epoch = ledger.register("h:0", "h", 1)
    names = [f"budget:bud-1:T:all:acme/u{n}" for n in range(4)]

    def asked(at_us, *accounts):
        return [g.full for g in ledger.grant("h:0", epoch, [(Want(name, 9), 1, 1) for name in accounts], at_us)]

    assert asked(5, *names[:3]) == [False, False, True]
    assert asked(6, names[2], names[0], "budget:bud-1:T:all:other/u", MONTH) == [True, False, False, False]
    assert asked(day, names[2]) == [False]
    assert [row.account for row in ledger.accounts("budget:bud-1:T:all:acme/")] == names[:3]
    placed = [budgets.place(Run("acme", f"r{n}", created_us=at), 2) for n, at in enumerate((1, 2, 3, day))]
    assert [run is None for run in placed] == [False, False, True, False]
    assert budgets.place(Run("acme", "r0", created_us=day + 1), 0) == placed[0]
    assert budgets.place(Run("acme", "r9", created_us=2 * day), 0) is None


def test_limits_that_nobody_ever_reaches_can_be_issued_for_ever(ledger):
    """Their sum is larger than any column; one owner's boundless runs must not keep others' windows from opening."""
    most = 2**63 - 1
    epoch = ledger.register("h:0", "h", 1)
    for n, limit in enumerate((most, most, 4 * 10**18, 4 * 10**18, 4 * 10**18, 1_000)):
        name = f"budget:run:T:all:acme/{n}"
        assert ledger.grant("h:0", epoch, [(Want(name, limit), 5, 5)], 1)[0].amount == 5
    ledger.grant("h:0", epoch, [(Want(W), 5, 5)], 1)
    spend(ledger, epoch, 3, accounts=(W, "budget:run:T:all:acme/5", "budget:run:T:all:acme/0"))
    assert ledger.set_budget_limit("budget:run:T:all:acme/5", most) == 1
    assert ledger.set_budget_limit("budget:run:T:all:acme/5", 7) == 1
    assert row(ledger, "budget:run:T:all:acme/5").balance == 4
    assert len(ledger.accounts("platform:quota:")) >= 4
