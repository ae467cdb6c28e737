"""The official `openai` package for Python, unmodified: a base URL and a key are all that it is told of the gateway."""

import asyncio
import json
from enum import StrEnum

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from joytoken.domain.money import parse_amount
from tests.journeys.gateway import wait_for
from tests.journeys.stub import HANG, answer, chunk, event, events, refusal, stream

ECHO = "echo/echo"
HELLO = [{"role": "user", "content": "Hello from the other side"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


# The package types a completion's `metadata` as strings by name; ours has numbers and objects, by its contract. It is
# read all the same; `parse` and a dump warn of it.
dumps_metadata = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")


class Unit(StrEnum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Place(BaseModel):
    city: str
    within: "Place | None"


class Report(BaseModel):
    """Nested, recursive, with an enum, a list and a value that may be absent: `$ref` and `anyOf` in its schema."""

    place: Place
    unit: Unit
    degrees: list[float]
    windy: bool
    note: str | None


def options(customer, **more):
    return {
        "base_url": customer.url + "/openai/v1",
        "api_key": customer.api_key,
        "max_retries": 0,
        "timeout": 60,
        **more,
    }


@pytest.fixture
def client(customer):
    with OpenAI(**options(customer)) as made:
        yield made


def settled(customer, request_id):
    """The receipt, once the wallet is at rest again."""
    customer.balance()
    return customer.receipt(request_id)


# -- answers ---------------------------------------------------------------------------------------------------------


def test_a_completion(client, customer):
    before = customer.balance()
    made = client.chat.completions.create(model=ECHO, messages=HELLO)
    assert made.choices[0].message.content == HELLO[0]["content"]
    assert (made.choices[0].finish_reason, made.object, made.choices[0].message.role) == (
        "stop",
        "chat.completion",
        "assistant",
    )
    usage = made.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
    billing = made.metadata["billing"]
    assert (billing["input_tokens"], billing["output_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)
    assert before - customer.balance() == parse_amount(billing["credits_used"]) > 0


def test_its_headers(client):
    raw = client.chat.completions.with_raw_response.create(
        model=ECHO, messages=HELLO, extra_headers={"X-Request-ID": "mine-1"}
    )
    made = raw.parse()
    assert raw.status_code == 200
    assert raw.headers["content-type"].startswith("application/json")
    assert (raw.headers["x-daoe-used-model"], raw.headers["x-daoe-used-provider"]) == (ECHO, "echo")
    assert raw.headers["x-request-id"] == raw.headers["x-daoe-request-id"] == made._request_id == "mine-1"
    assert made.metadata["request_id"].startswith("req-")
    plain = client.chat.completions.create(model=ECHO, messages=HELLO)
    assert plain._request_id == plain.metadata["request_id"]


@pytest.mark.parametrize("asked", (True, False))
def test_a_stream(client, customer, asked):
    before = customer.balance()
    more = {"stream_options": {"include_usage": True}} if asked else {}
    with client.chat.completions.create(model=ECHO, messages=HELLO, stream=True, **more) as chunks:
        seen = list(chunks)
    assert "".join(c.choices[0].delta.content or "" for c in seen if c.choices) == HELLO[0]["content"]
    assert [c.choices[0].finish_reason for c in seen if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert {(c.id, c.created, c.object) for c in seen} == {(seen[0].id, seen[0].created, "chat.completion.chunk")}
    (metadata,) = [c.model_extra["metadata"] for c in seen if "metadata" in c.model_extra]
    assert seen[-1].model_extra == {"metadata": metadata}
    assert (seen[-1].usage is not None) == asked
    usages = [c.usage for c in seen if c.usage is not None]
    assert len(usages) == asked
    billing = metadata["billing"]
    if asked:
        assert (usages[0].prompt_tokens, usages[0].completion_tokens) == (
            billing["input_tokens"],
            billing["output_tokens"],
        )
    assert before - customer.balance() == parse_amount(billing["credits_used"]) > 0


def test_the_stream_helper_keeps_text_and_usage(client):
    with client.chat.completions.stream(model=ECHO, messages=HELLO, stream_options={"include_usage": True}) as made:
        deltas = [e.delta for e in made if e.type == "content.delta"]
        final = made.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == HELLO[0]["content"]
    assert final.usage is not None
    assert final.usage.total_tokens > 0


def test_several_choices(client):
    made = client.chat.completions.create(model=ECHO, messages=HELLO, n=3)
    assert [(c.index, c.message.content) for c in made.choices] == [(i, HELLO[0]["content"]) for i in range(3)]
    with client.chat.completions.stream(model=ECHO, messages=HELLO, n=2) as several:
        final = several.get_final_completion()
    assert [c.message.content for c in final.choices] == [HELLO[0]["content"]] * 2


def test_parameters_reach_the_provider_and_our_own_do_not(client, stub):
    stub.says("plain", answer())
    sent = {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END"],
        "presence_penalty": 0.1,
        "logit_bias": {"50256": -100},
        "parallel_tool_calls": False,
        "tools": [WEATHER],
        "tool_choice": "auto",
        "user": "someone",
    }
    made = client.chat.completions.create(
        model="stub/plain", messages=HELLO, max_completion_tokens=9, extra_body={"tier": "standard", "top_k": 4}, **sent
    )
    seen = stub.calls("plain")[-1].body
    assert {name: seen[name] for name in sent} == sent
    assert (seen["top_k"], seen["max_completion_tokens"], seen["messages"]) == (4, 9, HELLO)
    assert "tier" not in seen
    assert made.metadata["tier"] == "standard"


def test_metadata_of_the_caller_is_attribution(client, customer):
    made = client.chat.completions.create(model=ECHO, messages=HELLO, metadata={"feature": "search"}, user="u-1")
    assert set(made.metadata) >= {"request_id", "billing", "latency", "tier"}
    receipt = settled(customer, made.metadata["request_id"])
    assert json.dumps(receipt).count('"feature": "search"') == 1
    assert "u-1" in json.dumps(receipt)


# -- tools and structured output -------------------------------------------------------------------------------------


def test_a_tool_is_called_and_its_result_is_told(client):
    messages = [{"role": "user", "content": "Use get_weather for me."}]
    first = client.chat.completions.create(model=ECHO, messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert set(json.loads(call.function.arguments)) == {"city"}
    messages += [
        first.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "It is sunny."},
    ]
    second = client.chat.completions.create(model=ECHO, messages=messages, tools=[WEATHER])
    assert (second.choices[0].message.content, second.choices[0].finish_reason) == ("It is sunny.", "stop")


@pytest.mark.parametrize(
    "choice", ("required", {"type": "function", "function": {"name": "get_weather"}}), ids=("required", "named")
)
def test_a_forced_tool_streams(client, choice):
    calls = {}
    for piece in client.chat.completions.create(
        model=ECHO, messages=HELLO, tools=[WEATHER], tool_choice=choice, stream=True
    ):
        for part in piece.choices[0].delta.tool_calls or [] if piece.choices else []:
            call = calls.setdefault(part.index, {"id": part.id, "name": part.function.name, "arguments": ""})
            call["arguments"] += part.function.arguments or ""
    (call,) = calls.values()
    assert (call["name"], bool(call["id"]), set(json.loads(call["arguments"]))) == ("get_weather", True, {"city"})


@dumps_metadata
def test_structured_output(client):
    made = client.chat.completions.parse(model=ECHO, messages=HELLO, response_format=Report)
    report = made.choices[0].message.parsed
    assert isinstance(report, Report)
    assert report.model_dump(mode="json") == json.loads(made.choices[0].message.content)
    with client.chat.completions.stream(model=ECHO, messages=HELLO, response_format=Report) as streamed:
        final = streamed.get_final_completion()
    assert final.choices[0].message.parsed == report


@dumps_metadata
def test_structured_tool_arguments(client):
    tool = openai.pydantic_function_tool(Report)
    made = client.chat.completions.parse(model=ECHO, messages=HELLO, tools=[tool], tool_choice="required")
    assert isinstance(made.choices[0].message.tool_calls[0].function.parsed_arguments, Report)
    with client.chat.completions.stream(model=ECHO, messages=HELLO, tools=[tool], tool_choice="required") as streamed:
        done = [e for e in streamed if e.type == "tool_calls.function.arguments.done"]
    assert [(e.name, isinstance(e.parsed_arguments, Report)) for e in done] == [("Report", True)]


def test_a_refusal_is_passed_on(client, server, stub):
    stub.says("plain", stream([event(chunk({"role": "assistant", "refusal": "I cannot."})), *events([])[-3:]]))
    with client.chat.completions.stream(model="stub/plain", messages=HELLO) as made:
        final = made.get_final_completion()
    assert (final.choices[0].message.refusal, final.choices[0].message.content) == ("I cannot.", None)


def test_models(client):
    listed = {model.id: model for model in client.models.list()}
    assert {"auto", ECHO, "stub/plain"} <= set(listed)
    assert client.models.retrieve(ECHO) == listed[ECHO]
    assert (listed[ECHO].owned_by, listed[ECHO].object) == ("echo", "model")


# -- asynchronous ----------------------------------------------------------------------------------------------------


async def test_the_asynchronous_client(customer):
    async with AsyncOpenAI(**options(customer)) as client:

        async def ask(number):
            made = await client.chat.completions.create(
                model=ECHO, messages=[{"role": "user", "content": f"n {number}"}]
            )
            return made.choices[0].message.content

        async def listen(number):
            said = [{"role": "user", "content": f"n {number}"}]
            chunks = await client.chat.completions.create(model=ECHO, messages=said, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

        said = await asyncio.gather(*(ask(n) if n % 2 else listen(n) for n in range(20)))
        assert said == [f"n {n}" for n in range(20)]
        async with client.chat.completions.stream(
            model=ECHO, messages=HELLO, stream_options={"include_usage": True}
        ) as made:
            final = await made.get_final_completion()
        assert (final.choices[0].message.content, final.usage.total_tokens > 0) == (HELLO[0]["content"], True)
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="nobody/nothing", messages=HELLO)
    assert len(wait_for(lambda: (customer.balance(), customer.records())[1], "no records")) >= 21


# -- hanging up ------------------------------------------------------------------------------------------------------


def test_a_stream_closed_early_is_stopped_and_settled(client, customer, stub):
    before = customer.balance()
    stub.says("plain", stream([*events(usage=None, finish=None, done=False), HANG]))
    chunks = client.chat.completions.create(model="stub/plain", messages=HELLO, stream=True)
    assert [next(chunks).choices[0].delta.content for _ in range(3)] == ["", "Hello ", "from "]
    chunks.close()
    (record,) = wait_for(customer.records, "the hang-up is not recorded")
    after = customer.balance()
    call = wait_for(lambda: next((c for c in stub.calls("plain") if c.cancelled), None), "the provider goes on")
    assert call.request_id == record["request_id"]
    assert (record["ending"], before > after) == ("client_gone", True)


def test_a_timeout_leaves_nothing_frozen(client, customer, stub):
    before = customer.balance()
    stub.says("plain", [HANG])
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(model="stub/plain", messages=HELLO)
    (record,) = wait_for(customer.records, "the hang-up is not recorded")
    assert (record["ending"], before >= customer.balance()) == ("client_gone", True)


# -- errors ----------------------------------------------------------------------------------------------------------


def refuse(call, kind):
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    if isinstance(error, openai.APIStatusError):
        assert error.request_id == error.response.headers["x-daoe-request-id"]
        assert error.body["request_id"]
        assert error.body["message"] in error.message
    return error


ASKS = {
    "no key": (openai.AuthenticationError, "missing_api_key", "missing_api_key"),
    "wrong key": (openai.PermissionDeniedError, "invalid_api_key", "invalid_api_key"),
    "no messages": (openai.BadRequestError, "invalid_request_error", "messages_empty"),
    "unknown model": (openai.NotFoundError, "not_found_error", "unknown_model"),
    "unknown tier": (openai.PermissionDeniedError, "policy_rejected", None),
    "wrong type": (openai.BadRequestError, "invalid_request_error", "invalid_field"),
}


@pytest.mark.parametrize("case", ASKS)
def test_a_refusal_is_the_class_that_it_should_be(client, case):
    kind, type_, code = ASKS[case]
    asked = {"model": ECHO, "messages": HELLO}
    if case == "no key":
        asked["extra_headers"] = {"Authorization": openai.Omit()}
    elif case == "wrong key":
        client = client.with_options(api_key="jt_live_wrong")
    elif case == "unknown tier":
        asked["extra_body"] = {"tier": "gold"}
    else:
        asked |= {"no messages": {"messages": []}, "unknown model": {"model": "nobody/nothing"}}.get(
            case, {"max_tokens": "many"}
        )
    error = refuse(lambda: client.chat.completions.create(**asked), kind)
    assert (error.type, code in (None, error.code)) == (type_, True)


def test_what_is_not_there(client):
    refuse(lambda: client.models.retrieve("nobody/nothing"), openai.NotFoundError)
    refuse(lambda: client.moderations.create(input="x"), openai.NotFoundError)


def test_an_empty_wallet(server):
    poor = server.customer({})
    with OpenAI(**options(poor)) as client:
        error = refuse(lambda: client.chat.completions.create(model=ECHO, messages=HELLO), openai.APIStatusError)
    assert (error.status_code, error.type, error.code) == (402, "insufficient_quota", "wallet_empty")


def test_a_rate_limit_says_when_to_come_back(server):
    slow = server.customer(requests_per_minute=1)
    with OpenAI(**options(slow)) as client:
        client.chat.completions.create(model=ECHO, messages=HELLO)
        error = refuse(lambda: client.chat.completions.create(model=ECHO, messages=HELLO), openai.RateLimitError)
    assert error.type == "rate_limit_error"
    assert 1 <= int(error.response.headers["retry-after"]) <= 60


def test_a_failing_provider(client, stub, customer):
    before = customer.balance()
    stub.says("plain", refusal(500))
    error = refuse(
        lambda: client.chat.completions.create(model="stub/plain", messages=HELLO), openai.InternalServerError
    )
    assert (error.status_code, error.type) == (502, "upstream_error")
    assert customer.balance() == before


def test_the_client_s_own_retry_is_charged_once(client, stub, customer):
    before = customer.balance()
    stub.says("plain", refusal(503), answer())
    made = client.with_options(max_retries=3).chat.completions.create(model="stub/plain", messages=HELLO)
    assert before - customer.balance() == parse_amount(made.metadata["billing"]["credits_used"]) > 0


def test_an_error_within_a_stream_is_raised(client, stub):
    broken = {"error": {"message": "the machine is on fire", "type": "server_error"}}
    stub.says("plain", stream([*events(usage=None, finish=None, done=False), event(broken)]))
    said = []
    with pytest.raises(openai.APIError, match="on fire"):
        said.extend(client.chat.completions.create(model="stub/plain", messages=HELLO, stream=True))
    assert "".join(c.choices[0].delta.content for c in said) == "Hello from the stub."
