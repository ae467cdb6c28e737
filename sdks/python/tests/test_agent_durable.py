"""Runs that are saved: approvals, other processes, other languages."""

import json
import sqlite3
import stat

import pytest
from fake_gateway import tool_call
from models import ScriptedModel, both, calls, cost, recording, says
from vectors import vectors

from joytoken_sdk.agent import (
    Agent,
    AgentTool,
    FileRunStore,
    MemoryRunStore,
    Rejection,
    RunOptions,
    SqliteRunStore,
    StateError,
    encode_run_state,
    parse_run_state,
)
from joytoken_sdk.errors import InvalidCall

STORES = {
    "memory": lambda folder: MemoryRunStore(),
    "file": FileRunStore,
    "sqlite": lambda folder: SqliteRunStore(folder / "runs.db"),
}


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    made = STORES[request.param](tmp_path)
    yield made
    if isinstance(made, SqliteRunStore):
        made.close()


class Died(BaseException):
    """The process ends here."""


@both
def test_a_run_goes_on_where_it_was(kind, store):
    """It dies at each model call and in its tool; every part is done once in the end, under the same keys."""
    ran = []
    script = [calls(tool_call("go"), metadata=cost("0.1", "a")), says("Gone.", metadata=cost("0.2", "b"))]
    whole = ScriptedModel(*script)
    expected = kind.run(kind.make(whole, tools=[recording("go", ran)]), "go", run=RunOptions("whole"))

    def dying(given, context):
        raise Died

    for place, (answers, tool) in enumerate(
        [
            ([Died()], recording("go", ran)),
            ([script[0]], AgentTool("go", dying)),
            ([script[0], Died()], recording("go", ran)),
        ]
    ):
        run = RunOptions(f"run-{place}", workflow="nightly", budget="1")
        with pytest.raises(Died):
            kind.run(kind.make(ScriptedModel(*answers), tools=[tool], store=store), "go", run=run)
        saved = store.load(run.id)
        model = ScriptedModel(*script[saved["step"] :])
        result = kind.resume(kind.make(model, tools=[recording("go", ran)], store=store), run.id)
        assert (result.final_text, result.credits_used, result.request_ids) == ("Gone.", "0.300000", ["a", "b"])
        assert result.messages == expected.messages
        assert [asked.idempotency_key for asked in model.asked] == [
            f"{run.id}:{call}" for call in range(saved["step"] + 1, 3)
        ]
        assert model.asked[0].run.workflow == "nightly"
        assert model.asked[0].run.budget == "1"
        assert model.asked[0].durable
        assert store.load(run.id) == result.state
        assert result.status == "done"


@both
def test_an_approval_pauses_and_resumes(kind, store):
    ran = []
    tools = [recording("free", ran), recording("wipe", ran, requires_approval=True)]
    tools.append(recording("pay", ran, requires_approval=lambda given: given["amount"] > 10))
    asked = [
        tool_call("wipe", call_id="w"),
        tool_call("free", call_id="f"),
        tool_call("pay", {"amount": 5}, call_id="small"),
        tool_call("pay", {"amount": 50}, call_id="big"),
        tool_call("wipe", call_id="w2"),
    ]
    model = ScriptedModel(calls(*asked), says("So be it."))
    agent = kind.make(model, tools=tools, store=store)
    paused = kind.run(agent, "go")
    assert (paused.status, paused.stopped_by) == ("pending", "approval")
    assert [call["tool_call_id"] for call in paused.pending] == ["w", "big", "w2"]
    assert paused.pending[1]["input"] == {"amount": 50}
    assert ran == ["f", "small"]

    some = kind.resume(agent, paused.run_id, decisions={"w": Rejection("not on a Friday"), "big": True})
    assert (some.status, [call["tool_call_id"] for call in some.pending], ran) == (
        "pending",
        ["w2"],
        ["f", "small", "big"],
    )
    result = kind.resume(agent, some.state, decisions={"w2": {"approved": False}})
    assert (result.status, result.final_text) == ("done", "So be it.")
    told = {one.tool_call_id: (one.content, one.is_error) for one in result.steps[0].tool_results}
    assert told["w"] == ("Tool call rejected: not on a Friday", True)
    assert told["w2"] == ("Tool call rejected: not approved", True)
    assert list(told) == ["w", "f", "small", "big", "w2"]
    assert result.state["tool_calls"] == 5
    assert len(model.asked) == 2


@both
def test_a_run_is_begun_once(kind, store):
    agent = kind.make(ScriptedModel(says("Once.")), store=store)
    kind.run(agent, "go", run=RunOptions("r"))
    with pytest.raises(InvalidCall, match="already"):
        kind.run(agent, "go", run=RunOptions("r"))
    with pytest.raises(InvalidCall, match="not in the store"):
        kind.resume(agent, "another")
    assert kind.resume(agent, "r").final_text == "Once."


def test_a_sub_agent_is_a_child_in_the_same_store(store):
    ran = []
    inner = ScriptedModel(
        calls(tool_call("wipe", call_id="w"), metadata=cost("0.1")), says("wiped", metadata=cost("0.2"))
    )
    writer = Agent(inner, tools=[recording("wipe", ran, requires_approval=True)]).as_tool("helper", "Helps.")
    outer = ScriptedModel(calls(tool_call("helper", {"input": "wipe it"}), metadata=cost("1")), says("All done."))
    agent = Agent(outer, tools=[writer], store=store)
    paused = agent.run("go", run=RunOptions("top", workflow="nightly"))
    assert [call["tool_call_id"] for call in paused.pending] == ["call_a/w"]
    child = store.load("top.call_a")
    assert child["run"] == {"id": "top.call_a", "parent_id": "top", "workflow": "nightly", "budget": None}
    result = agent.resume("top", decisions={"call_a/w": True})
    assert (result.final_text, result.credits_used, ran) == ("All done.", "1.300000", ["w"])
    assert result.steps[0].tool_results[0].content == "wiped"
    assert inner.asked[0].run.parent_id == "top"
    assert inner.asked[1].idempotency_key == "top.call_a:2"


@both
def test_a_sub_agent_without_a_store_counts_too(kind):
    inner = kind.make(ScriptedModel(says("written", metadata=cost("0.2"), usage={"total_tokens": 5})))
    tool = inner.as_tool("writer")
    outer = ScriptedModel(
        calls(tool_call("writer", {"input": "write"}), tool_call("writer", {"input": ""}, "b")), says("Ok.")
    )
    result = kind.run(kind.make(outer, tools=[tool]), "go")
    assert result.credits_used == "0.200000"
    assert result.usage.total_tokens == 5
    assert [one.is_error for one in result.steps[0].tool_results] == [False, True]


@both
def test_what_a_sub_agent_paid_before_it_failed_counts(kind):
    inner = ScriptedModel(calls(tool_call("wipe", call_id="w"), metadata=cost("0.2")), RuntimeError("the line is dead"))
    tool = kind.make(inner, tools=[recording("wipe", [])]).as_tool("helper")
    outer = ScriptedModel(calls(tool_call("helper", {"input": "wipe it"}), metadata=cost("1")), says("No."))
    result = kind.run(kind.make(outer, tools=[tool]), "go")
    assert result.steps[0].tool_results[0].content == "Tool error: the line is dead"
    assert result.credits_used == "1.200000"


@vectors("agent-states")
def test_states_of_other_languages(case):
    state, expect = case["input"], case["expect"]
    assert json.loads(encode_run_state(parse_run_state(json.dumps(state)))) == state
    assert [call["tool_call_id"] for call in state["pending"]] == expect["pending"]
    if expect["next"] is None:
        return
    made = [one for step in state["steps"] for one in step["assistant_message"].get("tool_calls") or []]
    waiting = {call["tool_name"] for call in state["pending"]}
    ran = []
    tools = [
        recording(name, ran, requires_approval=name in waiting)
        for name in dict.fromkeys(one["function"]["name"] for one in made)
    ]
    model = ScriptedModel(says("the end"))
    result = Agent(model, tools=tools, store=MemoryRunStore()).resume(state, max_steps=99)
    if expect["next"] == "nothing":
        assert (model.asked, ran) == ([], [])
    elif expect["next"] == "decision":
        assert (result.status, model.asked) == ("pending", [])
    else:
        assert ran == expect["tools"]
        assert model.asked[0].idempotency_key == expect["key"]


@vectors("agent-states-broken")
def test_broken_states(case):
    with pytest.raises((StateError, InvalidCall)):
        parse_run_state(case["input"])
    with pytest.raises((StateError, InvalidCall)):
        Agent(ScriptedModel(says("x"))).resume(case["input"])


def test_a_file_is_its_owners_and_whole(tmp_path):
    store = FileRunStore(tmp_path / "runs")
    Agent(ScriptedModel(says("Hi \ud800.")), store=store).run("go", run=RunOptions("../../etc/passwd"))
    (file,) = (tmp_path / "runs").iterdir()
    assert file.name == "%2E.%2F..%2Fetc%2Fpasswd.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.rename(file.with_name("other.json"))
    with pytest.raises(StateError, match="has run"):
        store.load("other")


def test_a_table_is_the_same_in_each_language(tmp_path):
    with sqlite3.connect(tmp_path / "runs.db") as database:
        Agent(ScriptedModel(says("Hi.")), store=SqliteRunStore(database)).run("go", run=RunOptions("r"))
        ((run_id, state),) = database.execute("SELECT run_id, state FROM joytoken_run").fetchall()
    database.close()
    assert (run_id, json.loads(state)["final_text"]) == ("r", "Hi.")
