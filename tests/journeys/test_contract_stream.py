"""The contract on streams (checks 33 to 45). What a client library does with one (36, 37, 41) is tested there."""

import json
import re
import time

import pytest

from joytoken.domain.money import format_amount
from tests.journeys.gateway import Customer, Gateway, wait_for
from tests.journeys.stub import (
    CUT,
    HANG,
    RESET,
    Stub,
    bytewise,
    chunk,
    either,
    event,
    events,
    refusal,
    stream,
)
from tests.journeys.wire import CHAT

STREAM_BODY = {"model": "stub/plain", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
LONG = "0123456789" * 7 * 1024
SPLIT = event(chunk({"content": "two lines"})).replace(b'"choices"', b'\ndata: "choices"', 1)
NO_SPACE = event(chunk({"content": "no space"})).replace(b"data: ", b"data:", 1)

# id · what the provider streams · the text that reaches the client
TEXTS = [
    ("check_34_plain", stream(), "Hello from the stub."),
    ("check_34_unicode", stream(events(["ü☃", "🙂", "\u2028", '"\\'])), 'ü☃🙂\u2028"\\'),
    ("check_34_one_byte_a_chunk", stream(bytewise(b"".join(events(["one ", "byte ü"])))), "one byte ü"),
    ("check_34_one_piece", stream([b"".join(events(["all ", "at ", "once"]))]), "all at once"),
    ("check_34_crlf", stream([b"".join(events(["c", "r"])).replace(b"\n", b"\r\n")]), "cr"),
    ("check_34_comments", stream([b": ping\n\n", *events(["a"])[:2], b": ping\n\n", *events(["b"])[1:]]), "ab"),
    ("check_34_event_names", stream([b"event: message\nid: 7\n" + part for part in events(["named"])]), "named"),
    ("check_34_no_space", stream([NO_SPACE, *events()[-3:]]), "no space"),
    ("check_34_byte_order_mark", stream([b"\xef\xbb\xbf" + b"".join(events(["marked"]))]), "marked"),
    ("check_34_no_done", stream(events(["not ", "done"], done=False)), "not done"),
    ("check_34_no_last_empty_line", stream([b"".join(events(["half"], done=False)).rstrip(b"\n")]), "half"),
    ("check_39_70_kib", stream(events([LONG])), LONG),
    ("check_39_two_data_lines", stream([SPLIT, *events()[-3:]]), "two lines"),
]


@pytest.mark.parametrize(("said", "text"), [c[1:] for c in TEXTS], ids=[c[0] for c in TEXTS])
def test_text(customer: Customer, stub: Stub, said, text):
    stub.says("plain", said)
    reply = customer.chat("stub/plain", stream=True)
    assert reply.status == 200
    assert reply.whole
    assert reply.text == text
    assert reply.events[-1] == "[DONE]"
    assert reply.billing["ending"] == "completed"
    assert reply.billing["credits_used"] == "0.002100"


def test_check_33_and_35_shape(customer: Customer, stub: Stub):
    stub.says("plain", either)
    reply = customer.chat("stub/plain", stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-daoe-used-model"] == "stub/plain"
    assert reply.headers["x-daoe-used-provider"] == "stub"
    assert re.fullmatch(rb"(data: [^\n]+\n\n)+", reply.body)
    assert reply.events.count("[DONE]") == 1
    assert reply.events[-1] == "[DONE]"
    for made in reply.chunks:
        assert made["object"] == "chat.completion.chunk"
        assert all(name in made for name in ("id", "created", "model", "choices"))
    last = reply.chunks[-1]
    assert last["choices"] == []
    assert last["id"] == reply.chunks[0]["id"]
    assert set(last["metadata"]["latency"]) == {"routing_ms", "first_token_ms", "stream_ms", "total_ms"}
    assert reply.metadata["request_id"].startswith("req-")


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        pytest.param({"stream_options": {"include_usage": True}}, True, id="check_38_asked"),
        pytest.param({"stream_options": {"include_usage": False}}, False, id="check_38_declined"),
        pytest.param({"stream_options": {}}, False, id="check_38_said_nothing"),
        pytest.param({"stream_options": None}, False, id="check_38_null"),
        pytest.param({}, False, id="check_38_left_out"),
    ],
)
def test_usage_is_asked_for_and_shown_to_who_asked(customer: Customer, stub: Stub, options, shown):
    stub.says("plain", either)
    reply = customer.chat("stub/plain", stream=True, **options)
    assert stub.calls("plain")[-1].body["stream_options"]["include_usage"] is True
    found = [made for made in reply.chunks if made.get("usage")]
    assert len(found) == shown
    if shown:
        assert found[0]["choices"] == []
        assert found[0]["usage"] == {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
        assert "metadata" in found[0]  # the last chunk: clients take its usage for the whole stream's


def test_check_34_events_pass_when_they_come(customer: Customer, stub: Stub):
    """The first words are with the client while the provider is still silent about the rest."""
    stub.says("plain", stream([*events()[:3], HANG]))
    body = json.dumps(STREAM_BODY).encode()
    with customer.connect() as wire:
        wire.send(customer.head(f"Content-Length: {len(body)}") + body)
        assert b"200 OK" in wire.until(b"\r\n\r\n")
        wire.until(b'"content": "from "')
        assert not stub.calls("plain")[-1].finished


def test_check_40_a_client_that_leaves_is_noticed(server: Gateway, customer: Customer, stub: Stub):
    stub.says("plain", stream([*events()[:3], HANG]))
    body = json.dumps(STREAM_BODY).encode()
    with customer.connect() as wire:
        wire.send(customer.head(f"Content-Length: {len(body)}") + body)
        wire.until(b'"content": "from "')
    wait_for(lambda: stub.calls("plain")[-1].cancelled, "the provider is not told")
    (record,) = wait_for(customer.records, "no record is written")
    assert record["ending"] == "client_gone"
    assert record["usage_source"] == "estimated"
    assert customer.balance() == 100 * 10**9 - int(record["charged"].replace(".", "").ljust(10, "0")) * 1
    assert len(customer.records()) == 1


# id · events after the first words · what the error's code is
BROKEN = [
    (
        "check_42_error_event",
        [event({"error": {"message": "overloaded", "type": "server_error"}, "choices": []})],
        "provider_error_in_stream",
    ),
    (
        "check_42_error_event_and_more",
        [event({"error": {"message": "overloaded"}}) + event(chunk({"content": "x"}))],
        "provider_error_in_stream",
    ),
    ("check_42_cut", [CUT], "provider_cut"),
    ("check_42_reset", [RESET], "provider_cut"),
    ("check_42_garbage", [b"data: {not json\n\n", CUT], "provider_garbage"),
    ("check_42_half_an_event", [b'data: {"choices": [{"ind', CUT], "provider_cut"),
    ("check_42_ends_without_a_finish", [], "provider_cut"),
]


@pytest.mark.parametrize(("rest", "code"), [c[1:] for c in BROKEN], ids=[c[0] for c in BROKEN])
def test_an_error_in_a_stream_is_an_event(customer: Customer, stub: Stub, rest, code):
    stub.says("plain", stream([*events(["so ", "far"])[:3], *rest]))
    reply = customer.chat("stub/plain", stream=True)
    assert reply.status == 200
    assert reply.text == "so far"
    error, metadata = reply.chunks[-2:]
    assert error["choices"] == []
    assert (error["error"]["type"], error["error"]["code"]) == ("upstream_error", code)
    assert error["error"]["request_id"] == metadata["metadata"]["request_id"]
    assert reply.events[-1] == "[DONE]"
    assert reply.billing["ending"] == "provider_cut"
    assert reply.billing["usage_source"] == "estimated"


def test_check_43_failover_is_told(server: Gateway, stub: Stub):
    server.provider("stub2", stub.url)
    server.model("stub/two", "stub", "two-a", weight=1000)
    server.model("stub/two", "stub2", "two-b")
    server.sync()
    customer = server.customer()
    for streamed in (True, False):
        stub.says("two-a", either)
        stub.says("two-b", either)
        plain = customer.chat("stub/two", stream=streamed)
        assert "x-daoe-failover" not in plain.headers
        served = plain.headers["x-daoe-used-provider"]
        stub.says("two-a" if served == "stub" else "two-b", refusal(500))
        replies = [customer.chat("stub/two", stream=streamed) for _ in range(2)]
        over = [reply for reply in replies if "x-daoe-failover" in reply.headers]
        assert over
        for reply in over:
            assert reply.headers["x-daoe-used-provider"] != served
            attempts = customer.receipt(reply)["attempts"]
            assert [attempt["status"] for attempt in attempts] == [500, 200]


def test_check_44_no_usage_is_counted(customer: Customer, stub: Stub):
    """Decided: what the provider does not report is counted, and the receipt says so."""
    stub.says("plain", stream(events(["one two three four"], usage=None)))
    reply = customer.chat("stub/plain", say="x" * 40, stream=True, stream_options={"include_usage": True})
    billing = reply.billing
    assert (billing["ending"], billing["usage_source"]) == ("completed_counted", "estimated")
    assert billing["input_tokens"] > 0
    assert billing["output_tokens"] == 5  # 18 bytes at four bytes a token: this model has no known tokenizer
    cost = billing["input_tokens"] * 100_000 + billing["output_tokens"] * 200_000
    assert billing["credits_used"] == format_amount(cost)
    assert customer.balance() == 100 * 10**9 - cost
    usage = [made["usage"] for made in reply.chunks if made.get("usage")]
    assert [u["completion_tokens"] for u in usage] == [5]


# id · what the provider says to a streamed request before any content · status · code
REFUSALS = [
    ("check_45_400", refusal(400), 400, "provider_rejected"),
    ("check_45_401", refusal(401), 502, "provider_auth_failed"),
    ("check_45_404", refusal(404), 502, "provider_model_missing"),
    ("check_45_429", refusal(429, Retry_After="7"), 503, "provider_rate_limited"),
    ("check_45_500", refusal(500), 502, "provider_failed"),
    ("check_45_503", refusal(503), 503, "provider_unavailable"),
    ("check_45_504", refusal(504), 504, "provider_unavailable"),
    ("check_45_reset", [RESET], 502, "provider_reset"),
    ("check_45_error_event_first", stream([event({"error": {"message": "no"}}), CUT]), 502, "provider_error_in_stream"),
    ("check_45_nothing_but_a_head", stream([CUT]), 502, "provider_cut"),
    ("check_45_an_empty_stream", stream([]), 502, "provider_cut"),
    ("check_45_a_role_and_no_more", stream([events()[0], CUT]), 502, "provider_cut"),
    ("check_45_a_role_and_garbage", stream([events()[0], 0.05, b"data: {no\n\n"]), 502, "provider_garbage"),
]


@pytest.mark.parametrize(("said", "status", "code"), [c[1:] for c in REFUSALS], ids=[c[0] for c in REFUSALS])
def test_a_refusal_before_the_first_byte_is_json(server: Gateway, stub: Stub, said, status, code):
    name = f"refuse-{time.monotonic_ns()}"  # a deployment of its own: its circuit is nobody else's
    stub.says(name, said)
    server.model(f"stub/{name}", "stub", name)
    server.sync()
    customer = server.customer()
    reply = customer.chat(f"stub/{name}", stream=True)
    assert (reply.status, reply.error["code"]) == (status, code)
    assert reply.error["type"] == ("invalid_request_error" if status == 400 else "upstream_error")
    assert reply.headers.get("retry-after") == ("7" if code == "provider_rate_limited" else None)
    assert customer.balance() == 100 * 10**9
    (record,) = customer.records()
    assert record["ending"] == ("rejected_upstream" if status == 400 else "provider_failed")
    assert (record["charged"], record["http_status"]) == ("0.000000", status)


def test_the_stream_of_http_1_0_ends_with_its_connection(customer: Customer, stub: Stub):
    stub.says("plain", either)
    body = json.dumps(STREAM_BODY).encode()
    head = f"POST {CHAT} HTTP/1.0\r\nAuthorization: Bearer {customer.api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    reply = customer.raw(head.encode() + body)
    assert reply is not None
    assert reply.status == 200
    assert "transfer-encoding" not in reply.headers
    assert reply.text == "Hello from the stub."
