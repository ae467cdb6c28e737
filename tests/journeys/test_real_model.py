"""The whole way with a real model: official client → gateway → the model that `joytoken local` runs.

The model is small: it calls a tool only where the caller demands one, and what it says may be nonsense.
"""

import json

import openai
import pytest
from openai import OpenAI

from joytoken.domain.money import parse_amount
from tests import local_model as installed
from tests.conformance.judges import openai_judges
from tests.journeys.gateway import gateway, wait_for

real_model = installed.local_model
MODEL = "local/small"
INPUT_NANO, OUTPUT_NANO = 75_000, 300_000  # a token, at 75 and 300 credits a million
HELLO = [{"role": "user", "content": "Say hello in one short sentence."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ANSWER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}},
    "required": ["city", "sunny"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server(joytoken_command, tmp_path_factory, real_model):
    with gateway(joytoken_command, tmp_path_factory.mktemp("real")) as made:
        made.cli("providers", "add", "local", "--kind", "openai", "--base-url", real_model.base_url)
        price = ("--input-mtok", "75", "--output-mtok", "300", "--context", str(real_model.context_tokens))
        able = ("--feature", "tools", "--feature", "json_schema")
        upstream = ("--provider", "local", "--upstream", real_model.name, "--tier", "standard")
        made.cli("models", "add", MODEL, *upstream, *price, *able)
        made.sync()
        yield made


@pytest.fixture
def client(customer):
    with OpenAI(base_url=customer.url + "/openai/v1", api_key=customer.api_key, max_retries=0, timeout=120) as made:
        yield made


@pytest.fixture(scope="module")
def direct(real_model):
    """The model without the gateway, to compare with."""
    with OpenAI(base_url=real_model.base_url, api_key="unused", max_retries=0, timeout=120) as made:
        yield made


def price_of(usage):
    return usage.prompt_tokens * INPUT_NANO + usage.completion_tokens * OUTPUT_NANO


def check_receipt(receipt, ending, charged):
    """The receipt tells who served, how it ended, what it cost by which price, and the one attempt."""
    request, money = receipt["request"], receipt["money"]
    assert (request["model"], request["provider"], receipt["ending"]["name"]) == (MODEL, "local", ending)
    assert parse_amount(money["settled"]) == parse_amount(money["cost"]) == charged
    assert parse_amount(money["hold"]) == parse_amount(money["settled"]) + parse_amount(money["released"])
    assert receipt["price"]["credits"] | {"input_mtok": "75", "output_mtok": "300"} == receipt["price"]["credits"]
    assert [(attempt["provider"], attempt["status"]) for attempt in receipt["attempts"]] == [("local", 200)]


def check_bill(customer, before, usage, metadata):
    """The charge is exact, the wallet and the receipt say the same."""
    charged = price_of(usage)
    billing = metadata["billing"]
    assert (billing["input_tokens"], billing["output_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)
    assert (billing["usage_source"], billing["ending"]) == ("reported", "completed")
    assert parse_amount(billing["credits_used"]) == charged > 0
    assert before - customer.balance() == charged
    check_receipt(customer.receipt(metadata["request_id"]), "completed", charged)


def test_text_is_streamed_and_billed_by_the_model_s_own_count(client, customer, direct, real_model):
    asked = {"messages": HELLO, "max_tokens": 4, "temperature": 0}
    own = direct.chat.completions.create(model=real_model.name, **asked)
    before = customer.balance()
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(model=MODEL, **asked, **options))
    words = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(words) > 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == own.choices[0].finish_reason == "length"
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (own.usage.prompt_tokens, own.usage.completion_tokens)
    check_bill(customer, before, usage, chunks[-1].model_extra["metadata"])


def test_a_tool_is_called(client, customer):
    before = customer.balance()
    made = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[WEATHER],
        tool_choice="required",
        max_tokens=60,
        temperature=0,
    )
    (call,) = made.choices[0].message.tool_calls
    assert (made.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert "Paris" in json.loads(call.function.arguments)["city"]
    check_bill(customer, before, made.usage, made.metadata)


def test_a_tool_call_streams(client):
    with client.chat.completions.stream(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[WEATHER],
        tool_choice="required",
        max_tokens=60,
        temperature=0,
    ) as made:
        final = made.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    assert (final.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert "Paris" in json.loads(call.function.arguments)["city"]


def test_structured_output(client, customer):
    before = customer.balance()
    made = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "It is sunny in Rome. Answer as JSON."}],
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": ANSWER, "strict": True}},
        max_tokens=60,
        temperature=0,
    )
    answer = json.loads(made.choices[0].message.content)
    assert {name: type(value) for name, value in answer.items()} == {"city": str, "sunny": bool}
    check_bill(customer, before, made.usage, made.metadata)


@pytest.mark.parametrize("judge", openai_judges(), ids=lambda judge: judge.name)
def test_its_answers_are_as_specified(judge, customer):
    more = {"max_tokens": 6, "temperature": 0}
    whole = customer.chat(MODEL, "Say hello.", **more).json
    whole.pop("metadata")
    assert judge.named("CreateChatCompletionResponse", whole) == []
    streamed = customer.chat(MODEL, "Say hello.", stream=True, stream_options={"include_usage": True}, **more)
    for chunk in streamed.chunks:
        assert judge.named("CreateChatCompletionStreamResponse", chunk) == [], chunk
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in streamed.chunks}) == 1


def test_a_hang_up_stops_the_model(client, customer):
    log = installed.cache_home() / "run" / "server.log"
    noted = b"client disconnected mid-generation"
    known = log.read_bytes().count(noted)
    before = customer.balance()
    chunks = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": f"Tell a very long story of dragon {customer.owner}."}],
        max_tokens=3_000,
        stream=True,
    )
    heard = [next(chunks) for _ in range(4)]
    chunks.close()
    wait_for(lambda: log.read_bytes().count(noted) > known, "the model goes on")
    (record,) = wait_for(customer.records, "the hang-up is not recorded")
    charged = before - customer.balance()
    said = len([c for c in heard if c.choices and c.choices[0].delta.content])
    assert said <= record["output_tokens"] < 3_000
    assert charged == record["input_tokens"] * INPUT_NANO + record["output_tokens"] * OUTPUT_NANO
    check_receipt(customer.receipt(record["request_id"]), "client_gone", charged)


def test_what_does_not_fit_is_refused_before_the_model_is_asked(client, customer):
    before = customer.balance()
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}])
    assert customer.balance() == before
