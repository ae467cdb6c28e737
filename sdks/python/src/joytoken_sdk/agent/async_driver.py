"""Does what a run asks for, in an event loop."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Generic, cast

from joytoken_sdk.agent.effect import Ask, Effect, Load, Save, Steps, T, Tell, UseTools
from joytoken_sdk.agent.model import AsyncModelProvider, AsyncStreamingProvider, ModelRequest, ModelResponse
from joytoken_sdk.agent.result import AgentEvent, TextEvent, ToolResultEvent, tool_result_of
from joytoken_sdk.agent.state import content_text
from joytoken_sdk.agent.tool_round import Work


class _Came:
    """What came of an effect: an asynchronous generator cannot return it."""

    value: Any = None


class AsyncDriver(Generic[T]):
    """Does the effects of one run, and gives its events.

    Closing the events, and cancelling the task that reads them, ends the run and what is under way.
    """

    def __init__(self, model: AsyncModelProvider, steps: Steps[T], *, streamed: bool = False) -> None:
        self._model = model
        self._steps = steps
        self._streamed = streamed
        self._value: T | None = None

    async def result(self) -> T:
        """Go to the end without telling anybody."""
        async with aclosing(self.events()) as events:
            async for _ in events:
                pass
        return cast("T", self._value)

    async def events(self) -> AsyncGenerator[AgentEvent, None]:
        advance: Callable[[], Effect] = partial(next, self._steps)
        while True:
            try:
                effect = advance()
            except StopIteration as end:
                self._value = end.value
                return
            came = _Came()
            try:
                async with aclosing(self._do(effect, came)) as events:
                    async for event in events:
                        yield event
            except BaseException as error:  # noqa: BLE001 - the run decides what becomes of it
                advance = partial(self._steps.throw, error)
            else:
                advance = partial(self._steps.send, came.value)

    async def _do(self, effect: Effect, came: _Came) -> AsyncGenerator[AgentEvent, None]:
        match effect:
            case Ask():
                async with aclosing(self._ask(effect.request, came)) as events:
                    async for event in events:
                        yield event
            case UseTools():
                async with aclosing(_use_tools(effect)) as events:
                    async for event in events:
                        yield event
            case Save():
                await _in_store(effect.store.save, effect.state)
            case Load():
                came.value = await _in_store(effect.store.load, effect.run_id)
            case Tell():
                yield effect.event

    async def _ask(self, request: ModelRequest, came: _Came) -> AsyncGenerator[AgentEvent, None]:
        if self._streamed and isinstance(self._model, AsyncStreamingProvider):
            async with aclosing(self._model.stream(request)) as parts:
                async for part in parts:
                    if isinstance(part, ModelResponse):
                        came.value = part
                        return
                    yield TextEvent(part)
            raise RuntimeError("the provider's stream ended without an answer")
        came.value = answer = await self._model.complete(request)
        if self._streamed and (text := content_text(answer.message.get("content"))):
            yield TextEvent(text)


async def _in_store(act: Callable[[Any], Any], argument: object) -> Any:
    """Ask a store: an asynchronous one here, another one in a thread, for it may wait for a disk."""
    if inspect.iscoroutinefunction(act):
        return await act(argument)
    return await asyncio.to_thread(act, argument)


async def _use_tools(effect: UseTools) -> AsyncGenerator[AgentEvent, None]:
    at_once = asyncio.Semaphore(max(1, effect.concurrency))
    running = [asyncio.ensure_future(_run_when_free(work, at_once)) for work in effect.works]
    try:
        for finished in asyncio.as_completed(running):
            work = await finished
            if work.result is not None:
                yield ToolResultEvent(tool_result_of(work.result))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _run_when_free(work: Work, at_once: asyncio.Semaphore) -> Work:
    async with at_once:
        if work.to_run:
            await run_work(work)
    return work


async def run_work(work: Work) -> None:
    """Run one tool call: a coroutine function here, any other function in a thread."""
    assert work.tool is not None
    try:
        value = work.begin() if inspect.iscoroutinefunction(work.tool.execute) else await asyncio.to_thread(work.begin)
        if inspect.isawaitable(value):
            value = await value
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is told to the model
        work.fail(error)
    else:
        work.succeed(value)
