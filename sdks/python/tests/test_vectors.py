"""Rules that need no gateway, as all SDKs have them."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from vectors import FOLDER, fits, vectors

from joytoken_sdk import (
    ToolCallAssembly,
    call_metadata,
    classify_finish_reason,
    openai_base_url_of,
    parse_orchestration_response,
    parse_tool_arguments,
    stringify_tool_result,
    usage_of,
)
from joytoken_sdk.agent.conditions import max_cost, max_credits, max_tool_calls, step_count_is
from joytoken_sdk.agent.credits import add_credits, parse_credits
from joytoken_sdk.agent.identity import call_key, child_run_id
from joytoken_sdk.agent.result import AgentState, UsageSummary
from joytoken_sdk.agent.schema_check import misfit_of
from joytoken_sdk.agent.state import add_usage, new_usage
from joytoken_sdk.agent.store import state_file_name
from joytoken_sdk.environment import settings_of

NOT_OURS = {
    # The messages shape is the SDKs' for TypeScript and Go; here an agent has it as `protocol="anthropic"`.
    *("messages-requests", "messages-responses", "messages-streams"),
    "chat-chunks",  # the `openai` package's chunks are its own objects
}
CONDITIONS = {
    "step_count_is": step_count_is,
    "max_tool_calls": max_tool_calls,
    "max_cost": max_cost,
    "max_credits": max_credits,
}


def test_every_table_is_run_or_somebody_elses():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    run = {path.stem for path in FOLDER.glob("*.json") if f'@vectors("{path.stem}")' in tests}
    assert run == {path.stem for path in FOLDER.glob("*.json")} - NOT_OURS


@vectors("openai-base-urls")
def test_openai_base_urls(case):
    assert openai_base_url_of(case["input"]) == case["expect"]


@vectors("base-url-precedence")
def test_base_url_precedence(case, monkeypatch):
    for name, value in case["env"].items():
        monkeypatch.setenv(name, value)
    given = case["options"]
    settings = settings_of("k", given.get("apiBaseUrl"), given.get("openAIBaseUrl"))
    expect = case["expect"]
    assert settings.openai_base_url == expect["openAIBaseUrl"]
    assert settings.api_base_url == expect["apiBaseUrl"]


@vectors("usage")
def test_usage(case):
    found = usage_of(case["input"])
    assert found is None if case["expect"] is None else case["expect"].items() <= (found or {}).items()


@vectors("usage-totals")
def test_usage_totals(case):
    total = new_usage()
    for usage in case["input"]:
        add_usage(total, usage)
    assert total == case["expect"]


@vectors("credits")
def test_credits(case):
    total = "0"
    for charged in case["input"]:
        total = add_credits(total, charged)
    assert parse_credits(total) == parse_credits(case["expect"])


@vectors("call-metadata")
def test_call_metadata(case):
    found = call_metadata(case["input"])
    if case["expect"] is None:
        assert found is None
    else:
        assert case["expect"].items() <= found.model_dump(exclude_unset=True).items()


@vectors("tool-calls")
def test_tool_calls(case):
    assembly = ToolCallAssembly()
    for fragments in case["input"]:
        assembly.add(fragments)
    assert fits(assembly.calls(), case["expect"])


@vectors("tool-arguments")
def test_tool_arguments(case):
    assert parse_tool_arguments(case["input"]) == case["expect"]


@vectors("tool-results")
def test_tool_results(case):
    assert stringify_tool_result(case["input"]) == case["expect"]


@vectors("finish-reasons")
def test_finish_reasons(case):
    assert classify_finish_reason(case["input"]) == case["expect"]


@vectors("orchestration")
def test_orchestration(case):
    found = parse_orchestration_response(case["input"])
    if case["expect"] is None:
        assert found is None
        return
    stages = [{name: value for name, value in asdict(stage).items() if value is not None} for stage in found.stages]
    assert stages == case["expect"]["stages"]
    assert found.plan == case["expect"].get("plan")


@vectors("schema-checks")
def test_schema_checks(case):
    assert (misfit_of(case["input"]["schema"], case["input"]["value"]) is None) == case["expect"]


@vectors("idempotency-keys")
def test_idempotency_keys(case):
    if "run" in case["input"]:  # the others are of a client's tool loop
        assert call_key(case["input"]["run"], case["input"]["call"]) == case["expect"]


@vectors("child-run-ids")
def test_child_run_ids(case):
    assert child_run_id(case["input"]["parent"], case["input"]["tool_call_id"]) == case["expect"]


@vectors("state-files")
def test_state_files(case):
    assert state_file_name(case["input"]) == case["expect"]


@vectors("stop-conditions")
def test_stop_conditions(case):
    ((name, bound),) = case["input"]["condition"].items()
    state = case["input"]["state"]
    seen = AgentState(state["step"], state["tool_calls"], UsageSummary(cost=state["cost"]), [], state["credits_used"])
    decision = CONDITIONS[name](bound)(seen)
    assert decision.stop == case["expect"]["stop"]
    if decision.stop:
        assert decision.reason == case["expect"]["reason"]


@pytest.mark.parametrize("broken", [[1], {"a": float("nan")}, "[" * 100_000])
def test_hostile_json_is_no_crash(broken):
    text = broken if isinstance(broken, str) else json.dumps(broken)
    assert parse_tool_arguments(text) is not None
