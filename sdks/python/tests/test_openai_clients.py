"""The `openai` package on a gateway: addresses, keys, headers, retries."""

import re
import uuid
from pathlib import Path

import openai
import pytest
from conftest import KEY
from fake_gateway import Answer, chunks, completion, refusal

from joytoken_sdk import async_openai_client, openai_client, openai_clients
from joytoken_sdk.errors import InvalidCall

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]}
OVERLOADED = refusal(503, "upstream_error", "provider_unavailable", headers={"Retry-After": "0"})


def test_a_call_goes_to_the_gateway_with_a_key_of_its_own(fake, options):
    fake.script(Answer(json=completion("Hi.")))
    client = openai_client(**options)
    assert client.chat.completions.create(**HELLO).choices[0].message.content == "Hi."
    client.chat.completions.create(**HELLO)
    first, second = fake.calls
    assert first.path == "/openai/v1/chat/completions"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert uuid.UUID(first.headers["idempotency-key"]) != uuid.UUID(second.headers["idempotency-key"])
    assert "x-joytoken-on-disconnect" not in first.headers


def test_the_environment_names_gateway_and_key(fake, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_API_BASE_URL", fake.url + "/")
    monkeypatch.setenv("JOY_TOKEN_API_KEY", KEY)
    fake.script(Answer(json=completion()))
    openai_client().chat.completions.create(**HELLO)
    assert fake.calls[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_retry_keeps_the_key(fake, options):
    fake.script(OVERLOADED, refusal(409, "conflict_error", "idempotency_in_progress"), Answer(json=completion()))
    openai_client(**options).chat.completions.create(**HELLO)
    assert len({call.headers["idempotency-key"] for call in fake.calls}) == 1
    assert len(fake.calls) == 3


async def test_so_does_an_asynchronous_one(fake, options):
    fake.script(OVERLOADED, refusal(409, "conflict_error", "idempotency_in_progress"), Answer(json=completion()))
    async with async_openai_client(**options) as client:
        await client.chat.completions.create(**HELLO)
    assert len({call.headers["idempotency-key"] for call in fake.calls}) == 1
    assert len(fake.calls) == 3


def test_another_conflict_is_not_asked_again(fake, options):
    fake.script(refusal(409, "conflict_error", "run_placed_otherwise"))
    with pytest.raises(openai.ConflictError):
        openai_client(**options).chat.completions.create(**HELLO)
    assert len(fake.calls) == 1


def test_a_caller_names_the_key_or_does_without(fake, options):
    fake.script(Answer(json=completion()))
    named = {"Idempotency-Key": "order-1"}
    openai_client(**options).chat.completions.create(**HELLO, extra_headers=named)
    openai_client(**options, idempotency=False).chat.completions.create(**HELLO)
    openai_client(**options, idempotency=False).with_options(timeout=9).chat.completions.create(**HELLO)
    assert [call.headers.get("idempotency-key") for call in fake.calls] == ["order-1", None, None]


def test_a_stream_ends_with_its_reader(fake, options):
    fake.script(Answer(events=chunks({"content": "Hel"}, {"content": "lo."}), end="hang"))
    with openai_client(**options).chat.completions.create(**HELLO, stream=True) as stream:
        assert next(stream).choices[0].delta.content == "Hel"
    (call,) = fake.calls
    assert call.headers["x-joytoken-on-disconnect"] == "stop"
    assert call.headers["accept"] == "text/event-stream"
    assert call.left.wait(30)


def test_a_stream_that_was_cut_is_not_asked_for_again(fake, options):
    """It ends with its reader, so it is not kept under its key, and would be paid again."""
    fake.script(Answer(end="reset"))
    with pytest.raises(openai.APIConnectionError):
        openai_client(**options).chat.completions.create(**HELLO, stream=True)
    assert len(fake.calls) == 1


async def test_neither_is_an_asynchronous_one(fake, options):
    fake.script(Answer(end="reset"))
    async with async_openai_client(**options) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(**HELLO, stream=True)
    assert len(fake.calls) == 1


def test_a_whole_answer_that_was_cut_is(fake, options, monkeypatch):
    monkeypatch.setattr(openai_clients, "delay_s", lambda *_: 0)
    fake.script(Answer(end="reset"), Answer(json=completion()))
    openai_client(**options).chat.completions.create(**HELLO)
    assert len({call.headers["idempotency-key"] for call in fake.calls}) == 1
    assert len(fake.calls) == 2


@pytest.mark.parametrize("model", ["", "  ", None])
def test_82_an_empty_model_is_refused_here(fake, options, model):
    with pytest.raises(InvalidCall, match="model"):
        openai_client(**options).chat.completions.create(**{**HELLO, "model": model})
    assert not fake.calls


@pytest.mark.parametrize("key", ["", "  ", None])
def test_82_so_is_a_missing_key(fake, options, key):
    client = openai_client(**{**options, "api_key": key})
    with pytest.raises(InvalidCall, match="API key is required"):
        client.chat.completions.create(**HELLO)
    assert not fake.calls


def test_an_account_elsewhere_is_not_told_of(fake, options, monkeypatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "elsewhere")
    fake.script(Answer(json=completion()))
    openai_client(**options).with_options(max_retries=0).chat.completions.create(**HELLO)
    assert "elsewhere" not in str(fake.calls[0].headers)


def test_the_version_is_told_once():
    assert re.search(r'__version__ = "0\.2\.0"', Path(openai_clients.__file__).with_name("version.py").read_text())
