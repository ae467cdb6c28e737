"""Whether tools may run."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from joytoken_sdk.agent.tool import ToolExecuteFunc, ToolExecutionContext

PermissionMode: TypeAlias = Literal["auto", "ask", "deny"]
"""`auto` lets tools run, `ask` asks before each call, `deny` lets none run."""


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """What somebody is asked: may this call be run? `step` is the number of the model's answer, from 1."""

    tool_name: str
    input: Any
    step: int


PermissionFunc: TypeAlias = Callable[[PermissionRequest], bool | Awaitable[bool]]
"""Decides on a call; what it raises refuses. With an `AsyncAgent` and asynchronous tools it may be awaited."""


class ToolRefused(Exception):
    """A tool call that was not allowed; the model is told why."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A mode, and who is asked in the mode `ask`."""

    mode: PermissionMode = "auto"
    ask: PermissionFunc | None = None

    def around(self, name: str, next_: ToolExecuteFunc) -> ToolExecuteFunc:
        """Return a tool's function, held to this permission."""
        if self.mode == "auto":
            return next_
        if inspect.iscoroutinefunction(next_) or inspect.iscoroutinefunction(self.ask):
            return functools.partial(self._later, name, next_)
        return functools.partial(self._now, name, next_)

    def _now(self, name: str, next_: ToolExecuteFunc, given: Any, context: ToolExecutionContext) -> Any:
        ask = self._asked(name)
        try:
            allowed = ask(PermissionRequest(name, given, context.step))
        except Exception as error:
            raise ToolRefused(f'tool "{name}" permission check failed: {error}') from error
        _refuse_unless(allowed, name)
        return next_(given, context)

    async def _later(self, name: str, next_: ToolExecuteFunc, given: Any, context: ToolExecutionContext) -> Any:
        ask = self._asked(name)
        try:
            allowed = ask(PermissionRequest(name, given, context.step))
            allowed = await allowed if inspect.isawaitable(allowed) else allowed
        except Exception as error:
            raise ToolRefused(f'tool "{name}" permission check failed: {error}') from error
        _refuse_unless(allowed, name)
        if inspect.iscoroutinefunction(next_):
            return await next_(given, context)
        return await asyncio.to_thread(next_, given, context)

    def _asked(self, name: str) -> PermissionFunc:
        if self.mode != "ask":
            raise ToolRefused(f'tool "{name}" denied by permission policy')
        if self.ask is None:
            raise ToolRefused(f'tool "{name}" requires approval but no permission handler is configured')
        return self.ask


ASKING = Permission("ask")
"""Nobody can be asked: each call is refused."""


def _refuse_unless(allowed: object, name: str) -> None:
    """Let only a plain True through: an answer that was not awaited is none."""
    if allowed is not True:
        raise ToolRefused(f'tool "{name}" rejected by permission handler')
