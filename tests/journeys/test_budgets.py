"""Budgets through the real server: a thousand at once never pass one, and a run's tree is paid for at every level."""

import asyncio
from collections import Counter

import pytest

from joytoken.domain.money import NANO, format_amount, parse_amount
from tests.journeys.crowd import Heard, ask, request, run, tally
from tests.journeys.gateway import Customer, Gateway, wait_for
from tests.journeys.stub import Stub, answer, completion
from tests.journeys.wire import Client

OUTPUT_MTOK = 1_000  # credits: a thousandth of a credit a token, and input is free
BOUND = 50
HOLD = BOUND * OUTPUT_MTOK * NANO // 10**6
RUN, PARENT, RUN_BUDGET = "X-JoyToken-Run-Id", "X-JoyToken-Parent-Run-Id", "X-JoyToken-Run-Budget"
WORKFLOW, STEP = "X-JoyToken-Workflow", "X-JoyToken-Step"


@pytest.fixture(scope="module")
def alone(open_gateway, stub: Stub) -> Gateway:
    """One process, on SQLite."""
    return ready(open_gateway(), stub)


@pytest.fixture(scope="module")
def workers(open_gateway, postgres, stub: Stub) -> Gateway:
    """Two of them, on PostgreSQL."""
    # Who waits does so for as long as two workers of a busy machine may need to pass the last credits to and fro.
    settings = {"server.workers": 2, "money.hold_wait_ms": 3_000, "database.url": postgres.create()}
    return ready(open_gateway(**settings), stub)


@pytest.fixture(params=["alone", "workers"], scope="module")
def gateway(request) -> Gateway:
    return request.getfixturevalue(request.param)


def ready(made: Gateway, stub: Stub) -> Gateway:
    made.provider("stub", stub.url)
    made.model("stub/slow", "stub", "slow", input_mtok="0", output_mtok=str(OUTPUT_MTOK))
    said = answer(completion("x", {"prompt_tokens": 9, "completion_tokens": BOUND, "total_tokens": BOUND + 9}))
    stub.says("slow", [0.1, *said])
    made.sync()
    return made


def budget(gateway: Gateway, name, **fields):
    """Set a budget; in force when this returns."""
    made = gateway.manage("PUT", f"/budgets/{name}", fields)
    gateway.sync()
    return made


def together(customer: Customer, count: int, *headers: str, **body) -> list[Heard]:
    data = request(customer, model="stub/slow", max_tokens=BOUND, **body)
    for header in headers:
        data = data.replace(b"\r\n", b"\r\n" + header.encode() + b"\r\n", 1)

    async def all_of_them() -> list[Heard]:
        async with asyncio.timeout(60):
            return await asyncio.gather(*[ask(customer, data) for _ in range(count)])

    return run(all_of_them())


def one(customer: Customer, run_id, parent=None, **more):
    headers = {RUN: run_id} | ({PARENT: parent} if parent else {}) | more
    return customer.chat("stub/slow", headers=headers, max_tokens=BOUND)


def test_money_for_ten_a_limit_for_five_and_a_budget_for_three_serve_three(gateway, stub):
    budget(gateway, "blue", project="blue", window="month", limit=format_amount(3 * HOLD), zone="Asia/Shanghai")
    customer = gateway.customer(
        {"standard": format_amount(10 * HOLD)}, limit_daily=format_amount(5 * HOLD), project="blue"
    )
    before = len(stub.calls())
    heard = together(customer, 1000)
    assert tally(heard) == {(200, ""): 3, (402, "budget_exceeded"): 997}
    assert len(stub.calls()) - before == 3
    assert customer.balance() == 7 * HOLD
    shown = gateway.manage("GET", "/budgets/blue")
    assert (parse_amount(shown["spent"]), parse_amount(shown["left"])) == (3 * HOLD, 0)
    # A larger limit moves the window that is open, within a second, and the rest of the thousand stays out.
    gateway.manage("PUT", "/budgets/blue", {"limit": format_amount(4 * HOLD)})
    wait_for(lambda: customer.chat("stub/slow", max_tokens=BOUND).status == 200, "the new limit is not live")
    assert tally(together(customer, 100))[(402, "budget_exceeded")] == 100
    # And a smaller one than what is spent leaves nothing, but takes nothing back.
    assert gateway.manage("PUT", "/budgets/blue", {"limit": "0"})["left"] == "0.000000"
    assert gateway.cli("budgets", "remove", "blue", "--data-dir", str(gateway.data_dir)) == {"removed": "blue"}
    wait_for(lambda: customer.chat("stub/slow", max_tokens=BOUND).status == 200, "the budget is still in force")

    def refusal() -> str:
        return customer.chat("stub/slow", max_tokens=BOUND).error["code"]

    wait_for(lambda: refusal() == "daily_limit", "the budget is still in force somewhere")
    gateway.at_rest()
    gateway.verify()


def test_each_end_user_is_served_what_is_theirs(gateway):
    budget(gateway, "users", application="chat", each=["end_user"], window="day", limit=format_amount(2 * HOLD))
    customer = gateway.customer(application="chat")
    for user in ("u1", "u2"):
        assert tally(together(customer, 100, user=user)) == {(200, ""): 2, (402, "budget_exceeded"): 98}
    customer.balance()
    shown = gateway.manage("GET", "/budgets/users")
    assert {share["subject"]: share["spent"] for share in shown["shares"]} == dict.fromkeys(
        (f"{customer.owner}/u1", f"{customer.owner}/u2"), format_amount(2 * HOLD)
    )
    gateway.verify()


def test_a_tree_of_runs(gateway):
    """Two children at once on their parent's budget for four: four in all, whoever of them comes first."""
    budget(gateway, "trees", each=["run"], environment="agents", window="total", limit=format_amount(5 * HOLD))
    customer = gateway.customer(environment="agents", run_budget=True)
    head = one(customer, "top", **{RUN_BUDGET: format_amount(4 * HOLD)})
    assert head.status == 200
    heard = together(customer, 50, f"{RUN}: left", f"{PARENT}: top")
    assert tally(heard) == {(200, ""): 3, (402, "budget_exceeded"): 47}
    refused = one(customer, "right", "top")
    assert refused.status == 402
    assert refused.error["details"]["account"] == f"budget:run:T:all:{customer.owner}/top"
    customer.balance()
    receipt = customer.receipt(next(h.request_id for h in heard if h.status == 200))
    assert (receipt["request"]["run"], receipt["request"]["parent_run"]) == ("left", "top")
    assert len(receipt["money"]["accounts"]) == 4  # the wallet, both runs' share of the template, and top's own
    tree = gateway.cli("runs", "show", "top")
    assert [(r["id"], r["depth"], r["requests"], r["charged"], r["total"], r["left"]) for r in tree["runs"]] == [
        ("top", 0, 1, format_amount(HOLD), format_amount(4 * HOLD), "0.000000"),
        ("left", 1, 3, format_amount(3 * HOLD), format_amount(3 * HOLD), None),
    ]
    summed = gateway.cli("usage", "summary", "--run", "left")
    assert summed["total"]["charged"] == format_amount(3 * HOLD)
    gateway.verify()


def test_the_steps_of_a_workflow(gateway):
    """What callers name stands on each receipt, in the tree of the run, in the export and in the sums."""
    customer = gateway.customer()
    steps = [("w-top", None, "1"), ("w-top", None, "2"), ("w-top.1", "w-top", "1")]
    replies = [one(customer, run_id, parent, **{WORKFLOW: "night-ly", STEP: step}) for run_id, parent, step in steps]
    replies.append(one(customer, "w-top"))
    assert [reply.status for reply in replies] == [200] * 4
    refused = one(customer, "w-top", **{WORKFLOW: "daily"})
    assert (refused.status, refused.error["code"], refused.error["param"]) == (409, "run_placed_otherwise", WORKFLOW)
    customer.balance()
    placed = [*steps, ("w-top", None, "")]
    for reply, (run_id, parent, step) in zip(replies, placed, strict=True):
        shown = customer.receipt(reply)["request"]
        assert (shown["run"], shown["parent_run"]) == (run_id, parent or "")
        assert (shown["workflow"], shown["step"]) == ("night-ly", step)
    tree = gateway.cli("runs", "show", "w-top", "--steps")
    assert [(run["id"], run["workflow"]) for run in tree["runs"]] == [("w-top", "night-ly"), ("w-top.1", "night-ly")]
    assert [(r["run"], r["step"]) for r in tree["requests"]] == [(run_id, step) for run_id, _, step in placed]
    assert {r["request_id"] for r in tree["requests"]} == {reply.metadata["request_id"] for reply in replies}
    summed = gateway.cli("usage", "summary", "--by", "workflow", "--workflow", "night-ly")
    assert [(row["group"], row["requests"]) for row in summed["rows"]] == [({"workflow": "night-ly"}, 4)]
    listed = gateway.cli("requests", "list", "--workflow", "night-ly")["requests"]
    assert sorted((r["run"], r["step"]) for r in listed) == sorted((run_id, step) for run_id, _, step in placed)
    gateway.verify()


def test_many_budgets_at_once_are_each_kept_and_used_up(gateway):
    """Project, applications, end users and runs, in every window: whoever is refused meets a full one."""
    limits = {
        "woods": (10, {"project": "woods", "window": "month", "zone": "Asia/Shanghai"}),
        "apps": (7, {"project": "woods", "each": ["application"], "window": "week", "zone": "America/New_York"}),
        "people": (4, {"project": "woods", "each": ["end_user"], "window": "day"}),
        "paths": (6, {"project": "woods", "each": ["run"], "window": "total"}),
    }
    for name, (holds, fields) in limits.items():
        budget(gateway, name, limit=format_amount(holds * HOLD), **fields)
    most = {name: holds for name, (holds, _) in limits.items()} | {"tree": 5}
    policy = {"project": "woods", "run_budget": True, "owner": "forester"}
    keys = {"axe": gateway.customer(application="axe", **policy)}
    keys["saw"] = gateway.customer({}, application="saw", **policy)
    assert one(keys["axe"], "top", **{RUN_BUDGET: format_amount(most["tree"] * HOLD)}).status == 200
    kinds = [(app, user, path) for app in keys for user in ("u1", "u2", "u3") for path in ("left", "right")]

    def lines(path: str) -> str:
        return f"\r\n{RUN}: {path}\r\n" + (f"{PARENT}: top\r\n" if path == "left" else "")

    def data(app: str, user: str, path: str) -> bytes:
        made = request(keys[app], model="stub/slow", max_tokens=BOUND, user=user)
        return made.replace(b"\r\n", lines(path).encode(), 1)

    def drained(app: str, user: str, path: str) -> set[str]:
        own = {"woods", f"apps:{app}", f"people:{user}", f"paths:{path}"}
        return own | ({"paths:top", "tree"} if path == "left" else set())

    async def all_of_them() -> list[Heard]:
        async with asyncio.timeout(60):
            return await asyncio.gather(*[ask(keys[kind[0]], data(*kind)) for kind in asked])

    asked = kinds * 15  # of each kind more than any budget carries
    spent = Counter(["woods", "apps:axe", "paths:top", "tree"])
    for kind, heard in zip(asked, run(all_of_them()), strict=True):
        assert (heard.status, heard.code) in {(200, ""), (402, "budget_exceeded")}
        spent.update(drained(*kind) if heard.status == 200 else ())
    assert all(count <= most[name.partition(":")[0]] for name, count in spent.items()), spent
    full = {name for name, count in spent.items() if count == most[name.partition(":")[0]]}
    assert all(full & drained(*kind) for kind in kinds), spent
    assert keys["axe"].balance() == 100 * NANO - spent["woods"] * HOLD
    for name in limits:
        shown = gateway.manage("GET", f"/budgets/{name}")
        shares = {f"{name}:{share['subject'].rpartition('/')[2]}": share["spent"] for share in shown["shares"]}
        shares = shares or {name: shown["spent"]}
        assert {which: parse_amount(amount) for which, amount in shares.items() if parse_amount(amount)} == {
            which: count * HOLD for which, count in spent.items() if which.partition(":")[0] == name
        }
    print(f"{len(asked)} callers, spent {dict(spent)}, full: {', '.join(sorted(full))}")
    gateway.verify()


def test_every_request_of_a_connection_belongs_to_its_run(alone):
    customer = alone.customer()
    body = b'{"model": "stub/slow", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}'
    with customer.connect() as wire:
        for run_id in ("kept", "kept", "other"):
            wire.send(customer.head(f"{RUN}: {run_id}", f"Content-Length: {len(body)}") + body)
            reply = wire.reply()
            assert reply is not None
            assert reply.status == 200, reply.body
    customer.balance()
    assert [record["run"] for record in customer.records()] == ["other", "kept", "kept"]


@pytest.mark.parametrize(
    ("header", "value"),
    [(RUN, "a b"), (RUN, "x" * 129), (PARENT, "p"), (RUN_BUDGET, "1"), (WORKFLOW, "w"), (STEP, "1")],
)
def test_a_header_that_is_wrong_is_named(alone, header, value):
    customer = alone.customer()
    reply = customer.chat("stub/slow", headers={header: value}, max_tokens=BOUND)
    assert reply.status == 400
    assert reply.error["param"] in (header, RUN)
    assert header in reply.error["message"]


def test_a_killed_gateway_knows_what_was_spent(gateway):
    budget(gateway, "killed", project="killed", window="week", limit=format_amount(4 * HOLD))
    customer = gateway.customer(project="killed")
    assert tally(together(customer, 2)) == {(200, ""): 2}
    gateway.kill()
    gateway.start()
    again = Customer(gateway.url, customer.api_key, gateway=gateway, key_id=customer.key_id, owner=customer.owner)
    assert tally(together(again, 20)) == {(200, ""): 2, (402, "budget_exceeded"): 18}
    again.balance()
    assert parse_amount(gateway.manage("GET", "/budgets/killed")["spent"]) == 4 * HOLD
    gateway.verify()


def test_the_sizing_of_holds_can_be_read(alone):
    """Callers who bound their output are frozen for less than four times what they pay, in the middle."""
    customer = alone.customer()
    for _ in range(5):
        assert customer.chat("stub/slow", max_tokens=3 * BOUND).status == 200
    assert customer.get("/metrics").status == 403
    text = Client(alone.url, alone.admin_key).get("/metrics").body.decode()
    (median,) = [line for line in text.splitlines() if 'bound="asked",quantile="0.5"' in line]
    assert float(median.rpartition(" ")[2]) <= 4
