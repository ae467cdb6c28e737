"""What is put around tools: a bound of time, a log."""

import asyncio
import contextvars
import functools
import inspect
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from joytoken_sdk.agent.tool import ToolExecuteFunc, ToolExecutionContext

Middleware: TypeAlias = Callable[[str, ToolExecuteFunc], ToolExecuteFunc]
"""Wraps what a tool of a name does. A coroutine function should be wrapped in one."""

AuditLog: TypeAlias = Callable[[str, Any, Exception | None], None]
"""Is told name and input of a call, and what it raised."""


class ToolTimedOut(Exception):
    """A tool call that took too long; the model is told."""

    def __init__(self, name: str, limit_s: float) -> None:
        super().__init__(f'tool "{name}" timed out after {limit_s * 1000:.0f}ms')


def timeout(limit_s: float) -> Middleware:
    """Return what ends a tool after so many seconds; 0 or less is no bound.

    An asynchronous tool is cancelled. Another one goes on in its thread, and what it returns then is dropped.
    """

    def around(name: str, next_: ToolExecuteFunc) -> ToolExecuteFunc:
        if limit_s <= 0:
            return next_
        if _is_async(next_):
            return functools.partial(_bounded_later, name, next_, limit_s)
        return functools.partial(_bounded_now, name, next_, limit_s)

    return around


def audit(log: AuditLog) -> Middleware:
    """Return what tells each call to a log, once it has ended. Tools that run at once tell it at once."""

    def around(name: str, next_: ToolExecuteFunc) -> ToolExecuteFunc:
        if _is_async(next_):
            return functools.partial(_told_later, name, next_, log)
        return functools.partial(_told_now, name, next_, log)

    return around


def _is_async(execute: ToolExecuteFunc) -> bool:
    return inspect.iscoroutinefunction(execute)


def _bounded_now(name: str, next_: ToolExecuteFunc, limit_s: float, given: Any, context: ToolExecutionContext) -> Any:
    outcomes: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcomes.put((next_(given, context), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where the tool was called
            outcomes.put((None, error))

    threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
    try:
        result, error = outcomes.get(timeout=limit_s)
    except queue.Empty:
        raise ToolTimedOut(name, limit_s) from None
    if error is not None:
        raise error
    return result


async def _bounded_later(
    name: str, next_: ToolExecuteFunc, limit_s: float, given: Any, context: ToolExecutionContext
) -> Any:
    bound = asyncio.timeout(limit_s)
    try:
        async with bound:
            return await next_(given, context)
    except TimeoutError:
        if bound.expired():
            raise ToolTimedOut(name, limit_s) from None
        raise


def _told_now(name: str, next_: ToolExecuteFunc, log: AuditLog, given: Any, context: ToolExecutionContext) -> Any:
    try:
        result = next_(given, context)
    except Exception as error:
        log(name, given, error)
        raise
    log(name, given, None)
    return result


async def _told_later(
    name: str, next_: ToolExecuteFunc, log: AuditLog, given: Any, context: ToolExecutionContext
) -> Any:
    try:
        result = await next_(given, context)
    except Exception as error:
        log(name, given, error)
        raise
    log(name, given, None)
    return result
