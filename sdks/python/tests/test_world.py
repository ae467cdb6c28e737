"""Against a real gateway, where `python -m tests.sdk.world -- python -m pytest sdks/python` has started one.

Without one there is nothing that these could talk to; the other tests have a fake.
"""

import asyncio
import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import joytoken_sdk
from joytoken_sdk import AsyncJoyToken, JoyToken, JoyTokenAPIError, call_metadata, error_of
from joytoken_sdk.agent import (
    Agent,
    AgentResult,
    AsyncAgent,
    AsyncJoyTokenProvider,
    DoneEvent,
    FileRunStore,
    JoyTokenProvider,
    RunOptions,
    RunState,
    TextEvent,
    tool,
)

URL = os.environ.get("JOYTOKEN_TEST_URL")
STUB = os.environ.get("JOYTOKEN_TEST_STUB_URL")
ECHO = "echo/echo"
SCRIPTED = "stub/k"  # this file's own
DECIMAL = re.compile(r"\d+\.\d{6,9}")
PATIENCE_S = 30


def options(key: str = "JOYTOKEN_TEST_KEY") -> dict[str, Any]:
    return {"api_base_url": URL, "api_key": os.environ[key]}


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def scripted(answers: list[Any]) -> None:
    """Tell the provider behind `SCRIPTED` what to answer."""
    body = json.dumps({"model": SCRIPTED, "answers": answers}).encode()
    asked = urllib.request.Request(f"{STUB}/_script", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        answer.read()


def eventually(read: Callable[[], Any]) -> Any:
    """What comes a moment later, such as a receipt."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := read():
                return found
        except JoyTokenAPIError:
            if time.monotonic() > until:
                raise
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def frozen(joytoken: JoyToken) -> set[str]:
    return {wallet.frozen for wallet in joytoken.key().wallets}


HANGS = [
    {
        "events": [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello "}}]},
            {"choices": [{"index": 0, "delta": {"content": "there"}}]},
        ],
        "end": "hang",
    }
]

if URL:

    @pytest.fixture
    def joytoken() -> Iterator[JoyToken]:
        with JoyToken(**options()) as made:
            yield made

    @pytest.mark.parametrize("model", ["auto", ECHO])
    def test_a_first_answer(joytoken: JoyToken, model: str) -> None:
        answer = joytoken.openai.chat.completions.create(model=model, messages=said("Hello from Python"))
        assert answer.choices[0].message.content == "Hello from Python"
        told = call_metadata(answer)
        assert told is not None
        assert told.billing is not None
        assert answer.usage is not None
        assert (told.provider, told.billing.ending) == ("echo", "completed")
        assert told.billing.input_tokens == answer.usage.prompt_tokens
        assert DECIMAL.fullmatch(told.billing.credits_used or "")

    def test_the_receipt_the_key_and_the_catalog(joytoken: JoyToken) -> None:
        answer = joytoken.openai.chat.completions.create(model=ECHO, messages=said("A receipt, please"))
        told = call_metadata(answer)
        assert told is not None
        assert told.billing is not None
        receipt = eventually(lambda: joytoken.receipt(told.request_id or ""))
        assert (receipt.request.request_id, receipt.ending.name) == (told.request_id, "completed")
        assert receipt.money.settled == told.billing.credits_used
        key = joytoken.key()
        assert (key.status, sorted(wallet.tier for wallet in key.wallets)) == (
            "active",
            ["economy", "premium", "standard"],
        )
        assert "echo" in {model.alias for model in joytoken.models(locale="en")}
        assert {option.value for option in joytoken.models_meta().tiers} >= {"standard"}
        assert {tier.code for tier in joytoken.pricing().tiers} == {"economy", "standard", "premium"}
        with pytest.raises(joytoken_sdk.NotFound):
            joytoken.receipt("req-of-nobody")

    def test_a_stream(joytoken: JoyToken) -> None:
        with joytoken.openai.chat.completions.create(model=ECHO, messages=said("one two three"), stream=True) as chunks:
            heard = list(chunks)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in heard if chunk.choices) == "one two three"
        (told,) = [told for told in map(call_metadata, heard) if told is not None]
        assert told.billing is not None
        assert (told.billing.ending, told.billing.output_tokens) == ("completed", 3)

    def test_a_stream_that_is_left_holds_nothing(joytoken: JoyToken) -> None:
        scripted(HANGS)
        with joytoken.openai.chat.completions.create(model=SCRIPTED, messages=said("Hello"), stream=True) as chunks:
            next(iter(chunks))
            assert frozen(joytoken) != {"0.000000"}
        eventually(lambda: frozen(joytoken) == {"0.000000"})

    async def test_a_cancelled_stream_holds_nothing(joytoken: JoyToken) -> None:
        scripted(HANGS)
        began = asyncio.Event()

        async def listen(client: AsyncJoyToken) -> None:
            chunks = await client.openai.chat.completions.create(model=SCRIPTED, messages=said("Hello"), stream=True)
            async with chunks:
                async for _ in chunks:
                    began.set()

        async with AsyncJoyToken(**options()) as client:
            listening = asyncio.create_task(listen(client))
            await asyncio.wait_for(began.wait(), PATIENCE_S)
            listening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await listening
        await asyncio.to_thread(eventually, lambda: frozen(joytoken) == {"0.000000"})

    async def test_a_cancelled_run_ends_its_call(joytoken: JoyToken) -> None:
        scripted([{"delay_ms": 60_000, "json": {}}])
        agent = AsyncAgent(AsyncJoyTokenProvider(SCRIPTED, max_retries=0, **options()))
        running = asyncio.create_task(agent.run("Go."))
        await asyncio.to_thread(eventually, lambda: frozen(joytoken) != {"0.000000"})
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.to_thread(eventually, lambda: frozen(joytoken) == {"0.000000"})

    def test_a_key_of_ones_own_is_paid_once(joytoken: JoyToken) -> None:
        mine = {"Idempotency-Key": f"python-{time.time_ns()}"}
        told = [
            call_metadata(
                joytoken.openai.chat.completions.create(model=ECHO, messages=said("Once"), extra_headers=mine)
            )
            for _ in range(2)
        ]
        assert told[0] is not None
        assert told[0] == told[1]

    @pytest.mark.parametrize(
        ("key", "kind", "code"),
        [
            ("JOYTOKEN_TEST_EMPTY_KEY", joytoken_sdk.InsufficientQuota, "wallet_empty"),
            ("JOYTOKEN_TEST_ECONOMY_KEY", joytoken_sdk.PermissionRefused, "tier_not_allowed"),
        ],
    )
    def test_a_refusal_is_an_error_and_ends_a_run(key: str, kind: type[JoyTokenAPIError], code: str) -> None:
        with JoyToken(**options(key)) as joytoken, pytest.raises(openai.APIStatusError) as caught:
            joytoken.openai.chat.completions.create(model=ECHO, messages=said("Hello"))
        meant = error_of(caught.value)
        assert type(meant) is kind
        assert meant.error_code == code
        assert meant.request_id
        assert os.environ[key] not in repr(caught.value) + str(caught.value) + repr(meant)
        result = Agent(JoyTokenProvider(ECHO, **options(key))).run("Hello")
        assert result.stopped_by == f"{meant.error_type}:{code}"
        assert type(result.refusal) is kind

    @tool
    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"It is sunny in {city}." if city else "It is sunny."

    def weather_agent(key: str = "JOYTOKEN_TEST_KEY", **more: Any) -> Agent:
        """An agent on the echo, which calls the tool that is forced and then says what that returned."""
        more = {"tools": [get_weather], "tool_choice": "required", **more}
        return Agent(JoyTokenProvider(ECHO, **options(key)), **more)

    def check_weather(result: AgentResult) -> None:
        assert (result.status, result.stopped_by, len(result.steps)) == ("done", None, 2)
        assert result.final_text.startswith("It is sunny")
        assert len(set(result.request_ids)) == 2

    def test_a_run_and_its_tree(joytoken: JoyToken) -> None:
        result = weather_agent().run("The weather?", run=RunOptions(workflow="nightly"))
        check_weather(result)
        tree = eventually(lambda: (found := joytoken.run(result.run_id)) and len(found.requests) == 2 and found)
        assert [request.step for request in tree.requests] == ["1", "2"]
        assert [request.request_id for request in tree.requests] == result.request_ids
        assert tree.workflow == "nightly"
        assert tree.runs[0].charged == result.credits_used

    def test_a_streamed_run() -> None:
        text, results = "", []
        for event in weather_agent().stream("The weather?"):
            if isinstance(event, TextEvent):
                text += event.delta
            elif isinstance(event, DoneEvent):
                results.append(event.result)
        (result,) = results
        check_weather(result)
        assert text == result.final_text
        assert result.usage.total_tokens > 0

    async def test_an_asynchronous_run() -> None:
        provider = AsyncJoyTokenProvider(ECHO, **options())
        agent = AsyncAgent(provider, tools=[get_weather], tool_choice="required")
        check_weather(await agent.run("The weather?"))

    def test_a_run_is_held_to_its_budget() -> None:
        result = weather_agent("JOYTOKEN_TEST_RUN_KEY", max_tokens=48).run(
            "The weather?", run=RunOptions(budget="0.000000001")
        )
        assert result.refusal is not None
        assert (result.status, result.refusal.status) == ("stopped", 402)
        assert (result.stopped_by or "").startswith("insufficient_quota:")

    class Died(Exception):
        pass

    class FrailStore:
        """A store whose process dies before it has saved an answer."""

        def __init__(self, store: FileRunStore, saves: int) -> None:
            self._store = store
            self._left = saves

        def save(self, state: RunState) -> None:
            self._left -= 1
            if self._left < 0:
                raise Died
            self._store.save(state)

        def load(self, run_id: str) -> RunState | None:
            return self._store.load(run_id)

    def test_an_answer_that_was_paid_is_given_again(joytoken: JoyToken, tmp_path: Path) -> None:
        store, run_id = FileRunStore(tmp_path), f"python-{time.time_ns()}"
        with pytest.raises(Died):
            weather_agent(store=FrailStore(store, 1)).run("The weather?", run=RunOptions(id=run_id))
        result = weather_agent(store=store).resume(run_id)
        check_weather(result)
        tree = eventually(lambda: (found := joytoken.run(run_id)) and len(found.requests) >= 2 and found)
        assert [request.step for request in tree.requests] == ["1", "2"]

    def test_a_sub_agent_is_a_child_run(joytoken: JoyToken) -> None:
        inner = Agent(JoyTokenProvider(ECHO, **options())).as_tool("get_weather", "Asks somebody else.")
        result = Agent(JoyTokenProvider(ECHO, **options()), tools=[inner], tool_choice="required").run("Go.")
        assert result.status == "done"
        tree = eventually(lambda: (found := joytoken.run(result.run_id)) and len(found.runs) == 2 and found)
        assert (tree.runs[1].parent, tree.runs[1].depth) == (result.run_id, 1)
        assert tree.runs[0].total == result.credits_used

    class Weather(BaseModel):
        sky: str
        degrees: int

    def test_structured_output() -> None:
        result = Agent(JoyTokenProvider(ECHO, **options()), output=Weather).run("The weather?")
        assert isinstance(result.output, Weather)
        assert result.status == "done"
