"""An agent on a gateway: what is sent, streamed, refused and ended."""

import asyncio
from contextlib import aclosing, closing

import pytest
from fake_gateway import Answer, calling, chunks, completion, refusal, tool_call
from models import recording

from joytoken_sdk import errors
from joytoken_sdk.agent import (
    Agent,
    AsyncAgent,
    AsyncJoyTokenProvider,
    JoyTokenProvider,
    MemoryRunStore,
    RunOptions,
    define_tool,
)
from joytoken_sdk.agent import provider as provider_module

SIGNED = {"thought_signature": "t", "extra_content": {"google": {"thought_signature": "s"}}}


def run(kind, options, text="go", *, protocol="openai", messages=(), run=None, **more):
    """Run an agent of either kind."""
    if kind == "sync":
        with closing(JoyTokenProvider("m", protocol=protocol, **options)) as provider:
            return Agent(provider, **more).run(text, messages=messages, run=run)

    async def awaited():
        provider = AsyncJoyTokenProvider("m", protocol=protocol, **options)
        try:
            return await AsyncAgent(provider, **more).run(text, messages=messages, run=run)
        finally:
            await provider.close()

    return asyncio.run(awaited())


@pytest.fixture
def provider(options):
    with closing(JoyTokenProvider("m", **options)) as made:
        yield made


@pytest.fixture
async def async_provider(options):
    made = AsyncJoyTokenProvider("m", **options)
    yield made
    await made.close()


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_94_the_anthropic_protocol_has_a_bound_and_keeps_signatures(kind, fake, options):
    call = tool_call("go", {"a": 1}, **SIGNED)
    fake.script(Answer(json=calling(call)), Answer(json=completion("Went.")))
    messages = [{"role": "system", "content": "And brief."}]
    more = {"protocol": "anthropic", "system": "Be kind.", "messages": messages, "tools": [recording("go", [])]}
    result = run(kind, options, **more)
    assert result.final_text == "Went."
    first, second = (one.body for one in fake.calls)
    assert (first["max_tokens"], second["max_tokens"]) == (1024, 1024)
    assert first["messages"][0] == {"role": "system", "content": "Be kind.\n\nAnd brief."}
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert second["messages"][2]["tool_calls"] == [call]


@both
def test_94_so_does_the_openai_protocol_without_a_bound(kind, fake, options):
    call = tool_call("go", {"a": 1}, **SIGNED)
    fake.script(Answer(json=calling(call)), Answer(json=completion("Went.")))
    run(kind, options, tools=[recording("go", [])])
    assert "max_tokens" not in fake.calls[0].body
    assert fake.calls[1].body["messages"][1]["tool_calls"] == [call]


@both
def test_a_call_that_nobody_can_want_again_ends_with_its_caller(kind, fake, options):
    fake.script(Answer(json=completion("Went.")))
    for max_retries in (0, 1):
        run(kind, {**options, "max_retries": max_retries})
    said = [call.headers.get("x-joytoken-on-disconnect") for call in fake.calls]
    assert said == ["stop", None]


@both
def test_a_run_names_itself(kind, fake, options):
    fake.script(Answer(json=calling(tool_call("go"))), Answer(json=completion("Went.")))
    named = RunOptions("r-1", parent_id="r-0", workflow="nightly", budget="0.5")
    result = run(kind, options, run=named, tools=[recording("go", [])])
    for step, call in enumerate(fake.calls, 1):
        expected = {
            "x-joytoken-run-id": "r-1",
            "x-joytoken-parent-run-id": "r-0",
            "x-joytoken-workflow": "nightly",
            "x-joytoken-run-budget": "0.5",
            "x-joytoken-step": str(step),
            "idempotency-key": f"r-1:{step}",
        }
        assert expected.items() <= call.headers.items()
        assert "x-joytoken-on-disconnect" not in call.headers
    assert fake.calls[0].body["tools"][0]["function"]["name"] == "go"
    assert result.request_ids == ["req-1", "req-1"]
    assert result.credits_used == "0.000300"


@both
def test_a_durable_call_is_finished_without_its_caller(kind, fake, options, monkeypatch):
    monkeypatch.setattr(provider_module, "_UNDER_WAY_PAUSE_S", 0)
    under_way = refusal(409, "conflict_error", "idempotency_in_progress", headers={"Retry-After": "0"})
    fake.script(*[under_way] * 5, Answer(json=completion("Went.")))
    result = run(kind, {**options, "max_retries": 0}, store=MemoryRunStore())
    assert result.final_text == "Went."
    assert {call.headers["x-joytoken-on-disconnect"] for call in fake.calls} == {"finish"}
    assert {call.headers["idempotency-key"] for call in fake.calls} == {f"{result.run_id}:1"}
    assert len({str(call.body) for call in fake.calls}) == 1


@both
def test_a_refusal_ends_a_run_and_other_errors_fail_it(kind, fake, options):
    fake.script(Answer(json=calling(tool_call("go"))), refusal(402, "insufficient_quota", "wallet_empty"))
    result = run(kind, options, tools=[recording("go", [])])
    assert (result.status, result.stopped_by) == ("stopped", "insufficient_quota:wallet_empty")
    assert isinstance(result.refusal, errors.InsufficientQuota)
    assert len(result.steps) == 1
    fake.script(refusal(403, "invalid_api_key", "invalid_api_key"))
    with pytest.raises(errors.PermissionRefused):
        run(kind, options)
    fake.script(Answer(json={"choices": []}))
    with pytest.raises(errors.JoyTokenError, match="did not return"):
        run(kind, options)


def streamed(*answers):
    return [Answer(events=chunks(*answer)) for answer in answers]


def test_events_come_as_they_happen(fake, provider):
    fragments = [{"index": 0, **tool_call("go", "", **SIGNED)}, {"index": 0, "function": {"arguments": "{}"}}]
    fake.script(*streamed([{"tool_calls": [one]} for one in fragments], [{"content": "It "}, {"content": "went."}]))
    agent = Agent(provider, tools=[recording("go", [])])
    events = list(agent.stream("go"))
    types = ["tool_call", "tool_result", "step", "text", "text", "step", "done"]
    assert [event.type for event in events] == types
    assert events[0].tool_call == tool_call("go", "{}", **SIGNED)
    result = events[-1].result
    assert (result.final_text, result.usage.total_tokens, result.credits_used) == ("It went.", 14, "0.000300")
    assert fake.calls[0].body["stream_options"] == {"include_usage": True}
    assert fake.calls[0].headers["x-joytoken-on-disconnect"] == "stop"


@both
def test_half_a_character_ends_no_run(kind, fake, options):
    """UTF-8 has none: what a user, a model or a tool says of it is sent as U+FFFD."""
    asked = calling(tool_call("half", call_id="\ud800"), message={"content": "a\udc00"})
    fake.script(Answer(json=asked), Answer(json=completion("\ud83d\ude00 Done.")))
    half = define_tool("half", lambda given, context: "\ud800!")
    result = run(kind, options, "b\udfff", tools=[half], store=MemoryRunStore())
    assert result.final_text == "\U0001f600 Done."
    sent = fake.calls[1].body["messages"]
    assert [message["content"] for message in sent] == ["b\ufffd", "a\ufffd", "\ufffd!"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "\ufffd"


def test_a_stream_that_fails_in_the_middle_fails_the_run(fake, provider):
    failure = {"error": {"message": "it broke", "type": "upstream_error", "code": "provider_cut"}, "choices": []}
    fake.script(Answer(events=[*chunks({"content": "It "})[:1], failure]))
    with pytest.raises(errors.JoyTokenAPIError, match="it broke") as raised:
        list(Agent(provider).stream("go"))
    assert (raised.value.error_type, raised.value.error_code) == ("upstream_error", "provider_cut")


def test_who_leaves_a_stream_ends_the_call(fake, provider):
    fake.script(Answer(events=chunks({"content": "It "}), end="hang"))
    with closing(Agent(provider).stream("go")) as events:
        assert next(events).delta == "It "
    assert fake.calls[0].left.wait(30)


async def test_so_does_who_leaves_an_asynchronous_one(fake, async_provider):
    fake.script(Answer(events=chunks({"content": "It "}), end="hang"))
    async with aclosing(AsyncAgent(async_provider).stream("go")) as events:
        assert (await anext(events)).delta == "It "
    assert await asyncio.to_thread(fake.calls[0].left.wait, 30)


async def test_so_does_who_is_cancelled(fake, async_provider):
    fake.script(Answer(events=chunks({"content": "It "}), end="hang"))
    came = asyncio.Event()

    async def read():
        async for _ in AsyncAgent(async_provider).stream("go"):
            came.set()

    reading = asyncio.ensure_future(read())
    await came.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await asyncio.to_thread(fake.calls[0].left.wait, 30)


def test_a_durable_stream_is_finished_too(fake, provider):
    fake.script(*streamed([{"content": "Hi."}]))
    store = MemoryRunStore()
    agent = Agent(provider, store=store)
    *_, done = agent.stream("go", run=RunOptions("r"))
    assert fake.calls[0].headers["x-joytoken-on-disconnect"] == "finish"
    *_, again = agent.resume_stream("r")
    assert again.result.final_text == done.result.final_text
    assert len(fake.calls) == 1
