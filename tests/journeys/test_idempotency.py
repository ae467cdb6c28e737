"""`Idempotency-Key`: the first answer is replayed without a second charge, whatever happened to its caller."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from joytoken.domain.money import parse_amount
from tests.journeys.gateway import Customer, Gateway, wait_for
from tests.journeys.stub import HANG, USAGE, Stub, answer, completion, events, refusal, stream

FULL = 100 * 10**9
REPORTED = 11 * 100_000 + 5 * 200_000
Ask = Callable[..., tuple[Customer, str]]


@pytest.fixture
def ask(server: Gateway, stub: Stub) -> Ask:
    """A customer, and a new model whose provider says this, once for each call."""

    def made(*said: object, at: Gateway = server) -> tuple[Customer, str]:
        name = f"once-{time.monotonic_ns()}"
        stub.says(name, *said)
        at.model(name, "stub", name)
        at.sync()
        return at.customer(), name

    return made


def keyed(name: str) -> dict[str, str]:
    return {"Idempotency_Key": name}


@pytest.mark.parametrize("streams", [False, True])
def test_the_first_answer_is_replayed_without_a_second_charge(ask: Ask, stub: Stub, streams: bool):  # noqa: FBT001
    customer, model = ask(stream() if streams else answer())
    first, again = (customer.chat(model, stream=streams, headers=keyed("one")) for _ in range(2))
    assert first.status == again.status == 200
    assert first.body == again.body
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] == first.headers["x-request-id"]
    assert FULL - customer.balance() == REPORTED
    assert len(customer.records()) == len(stub.calls(model)) == 1


def test_another_body_under_the_same_key_is_refused(ask: Ask):
    customer, model = ask(answer())
    assert customer.chat(model, say="this", headers=keyed("two")).status == 200
    other = customer.chat(model, say="that", headers=keyed("two"))
    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
    assert FULL - customer.balance() == REPORTED
    assert len(customer.records()) == 1


def test_keys_of_other_customers_are_other_keys(ask: Ask, server: Gateway, stub: Stub):
    customer, model = ask(answer(), answer())
    stranger = server.customer()
    assert customer.chat(model, headers=keyed("three")).status == 200
    reply = stranger.chat(model, headers=keyed("three"))
    assert reply.status == 200
    assert "idempotent-replayed" not in reply.headers
    assert len(stub.calls(model)) == 2


def test_the_second_waits_for_the_first(ask: Ask, stub: Stub):
    customer, model = ask([0.8, *answer()])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(customer.chat, model, headers=keyed("four"))
        wait_for(lambda: stub.calls(model), "the provider was not called")
        early = customer.chat(model, headers=keyed("four"))
        assert (early.status, early.error["code"]) == (409, "idempotency_in_progress")
        assert early.headers["retry-after"] == "1"
        assert first.result().status == 200
    assert customer.chat(model, headers=keyed("four")).headers["idempotent-replayed"] == "true"
    assert FULL - customer.balance() == REPORTED


def test_of_many_at_once_one_is_served(ask: Ask, stub: Stub):
    customer, model = ask([0.3, *answer()])
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: customer.chat(model, headers=keyed("five")), range(8)))
    assert {reply.status for reply in replies} <= {200, 409}
    assert len(stub.calls(model)) == 1
    assert FULL - customer.balance() == REPORTED


def test_a_failure_that_cost_nothing_is_forgotten(ask: Ask):
    customer, model = ask(refusal(503), answer())
    assert customer.chat(model, headers=keyed("six")).status == 503
    again = customer.chat(model, headers=keyed("six"))
    assert again.status == 200
    assert "idempotent-replayed" not in again.headers
    assert FULL - customer.balance() == REPORTED


def test_a_refusal_is_forgotten(ask: Ask, server: Gateway):
    customer, model = ask(answer())
    poor = server.customer({"standard": "0.000001"})
    assert poor.chat(model, headers=keyed("seven")).status == 402
    assert poor.chat(model, headers=keyed("seven")).status == 402
    assert customer.chat(model, headers=keyed("seven")).status == 200


@pytest.mark.parametrize("streams", [False, True])
def test_who_hung_up_finds_the_answer(ask: Ask, stub: Stub, streams: bool):  # noqa: FBT001
    parts = stream(events(), pause_s=0.1) if streams else [0.5, *answer()]
    customer, model = ask(parts)
    body = b'{"model":"%b","messages":[{"role":"user","content":"hi"}],"stream":%b}' % (
        model.encode(),
        b"true" if streams else b"false",
    )
    with customer.connect() as wire:
        wire.send(customer.head("Idempotency-Key: eight", f"Content-Length: {len(body)}") + body)
        wait_for(lambda: stub.calls(model), "the provider was not called")
    found = wait_for(lambda: _replayed(customer, body), "the answer was not kept")
    assert found.text == completion()["choices"][0]["message"]["content"]
    assert FULL - customer.balance() == REPORTED
    (record,) = customer.records()
    assert record["ending"] == "completed"
    assert len(stub.calls(model)) == 1


@pytest.mark.parametrize("streams", [False, True])
def test_who_hung_up_and_said_so_stops_it(ask: Ask, stub: Stub, server: Gateway, streams: bool):  # noqa: FBT001
    """The provider's call ends, what was frozen is free at once, and the key can be used again."""
    slow = stream([*events(["eight by", "tes each"])[:3], HANG]) if streams else [HANG]
    customer, model = ask(slow, stream() if streams else answer())
    asked = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": streams}
    body = json.dumps(asked).encode()
    lines = ("Idempotency-Key: ten", "X-JoyToken-On-Disconnect: stop", f"Content-Length: {len(body)}")
    with customer.connect() as wire:
        wire.send(customer.head(*lines) + body)
        wait_for(lambda: stub.calls(model), "the provider was not called")
        if streams:
            wire.until(b"tes each")
    left_at = time.time()
    (seen,) = wait_for(lambda: [call for call in stub.calls(model) if call.ended_at], "the provider's call goes on")
    assert seen.cancelled
    (record,) = wait_for(customer.records, "the request did not end")
    assert record["ending"] == "client_gone"
    finished = datetime.fromisoformat(record["finished_at"]).timestamp()
    assert finished - left_at < 10  # long before `drain_ms`, to which it would be read else
    assert FULL - customer.balance() == parse_amount(record["charged"])
    again = customer.post("/openai/v1/chat/completions", body, Idempotency_Key="ten")
    assert again.status == 200
    assert "idempotent-replayed" not in again.headers
    assert len(stub.calls(model)) == 2
    repeated = customer.post("/openai/v1/chat/completions", body, Idempotency_Key="ten")
    assert (repeated.headers["idempotent-replayed"], repeated.body) == ("true", again.body)
    server.verify()


def test_what_is_done_when_a_caller_hangs_up_is_said_right(ask: Ask):
    customer, model = ask(answer())
    headers = keyed("eleven") | {"X_JoyToken_On_Disconnect": "maybe"}
    reply = customer.chat(model, headers=headers)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (
        400,
        "invalid_header",
        "X-JoyToken-On-Disconnect",
    )


def _replayed(customer: Customer, body: bytes):
    reply = customer.post("/openai/v1/chat/completions", body, **keyed("eight"))
    return reply if reply.status == 200 else None


@pytest.mark.parametrize("name", ["x" * 256, "with space", "tab\there"])
def test_a_malformed_key_is_refused(ask: Ask, name: str):
    customer, model = ask(answer())
    reply = customer.chat(model, headers=keyed(name))
    assert (reply.status, reply.error["code"]) == (400, "idempotency_key_invalid")
    assert reply.error["param"] == "Idempotency-Key"


def test_an_answer_survives_a_killed_gateway_and_a_large_one_is_not_kept(open_gateway, ask: Ask, stub: Stub):
    other = open_gateway(**{"gateway.idempotency_answer_bytes_max": 2000})
    other.provider("stub", stub.url)
    customer, model = ask(answer(), answer(completion("long " * 1000, usage=USAGE)), at=other)
    small = customer.chat(model, headers=keyed("small"))
    large = customer.chat(model, headers=keyed("large"))
    assert small.status == large.status == 200
    other.kill()
    other.start()
    customer.url = other.url
    assert customer.chat(model, headers=keyed("small")).body == small.body
    lost = customer.chat(model, headers=keyed("large"))
    assert (lost.status, lost.error["code"]) == (409, "idempotency_answer_too_large")
    assert FULL - customer.balance() == 2 * REPORTED
    other.verify()


def test_a_paid_answer_that_was_lost_is_not_paid_again(open_gateway, ask: Ask, stub: Stub):
    other = open_gateway()
    other.provider("stub", stub.url)
    customer, model = ask(stream(events(["word "] * 200), pause_s=0.05), at=other)
    asking = threading.Thread(target=_ask_and_lose, args=(customer, model), daemon=True)
    asking.start()
    wait_for(lambda: stub.calls(model), "the provider was not called")
    time.sleep(1.0)
    other.kill()
    asking.join(10)
    other.start()
    customer.url = other.url
    lost = customer.chat(model, stream=True, headers=keyed("nine"))
    assert (lost.status, lost.error["code"]) == (409, "idempotency_answer_lost")
    (record,) = customer.records()
    assert record["ending"] == "recovered"
    assert len(stub.calls(model)) == 1
    other.verify()


def _ask_and_lose(customer: Customer, model: str) -> None:
    try:
        customer.chat(model, stream=True, headers=keyed("nine"))
    except OSError:
        return
