"""The official `openai` package for Node, unmodified: one program asks everything, and each case is looked at here."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.journeys.gateway import wait_for
from tests.journeys.stub import HANG, event, events, stream

PROGRAM = Path(__file__).with_name("openai.mjs")
TEXT = "Hello from the other side"
BEGUN = events(usage=None, finish=None, done=False)
BROKEN = event({"error": {"message": "the machine is on fire", "type": "server_error"}})


@pytest.fixture(scope="module")
def caller(server):
    return server.customer()


@pytest.fixture(scope="module")
def results(server, stub, caller):
    stub.says("plain", stream([*BEGUN, BROKEN]), stream([*BEGUN, HANG]), stream([*BEGUN, HANG]), [HANG])
    poor, slow = server.customer({}), server.customer(requests_per_minute=1)
    keys = [caller.api_key, poor.api_key, slow.api_key]
    done = subprocess.run(
        ["node", PROGRAM, caller.url + "/openai/v1", *keys], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture
def value(results):
    def of(case):
        assert "error" not in results[case], results[case]
        return results[case]["value"]

    return of


def test_a_completion(value):
    made = value("completion")
    data, headers = made["data"], made["headers"]
    assert (data["object"], data["choices"][0]["message"]["content"]) == ("chat.completion", TEXT)
    billing = data["metadata"]["billing"]
    assert data["usage"] == {
        "prompt_tokens": billing["input_tokens"],
        "completion_tokens": billing["output_tokens"],
        "total_tokens": billing["input_tokens"] + billing["output_tokens"],
    }
    assert headers["x-daoe-used-model"] == "echo/echo"
    assert made["request_id"] == made["own"] == headers["x-request-id"] == data["metadata"]["request_id"]


@pytest.mark.parametrize(("case", "asked"), [("stream", False), ("stream_with_usage", True)])
def test_a_stream(value, case, asked):
    chunks = value(case)
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == TEXT
    assert [("metadata" in c, "usage" in c) for c in chunks if not c["choices"]] == [(True, asked)]
    assert "metadata" in chunks[-1]


def test_the_stream_helper(value):
    made = value("stream_helper")
    assert "".join(made["said"]) == made["completion"]["choices"][0]["message"]["content"] == TEXT
    assert made["completion"]["usage"]["total_tokens"] == made["usage"]["total_tokens"] > 0


def test_tools(value):
    turns = value("tool_turns")
    (call,) = turns["first"]["message"]["tool_calls"]
    assert (turns["first"]["finish_reason"], call["function"]["name"]) == ("tool_calls", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": {"name": "echo"}, "days": 0}
    assert (turns["second"]["finish_reason"], turns["second"]["message"]["content"]) == ("stop", "It is sunny.")
    streamed = value("forced_tool_streams")
    assert streamed["finish_reason"] == "tool_calls"
    assert streamed["message"]["tool_calls"][0]["function"] == call["function"]


def test_tools_are_run(value):
    made = value("tools_are_run")
    assert (made["final"], made["asked"]) == ("It rains.", [{"city": {"name": "echo"}, "days": 0}])


def test_structured_output(value):
    assert json.loads(value("structured")["content"]) == {"city": {"name": "echo"}, "days": 0}


def test_models(value):
    made = value("models")
    assert {"auto", "echo/echo", "stub/plain"} <= set(made["names"])
    assert (made["one"]["id"], made["one"]["owned_by"]) == ("echo/echo", "echo")


ERRORS = {
    "wrong_key": ("PermissionDeniedError", 403, "invalid_api_key", "invalid_api_key"),
    "no_key": ("AuthenticationError", 401, "missing_api_key", "missing_api_key"),
    "bad_request": ("BadRequestError", 400, "invalid_request_error", "messages_empty"),
    "unknown_model": ("NotFoundError", 404, "not_found_error", "unknown_model"),
    "unknown_tier": ("PermissionDeniedError", 403, "policy_rejected", "tier_unknown"),
    "empty_wallet": ("APIError", 402, "insufficient_quota", "wallet_empty"),
    "rate_limit": ("RateLimitError", 429, "rate_limit_error", "requests_per_minute"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(results, case):
    error = results[case]["error"]
    assert (error["class"], error["status"], error["type"], error["code"]) == ERRORS[case]
    assert error["request_id"].startswith("req-")
    if case == "rate_limit":
        assert 1 <= int(error["retry_after"]) <= 60


def test_an_error_within_a_stream(results):
    assert "on fire" in results["error_in_stream"]["error"]["message"]


def test_hang_ups_are_stopped_and_settled(value, results, caller, stub):
    assert value("aborted") == {"count": 3, "aborted": True}
    assert results["aborted_by_signal"]["error"]["aborted"]
    assert results["timed_out"]["error"]["timed_out"]
    calls = wait_for(lambda: [c for c in stub.calls("plain") if c.cancelled][2:] and stub.calls("plain"), "not stopped")
    caller.balance()
    endings = {record["request_id"]: record["ending"] for record in caller.records()}
    assert [endings[call.request_id] for call in calls] == ["provider_cut", *["client_gone"] * 3]
