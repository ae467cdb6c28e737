"""Every way in which a provider's whole answer can be wrong: a clear error, no charge; and what is right is exact."""

import gzip
import json
import time

import pytest

from joytoken.domain.money import format_amount
from tests.journeys.gateway import Customer, Gateway
from tests.journeys.stub import CUT, HANG, RESET, Stub, answer, completion, refusal, whole

FULL = 100 * 10**9
COMPLETE = json.dumps(completion()).encode()
BARE_COUNTED = b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}'
BARE = BARE_COUNTED[:-1] + b',"usage":{"prompt_tokens":3,"completion_tokens":2}}'


@pytest.fixture
def failing(server: Gateway, stub: Stub):
    """Ask a model of one deployment that says this; its circuit is nobody else's."""

    def ask(said, **fields):
        name = f"whole-{time.monotonic_ns()}"
        stub.says(name, said)
        server.model(f"stub/{name}", "stub", name)
        server.sync()
        customer = server.customer()
        return customer, customer.chat(f"stub/{name}", **fields)

    return ask


# id · what the provider says · status · code
FAULTS = [
    ("400", refusal(400, "max_tokens is too large"), 400, "provider_rejected"),
    ("422", refusal(422), 400, "provider_rejected"),
    ("401", refusal(401, "Incorrect API key sk-secret"), 502, "provider_auth_failed"),
    ("403", refusal(403), 502, "provider_auth_failed"),
    ("404", refusal(404), 502, "provider_model_missing"),
    ("429", refusal(429, Retry_After="9"), 503, "provider_rate_limited"),
    ("500", refusal(500), 502, "provider_failed"),
    ("500_html", whole(500, b"<html>oops</html>", "text/html"), 502, "provider_failed"),
    ("502", refusal(502), 502, "provider_unavailable"),
    ("503", refusal(503), 503, "provider_unavailable"),
    ("204", whole(204, b""), 502, "provider_failed"),
    ("301", whole(301, b"", Location="http://127.0.0.1:1/"), 502, "provider_failed"),
    ("reset_before_the_head", [RESET], 502, "provider_reset"),
    ("closed_before_the_head", [CUT], 502, "provider_reset"),
    ("half_a_head", [b"HTTP/1.1 200 OK\r\nContent-Le", CUT], 502, "provider_reset"),
    ("not_http", [b"SSH-2.0-OpenSSH_9.6\r\n", CUT], 502, "provider_protocol_error"),
    ("half_a_body", [whole(200, COMPLETE)[0][:-10], CUT], 502, "provider_cut"),
    ("reset_in_the_body", [whole(200, COMPLETE)[0][:-10], 0.05, RESET], 502, "provider_cut"),
    ("not_json", whole(200, b"<html>hello</html>"), 502, "provider_garbage"),
    ("empty", whole(200, b""), 502, "provider_garbage"),
    ("null", whole(200, b"null"), 502, "provider_garbage"),
    ("an_array", whole(200, b"[]"), 502, "provider_garbage"),
    ("an_empty_object", whole(200, b"{}"), 502, "provider_garbage"),
    ("choices_null", whole(200, b'{"choices":null}'), 502, "provider_garbage"),
    ("choice_null", whole(200, b'{"choices":[null]}'), 502, "provider_garbage"),
    ("message_text", whole(200, BARE.replace(b'{"content":"%b"}', b'"text"')), 502, "provider_garbage"),
    ("too_deep", whole(200, b'{"choices":' + b"[" * 100_000), 502, "provider_garbage"),
    ("bad_utf8", whole(200, BARE % b"a\xff\xfe"), 502, "provider_garbage"),
    ("bad_utf8_counted", whole(200, BARE_COUNTED % b"a\xff\xfe"), 502, "provider_garbage"),
    ("half_a_surrogate", whole(200, BARE % b"a\\ud800"), 502, "provider_garbage"),
    ("half_a_surrogate_counted", whole(200, BARE_COUNTED % b"a\\ud800"), 502, "provider_garbage"),
    ("number_too_large", whole(200, BARE[:-1] % b"a" + b',"x":1e999}'), 502, "provider_garbage"),
    ("gzip", whole(200, gzip.compress(COMPLETE), Content_Encoding="gzip"), 502, "provider_protocol_error"),
    (
        "error_in_a_200",
        whole(200, b'{"error":{"message":"no","code":7},"choices":[]}'),
        502,
        "provider_error_in_answer",
    ),
]


@pytest.mark.parametrize(("said", "status", "code"), [c[1:] for c in FAULTS], ids=[c[0] for c in FAULTS])
def test_faults(failing, said, status, code):
    customer, reply = failing(said)
    assert (reply.status, reply.error["code"]) == (status, code)
    assert reply.error["type"] == ("invalid_request_error" if status == 400 else "upstream_error")
    assert b"sk-secret" not in reply.body
    assert customer.balance() == FULL
    (record,) = customer.records()
    assert record["ending"] == ("rejected_upstream" if status == 400 else "provider_failed")
    assert (record["charged"], record["error_code"]) == ("0.000000", code)
    receipt = customer.receipt(reply)
    assert receipt["money"]["settled"] == "0.000000"
    assert receipt["money"]["released"] == receipt["money"]["hold"]
    assert len(receipt["attempts"]) == 1


EMPTY = [
    ("no_content_no_finish", completion("", finish=None)),
    ("null_content_no_finish", completion(None, finish=None)),
    ("no_choices", {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}),
    ("error_finish", completion("half a thou", finish="error")),
    ("malformed_call", completion(None, finish="malformed_function_call")),
]


@pytest.mark.parametrize("document", [c[1] for c in EMPTY], ids=[c[0] for c in EMPTY])
def test_nothing_said_is_nothing_charged(failing, document):
    customer, reply = failing(answer(document))
    assert reply.status == 200
    assert reply.billing["ending"] == "empty"
    assert reply.billing["credits_used"] == "0.000000"
    assert customer.balance() == FULL
    assert customer.records()[0]["ending"] == "empty"


def used(prompt: object, output: object, **more: object) -> dict[str, object]:
    return {"prompt_tokens": prompt, "completion_tokens": output, **more}


def cached(tokens: int) -> dict[str, object]:
    return {"prompt_tokens_details": {"cached_tokens": tokens}}


# id · usage as reported · input, output and cached tokens as charged (None: as the gateway counts)
USAGES = [
    ("as_reported", used(30, 20, total_tokens=50), (30, 20, None)),
    ("no_total", used(30, 20), (30, 20, None)),
    ("total_contradicts", used(30, 20, total_tokens=9**9), (30, 20, None)),
    ("cached", used(30, 20, **cached(10)), (30, 20, 10)),
    ("cached_above_input", used(30, 20, **cached(99)), (30, 20, 30)),
    ("cached_negative", used(30, 20, **cached(-5)), (30, 20, 0)),
    ("another_name_of_cached", used(30, 20, prompt_cache_hit_tokens=10), (30, 20, 10)),
    ("numeric_strings", used("30", "20"), (30, 20, None)),
    ("input_alone", {"prompt_tokens": 30}, (30, 0, None)),
    ("negative_input", used(-30, 20), (0, 20, None)),
    ("negative_output", used(30, -20), (30, 0, None)),
    ("null", None, None),
    ("absent", ..., None),
    ("zeros", used(0, 0, total_tokens=0), None),
    ("text", used("many", "few"), None),
    ("an_array", [1, 2], None),
]


@pytest.mark.parametrize(("usage", "tokens"), [c[1:] for c in USAGES], ids=[c[0] for c in USAGES])
def test_usage(failing, usage, tokens):
    source = "estimated" if tokens is None else "reported"
    customer, reply = failing(answer(completion(usage=usage)), max_tokens=50)
    assert reply.status == 200
    billing = reply.billing
    assert billing["usage_source"] == source
    assert billing["ending"] == ("completed" if source == "reported" else "completed_counted")
    if tokens is not None:
        assert (billing["input_tokens"], billing["output_tokens"], billing["cached_input_tokens"]) == tokens
    else:
        assert billing["output_tokens"] == 5  # 20 bytes at four a token
    cost = billing["input_tokens"] * 100_000 + billing["output_tokens"] * 200_000
    assert billing["credits_used"] == format_amount(cost)
    assert customer.balance() == FULL - cost
    shown = reply.json["usage"]
    assert (shown["prompt_tokens"], shown["completion_tokens"]) == (billing["input_tokens"], billing["output_tokens"])
    assert isinstance(shown["total_tokens"], int)


@pytest.mark.parametrize("huge", [10**15, 2**63, 10**30], ids=["10e15", "beyond_63_bits", "beyond_64_bits"])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_a_huge_usage_is_bounded_and_noted(failing, field, huge):
    usage = used(10, 10) | {field: huge}
    customer, reply = failing(answer(completion(usage=usage)), max_tokens=50)
    assert reply.status == 200
    spent = FULL - customer.balance()
    assert spent < 10**9  # a credit: some thousand tokens, where a million million were reported
    receipt = customer.receipt(reply)
    assert "the provider reported" in receipt["notes"][0]
    assert str(huge) in receipt["notes"][0]
    assert receipt["money"]["settled"] == format_amount(spent)
    assert (
        reply.json["usage"][field]
        == receipt["request"][field.replace("prompt", "input").replace("completion", "output")]
    )


def test_a_hang_is_ended_by_the_deadline(open_gateway, stub: Stub):
    quick = open_gateway(**{"upstream.first_byte_ms": 1000, "upstream.idle_ms": 500, "upstream.total_ms": 5000})
    quick.provider("stub", stub.url)
    for name, said in (("mute", [HANG]), ("half", [whole(200, COMPLETE)[0][:-10], HANG])):
        stub.says(name, said)
        quick.model(f"stub/{name}", "stub", name)
    quick.sync()
    customer: Customer = quick.customer()
    for name, code in (("mute", "provider_first_byte_timeout"), ("half", "provider_idle_timeout")):
        reply = customer.chat(f"stub/{name}")
        assert (reply.status, reply.error["code"]) == (504, code)
        assert stub.calls(name)[-1].request_id == reply.error["request_id"]
    assert customer.balance() == FULL
    assert {record["ending"] for record in customer.records()} == {"provider_failed"}
