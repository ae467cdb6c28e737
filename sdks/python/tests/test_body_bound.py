"""Answers that do not end are not read to their end."""

from typing import Any

import openai
import pytest
from fake_gateway import Answer, FakeGateway

from joytoken_sdk import JoyTokenAPIError, async_openai_client, body_bound, error_of, openai_client

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANSWER_BYTES_MAX", "ERROR_BYTES_MAX", "EVENT_BYTES_MAX"):
        monkeypatch.setattr(body_bound, name, 4000)


def test_an_end_is_found_wherever_it_is_cut() -> None:
    bound = body_bound.EventBound()
    for byte in b"data: x\r\n\r\n" * 1000:
        bound.add(bytes([byte]))
    for _ in range(1999):
        bound.add(b"\n-")
    with pytest.raises(JoyTokenAPIError):
        bound.add(b"\n-" * 2)


async def ask(options: dict[str, Any], *, awaited: bool, **more: Any) -> Any:
    """The answer, or the list of a stream's chunks."""
    if not awaited:
        with openai_client(max_retries=0, **options) as client:
            answer = client.chat.completions.create(**ASK, **more)
            return list(answer) if more else answer
    async with async_openai_client(max_retries=0, **options) as client:
        answer = await client.chat.completions.create(**ASK, **more)
        return [chunk async for chunk in answer] if more else answer


both = pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])


def chunk(text: str) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}


@both
async def test_an_answer_that_is_too_long_is_refused(
    fake: FakeGateway, options: dict[str, Any], *, awaited: bool
) -> None:
    fake.script(Answer(json={"choices": [], "more": "x" * 5000}))
    with pytest.raises(JoyTokenAPIError, match="the answer has more than 4000 bytes"):
        await ask(options, awaited=awaited)
    fake.script(Answer(json={"choices": [], "more": "x" * 3000}))
    assert (await ask(options, awaited=awaited)).choices == []
    assert len(fake.calls) == 2


@both
async def test_the_body_of_a_failure_is_cut(fake: FakeGateway, options: dict[str, Any], *, awaited: bool) -> None:
    for more in ({}, {"stream": True}):
        fake.script(Answer(status=404, body=b"x" * 9000))
        with pytest.raises(openai.NotFoundError) as caught:
            await ask(options, awaited=awaited, **more)
        meant = error_of(caught.value)
        assert meant is not None
        assert meant.body == "x" * 4000


@both
async def test_an_event_that_is_too_long_is_refused(
    fake: FakeGateway, options: dict[str, Any], *, awaited: bool
) -> None:
    fake.script(Answer(events=[chunk("x" * 3000)] * 5))
    assert len(await ask(options, awaited=awaited, stream=True)) == 5
    fake.script(Answer(events=[chunk("a"), chunk("x" * 9000)]))
    with pytest.raises(JoyTokenAPIError, match="an event of the stream has more than 4000 bytes"):
        await ask(options, awaited=awaited, stream=True)
