"""The contract on wallets and billing (checks 56 to 68), to the last nanocredit.

Check 60 (a record that cannot be written) is met in another way than its words: a settlement is journalled here before
the answer ends, and reaches the database when that is back.
"""

import contextlib
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from joytoken.domain.money import format_amount, parse_amount
from tests.journeys.gateway import Gateway, gateway, wait_for
from tests.journeys.stub import Stub, answer, completion, either, refusal
from tests.journeys.wire import CHAT

CREDIT = 10**9
FULL = 100 * CREDIT
TIERS = {"economy": "stub/cheap", "standard": "stub/plain", "premium": "stub/dear"}
FREE = {"input_mtok": "0", "output_mtok": "0"}


@pytest.fixture(scope="module", autouse=True)
def models(server: Gateway, stub: Stub) -> None:
    server.model("stub/cheap", "stub", "cheap", tier="economy")
    server.model("stub/dear", "stub", "dear", tier="premium")
    server.model("stub/free", "stub", "free", **FREE)
    server.model("stub/tiny", "stub", "tiny", input_mtok="0.000001", output_mtok="0.000001")
    buckets = {"cache_read_mtok": "10", "cache_write_mtok": "125", "reasoning_mtok": "300", "request": "0.5"}
    server.model("stub/buckets", "stub", "buckets", input_mtok="100", output_mtok="200", **buckets)
    server.model("stub/odd", "stub", "odd", input_mtok="0.333333333", output_mtok="0.000000001")
    server.sync()


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        pytest.param({"max_tokens": 77}, 77, id="check_56_max_tokens"),
        pytest.param({"max_completion_tokens": 78}, 78, id="check_56_max_completion_tokens"),
        pytest.param({"max_completion_tokens": 79, "max_tokens": 80}, 79, id="check_56_the_lower_of_both"),
        pytest.param({}, 1024, id="check_56_none"),
        pytest.param({"n": 3, "max_tokens": 10}, 30, id="check_56_for_each_choice"),
    ],
)
def test_the_freeze(server: Gateway, stub: Stub, fields, output):
    customer = server.customer()
    reply = customer.chat("stub/plain", say="x" * 400, **fields)
    money = customer.receipt(reply)["money"]
    assert money["output_bound"] * fields.get("n", 1) == output
    assert money["input_bound"] >= 100
    assert money["hold"] == format_amount(money["input_bound"] * 100_000 + output * 200_000)
    assert money["accounts"] == [f"wallet:{customer.owner}:standard"]
    sent = stub.calls("plain")[-1].body
    assert sent.get("max_completion_tokens", sent.get("max_tokens")) == money["output_bound"]


@pytest.mark.parametrize(
    ("model", "hold", "charged"),
    [
        pytest.param("stub/free", "1.000000", "0.000000", id="check_57_no_rates"),
        pytest.param("stub/tiny", "0.000001", "0.000000001", id="check_57_tiny"),
    ],
)
def test_the_least_freeze(server: Gateway, model, hold, charged):
    customer = server.customer()
    receipt = customer.receipt(customer.chat(model))
    assert (receipt["money"]["hold"], receipt["money"]["settled"]) == (hold, charged)


def test_check_57_the_configured_freeze(joytoken_command, tmp_path, stub: Stub):
    with gateway(joytoken_command, tmp_path, {"gateway.default_hold_credits": "2.5"}) as made:
        made.provider("stub", stub.url)
        made.model("stub/free", "stub", "free", **FREE)
        made.sync()
        customer = made.customer()
        assert customer.receipt(customer.chat("stub/free"))["money"]["hold"] == "2.500000"


@pytest.mark.parametrize("stream", [False, True], ids=["check_58_whole", "check_58_stream"])
def test_the_balance_falls_by_what_was_used(server: Gateway, stub: Stub, stream):
    stub.says("plain", either)
    customer = server.customer()
    used = 0
    for number in range(1, 6):
        billing = customer.chat("stub/plain", stream=stream).billing
        used += parse_amount(billing["credits_used"])
        assert customer.balance() == FULL - used
        assert len(customer.records()) == number
    assert used == 5 * (11 * 100_000 + 5 * 200_000)
    assert [customer.balance(tier) for tier in ("economy", "premium")] == [FULL, FULL]
    (wallet,) = server.cli("wallet", "show", "--owner", customer.owner, "--tier", "standard")["wallets"]
    assert (wallet["balance"], wallet["frozen"]) == (format_amount(FULL - used), "0.000000")
    server.verify()


@pytest.mark.parametrize("stream", [False, True], ids=["check_59_whole", "check_59_stream"])
def test_a_failure_gives_the_freeze_back(server: Gateway, stub: Stub, stream):
    stub.says("plain", refusal(500), either)
    customer = server.customer()
    assert customer.chat("stub/plain", stream=stream).status == 502
    assert customer.balance() == FULL
    (record,) = customer.records()
    assert (record["ending"], record["charged"]) == ("provider_failed", "0.000000")


def test_check_60_an_answer_is_given_while_the_database_cannot_be_written(joytoken_command, tmp_path, stub: Stub):
    with gateway(joytoken_command, tmp_path, {"money.lease_idle_ms": 60_000}) as made:
        made.provider("stub", stub.url)
        made.model("stub/plain", "stub", "plain")
        made.sync()
        stub.says("plain", either)
        customer = made.customer()
        warm = parse_amount(customer.chat("stub/plain", max_tokens=1000).billing["credits_used"])
        with contextlib.closing(sqlite3.connect(made.data_dir / "joytoken.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")  # from now on, nobody else can write
            reply = customer.chat("stub/plain", max_tokens=1)
            database.execute("ROLLBACK")
        assert reply.status == 200, reply.body
        used = parse_amount(reply.billing["credits_used"])
        made.stop()
        (wallet,) = made.cli("wallet", "show", "--owner", customer.owner, "--tier", "standard")["wallets"]
        assert parse_amount(wallet["balance"]) == FULL - warm - used
        assert made.cli("wallet", "verify")["ok"]


def test_check_61_a_repeated_request_is_one_record_and_one_charge(server: Gateway, stub: Stub):
    stub.says("plain", either)
    customer = server.customer()
    calls = len(stub.calls("plain"))
    for stream in (False, True):
        again = [customer.chat("stub/plain", stream=stream, headers={"Idempotency_Key": f"k{stream}"}) for _ in (1, 2)]
        assert again[0].status == again[1].status == 200
        assert again[0].body == again[1].body
    assert customer.balance() == FULL - 2 * 2_100_000
    assert len(customer.records()) == 2
    assert len(stub.calls("plain")) == calls + 2


def test_check_61_a_correlation_id_merges_nothing(server: Gateway, stub: Stub):
    """Decided: a repeated `X-Request-ID` is two paid calls under one name."""
    customer = server.customer()
    replies = [customer.chat("stub/plain", headers={"X_Request_ID": "the-same"}) for _ in (1, 2)]
    assert replies[0].metadata["request_id"] != replies[1].metadata["request_id"]
    assert customer.balance() == FULL - 2 * 2_100_000
    assert [record["correlation_id"] for record in customer.records()] == ["the-same", "the-same"]


RICH = "100"
# id · wallets that hold something · policy · fields · tier that serves; None: 402
FALLBACKS = [
    ("check_62_standard_empty", ("premium", "economy"), {}, {}, "premium"),
    ("check_62_only_economy", ("economy",), {}, {}, "economy"),
    ("check_63_premium_empty", ("standard", "economy"), {}, {"tier": "premium"}, "standard"),
    ("check_63_premium_and_standard_empty", ("economy",), {}, {"tier": "premium"}, "economy"),
    ("check_63_economy_empty", ("standard", "premium"), {}, {"tier": "economy"}, "standard"),
    ("check_63_economy_and_standard_empty", ("premium",), {}, {"tier": "economy"}, "premium"),
    ("check_64_premium_not_allowed", ("premium", "economy"), {"allowed_tiers": ["standard", "economy"]}, {}, "economy"),
    ("check_64_nothing_else_allowed", ("premium", "economy"), {"allowed_tiers": ["standard"]}, {}, None),
    ("check_64_tier_of_the_key", ("premium", "economy"), {"tier": "standard"}, {}, None),
    ("check_66_all_empty", (), {}, {}, None),
]  # fmt: skip


@pytest.mark.parametrize("model", ["auto", None], ids=["auto", "omitted"])
@pytest.mark.parametrize(
    ("filled", "policy", "fields", "tier"), [c[1:] for c in FALLBACKS], ids=[c[0] for c in FALLBACKS]
)
def test_fallback_among_wallets(server: Gateway, stub: Stub, model, filled, policy, fields, tier):
    only = ["stub/plain", "stub/cheap", "stub/dear"]
    customer = server.customer(dict.fromkeys(filled, RICH), allow_models=only, **policy)
    calls = len(stub.bill)
    reply = customer.chat(model, **fields)
    if tier is None:
        assert (reply.status, reply.error["type"]) == (402, "insufficient_quota")
        assert reply.error["code"] == "wallet_empty"
        assert len(stub.bill) == calls
        return
    assert reply.status == 200, reply.body
    assert reply.headers["x-daoe-used-model"] == TIERS[tier]
    assert customer.balance(tier) == FULL - parse_amount(reply.billing["credits_used"])
    asked = fields.get("tier", "standard")
    assert customer.receipt(reply)["route"]["tier_fallbacks"][0] == asked


@pytest.mark.parametrize("stream", [False, True], ids=["check_65_whole", "check_65_stream"])
def test_a_concrete_model_has_no_fallback(server: Gateway, stub: Stub, stream):
    customer = server.customer({"premium": RICH, "economy": RICH})
    calls = len(stub.bill)
    reply = customer.chat("stub/plain", stream=stream)
    assert (reply.status, reply.error["type"], reply.error["code"]) == (402, "insufficient_quota", "wallet_empty")
    assert len(stub.bill) == calls
    assert customer.records() == []


def test_check_65_a_little_is_not_enough(server: Gateway):
    customer = server.customer({"standard": "0.02"})
    reply = customer.chat("stub/plain", max_tokens=1000)
    assert (reply.status, reply.error["code"]) == (402, "wallet_empty")
    details = reply.error["details"]
    assert parse_amount(details["required"]) > parse_amount(details["available"])
    assert customer.chat("stub/plain", max_tokens=1).status == 200  # what it can carry, it serves


def test_check_67_freezes_together_never_pass_the_balance(server: Gateway, stub: Stub):
    release = threading.Event()

    def waits(seen):
        while not release.is_set():
            yield 0.02
        yield from answer()

    sizing = server.customer()
    hold = parse_amount(sizing.receipt(sizing.chat("stub/plain", max_tokens=50))["money"]["hold"])
    customer = server.customer({"standard": format_amount(3 * hold + hold // 2)})
    stub.says("plain", waits)
    replies = []
    with ThreadPoolExecutor(10) as pool:
        for _ in range(10):
            pool.submit(lambda: replies.append(customer.chat("stub/plain", max_tokens=50)))
        try:
            wait_for(lambda: len(replies) == 7, "not seven of ten are refused")
            assert {reply.status for reply in replies} == {402}
        finally:
            release.set()
    stub.says("plain", either)
    assert sorted(reply.status for reply in replies) == [200] * 3 + [402] * 7
    assert customer.balance() == 3 * hold + hold // 2 - 3 * 2_100_000


def details(**inputs: int) -> dict[str, dict[str, int]]:
    return {"prompt_tokens_details": inputs}


# id · model · usage · nanocredits, by hand. stub/buckets: 100 in, 200 out, 10 cached, 125 written, 300 reasoning, and
# 0.5 credits a call. stub/odd: 0.333333333 in, 0.000000001 out.
PRICES = [
    ("check_68_plain", "stub/plain", (1000, 500, {}), 1000 * 100_000 + 500 * 200_000),
    ("check_68_call", "stub/buckets", (1, 0, {}), CREDIT // 2 + 100_000),
    ("check_68_cached", "stub/buckets", (100, 0, details(cached_tokens=60)), CREDIT // 2 + 40 * 100_000 + 60 * 10_000),
    ("check_68_written", "stub/buckets", (100, 0, details(cached_tokens=60, cache_write_tokens=30)),
     CREDIT // 2 + 10 * 100_000 + 60 * 10_000 + 30 * 125_000),
    ("check_68_reasoning", "stub/buckets", (10, 50, {"completion_tokens_details": {"reasoning_tokens": 20}}),
     CREDIT // 2 + 10 * 100_000 + 30 * 200_000 + 20 * 300_000),
    ("check_68_rounded_up_once", "stub/odd", (10, 7, {}), 3334),  # 3333.333 33 + 0.000 007
    ("check_68_exact", "stub/odd", (3, 1, {}), 1_000),  # 999.999 999 + 0.000 001
    ("check_68_a_nanocredit", "stub/odd", (0, 1, {}), 1),
]  # fmt: skip


@pytest.mark.parametrize(("model", "usage", "nano"), [c[1:] for c in PRICES], ids=[c[0] for c in PRICES])
def test_exact_prices(server: Gateway, stub: Stub, model, usage, nano):
    prompt, output, more = usage
    stub.says(
        model.removeprefix("stub/"),
        answer(completion(usage={"prompt_tokens": prompt, "completion_tokens": output, **more})),
        either,
    )
    customer = server.customer()
    reply = customer.post(CHAT, {"model": model, "messages": [{"role": "user", "content": "hi"}]})
    assert reply.billing["credits_used"] == format_amount(nano)
    assert customer.balance() == FULL - nano
    receipt = customer.receipt(reply)
    assert parse_amount(receipt["money"]["settled"]) == nano
    assert parse_amount(receipt["money"]["released"]) == parse_amount(receipt["money"]["hold"]) - nano
