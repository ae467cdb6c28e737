"""The loop of an agent: steps, tools, conditions, totals."""

import asyncio
import threading

import pytest
from fake_gateway import tool_call
from models import AsyncScriptedModel, ScriptedModel, both, calls, cost, recording, says

from joytoken_sdk import JoyTokenError
from joytoken_sdk.agent import (
    Agent,
    AgentTool,
    AsyncAgent,
    MemoryRunStore,
    ModelResponse,
    RunOptions,
    StopDecision,
    define_tool,
    max_cost,
    max_credits,
    max_tool_calls,
    step_count_is,
)
from joytoken_sdk.agent.tool_round import TOOL_RESULT_BYTES_MAX

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


@both
def test_93_eight_steps_if_nothing_is_said(kind):
    model = ScriptedModel(calls(tool_call("go")))
    result = kind.run(kind.make(model, tools=[recording("go", [])]), "again and again")
    assert (result.stopped_by, len(result.steps), result.status) == ("step_count:8", 8, "stopped")
    assert len(model.asked) == 8


@both
def test_93_conditions_have_reasons(kind):
    def stopped_by(*conditions, **more):
        model = ScriptedModel(calls(tool_call("go"), tool_call("go", call_id="b"), **more))
        agent = kind.make(model, tools=[recording("go", [])], stop_when=conditions)
        return kind.run(agent, "go").stopped_by

    assert stopped_by(max_tool_calls(3)) == "max_tool_calls:3"
    assert stopped_by(step_count_is(2)) == "step_count:2"
    assert stopped_by(max_cost(0.5), usage={**USAGE, "cost": 0.25}) == "max_cost:0.5"
    assert stopped_by(max_credits("0.3"), metadata=cost("0.1")) == "max_credits:0.3"
    assert stopped_by(lambda state: state.step == 1) == "custom"
    assert stopped_by(lambda _: StopDecision(stop=True, reason="enough")) == "enough"


@both
def test_93_totals_add_up(kind):
    first = calls(tool_call("go"), usage={**USAGE, "cost": 0.5}, metadata=cost("0.1", "req-1"))
    last = says("done", usage={**USAGE, "total_cost": 0.25}, metadata=cost("0.2", "req-2"))
    result = kind.run(kind.make(ScriptedModel(first, last), tools=[recording("go", [])]), "go")
    usage = result.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cost) == (6, 8, 14, 0.75)
    assert result.credits_used == "0.300000"
    assert result.request_ids == ["req-1", "req-2"]
    assert [step.metadata.billing.credits_used for step in result.steps] == ["0.1", "0.2"]


@both
def test_the_conversation_grows_by_answers_and_results(kind):
    extra = {"extra_content": {"google": {"thought_signature": "s"}}, "thought_signature": "t"}
    call = tool_call("go", {"a": 1}, **extra)
    model = ScriptedModel(calls(call), says("It went."))
    agent = kind.make(
        model, system="Be kind.", tools=[recording("go", [])], temperature=0, max_tokens=9, tier="economy"
    )
    result = kind.run(agent, "go", messages=[{"role": "user", "content": "Before."}], metadata={"a": "b"})
    assert result.final_text == "It went."
    assert [message["role"] for message in result.messages] == [
        "system",
        "user",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert result.messages[3]["tool_calls"] == [call]
    assert result.messages[4] == {"role": "tool", "tool_call_id": "call_a", "content": "go did {'a': 1}"}
    first, second = model.asked
    assert [request.run.step for request in model.asked] == [1, 2]
    assert first.idempotency_key == f"{result.run_id}:1"
    assert second.messages == result.messages[:5]
    assert (first.temperature, first.max_tokens, first.tier, first.metadata) == (0, 9, "economy", {"a": "b"})
    assert [one["function"]["name"] for one in first.tools] == ["go"]


@both
def test_what_goes_wrong_is_told_to_the_model(kind):
    def broken(given, context):
        raise RuntimeError("it broke")

    strict = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    tools = [define_tool("broken", broken), define_tool("strict", broken, parameters=strict)]
    tools.append(define_tool("odd", lambda *_: object()))
    names = ["nothing", "broken", "strict", "odd"]
    asked = [tool_call(name, call_id=name) for name in names]
    model = ScriptedModel(calls(*asked), says("Oh."))
    result = kind.run(kind.make(model, tools=tools), "go")
    told = {one.tool_name: one for one in result.steps[0].tool_results}
    assert all(one.is_error for one in told.values())
    assert told["nothing"].content == "Tool not found: nothing"
    assert told["broken"].content == "Tool error: it broke"
    assert told["strict"].content == 'Tool error: invalid arguments: property "a" is missing'
    assert told["odd"].content == "Tool error: a object is not JSON"


@both
def test_a_long_result_is_cut_between_two_characters(kind):
    long = define_tool("long", lambda *_: "ä" * TOOL_RESULT_BYTES_MAX)
    result = kind.run(kind.make(ScriptedModel(calls(tool_call("long")), says("Long.")), tools=[long]), "go")
    content = result.steps[0].tool_results[0].content
    assert content.startswith("ä" * 1000)
    assert content.endswith(
        f"\n[cut: the result has {2 * TOOL_RESULT_BYTES_MAX} bytes, and {TOOL_RESULT_BYTES_MAX} are told]"
    )


@both
def test_a_forced_choice_is_for_the_first_call(kind):
    model = ScriptedModel(calls(tool_call("go")), says("Went."))
    kind.run(kind.make(model, tools=[recording("go", [])], tool_choice="required"), "go")
    assert [request.tool_choice for request in model.asked] == ["required", "auto"]


def test_tools_run_at_once_only_if_that_is_said():
    def agent(parallel, gate):
        meet = define_tool("meet", lambda *_: gate.wait(20) is not None)
        asked = [tool_call("meet", call_id=name) for name in "ab"]
        model = ScriptedModel(calls(*asked), says("Met."))
        return Agent(model, tools=[meet], parallel_tool_calls=parallel)

    result = agent(True, threading.Barrier(2)).run("meet")
    assert [one.tool_call_id for one in result.steps[0].tool_results] == ["a", "b"]
    assert not any(one.is_error for one in result.steps[0].tool_results)


async def test_so_do_asynchronous_ones_and_results_keep_the_order():
    first_may_end, ran = asyncio.Event(), []

    async def slow(given, context):
        await first_may_end.wait()
        ran.append(context.tool_call_id)

    async def quick(given, context):
        ran.append(context.tool_call_id)
        first_may_end.set()

    model = ScriptedModel(calls(tool_call("slow", call_id="a"), tool_call("quick", call_id="b")), says("Both."))
    tools = [AgentTool("slow", slow), AgentTool("quick", quick)]
    result = await AsyncAgent(AsyncScriptedModel(model), tools=tools, parallel_tool_calls=True).run("go")
    assert ran == ["b", "a"]
    assert [one.tool_call_id for one in result.steps[0].tool_results] == ["a", "b"]


async def test_cancelling_a_run_ends_its_tool_and_keeps_what_came():
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless(given, context):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    ran = []
    store = MemoryRunStore()
    model = ScriptedModel(calls(tool_call("quick", call_id="a"), tool_call("endless", call_id="b")))
    tools = [recording("quick", ran), AgentTool("endless", endless)]
    agent = AsyncAgent(AsyncScriptedModel(model), tools=tools, store=store)
    run = asyncio.ensure_future(agent.run("go", run=RunOptions("r")))
    await began.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert ended.is_set()
    saved = store.load("r")
    assert (saved["status"], saved["tool_calls"], ran) == ("running", 1, ["a"])


def test_an_asynchronous_tool_needs_an_asynchronous_agent():
    async def later(given, context):
        return "later"

    result = Agent(ScriptedModel(calls(tool_call("later")), says("No.")), tools=[AgentTool("later", later)]).run("go")
    assert result.steps[0].tool_results[0].content == "Tool error: the tool is asynchronous, and needs an AsyncAgent"


def test_what_is_misspelled_is_told():
    with pytest.raises(TypeError, match="AsyncAgent"):
        Agent(AsyncScriptedModel(ScriptedModel(says(""))))
    with pytest.raises(TypeError, match="sytem"):
        Agent(ScriptedModel(says("")), sytem="x")
    with pytest.raises(ValueError, match="no name"):
        Agent(ScriptedModel(says("")), tools=[AgentTool("", print)])
    with pytest.raises(ValueError, match=r"run\.id"):
        Agent(ScriptedModel(says(""))).run("x", run=RunOptions("a b"))


ODD_CALLS = {
    "no list": (None, []),
    "a number": (5, []),
    "no objects": ([None, 1, "call"], []),
    "a call of nothing": ([{}], [("", "Tool not found: ")]),
    "a function that is a text": ([{"id": "1", "function": "t"}], [("1", "Tool not found: ")]),
    "names that are none": ([{"id": 3, "function": {"name": 4}}], [("", "Tool not found: ")]),
    "no arguments": ([{"id": "1", "function": {"name": "t"}}], [("1", "t did {}")]),
    "arguments that are no text": (
        [{"id": "1", "function": {"name": "t", "arguments": {"a": 1}}}],
        [("1", "t did {'a': 1}")],
    ),
    "calls without ids": ([{"function": {"name": "t"}}] * 2, [("", "t did {}"), ("", "t did {}")]),
}


@both
@pytest.mark.parametrize(("given", "told"), ODD_CALLS.values(), ids=ODD_CALLS)
def test_what_comes_instead_of_tool_calls_is_answered_and_kept(kind, given, told):
    odd = ModelResponse({"role": "assistant", "content": None, "tool_calls": given})
    store = MemoryRunStore()
    tools = [define_tool("t", lambda given, context: f"t did {given}")]
    result = kind.run(kind.make(ScriptedModel(odd, says("so")), tools=tools, store=store), "go", run=RunOptions("r"))
    assert result.status == "done"
    assert [(one.tool_call_id, one.content) for one in result.steps[0].tool_results] == told
    assert store.load("r") == result.state


@both
def test_arguments_that_are_nested_too_deeply_to_be_kept_are_refused(kind):
    nested = '{{"a":{}{}}}'.format
    ids_and_depths = {"1": 900, "2": 100, "3": 129}
    asked = [tool_call("t", nested("[" * depth, "]" * depth), call_id=one) for one, depth in ids_and_depths.items()]
    model = ScriptedModel(calls(*asked), says("x"))
    agent = kind.make(model, tools=[recording("t", [], requires_approval=True)], store=MemoryRunStore())
    result = kind.run(agent, "go")
    assert [call["tool_call_id"] for call in result.pending] == ["2"]
    told = {one.tool_call_id: one.content for one in result.steps[0].tool_results}
    assert told == dict.fromkeys(("1", "3"), "Tool error: invalid arguments: they are nested too deeply")


@both
def test_an_answer_without_a_message_is_an_error_and_not_kept(kind):
    store = MemoryRunStore()
    agent = kind.make(ScriptedModel(ModelResponse(None)), store=store)
    with pytest.raises(JoyTokenError, match="the model provider gave no message"):
        kind.run(agent, "go", run=RunOptions("r"))
    assert store.load("r")["step"] == 0
