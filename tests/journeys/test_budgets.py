"""Budgets through the real server: a thousand at once never pass one, and a run's tree is paid for at every level."""

import asyncio

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


@pytest.fixture(scope="module")
def gateway(open_gateway, stub: Stub) -> Gateway:
    made = open_gateway()
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
    assert customer.chat("stub/slow", max_tokens=BOUND).error["code"] == "daily_limit"
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
    assert (receipt["request"]["run_id"], receipt["request"]["parent_run_id"]) == ("left", "top")
    assert len(receipt["money"]["accounts"]) == 4  # the wallet, both runs' share of the template, and top's own
    tree = gateway.cli("runs", "show", "top")
    assert [(r["id"], r["depth"], r["requests"], r["charged"], r["total"], r["left"]) for r in tree["runs"]] == [
        ("top", 0, 1, format_amount(HOLD), format_amount(4 * HOLD), "0.000000"),
        ("left", 1, 3, format_amount(3 * HOLD), format_amount(3 * HOLD), None),
    ]
    summed = gateway.cli("usage", "summary", "--run", "left")
    assert summed["total"]["charged"] == format_amount(3 * HOLD)
    gateway.verify()


def test_every_request_of_a_connection_belongs_to_its_run(gateway):
    customer = gateway.customer()
    body = b'{"model": "stub/slow", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}'
    with customer.connect() as wire:
        for run_id in ("kept", "kept", "other"):
            wire.send(customer.head(f"{RUN}: {run_id}", f"Content-Length: {len(body)}") + body)
            reply = wire.reply()
            assert reply is not None
            assert reply.status == 200, reply.body
    customer.balance()
    assert [record["run_id"] for record in customer.records()] == ["other", "kept", "kept"]


@pytest.mark.parametrize(("header", "value"), [(RUN, "a b"), (RUN, "x" * 129), (PARENT, "p"), (RUN_BUDGET, "1")])
def test_a_header_that_is_wrong_is_named(gateway, header, value):
    customer = gateway.customer()
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


def test_the_sizing_of_holds_can_be_read(gateway):
    """Callers who bound their output are frozen for less than four times what they pay, in the middle."""
    customer = gateway.customer()
    for _ in range(5):
        assert customer.chat("stub/slow", max_tokens=3 * BOUND).status == 200
    assert customer.get("/metrics").status == 403
    text = Client(gateway.url, gateway.admin_key).get("/metrics").body.decode()
    (median,) = [line for line in text.splitlines() if 'bound="asked",quantile="0.5"' in line]
    assert float(median.rpartition(" ")[2]) <= 4
