"""The contract's first part, on the wire: credentials, methods, paths, bodies (checks 1 to 15).

Checks of the contract that speak of a client library alone (21 to 24, 36, 37, 41, and that half of 32) are not here.
"""

import json
import time
from typing import Any

import pytest

from tests.journeys.gateway import Customer, Gateway, wait_for
from tests.journeys.stub import Stub
from tests.journeys.wire import CHAT

BODY_BYTES_MAX = 8 * 1024 * 1024
UNKNOWN = "jt_live_" + "0" * 49
HI = [{"role": "user", "content": "hi"}]

# id · X-API-Key · Authorization · status · type; GOOD stands for a key that is live
CREDENTIALS = [
    ("check_01_no_key", None, None, 401, "missing_api_key"),
    ("check_01_empty_key", "", None, 401, "missing_api_key"),
    ("check_01_empty_bearer", None, "Bearer ", 401, "missing_api_key"),
    ("check_01_other_scheme", None, "Basic GOOD", 401, "missing_api_key"),
    ("check_02_unknown_key", None, f"Bearer {UNKNOWN}", 403, "invalid_api_key"),
    ("check_02_not_a_key", None, "Bearer something", 403, "invalid_api_key"),
    ("check_02_cut_key", None, "Bearer CUT", 403, "invalid_api_key"),
    ("check_04_bearer", None, "Bearer GOOD", 200, None),
    ("check_04_scheme_in_lower_case", None, "bearer GOOD", 200, None),
    ("check_05_x_api_key", "GOOD", None, 200, None),
    ("check_06_x_api_key_wins_bad", UNKNOWN, "Bearer GOOD", 403, "invalid_api_key"),
    ("check_07_x_api_key_wins_good", "GOOD", f"Bearer {UNKNOWN}", 200, None),
]


@pytest.mark.parametrize(
    ("key", "bearer", "status", "kind"), [c[1:] for c in CREDENTIALS], ids=[c[0] for c in CREDENTIALS]
)
def test_credentials(server: Gateway, customer: Customer, key, bearer, status, kind):
    good, customer.api_key = customer.api_key, None
    given = {"X_API_Key": key, "Authorization": bearer}
    headers = {k: v.replace("GOOD", good).replace("CUT", good[:-1]) for k, v in given.items() if v is not None}
    reply = customer.chat("stub/plain", headers=headers)
    assert reply.status == status
    if kind is not None:
        assert reply.error["type"] == kind
        assert good not in reply.body.decode()
        assert kind.replace("_", " ") in reply.error["message"]


def test_check_03_a_key_that_is_not_active(server: Gateway, customer: Customer):
    assert customer.chat("stub/plain").status == 200
    server.manage("POST", f"/keys/{customer.key_id}/revoke")
    refused = wait_for(lambda: (r := customer.chat("stub/plain")).status != 200 and r, "a revoked key stays live")
    assert (refused.status, refused.error["type"]) == (403, "invalid_api_key")


CHANGE_S = 1.0  # within which a change is live, by the contract


def test_a_change_is_live_within_a_second(server: Gateway):
    """On a machine that had the time for it: one attempt of five must show it."""
    took = []
    for _ in range(5):
        made = server.customer()
        assert made.chat("stub/plain").status == 200
        began = time.monotonic()
        server.manage("POST", f"/keys/{made.key_id}/revoke")
        wait_for(lambda made=made: made.chat("stub/plain").status == 403, "a revoked key stays live")
        took.append(time.monotonic() - began)
        if took[-1] < CHANGE_S:
            return
    raise AssertionError(f"a revoked key was served for {min(took):.1f} s and longer")


# id · method · path · status · type · code
PATHS = [
    *[(f"check_08_{m}", m, CHAT, 405, "method_not_allowed", "method_not_allowed") for m in ("GET", "PUT", "DELETE")],
    ("check_08_query", "GET", CHAT + "?a=b", 405, "method_not_allowed", "method_not_allowed"),
    ("check_09_unknown", "POST", "/openai/v1/nothing", 404, "not_found_error", "unknown_path"),
    ("check_09_below", "POST", CHAT + "/x", 404, "not_found_error", "unknown_path"),
    ("check_09_slash", "POST", CHAT + "/", 404, "not_found_error", "unknown_path"),
    ("check_09_case", "POST", CHAT.upper(), 404, "not_found_error", "unknown_path"),
    ("check_09_root", "GET", "/openai/v1", 404, "not_found_error", "unknown_path"),
    ("check_09_before_the_key", "GET", "/openai/v1/nothing", 404, "not_found_error", "unknown_path"),
]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "code"), [c[1:] for c in PATHS], ids=[c[0] for c in PATHS]
)
def test_methods_and_paths(server: Gateway, customer: Customer, method, path, status, kind, code):
    customer.api_key = None  # method and path are judged before the credential
    reply = customer.request(method, path)
    assert reply.status == status
    assert (reply.error["type"], reply.error["code"]) == (kind, code)
    assert ("allow" in reply.headers) == (status == 405)


def chat(**fields: Any) -> bytes:
    return json.dumps({"model": "stub/plain", "messages": HI} | fields).encode()


# id · body · code · param
BODIES = [
    ("check_10_empty", b"", "invalid_json", None),
    ("check_10_text", b"hello", "invalid_json", None),
    ("check_10_half", b'{"model":"stub/plain","messages":[{"role"', "invalid_json", None),
    ("check_10_array", b"[]", "invalid_json", None),
    ("check_10_string", b'"hi"', "invalid_json", None),
    ("check_10_two_documents", chat() + b"{}", "invalid_json", None),
    ("check_10_form", b"model=auto", "invalid_json", None),
    ("check_11_empty", chat(messages=[]), "messages_empty", "messages"),
    ("check_11_missing", b'{"model":"auto"}', "messages_missing", "messages"),
    ("check_11_null", chat(messages=None), "invalid_field", "messages"),
    ("check_11_a_string", chat(messages="hi"), "invalid_field", "messages"),
    ("check_11_no_role", chat(messages=[{"content": "hi"}]), "invalid_field", "messages[0].role"),
    ("check_28_temperature", chat(temperature=2.1), "invalid_field", "temperature"),
    ("check_28_temperature_text", chat(temperature="1"), "invalid_field", "temperature"),
    ("check_28_top_p", chat(top_p=-0.1), "invalid_field", "top_p"),
    ("check_28_max_tokens_zero", chat(max_tokens=0), "invalid_field", "max_tokens"),
    ("check_28_max_tokens_text", chat(max_tokens="many"), "invalid_field", "max_tokens"),
    ("check_33_stream_text", chat(stream="yes"), "invalid_field", "stream"),
    ("check_25_model_number", chat(model=1), "invalid_field", "model"),
    ("check_12_one_byte_too_many", chat().ljust(BODY_BYTES_MAX + 1), "body_too_large", None),
]


@pytest.mark.parametrize(("body", "code", "param"), [c[1:] for c in BODIES], ids=[c[0] for c in BODIES])
def test_bodies(server: Gateway, customer: Customer, stub: Stub, body, code, param):
    calls = len(stub.bill)
    reply = customer.post(CHAT, body)
    assert reply.status == 400
    assert (reply.error["type"], reply.error["code"], reply.error["param"]) == ("invalid_request_error", code, param)
    assert len(stub.bill) == calls
    assert customer.balance() == 100 * 10**9


def test_check_12_exactly_8_mib(server: Gateway, stub: Stub):
    rich = server.customer({"standard": "2000"})
    reply = rich.post(CHAT, chat().ljust(BODY_BYTES_MAX))
    assert reply.status == 200
    reply = rich.post(CHAT, chat(messages=[{"role": "user", "content": "x" * (BODY_BYTES_MAX - 200)}]))
    assert reply.status == 200
    assert len(stub.calls()[-1].body["messages"][0]["content"]) == BODY_BYTES_MAX - 200


def test_check_12_chunked_and_one_byte_too_many(server: Gateway, customer: Customer):
    data = chat().ljust(BODY_BYTES_MAX + 1)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    reply = customer.raw(customer.head("Transfer-Encoding: chunked", "Content-Type: application/json") + framed)
    assert reply is not None
    assert (reply.status, reply.error["code"]) == (400, "body_too_large")


@pytest.mark.parametrize("tools", [None, []], ids=["check_13_null", "check_13_empty"])
def test_no_tools(server: Gateway, customer: Customer, stub: Stub, tools):
    reply = customer.chat("stub/plain", tools=tools)
    assert reply.status == 200
    assert not stub.calls()[-1].body.get("tools")


def test_check_14_unknown_fields_are_passed_on(server: Gateway, customer: Customer, stub: Stub):
    more = {
        "store": False,
        "parallel_tool_calls": True,
        "seed": 7,
        "logit_bias": {"50256": -100},
        "x_of_tomorrow": {"deep": [1, 2.5, None, "ü"]},
        "reasoning_effort": "low",
    }
    reply = customer.chat("stub/plain", **more, metadata={"team": "blue"})
    assert reply.status == 200
    seen = stub.calls()[-1].body
    assert {name: seen[name] for name in more} == more
    # The caller's own metadata attributes the usage; it goes on only to a provider that takes it, and is not echoed.
    assert "metadata" not in seen
    assert "team" not in reply.metadata
    customer.balance()
    assert customer.records()[0]["tags"] == {"team": "blue"}


def test_check_15_each_error_has_a_message_a_type_and_an_id(server: Gateway, customer: Customer):
    """`Reply.error` checks the shape in all the tables above; this one adds the id that a caller gave."""
    for reply in (
        customer.chat("stub/plain", headers={"X_API_Key": UNKNOWN, "X_Request_ID": "my-own-id"}),
        customer.get("/openai/v1/nothing", X_Request_ID="my-own-id"),
        customer.post(CHAT, b"{", X_Request_ID="my-own-id"),
    ):
        assert reply.error["request_id"].startswith("req-")
        assert reply.headers["x-request-id"] == reply.headers["x-daoe-request-id"] == "my-own-id"
