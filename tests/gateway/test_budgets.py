"""Budgets beside wallets and limits: of a project, of each end user, of a run and its parents."""

import asyncio

import msgspec
import pytest

from joytoken.domain.apikey import Labels
from joytoken.domain.budget import Budget
from joytoken.domain.money import NANO
from joytoken.domain.price import Rates
from joytoken.domain.record import Detail
from joytoken.gateway.budgets import KeyBudgets, budgets_for, wants_of
from joytoken.gateway.keyring import Keyring
from joytoken.gateway.lineage import Placed
from joytoken.gateway.runs import PARENT_RUN_ID, RUN_BUDGET, RUN_ID, STEP, WORKFLOW
from joytoken.gateway.windows import Windows
from joytoken.store.engine import StoreUnavailable
from tests.gateway.worlds import NOW_US, PEPPER, a_key, a_model, chat

TOKEN = 2_000  # nanocredits; input is free here, so that a hold is easily said
HOLD, CHARGE = 10 * TOKEN, 3 * TOKEN
MONTH_US = 31 * 86_400_000_000


def a_budget(name="b", **fields):
    return Budget(**{"budget_id": f"bud-{name}", "name": name, "limit": NANO, "window": "month", **fields})


@pytest.fixture(autouse=True)
def free_input(request):
    if "world" in request.fixturenames:
        rates = Rates(0, TOKEN * 10**6)
        request.getfixturevalue("world").serves(a_model("plain", "acme", rates=rates))


@pytest.fixture
def budget(world):
    """Define a budget, in the store and in force."""
    made = []

    def define(name="b", **fields):
        made.append(a_budget(name, **fields))
        world.store.budgets.add(made[-1])
        world.keyring.take_over(world.keyring.generation + 1, [], made)
        return made[-1]

    return define


def run(run_id, parent=None, budget=None, workflow=None, step=None):
    named = {RUN_ID: run_id, PARENT_RUN_ID: parent, RUN_BUDGET: budget, WORKFLOW: workflow, STEP: step}
    return {name: value if isinstance(value, bytes) else value.encode() for name, value in named.items() if value}


def spent(world, account):
    sums = world.store.ledger.window_sums(account)
    return None if sums.left is None else sums.spent


# -- which, and when -------------------------------------------------------------------------------------------------


def test_a_key_without_budgets_has_none():
    """Nothing is looked at then, with any request."""
    key = a_key("ann", labels=Labels("blue"))
    assert budgets_for(key, []) is None
    assert budgets_for(key, [a_budget(project="red"), a_budget(project="blue", status="paused")]) is None
    assert isinstance(budgets_for(key, [a_budget(project="blue")]), KeyBudgets)
    assert wants_of(None, NOW_US, "u", None) == ()


def test_budgets_follow_the_configuration_and_meet_new_keys():
    keyring = Keyring(PEPPER, Windows("UTC"))
    keyring.take_over(1, [a_key("ann")])
    principal = next(iter(keyring._by_digest.values()))[0]
    assert principal.budgets is None
    keyring.take_over(2, [], [a_budget(each=("owner",))])
    assert principal.budgets is not None
    keyring.take_over(3, [a_key("bob")])
    assert all(p.budgets is not None for p, _ in keyring._by_digest.values())
    keyring.take_over(4, [], [])
    assert principal.budgets is None


def test_each_window_has_its_own_end_and_zone():
    """Shanghai's December begins when it is still November in UTC: the account changes there and then."""
    key = a_key("ann", labels=Labels("blue"))
    far = a_budget("far", project="blue", zone="Asia/Shanghai")
    near = a_budget("near", project="blue", window="day")
    made = budgets_for(key, [far, near])
    edge = 1_796_054_400_000_000  # 2026-11-30T16:00:00Z

    def names(now_us):
        return [want.account for want in wants_of(made, now_us, "", None)]

    assert names(edge - 1) == ["budget:bud-far:M:2026-11", "budget:bud-near:D:2026-11-30"]
    assert names(edge) == ["budget:bud-far:M:2026-12", "budget:bud-near:D:2026-11-30"]
    assert names(edge + 8 * 3_600_000_000) == ["budget:bud-far:M:2026-12", "budget:bud-near:D:2026-12-01"]
    assert names(edge - 1) == ["budget:bud-far:M:2026-11", "budget:bud-near:D:2026-11-30"]  # clocks go back too
    assert wants_of(made, edge, "", None) is wants_of(made, edge + 1, "someone", None)


def test_what_is_asked_for_again_is_remembered():
    made = budgets_for(a_key("ann"), [a_budget(each=("end_user",)), a_budget("r", each=("run",), window="total")])
    placed = Placed(("child", "parent"))
    wants = wants_of(made, NOW_US, "u", placed)
    assert [want.account for want in wants] == [
        "budget:bud-b:M:2026-09:ann/u",
        "budget:bud-r:T:all:ann/child",
        "budget:bud-r:T:all:ann/parent",
    ]
    assert wants_of(made, NOW_US + 1, "u", placed) is wants
    assert wants_of(made, NOW_US, "", None) == ()
    long = [wants_of(made, NOW_US, "u" * 10**6, None) for _ in range(2)]
    assert long[0] == long[1] is not long[0]
    assert len(long[0][0].account) < 100
    assert [want.account for want in wants_of(made, NOW_US + MONTH_US, "u", None)] == ["budget:bud-b:M:2026-10:ann/u"]


# -- money -----------------------------------------------------------------------------------------------------------


async def test_a_request_drains_every_budget_that_covers_it(world, budget):
    world.key("ann", labels=Labels("blue", "shop", "live"))
    world.key("bob", labels=Labels("red"))
    for name, scope in (("p", {"project": "blue"}), ("ae", {"application": "shop", "environment": "live"})):
        budget(name, **scope)
    budget("red", project="red")
    _, trail = await world.serve(chat())
    assert (await world.record(trail)).charged == CHARGE
    assert [spent(world, f"budget:bud-{name}:M:2026-09") for name in ("p", "ae", "red")] == [CHARGE, CHARGE, None]
    assert world.balance("ann") == NANO - CHARGE


async def test_a_budget_that_is_used_up_refuses_and_says_how_to_go_on(world, budget):
    world.key("ann", labels=Labels("blue"))
    budget("blue-monthly", project="blue", limit=HOLD + CHARGE)
    served = [(await world.serve(chat()))[0] for _ in range(6)]
    assert [caller.status for caller in served] == [200, 200, 402, 402, 402, 402]
    error = served[-1].error
    assert (error["type"], error["code"]) == ("insufficient_quota", "budget_exceeded")
    assert error["details"] | {"seconds_left": 0} == {
        "budget": "blue-monthly",
        "window": "M:2026-09",
        "account": "budget:bud-blue-monthly:M:2026-09",
        "required": "0.00002",
        "available": "0.000014",
        "seconds_left": 0,
    }
    left = error["details"]["seconds_left"]
    assert left == (1_790_812_800_000_000 - NOW_US) // 1_000_000
    assert b"retry-after: %d\r\n" % left in served[-1].headers
    assert "'blue-monthly'" in error["message"]
    assert "max_tokens" in error["message"]
    assert "joytoken budgets set" in error["message"]
    assert await world.escrow.flush_now() is None
    assert spent(world, "budget:bud-blue-monthly:M:2026-09") == 2 * CHARGE
    assert (await world.serve(chat(), started_us=NOW_US + MONTH_US))[0].status == 200  # the next month


async def test_a_budget_of_nothing_lets_nothing_through(world, budget):
    world.key("ann", labels=Labels("blue"))
    budget(project="blue", limit=0, window="day")
    caller, trail = await world.serve(chat())
    assert (caller.status, caller.error["code"]) == (402, "budget_exceeded")
    assert "is used up" in caller.error["message"]
    assert b"retry-after: " in caller.headers
    assert trail.attempts == []


async def test_a_paused_budget_is_not_in_force(world, budget):
    world.key("ann", labels=Labels("blue"))
    budget(project="blue", limit=0, status="paused")
    assert (await world.serve(chat()))[0].status == 200


async def test_each_end_user_has_an_amount_of_their_own(world, budget):
    world.key("ann")
    world.key("bob")
    budget(each=("end_user",), limit=HOLD + CHARGE - 1, window="total")
    heard = {}
    for who, secret in (("u1", b"ann"), ("u1", b"ann"), ("u2", b"ann"), ("u1", b"bob"), ("u\0/é" * 80, b"ann")):
        heard.setdefault((who, secret), []).append((await world.serve(chat(user=who), secret))[0].status)
    assert heard[("u1", b"ann")] == [200, 402]
    assert heard[("u2", b"ann")] == heard[("u1", b"bob")] == heard[("u\0/é" * 80, b"ann")] == [200]
    assert [(await world.serve(chat()))[0].status for _ in range(2)] == [200, 200]  # nobody's
    assert spent(world, "budget:bud-b:T:all:ann/u1") is None or await world.escrow.flush_now() is None
    assert spent(world, "budget:bud-b:T:all:ann/u1") == CHARGE


async def test_a_wallet_that_is_short_is_still_a_wallets_refusal(world, budget):
    world.key("ann", labels=Labels("blue"), wallets={"standard": HOLD - 1})
    budget(project="blue")
    caller, _ = await world.serve(chat())
    assert (caller.status, caller.error["code"]) == (402, "wallet_empty")


async def test_a_budget_that_is_short_asks_no_other_tier(world, budget):
    """The other wallets would drain the same budget."""
    world.key("ann", labels=Labels("blue"))
    budget(project="blue", limit=1_000)
    caller, trail = await world.serve(chat("auto"))
    assert caller.error["code"] == "budget_exceeded"
    assert not trail.tier_fallbacks


async def test_the_output_is_clamped_to_the_least_of_wallet_limits_and_budgets(world, budget):
    world.key("ann", labels=Labels("blue"), clamp_output=True, wallets={"standard": 130_000}, limit_daily=90_000)
    budget("wide", project="blue", limit=NANO)
    budget("tight", each=("end_user",), limit=60_000)
    caller, trail = await world.serve(chat(max_tokens=1_000, user="u"))
    assert caller.status == 200
    assert trail.clamped
    assert trail.output_bound == 30
    assert trail.record.hold == 60_000
    assert b"x-joytoken-output-clamped: %d\r\n" % trail.output_bound in caller.headers


async def test_small_requests_at_once_fit_into_little_money(world, budget):
    """A hold is no larger than its own bound: ten of 20,000 nanocredits fit into 200,000, all at the same time."""
    world.key("ann", labels=Labels("blue"), wallets={"standard": 10 * HOLD})
    budget(project="blue", limit=10 * HOLD)
    gate = asyncio.Event()
    invoke = world.providers["acme"].invoke

    async def together(*args, **named):
        if len(world.providers["acme"].calls) == 9:
            gate.set()
        found = await invoke(*args, **named)
        await asyncio.wait_for(gate.wait(), 30)
        return found

    world.providers["acme"].invoke = together
    heard = await asyncio.gather(*[world.serve(chat()) for _ in range(10)])
    assert [caller.status for caller, _ in heard] == [200] * 10


async def test_callers_cannot_open_an_account_for_each_word_that_they_think_of(world, budget):
    """As many a day as is allowed, for each owner alone; those that are open go on, and so does the next day."""
    world.store.ledger.values_daily_max = 3
    world.key("ann")
    world.key("bob")
    budget(each=("end_user",), limit=NANO, window="total")
    heard = [(await world.serve(chat(user=who)))[0] for who in ("u1", "u2", "x" * 300, "u4", "y" * 300, "u1")]
    assert [caller.status for caller in heard] == [200, 200, 200, 402, 402, 200]
    error = heard[3].error
    assert (error["type"], error["code"], error["details"]["budget"]) == ("insufficient_quota", "budget_full", "b")
    assert "budget_values_daily_max" in error["message"]
    left = error["details"]["seconds_left"]
    assert 0 < left <= 86_400
    assert b"retry-after: %d\r\n" % left in heard[3].headers
    assert (await world.serve(chat(user="u4"), b"bob"))[0].status == 200
    assert len(world.store.ledger.accounts("budget:")) == 4
    world.escrow._wall_us = world.escrow._flusher._wall_us = lambda: NOW_US + MONTH_US
    await asyncio.sleep(0.06)  # so long the store's answer is believed
    assert (await world.serve(chat(user="u4")))[0].status == 200


async def test_nor_a_run_for_each(world):
    world.runs_daily_max = 2
    world.build()
    world.key("ann")
    world.key("bob")
    heard = [(await world.serve(chat(), run=run(f"r{n}")))[0] for n in (1, 2, 3, 1)]
    assert [caller.status for caller in heard] == [200, 200, 402, 200]
    assert (heard[2].error["type"], heard[2].error["code"]) == ("insufficient_quota", "runs_daily_limit")
    assert b"retry-after: " in heard[2].headers
    assert world.store.budgets.placed(["r3"]) == []
    assert (await world.serve(chat(), b"bob", run=run("r3")))[0].status == 200
    assert (await world.serve(chat(), run=run("r4"), started_us=NOW_US + MONTH_US))[0].status == 200


# -- runs ------------------------------------------------------------------------------------------------------------


async def test_a_child_drains_its_parents(world, budget):
    world.key("ann")
    budget("runs", each=("run",), window="total", limit=HOLD + 3 * CHARGE - 1)
    for who in (run("r1"), run("r2", "r1"), run("r3", "r2")):
        caller, trail = await world.serve(chat(), run=who)
        assert caller.status == 200, caller.body
    assert (trail.run.run_id, trail.run.parent) == ("r3", "r2")
    record = await world.record(trail)
    assert (record.run_id, record.parent_run_id) == ("r3", "r2")
    assert [spent(world, f"budget:bud-runs:T:all:ann/r{n}") for n in (1, 2, 3)] == [3 * CHARGE, 2 * CHARGE, CHARGE]
    # What r1 has left is less than any request below it needs.
    assert (await world.serve(chat(), run=run("r4", "r3")))[0].error["details"]["account"].endswith("ann/r1")
    assert (await world.serve(chat(), run=run("r9")))[0].status == 200


async def test_a_later_request_need_not_name_the_parent_again(world, budget):
    world.key("ann")
    budget("one", run="r1", window="total")
    await world.serve(chat(), run=run("r2", "r1"))
    _, trail = await world.serve(chat(), run=run("r2"))
    assert (await world.record(trail)).parent_run_id == "r1"
    assert spent(world, "budget:bud-one:T:all") == 2 * CHARGE


async def test_the_caller_may_bound_a_run_where_the_key_allows_it(world):
    world.key("ann", run_budget=True)
    world.key("bob")
    caller, _ = await world.serve(chat(), b"bob", run=run("r1", budget="1"))
    assert (caller.status, caller.error["code"], caller.error["param"]) == (403, "run_budget_not_allowed", RUN_BUDGET)
    first = run("r1", budget="0.00003")
    assert [(await world.serve(chat(), run=first))[0].status for _ in range(2)] == [200, 200]
    caller, _ = await world.serve(chat(), run=run("r1"))
    assert (caller.status, caller.error["details"]["budget"]) == (402, "run")
    assert "X-JoyToken-Run-Budget" in caller.error["message"]
    caller, _ = await world.serve(chat(), run=run("below", "r1"))
    assert caller.status == 402
    assert (await world.serve(chat(), run=run("r2")))[0].status == 200


async def test_it_can_only_lower_what_an_operator_allows(world, budget):
    world.key("ann", run_budget=True)
    budget("runs", each=("run",), window="total", limit=HOLD)
    heard = [(await world.serve(chat(), run=run("r1", budget="100")))[0].status for _ in range(2)]
    assert heard == [200, 402]


@pytest.mark.parametrize(
    ("headers", "status", "code", "param"),
    [
        ({PARENT_RUN_ID: b"p"}, 400, "run_id_missing", RUN_ID),
        ({RUN_ID: b""}, 400, "invalid_header", RUN_ID),
        ({RUN_ID: b"a b"}, 400, "invalid_header", RUN_ID),
        ({RUN_ID: "é".encode()}, 400, "invalid_header", RUN_ID),
        ({RUN_ID: b"x" * 129}, 400, "invalid_header", RUN_ID),
        ({RUN_ID: b"r", PARENT_RUN_ID: b"\x7f"}, 400, "invalid_header", PARENT_RUN_ID),
        ({RUN_ID: b"r", PARENT_RUN_ID: b"r"}, 400, "run_cycle", PARENT_RUN_ID),
        ({RUN_ID: b"r", RUN_BUDGET: b"much"}, 400, "invalid_header", RUN_BUDGET),
        ({RUN_ID: b"r", RUN_BUDGET: b"0"}, 400, "invalid_header", RUN_BUDGET),
        ({RUN_ID: b"known", PARENT_RUN_ID: b"other"}, 409, "run_placed_otherwise", PARENT_RUN_ID),
        ({RUN_ID: b"known", RUN_BUDGET: b"1"}, 409, "run_placed_otherwise", RUN_BUDGET),
        ({WORKFLOW: b"nightly"}, 400, "run_id_missing", RUN_ID),
        ({STEP: b"1"}, 400, "run_id_missing", RUN_ID),
        ({RUN_ID: b"r", WORKFLOW: b""}, 400, "invalid_header", WORKFLOW),
        ({RUN_ID: b"r", WORKFLOW: b"w" * 129}, 400, "invalid_header", WORKFLOW),
        ({RUN_ID: b"r", STEP: b"a b"}, 400, "invalid_header", STEP),
        ({RUN_ID: b"r", STEP: b"1\n"}, 400, "invalid_header", STEP),
        ({RUN_ID: b"known", WORKFLOW: b"nightly"}, 409, "run_placed_otherwise", WORKFLOW),
        ({RUN_ID: b"r", PARENT_RUN_ID: b"d4"}, 400, "run_too_deep", PARENT_RUN_ID),
        ({RUN_ID: b"d1", PARENT_RUN_ID: b"d4"}, 409, "run_placed_otherwise", PARENT_RUN_ID),
        ({RUN_ID: b"loose", PARENT_RUN_ID: b"under"}, 400, "run_cycle", PARENT_RUN_ID),
    ],
)
async def test_headers_that_are_wrong(world, headers, status, code, param):
    world.key("ann", run_budget=True)
    for known in (run("known"), run("d1"), run("d2", "d1"), run("d3", "d2"), run("d4", "d3"), run("under", "loose")):
        assert (await world.serve(chat(), run=known))[0].status == 200
    caller, trail = await world.serve(chat(), run=headers)
    assert (caller.status, caller.error["code"], caller.error["param"]) == (status, code, param)
    assert param in caller.error["message"] or code.startswith("run_")
    assert trail.attempts == []


async def test_a_run_of_128_characters_is_fine(world):
    world.key("ann")
    assert (await world.serve(chat(), run=run("~" * 128, workflow="~" * 128, step="~" * 128)))[0].status == 200


async def test_the_workflow_and_the_step_stand_on_the_record(world):
    """The workflow is the run's, whether a later request names it again or not; the step is the request's own."""
    world.key("ann")
    asked = [run("r", workflow="nightly", step="1"), run("r", step="2"), run("r", workflow="nightly"), run("other")]
    asked += [run("child", "r", step="1"), run("own", "r", workflow="search"), None]
    found = []
    for headers in asked:
        caller, trail = await world.serve(chat(), run=headers)
        assert caller.status == 200, caller.body
        detail = msgspec.json.decode((await world.record(trail)).detail, type=Detail)
        found.append((detail.workflow, detail.step))
        assert (b"workflow" in trail.record.detail) == bool(detail.workflow)
    nightly = [("nightly", "1"), ("nightly", "2"), ("nightly", ""), ("", "")]
    assert found == [*nightly, ("nightly", "1"), ("search", ""), ("", "")]
    assert {
        placed.run_id: placed.workflow for placed in world.store.budgets.placed(["r", "child", "own", "other"])
    } == {
        "r": "nightly",
        "child": "nightly",
        "own": "search",
        "other": "",
    }


async def test_a_recovery_knows_the_workflow_and_the_step(world):
    """What stands in the journal before the provider answers: of a run's request that says so, and of no other."""
    world.key("ann")
    begun = []
    take = world.escrow._take

    def taken(record, *args, **named):
        begun.append(record.detail)
        return take(record, *args, **named)

    world.escrow._take = taken
    for headers in (run("r", workflow="nightly", step="1"), run("s"), None):
        assert (await world.serve(chat(), run=headers))[0].status == 200
    assert begun == [b'{"workflow":"nightly","step":"1"}', b"", b""]


async def test_a_parent_that_asks_later_is_found_by_its_children(world, budget):
    """A child came first: what its parent's caller allows counts for it from then on."""
    world.key("ann", run_budget=True)
    assert (await world.serve(chat(), run=run("child", "late")))[0].status == 200
    assert (await world.serve(chat(), run=run("late", budget="0.00003")))[0].status == 200
    async with asyncio.timeout(30):
        while (await world.serve(chat(), run=run("child")))[0].status == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_many_first_requests_place_a_run_once(world, budget):
    world.key("ann")
    budget("runs", each=("run",), limit=5 * HOLD, window="total")
    heard = await asyncio.gather(*[world.serve(chat(), run=run("r1")) for _ in range(50)])
    served = sum(caller.status == 200 for caller, _ in heard)
    assert 5 <= served <= 4 * HOLD // CHARGE + 1
    assert [placed.run_id for placed in world.store.budgets.placed(["r1"])] == ["r1"]


async def test_the_store_is_away_when_a_run_is_new(world, monkeypatch):
    world.key("ann")

    def away(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store.budgets, "ancestry", away)
    caller, _ = await world.serve(chat(), run=run("r1"))
    assert (caller.status, caller.error["code"]) == (503, "store_away")
    assert b"retry-after: 1" in caller.headers
