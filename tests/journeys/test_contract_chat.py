"""The contract on whole answers: the shape, ids, models, fields that pass both ways (checks 16 to 32)."""

import re
from decimal import Decimal

import pytest

from joytoken.domain.money import format_amount
from tests.journeys.gateway import Customer, Gateway, gateway
from tests.journeys.stub import TEXT, USAGE, Stub, answer, completion, either
from tests.journeys.wire import CHAT


@pytest.fixture(scope="module", autouse=True)
def models(server: Gateway, stub: Stub) -> None:
    for name in ("plain", "tools"):
        stub.says(name, either)
    server.model("stub/tools", "stub", "tools", tier="standard", features=["tools"], aliases=["toolsmith"])
    server.model("stub/dear", "stub", "dear", tier="premium", display_name="A dear model")
    server.sync()


def test_check_16_auto(customer: Customer):
    reply = customer.chat("auto")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    body = reply.json
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == TEXT
    assert isinstance(body["id"], str)
    assert isinstance(body["created"], int)
    assert isinstance(body["model"], str)
    assert body["usage"] == USAGE


@pytest.mark.parametrize("model", ["auto", "stub/plain", "stub/dear"], ids=lambda m: f"check_17_{m}")
def test_who_served(customer: Customer, model):
    reply = customer.chat(model)
    served = reply.headers["x-daoe-used-model"]
    assert served == model or (model == "auto" and served in ("stub/plain", "stub/tools"))
    assert reply.headers["x-daoe-used-provider"] == "stub"
    assert reply.metadata["provider"] == "stub"
    assert reply.metadata["tier"] == ("premium" if model == "stub/dear" else "standard")
    assert reply.metadata["model"] == ("A dear model" if model == "stub/dear" else served)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(None, False, id="check_18_none_is_made"),
        pytest.param("my-id", True, id="check_18_kept"),
        pytest.param("!~" + "x" * 126, True, id="check_18_longest"),
        pytest.param("x" * 129, False, id="check_18_too_long"),
        pytest.param("two words", False, id="check_18_a_space"),
        pytest.param("é", False, id="check_18_beyond_ascii"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_request_ids(customer: Customer, stub: Stub, given, kept, stream):
    reply = customer.chat("stub/plain", stream=stream, headers={"X_Request_ID": given} if given else {})
    own = reply.metadata["request_id"]
    assert re.fullmatch("req-[0-9a-f]{32}", own)
    assert reply.headers["x-request-id"] == (given if kept else own)
    assert reply.headers["x-daoe-request-id"] == reply.headers["x-request-id"]
    assert stub.calls("plain")[-1].request_id == own
    receipt = customer.receipt(own)
    assert receipt["request"]["correlation_id"] == (given if kept else "")


def test_check_19_and_20_metadata(customer: Customer):
    metadata = customer.chat("stub/plain", headers={"X_Request_ID": "mine"}).metadata
    assert isinstance(metadata, dict)
    assert metadata["request_id"].startswith("req-")
    assert re.fullmatch("bill-[0-9a-f]{32}", metadata["billing_id"])
    assert metadata["tag"] == ["chat"]
    assert isinstance(metadata["score"], float)
    assert set(metadata["latency"]) == {"routing_ms", "total_ms"}
    billing = metadata["billing"]
    assert re.fullmatch(r"\d+\.\d{6,9}", billing["credits_used"])
    assert Decimal(billing["usd_cost"]) == Decimal(billing["credits_used"]) * Decimal("0.002")
    rest = {name: value for name, value in billing.items() if name not in ("credits_used", "usd_cost")}
    assert rest == {
        "input_tokens": 11,
        "output_tokens": 5,
        "cached_input_tokens": None,  # unknown is null, never 0
        "cached_output_tokens": None,
        "reasoning_tokens": None,
        "ending": "completed",
        "usage_source": "reported",
    }
    assert billing["credits_used"] == format_amount(11 * 100_000 + 5 * 200_000)


@pytest.mark.parametrize("model", [None, "", "auto"], ids=["check_25_omitted", "check_25_empty", "check_25_auto"])
def test_no_model_is_auto(customer: Customer, model):
    reply = customer.chat(model)
    assert reply.status == 200
    assert customer.receipt(reply)["route"]["rule"].startswith("auto")


def test_check_25_omitted_with_a_default_model(joytoken_command, tmp_path, stub: Stub):
    with gateway(joytoken_command, tmp_path, {"gateway.default_model": "stub/second"}) as made:
        made.provider("stub", stub.url)
        made.model("stub/first", "stub", "first")
        made.model("stub/second", "stub", "second", input_mtok="900", output_mtok="900")
        made.sync()
        customer = made.customer()
        assert customer.chat(None).headers["x-daoe-used-model"] == "stub/second"
        assert customer.chat("stub/first").headers["x-daoe-used-model"] == "stub/first"


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        pytest.param("stub/plain", "stub/plain", id="check_26_in_full"),
        pytest.param("tools", "stub/tools", id="check_26_bare_and_unique"),
        pytest.param("toolsmith", "stub/tools", id="check_26_alias"),
    ],
)
def test_concrete_models(customer: Customer, asked, served):
    reply = customer.chat(asked)
    assert (reply.status, reply.headers["x-daoe-used-model"]) == (200, served)


@pytest.mark.parametrize(
    "model", ["stub/never", "never", "stub/", "ünknown", "x" * 5000], ids=lambda m: f"check_27_{m[:10]}"
)
def test_unknown_models(customer: Customer, stub: Stub, model):
    calls = len(stub.bill)
    reply = customer.chat(model)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "unknown_model", "model")
    assert len(stub.bill) == calls
    assert customer.balance() == 100 * 10**9


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def test_check_28_fields_reach_the_provider_unchanged(customer: Customer, stub: Stub):
    fields = {
        "temperature": 0.7,
        "top_p": 0.95,
        "max_tokens": 77,
        "stop": ["\n\n", "END"],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "user": "somebody",
    }
    reply = customer.chat("stub/tools", say='ünïcødé ☃ \u0000 \\ "quoted"', tier="standard", **fields)
    assert reply.status == 200
    seen = stub.calls("tools")[-1].body
    assert {name: seen[name] for name in fields} == fields
    assert "tier" not in seen
    assert seen["messages"] == [{"role": "user", "content": 'ünïcødé ☃ \u0000 \\ "quoted"'}]
    assert seen["model"] == "tools"


def test_check_29_and_30_tool_calls_go_both_ways_untouched(customer: Customer, stub: Stub):
    call = {
        "id": "call_1",
        "type": "function",
        "thought_signature": "c2lnbmVk",
        "extra_content": {"google": {"thought_signature": "c2ln", "deep": [1, {"x": None}]}},
        "function": {"name": "look", "arguments": '{"where": "ü"}'},
    }
    stub.says("tools", answer(completion(None, finish="tool_calls", tool_calls=[call])), either)
    first = customer.chat("stub/tools", tools=[TOOL])
    message = first.json["choices"][0]["message"]
    assert first.json["choices"][0]["finish_reason"] == "tool_calls"
    assert message["tool_calls"] == [call]
    turn = [{"role": "user", "content": "hi"}, message, {"role": "tool", "tool_call_id": "call_1", "content": "seen"}]
    second = customer.post(CHAT, {"model": "stub/tools", "tools": [TOOL], "messages": turn})
    assert second.status == 200
    assert stub.calls("tools")[-1].body["messages"] == turn


def test_check_31_roles(customer: Customer, stub: Stub):
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turn = [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": [{"type": "text", "text": "d"}]},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "u"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "name": "look", "content": "t"},
        {"role": "assistant", "content": ""},
        {"role": "of-tomorrow", "content": None},
    ]
    reply = customer.post(CHAT, {"model": "stub/tools", "messages": turn})
    assert reply.status == 200
    assert stub.calls("tools")[-1].body["messages"] == turn


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"error": {"message": "no", "type": "server_error"}, "choices": []}, id="check_32_error_in_a_200"),
        pytest.param({"error": "no"}, id="check_32_error_text"),
    ],
)
def test_an_error_inside_a_200_is_an_error(customer: Customer, stub: Stub, document):
    stub.says("plain", answer(document), either)
    reply = customer.chat("stub/plain")
    assert (reply.status, reply.error["type"]) == (502, "upstream_error")
    assert reply.error["code"] == "provider_error_in_answer"
    assert customer.balance() == 100 * 10**9


def test_what_a_provider_leaves_out_is_made_good(customer: Customer, stub: Stub):
    bare = {
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    stub.says("plain", answer(bare), either)
    body = customer.chat("stub/plain").json
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    choice = body["choices"][0]
    assert choice == {
        "index": 0,
        "logprobs": None,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "hi", "refusal": None},
    }
    assert body["object"] == "chat.completion"
    assert all(name in body for name in ("id", "created", "model"))
