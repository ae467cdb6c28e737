"""Every ending by a staged fault, with its charge, its receipt and its record; fallbacks; the circuit breaker."""

import gzip
import json
import time

import pytest

from joytoken.domain.money import format_amount, parse_amount
from tests.journeys.gateway import Customer, Gateway, wait_for
from tests.journeys.stub import (
    CUT,
    HANG,
    RESET,
    USAGE,
    Stub,
    answer,
    chunk,
    completion,
    either,
    event,
    events,
    refusal,
    stream,
)

FULL = 100 * 10**9
REPORTED = 11 * 100_000 + 5 * 200_000
SAID = events(["one two three four"])[:2]  # 18 bytes: 5 tokens where the tokenizer is not known
ROLE = events()[0]
BAD_CHUNK = [*stream(SAID)[:-1], 0.05, b"zz\r\n"]
SLOWLY = [event(chunk({"content": ""})), 0.4] * 20
REPORT = event(chunk(None, usage=USAGE))
TOO_MUCH = event(chunk(None, usage=USAGE | {"completion_tokens": 10**15}))


@pytest.fixture(scope="module")
def server(open_gateway, stub: Stub) -> Gateway:
    """A gateway with short deadlines, whose circuits open by failures in a row alone."""
    made = open_gateway(
        **{
            "upstream.first_byte_ms": 1500,
            "upstream.idle_ms": 1500,
            "upstream.total_ms": 4500,
            "routing.breaker_failures": 3,
            "routing.breaker_calls_min": 1000,
            "routing.breaker_open_ms": 1000,
            "routing.breaker_open_ms_max": 1000,
        }
    )
    made.provider("one", stub.url)
    made.provider("two", stub.url)
    made.provider("nobody", "http://127.0.0.1:1/v1")
    return made


@pytest.fixture
def ask(server: Gateway, stub: Stub):
    """Ask a new model of one deployment that says this."""

    def call(said, *, streams, provider="one", **fields) -> tuple[Customer, object]:
        name = f"fault-{time.monotonic_ns()}"
        stub.says(name, said)
        server.model(name, provider, name)
        server.sync()
        customer = server.customer()
        return customer, customer.chat(name, stream=streams, **fields)

    return call


# ending · id · what the provider says · streamed · source · charge (None: as counted) · error code on the record
ENDINGS = [
    ("completed", "whole", answer(), False, "reported", REPORTED, ""),
    ("completed", "stream", stream(), True, "reported", REPORTED, ""),
    ("completed", "no_done", stream(events(done=False)), True, "reported", REPORTED, ""),
    ("completed", "cut_at_the_end", stream([*events()[:-1], CUT]), True, "reported", REPORTED, ""),
    ("completed", "hang_at_the_end", stream([*events()[:-1], HANG]), True, "reported", REPORTED, ""),
    ("completed_counted", "whole", answer(completion(usage=...)), False, "estimated", None, ""),
    ("completed_counted", "stream", stream(events(usage=None)), True, "estimated", None, ""),
    ("provider_failed", "whole", refusal(500), False, "none", 0, "provider_failed"),
    ("provider_failed", "stream", refusal(503), True, "none", 0, "provider_unavailable"),
    ("provider_failed", "role_alone", stream([ROLE, CUT]), True, "none", 0, "provider_cut"),
    ("provider_failed", "hang", [HANG], True, "none", 0, "provider_first_byte_timeout"),
    ("provider_cut", "cut", stream([*SAID, CUT]), True, "estimated", None, "provider_cut"),
    ("provider_cut", "reset", stream([*SAID, RESET]), True, "estimated", None, "provider_cut"),
    ("provider_cut", "after_usage", stream([*SAID, REPORT, CUT]), True, "reported", REPORTED, "provider_cut"),
    ("provider_cut", "half_event", stream([*SAID, b'data: {"choi', CUT]), True, "estimated", None, "provider_cut"),
    ("provider_cut", "garbage", stream([*SAID, b"data: ][\n\n"]), True, "estimated", None, "provider_garbage"),
    ("provider_cut", "bad_chunk", BAD_CHUNK, True, "estimated", None, "provider_protocol_error"),
    ("empty", "whole", answer(completion("", finish=None)), False, "reported", 0, ""),
    ("empty", "stream", stream([event(b"[DONE]")]), True, "estimated", 0, ""),
    ("empty", "role_and_done", stream([ROLE, event(b"[DONE]")]), True, "estimated", 0, ""),
    ("empty", "error_finish", stream(events(finish="error")), True, "reported", 0, ""),
    ("timed_out", "idle", stream([*SAID, HANG]), True, "estimated", None, "provider_idle_timeout"),
    ("timed_out", "after_usage", stream([*SAID, REPORT, HANG]), True, "reported", REPORTED, "provider_idle_timeout"),
    ("timed_out", "total", stream([*SAID, *SLOWLY]), True, "estimated", None, "provider_total_timeout"),
]


@pytest.mark.parametrize(
    ("ending", "said", "streams", "source", "charge", "code"),
    [(c[0], *c[2:]) for c in ENDINGS],
    ids=[f"{c[0]}-{c[1]}" for c in ENDINGS],
)
def test_endings(ask, ending, said, streams, source, charge, code):
    customer, reply = ask(said, streams=streams)
    assert reply.whole
    spent = FULL - customer.balance()
    (record,) = customer.records()
    assert (record["ending"], record["usage_source"], record["error_code"]) == (ending, source, code)
    if charge is None:
        tokens = (record["input_tokens"], record["output_tokens"])
        assert tokens[0] > 0
        assert tokens[1] == 5
        charge = tokens[0] * 100_000 + 5 * 200_000
    assert spent == charge
    assert record["charged"] == record["cost"] == format_amount(charge)
    receipt = customer.receipt(record["request_id"])
    assert receipt["ending"]["name"] == ending
    assert receipt["ending"]["rule"]
    money = receipt["money"]
    assert (money["settled"], money["shortfall"]) == (format_amount(charge), "0.000000")
    assert parse_amount(money["hold"]) == parse_amount(money["released"]) + charge
    assert (receipt["attempts"][-1]["error"] != "") == (code != "")
    if reply.status == 200:
        assert reply.billing["ending"] == ending
        assert reply.billing["credits_used"] == format_amount(charge)


def test_client_gone_pays_for_what_was_received(server: Gateway, stub: Stub, ask):
    customer, _ = ask(either, streams=False)
    spent = FULL - customer.balance()
    name = customer.records()[0]["model"]
    stub.says(stub.calls()[-1].model, stream([*SAID, HANG]))
    body = json.dumps({"model": name, "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
    with customer.connect() as wire:
        wire.send(customer.head(f"Content-Length: {len(body)}") + body)
        wire.until(b"one two three four")
    wait_for(lambda: stub.calls()[-1].cancelled, "the provider is not told that the client left")
    record = wait_for(lambda: (r := customer.records()[0])["ending"] == "client_gone" and r, "no such record")
    assert (record["usage_source"], record["output_tokens"]) == ("estimated", 5)
    assert parse_amount(record["charged"]) == record["input_tokens"] * 100_000 + 5 * 200_000
    assert customer.balance() == FULL - spent - parse_amount(record["charged"])


def test_a_huge_usage_in_a_stream_is_bounded(ask):
    customer, reply = ask(stream([*events()[:-2], TOO_MUCH, event(b"[DONE]")]), streams=True, max_tokens=50)
    assert reply.status == 200
    spent = FULL - customer.balance()
    assert spent < 10**9
    assert "bounded" in customer.receipt(reply)["notes"][0]


def test_a_gzipped_stream_was_not_asked_for(ask):
    packed = gzip.compress(b"".join(events()))
    customer, reply = ask(stream([packed], Content_Encoding="gzip"), streams=True)
    assert (reply.status, reply.error["code"]) == (502, "provider_protocol_error")
    assert customer.balance() == FULL


def test_nobody_listens(ask):
    customer, reply = ask(either, streams=False, provider="nobody")
    assert (reply.status, reply.error["code"]) == (503, "provider_connect_failed")
    assert customer.balance() == FULL


# -- two deployments --------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(server: Gateway, stub: Stub):
    """A model of two deployments: its name, and the upstream names at `one` and `two`, each answering as it should."""
    name = f"pair-{time.monotonic_ns()}"
    upstreams = (f"{name}-a", f"{name}-b")
    for provider, upstream in zip(("one", "two"), upstreams, strict=True):
        stub.says(upstream, either)
        server.model(name, provider, upstream)
    server.sync()
    return name, upstreams


# id · what the first deployment says · its attempt's status · its attempt's error
FAILOVERS = [
    ("401", refusal(401), 401, "stub_error"),
    ("404", refusal(404), 404, "stub_error"),
    ("429", refusal(429), 429, "stub_error"),
    ("500", refusal(500), 500, "stub_error"),
    ("503", refusal(503), 503, "stub_error"),
    ("reset", [RESET], 0, "reset"),
    ("hang", [HANG], 0, "first_byte_timeout"),
    ("garbage", [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<html/>"], 200, None),
    ("half_an_answer", stream([ROLE, CUT]), None, "cut"),
    ("error_first", stream([event({"error": {"message": "overloaded"}})]), 200, None),
]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("said", "status", "error"), [c[1:] for c in FAILOVERS], ids=[c[0] for c in FAILOVERS])
def test_another_deployment_steps_in(server: Gateway, stub: Stub, pair, said, status, error, streams):
    name, (bad, good) = pair
    stub.says(bad, said)
    customer = server.customer()
    replies = [customer.chat(name, stream=streams) for _ in range(2)]  # each deployment comes first once
    assert [reply.status for reply in replies] == [200, 200]
    over = [reply for reply in replies if "x-daoe-failover" in reply.headers]
    assert len(over) == 1  # and the other began with the good one
    assert over[0].text == "Hello from the stub."
    assert over[0].headers["x-daoe-used-provider"] == "two"
    receipt = customer.receipt(over[0])
    first, second = receipt["attempts"]
    assert (first["provider"], second["provider"], second["status"]) == ("one", "two", 200)
    assert first["status"] == (status if status is not None else 200 if streams else 0)
    assert first["error"] == error if error else first["error"]
    assert customer.balance() == FULL - 2 * REPORTED  # one hold, one charge for each request
    assert {seen.request_id for seen in stub.calls(bad)} <= {seen.request_id for seen in stub.calls(good)}


def test_what_is_the_callers_fault_is_not_tried_again(server: Gateway, stub: Stub, pair):
    name, upstreams = pair
    for upstream in upstreams:
        stub.says(upstream, refusal(400, "temperature is too high"))
    customer = server.customer()
    reply = customer.chat(name)
    assert (reply.status, reply.error["code"]) == (400, "provider_rejected")
    assert "temperature is too high" in reply.error["message"]
    assert sum(len(stub.calls(upstream)) for upstream in upstreams) == 1
    assert customer.balance() == FULL
    assert customer.records()[0]["ending"] == "rejected_upstream"


def test_after_content_there_is_no_fallback(server: Gateway, stub: Stub, pair):
    name, upstreams = pair
    for upstream in upstreams:
        stub.says(upstream, stream([*SAID, CUT]))
    reply = server.customer().chat(name, stream=True)
    assert reply.text == "one two three four"
    assert reply.billing["ending"] == "provider_cut"
    assert sum(len(stub.calls(upstream)) for upstream in upstreams) == 1


def test_all_fail(server: Gateway, stub: Stub, pair):
    name, upstreams = pair
    stub.says(upstreams[0], refusal(500))
    stub.says(upstreams[1], refusal(503))
    customer = server.customer()
    reply = customer.chat(name)
    assert reply.status in (502, 503)
    assert reply.error["type"] == "upstream_error"
    assert len(customer.receipt(reply)["attempts"]) == 2
    assert customer.balance() == FULL


def test_the_circuit_opens_and_closes_again(server: Gateway, stub: Stub, pair):
    """After three failures in a row nothing is sent there, until a probe succeeds."""
    name, (bad, _) = pair
    stub.says(bad, refusal(500))
    customer = server.customer()
    wait_for(lambda: customer.chat(name).status == 200 and len(stub.calls(bad)) == 3, "it is not tried")
    began = time.monotonic()
    replies = [customer.chat(name) for _ in range(6)]
    if time.monotonic() - began < 0.9:  # else the pause is over, and a probe may have been sent
        assert len(stub.calls(bad)) == 3
    assert {reply.status for reply in replies} == {200}
    assert {reply.headers["x-daoe-used-provider"] for reply in replies} == {"two"}
    stub.says(bad, either)
    wait_for(lambda: customer.chat(name).headers["x-daoe-used-provider"] == "one", "the circuit does not close")


def test_at_rest(server: Gateway):
    """After all of that nothing is held, and the books are right."""
    server.at_rest()
    server.verify()
    assert "Traceback" not in server.log
