"""Models that answer as they are told, and both kinds of agents behind one face."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from joytoken_sdk.agent import Agent, AgentTool, AsyncAgent, ModelResponse


class ScriptedModel:
    """Gives its answers in order, the last one for ever; what is an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def complete(self, request: Any) -> ModelResponse:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class AsyncScriptedModel:
    """The same, awaited."""

    def __init__(self, model: ScriptedModel) -> None:
        self.model = model

    async def complete(self, request: Any) -> ModelResponse:
        await asyncio.sleep(0)
        return self.model.complete(request)


def says(text: str, **more: Any) -> ModelResponse:
    """An answer in words."""
    return ModelResponse({"role": "assistant", "content": text}, **more)


def calls(*tool_calls: dict[str, Any], **more: Any) -> ModelResponse:
    """An answer that calls tools."""
    return ModelResponse({"role": "assistant", "content": None, "tool_calls": list(tool_calls)}, **more)


def cost(credits_used: str, request_id: str = "req-1") -> dict[str, Any]:
    """What the gateway says of a call."""
    return {"request_id": request_id, "billing": {"credits_used": credits_used}}


def recording(name: str, ran: list[Any], **more: Any) -> AgentTool:
    """A tool that remembers the ids of its calls."""

    def execute(given: Any, context: Any) -> str:
        ran.append(context.tool_call["id"])
        return f"{name} did {given}"

    return AgentTool(name, execute, **more)


class Sync:
    """An `Agent`, as it is."""

    def make(self, model: ScriptedModel, **options: Any) -> Any:
        return Agent(model, **options)

    def run(self, agent: Any, *args: Any, **options: Any) -> Any:
        return agent.run(*args, **options)

    def resume(self, agent: Any, *args: Any, **options: Any) -> Any:
        return agent.resume(*args, **options)

    def stream(self, agent: Any, *args: Any, **options: Any) -> list[Any]:
        return list(agent.stream(*args, **options))


class Async:
    """An `AsyncAgent`, awaited by a loop of its own."""

    def make(self, model: ScriptedModel, **options: Any) -> Any:
        return AsyncAgent(AsyncScriptedModel(model), **options)

    def run(self, agent: Any, *args: Any, **options: Any) -> Any:
        return asyncio.run(agent.run(*args, **options))

    def resume(self, agent: Any, *args: Any, **options: Any) -> Any:
        return asyncio.run(agent.resume(*args, **options))

    def stream(self, agent: Any, *args: Any, **options: Any) -> list[Any]:
        async def read() -> list[Any]:
            async with aclosing(agent.stream(*args, **options)) as events:
                return [event async for event in events]

        return asyncio.run(read())


both = pytest.mark.parametrize("kind", [Sync(), Async()], ids=["Agent", "AsyncAgent"])
