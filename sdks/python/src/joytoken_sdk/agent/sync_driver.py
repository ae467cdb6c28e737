"""Does what a run asks for, in the calling thread."""

import contextvars
import inspect
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from functools import partial
from typing import Any, Generic, cast

from joytoken_sdk.agent.effect import Ask, Effect, Load, Save, Steps, T, Tell, UseTools
from joytoken_sdk.agent.model import ModelProvider, ModelRequest, ModelResponse, StreamingProvider
from joytoken_sdk.agent.result import AgentEvent, TextEvent, ToolResultEvent, tool_result_of
from joytoken_sdk.agent.state import content_text
from joytoken_sdk.agent.store import RunStore
from joytoken_sdk.agent.tool_round import Work

_Events = Generator[AgentEvent, None, Any]


class SyncDriver(Generic[T]):
    """Does the effects of one run, and gives its events. Closing the events ends the run and what is under way."""

    def __init__(self, model: ModelProvider, steps: Steps[T], *, streamed: bool = False) -> None:
        self._model = model
        self._steps = steps
        self._streamed = streamed

    def result(self) -> T:
        """Go to the end without telling anybody."""
        events = self.events()
        while True:
            try:
                next(events)
            except StopIteration as end:
                return end.value

    def events(self) -> Generator[AgentEvent, None, T]:
        advance: Callable[[], Effect] = partial(next, self._steps)
        while True:
            try:
                effect = advance()
            except StopIteration as end:
                return end.value
            try:
                value = yield from self._do(effect)
            except BaseException as error:  # noqa: BLE001 - the run decides what becomes of it
                advance = partial(self._steps.throw, error)
            else:
                advance = partial(self._steps.send, value)

    def _do(self, effect: Effect) -> _Events:
        match effect:
            case Ask():
                return (yield from self._ask(effect.request))
            case UseTools():
                return (yield from _use_tools(effect))
            case Save():
                return cast("RunStore", effect.store).save(effect.state)
            case Load():
                return cast("RunStore", effect.store).load(effect.run_id)
            case Tell():
                yield effect.event

    def _ask(self, request: ModelRequest) -> _Events:
        if not self._streamed:
            return self._model.complete(request)
        if isinstance(self._model, StreamingProvider):
            with closing(self._model.stream(request)) as parts:
                for part in parts:
                    if isinstance(part, ModelResponse):
                        return part
                    yield TextEvent(part)
            raise RuntimeError("the provider's stream ended without an answer")
        answer = self._model.complete(request)
        if text := content_text(answer.message.get("content")):
            yield TextEvent(text)
        return answer


def _use_tools(effect: UseTools) -> _Events:
    if effect.concurrency <= 1:
        for work in effect.works:
            if work.to_run:
                run_work(work)
            yield from _told(work)
        return
    to_run = [work for work in effect.works if work.to_run]
    for work in effect.works:
        yield from _told(work)
    with ThreadPoolExecutor(effect.concurrency) as threads:
        try:
            running = {threads.submit(contextvars.copy_context().run, run_work, work): work for work in to_run}
            for future in as_completed(running):
                future.result()
                yield from _told(running[future])
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)  # what runs is let end: a thread cannot be stopped
            raise


def _told(work: Work) -> _Events:
    if work.result is not None:
        yield ToolResultEvent(tool_result_of(work.result))


def run_work(work: Work) -> None:
    """Run one tool call."""
    try:
        value = work.begin()
        if inspect.iscoroutine(value):
            cast("Coroutine[Any, Any, Any]", value).close()
            raise TypeError("the tool is asynchronous, and needs an AsyncAgent")  # noqa: TRY301 - told to the model
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is told to the model
        work.fail(error)
    else:
        work.succeed(value)
