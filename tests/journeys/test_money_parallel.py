"""Many callers, little money: exactly what can be paid for is served, and no limit is ever passed."""

import asyncio
import math
import time
from itertools import accumulate

import pytest

from joytoken.domain.money import NANO, format_amount, parse_amount
from tests.journeys.crowd import again_and_again, ask, request, run, tally, together
from tests.journeys.gateway import Gateway
from tests.journeys.stub import Stub, answer, completion

OUTPUT_MTOK = 1_000  # credits: a thousandth of a credit a token
TOKEN = OUTPUT_MTOK * NANO // 10**6
BOUND = 50  # tokens asked for: a hold of 0.05 credits, for input is free
HOLD = BOUND * TOKEN


def used(tokens, pause_s=0.0):
    """The provider reports so many output tokens."""
    said = answer(completion("x", {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}))
    return [pause_s, *said] if pause_s else said


@pytest.fixture(scope="module")
def gateway(open_gateway, stub: Stub) -> Gateway:
    made = open_gateway()
    made.provider("stub", stub.url)
    for name, pause_s in (("quick", 0.0), ("slow", 0.2)):
        made.model(f"stub/{name}", "stub", name, input_mtok="0", output_mtok=str(OUTPUT_MTOK))
        stub.says(name, used(BOUND, pause_s))
    made.sync()
    return made


def calls(stub, since):
    return stub.calls()[since:]


@pytest.mark.parametrize(("model", "count"), [("quick", 1000), ("slow", 1000)])
def test_money_for_ten_serves_ten_of_a_thousand(gateway, stub, model, count):
    customer = gateway.customer({"standard": format_amount(10 * HOLD)})
    before = len(stub.calls())
    heard = together(customer, count, model=f"stub/{model}", max_tokens=BOUND)
    assert tally(heard) == {(200, ""): 10, (402, "wallet_empty"): count - 10}
    assert len(calls(stub, before)) == 10
    assert customer.balance() == 0
    assert len(customer.records()) == 10
    for one in heard:
        if one.status == 402:
            assert one.error["type"] == "insufficient_quota"
    told = [one.error["details"] for one in heard if one.status == 402 and "details" in one.error]
    assert told
    for details in told:
        assert parse_amount(details["required"]) == HOLD
        assert 0 <= parse_amount(details["available"]) < HOLD
    gateway.at_rest()
    gateway.verify()


@pytest.mark.parametrize(("limit", "code"), [("limit_daily", "daily_limit"), ("limit_weekly", "weekly_limit")])
def test_a_limit_for_five_serves_five_of_a_thousand(gateway, stub, limit, code):
    customer = gateway.customer(**{limit: format_amount(5 * HOLD)})
    before = len(stub.calls())
    heard = together(customer, 1000, model="stub/slow", max_tokens=BOUND)
    assert tally(heard) == {(200, ""): 5, (402, code): 995}
    assert len(calls(stub, before)) == 5
    assert customer.balance() == 100 * NANO - 5 * HOLD
    gateway.verify()


def test_a_limit_and_a_wallet_are_both_kept(gateway):
    """Two keys of one wallet for 12, each with a limit for 8: never more than 12 together, nor than 8 of one."""
    one = gateway.customer({"standard": format_amount(12 * HOLD)}, limit_daily=format_amount(8 * HOLD))
    other = gateway.customer({}, owner=one.owner, limit_daily=format_amount(8 * HOLD))
    heard = [
        tally(together(customer, 200, model="stub/quick", max_tokens=BOUND))[(200, "")] for customer in (one, other)
    ]
    assert heard == [8, 4]
    assert one.balance() == 0
    gateway.verify()


def test_two_keys_at_once_share_one_wallet(gateway):

    one = gateway.customer({"standard": format_amount(10 * HOLD)})
    other = gateway.customer({}, owner=one.owner)
    data = [request(customer, model="stub/slow", max_tokens=BOUND) for customer in (one, other)]

    async def both():
        return await asyncio.gather(*[ask(one, data[n % 2]) for n in range(400)])

    assert tally(run(both()))[(200, "")] == 10
    assert one.balance() == 0
    assert len(one.records()) + len(other.records()) == 10
    gateway.verify()


@pytest.mark.parametrize("model", ["cheap", "cheap-slow"])
def test_where_less_is_used_than_held_all_of_it_can_be_spent(gateway, stub, model):
    """A hold of 50 tokens, 10 used: what is released goes to who waits, first come first served."""
    stub.says(model, used(BOUND // 5, 0.05 if model == "cheap-slow" else 0.0))
    gateway.model(f"stub/{model}", "stub", model, input_mtok="0", output_mtok=str(OUTPUT_MTOK))
    gateway.sync()
    funds, charge = 10 * HOLD, HOLD // 5
    customer = gateway.customer({"standard": format_amount(funds)})
    heard = together(customer, 300, model=f"stub/{model}", max_tokens=BOUND)
    served = tally(heard)[(200, "")]
    # The last hold must fit beside what was charged before: 45 charges and one whole hold come to the ten.
    most = (funds - HOLD) // charge + 1
    assert 10 <= served <= most
    assert tally(heard)[(402, "wallet_empty")] == 300 - served
    assert customer.balance() == funds - served * charge >= 0
    again = [customer.chat(f"stub/{model}", max_tokens=BOUND).status for _ in range(most - served + 1)]
    assert again == [200] * (most - served) + [402]
    assert customer.balance() == HOLD - charge
    gateway.verify()


def test_where_less_is_used_than_held_all_of_a_limit_can_be_spent(gateway, stub):
    """A thousand wait for a limit, and none of them for a rich wallet: who cannot be served is told so in time."""
    stub.says("cheap", used(BOUND // 5, 0.02))
    customer = gateway.customer(limit_daily=format_amount(5 * HOLD), limit_weekly=format_amount(50 * HOLD))
    heard = together(customer, 1000, model="stub/cheap", max_tokens=BOUND)
    served = tally(heard)[(200, "")]
    assert 5 <= served <= 4 * 5 + 1
    assert tally(heard)[(402, "daily_limit")] == 1000 - served
    assert customer.balance() == 100 * NANO - served * HOLD // 5
    gateway.verify()


def test_more_than_was_held_is_charged_as_far_as_there_is_money(gateway, stub):
    """A provider that ignores its bound: the wallet goes to zero and not below, and the rest is the operator's."""
    stub.says("greedy", used(BOUND * 2))
    gateway.model("stub/greedy", "stub", "greedy", input_mtok="0", output_mtok=str(OUTPUT_MTOK))
    gateway.sync()
    customer = gateway.customer({"standard": format_amount(10 * HOLD)})
    heard = together(customer, 100, model="stub/greedy", max_tokens=BOUND)
    assert 5 <= tally(heard)[(200, "")] <= 10
    assert customer.balance() == 0
    records = customer.records()
    assert len(records) == tally(heard)[(200, "")]
    assert sum(parse_amount(r["charged"]) for r in records) == 10 * HOLD
    gateway.verify()


# -- rates -----------------------------------------------------------------------------------------------------------


def overlap(seen):
    """The most calls that were under way at one moment, by the provider's own clock."""
    moments = sorted([(s.at, 1) for s in seen] + [(s.ended_at, -1) for s in seen])
    return max(accumulate(step for _, step in moments))


@pytest.mark.parametrize("limit", [1, 7])
def test_no_more_than_so_many_are_under_way_at_once(gateway, stub, limit):
    customer = gateway.customer(concurrency=limit)
    before = len(stub.calls())
    until = time.monotonic() + 1.5
    heard = again_and_again(customer, 30, lambda: time.monotonic() < until, model="stub/slow", max_tokens=BOUND)
    mine = calls(stub, before)
    assert set(tally(heard)) == {(200, ""), (429, "concurrency_limit")}
    assert tally(heard)[(200, "")] == len(mine) >= limit
    assert overlap(mine) <= limit
    assert customer.balance() == 100 * NANO - len(mine) * HOLD


def test_no_more_than_so_many_requests_a_minute(gateway, stub):
    customer = gateway.customer(requests_per_minute=30)
    before, began = len(stub.calls()), time.monotonic()
    heard = together(customer, 300, model="stub/quick", max_tokens=BOUND)
    seconds = time.monotonic() - began
    served = tally(heard)[(200, "")]
    assert 30 <= served <= 30 + math.ceil(seconds * 30 / 60)
    assert tally(heard)[(429, "requests_per_minute")] == 300 - served
    assert len(calls(stub, before)) == served
    assert all(int(_header(one, b"retry-after")) >= 1 for one in heard if one.status == 429)


def test_no_more_than_so_many_tokens_a_minute(gateway, stub):
    """Reserved by their bound while they are under way, so that callers at once do not pass the limit."""
    customer = gateway.customer(tokens_per_minute=2_000)
    began = time.monotonic()
    heard = together(customer, 300, model="stub/slow", max_tokens=BOUND)
    seconds = time.monotonic() - began
    served = tally(heard)[(200, "")]
    assert tally(heard)[(429, "tokens_per_minute")] == 300 - served
    tokens = sum(r["input_tokens"] + r["output_tokens"] for r in customer_records(gateway, customer))
    assert tokens == served * (BOUND + 9)
    assert 1_000 <= tokens <= 2_000 + math.ceil(seconds * 2_000 / 60)


def test_the_books_at_the_end(gateway):
    gateway.at_rest()
    gateway.verify()
    gateway.restart()
    gateway.verify()


def customer_records(gateway, customer):
    customer.balance()
    return gateway.manage("GET", f"/requests?key={customer.key_id}&limit=1000")["requests"]


def _header(heard, name):
    _, found, rest = heard.head.lower().partition(name + b": ")
    assert found
    return rest.partition(b"\r\n")[0]
