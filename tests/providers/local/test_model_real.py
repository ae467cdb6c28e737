"""The real model, and what of its manners the gateway relies on."""

import time

import pytest
from openai import OpenAI

from joytoken.providers.local import LocalModel
from tests.local_model import cache_home

pytestmark = pytest.mark.real_model

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]


@pytest.fixture(scope="module")
def client(local_model):
    with OpenAI(base_url=local_model.base_url, api_key="unused", max_retries=0, timeout=120) as client:
        yield client


def test_it_streams_with_usage(client, local_model):
    chunks = list(
        client.chat.completions.create(
            model=local_model.name,
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=8,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).strip()
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] in {"stop", "length"}
    assert 0 < chunks[-1].usage.completion_tokens <= 8


def answered(client, **request):
    """An answer. Beside a stream of another test that is broken off, this server at times gives none."""
    for _ in range(3):
        answer = client.chat.completions.create(**request)
        if not isinstance(answer, str):
            return answer
    pytest.fail(f"no JSON in three answers, but {answer[:200]!r}")


def test_it_calls_a_tool(client, local_model):
    answer = answered(
        client,
        model=local_model.name,
        messages=QUESTION,
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        max_tokens=60,
        temperature=0,
    )
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, "Paris" in call.function.arguments) == ("get_weather", True)


def test_it_stops_generating_when_the_caller_hangs_up(client, local_model):
    log = cache_home() / "run" / "server.log"
    noted = b"client disconnected mid-generation"
    before = log.read_bytes().count(noted)
    stream = client.chat.completions.create(
        model=local_model.name,
        messages=[{"role": "user", "content": f"Tell a very long story of a dragon ({time.time_ns()})."}],
        max_tokens=3_500,
        stream=True,
    )
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 60
    while log.read_bytes().count(noted) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_its_status_is_true(local_model):
    status = LocalModel(cache_home()).status()
    assert (status.pid, status.running, status.restarts) == (local_model.pid, True, 0)
    assert 50_000_000 < status.rss_bytes < 2_000_000_000
    assert status.context_tokens == local_model.context_tokens == 4096
