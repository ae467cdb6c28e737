"""Tools that touch nothing, and what is put around tools."""

import asyncio
import threading
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from vectors import vectors

from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.toolkit import (
    Permission,
    PermissionRequest,
    Toolkit,
    audit,
    calculator,
    date_time,
    default_tools,
    eval_expression,
    timeout,
)

CONTEXT = ToolExecutionContext(step=3, tool_call={}, messages=[])


def use(tool: AgentTool, **given: Any) -> Any:
    return tool.execute(given, CONTEXT)


@vectors("eval-expression")
def test_an_expression(case: dict[str, Any]) -> None:
    expect = case["expect"]
    if "error" in expect:
        with pytest.raises(ValueError) as caught:
            eval_expression(case["input"])
        assert expect["error"] in str(caught.value)
    else:
        assert eval_expression(case["input"]) == pytest.approx(expect["value"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("text", ["(" * 5000, "-" * 5000 + "1", "9" * 400, "1e5", "9" * 300 + "*" + "9" * 300 + "%2"])
def test_a_hostile_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        eval_expression(text)


def test_the_calculator_gives_whole_numbers_where_they_are_exact() -> None:
    assert use(calculator(), expression="(2 + 3) * 4") == {"result": 20}
    assert use(calculator(), expression="1/4") == {"result": 0.25}
    for given in ({}, {"expression": 7}, {"expression": "x" * (1 << 20) + "x"}):
        with pytest.raises(ValueError, match=r"calculator: .*argument"):
            calculator().execute(given, CONTEXT)


def test_the_time_in_a_zone() -> None:
    told = use(date_time(), timezone="Asia/Tokyo")
    shown = datetime.strptime(told["datetime"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo("Asia/Tokyo"))
    assert abs(shown.timestamp() - told["unix"]) <= 1
    assert shown.utcoffset() == timedelta(hours=9)
    assert use(date_time())["timezone"] == "UTC"
    for name in ("Nowhere/Town", "../../etc/passwd", "/etc/localtime", "a\0b"):
        with pytest.raises(ValueError, match="invalid timezone"):
            use(date_time(), timezone=name)


def echo_tool(seen: list[Any]) -> AgentTool:
    def execute(given: Any, _: ToolExecutionContext) -> Any:
        seen.append(given)
        return given

    return AgentTool("echo", execute)


def raise_it(_: PermissionRequest) -> bool:
    raise OSError("nobody is there")


async def later(_: PermissionRequest) -> bool:
    return True


@pytest.mark.parametrize(
    ("permission", "problem"),
    [
        (Permission("deny"), 'tool "echo" denied by permission policy'),
        (Permission("ask"), 'tool "echo" requires approval but no permission handler is configured'),
        (Permission("ask", lambda _: False), 'tool "echo" rejected by permission handler'),
        (Permission("ask", lambda _: 1), 'tool "echo" rejected by permission handler'),  # type: ignore[arg-type]
        (Permission("ask", raise_it), 'tool "echo" permission check failed: nobody is there'),
    ],
)
def test_a_permission_refuses(permission: Permission, problem: str) -> None:
    seen: list[Any] = []
    (tool,) = Toolkit([echo_tool(seen)], permission=permission).tools()
    with pytest.raises(Exception, match=problem):
        use(tool, a=1)
    assert seen == []


def test_a_permission_is_asked_with_the_call() -> None:
    asked: list[PermissionRequest] = []

    def ask(request: PermissionRequest) -> bool:
        asked.append(request)
        return True

    (tool,) = Toolkit([echo_tool([])], permission=Permission("ask", ask)).tools()
    assert use(tool, a=1) == {"a": 1}
    assert asked == [PermissionRequest("echo", {"a": 1}, 3)]


def test_a_permission_can_be_awaited() -> None:
    seen: list[Any] = []
    (tool,) = Toolkit([echo_tool(seen)], permission=Permission("ask", later)).tools()
    assert asyncio.run(use(tool, a=1)) == {"a": 1}


def test_a_tool_that_takes_too_long_is_left() -> None:
    release = threading.Event()
    slow = AgentTool("slow", lambda _given, _context: release.wait(60))
    (tool,) = Toolkit([slow], middleware=[timeout(0.05)]).tools()
    with pytest.raises(Exception, match="timed out after 50ms"):
        use(tool)
    release.set()
    (quick,) = Toolkit([echo_tool([])], middleware=[timeout(60)]).tools()
    assert use(quick, a=1) == {"a": 1}


async def test_an_asynchronous_tool_that_takes_too_long_is_cancelled() -> None:
    ended: list[str] = []

    async def execute(_given: Any, _context: ToolExecutionContext) -> None:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    (tool,) = Toolkit([AgentTool("slow", execute)], middleware=[timeout(0.05)]).tools()
    with pytest.raises(Exception, match="timed out"):
        await use(tool)
    assert ended == ["cancelled"]


async def test_tools_that_are_awaited_are_held_and_told_of() -> None:
    told: list[tuple[str, str]] = []

    async def execute(given: Any, _context: ToolExecutionContext) -> Any:
        if given.get("bad"):
            raise KeyError("gone")
        return given

    kit = Toolkit(
        [AgentTool("later", execute), echo_tool([])],
        permission=Permission("ask", later),
        middleware=[audit(lambda name, _given, error: told.append((name, type(error).__name__))), timeout(60)],
    )
    awaited, in_a_thread = kit.tools()
    assert await use(awaited, a=1) == {"a": 1}
    assert await use(in_a_thread, a=2) == {"a": 2}
    with pytest.raises(KeyError):
        await use(awaited, bad=True)
    assert told == [("later", "NoneType"), ("echo", "NoneType"), ("later", "KeyError")]


def test_an_audit_hears_of_every_call() -> None:
    told: list[tuple[str, Any, str | None]] = []

    def log(name: str, given: Any, error: Exception | None) -> None:
        told.append((name, given, None if error is None else str(error)))

    def fail(_given: Any, _context: ToolExecutionContext) -> None:
        raise KeyError("gone")

    good, bad = Toolkit([echo_tool([]), AgentTool("bad", fail)], middleware=[audit(log)]).tools()
    use(good, a=1)
    with pytest.raises(KeyError):
        use(bad, b=2)
    assert told == [("echo", {"a": 1}, None), ("bad", {"b": 2}, "'gone'")]


def test_middleware_goes_from_the_outside_in() -> None:
    order: list[str] = []

    def named(mark: str) -> Any:
        def around(_name: str, next_: Any) -> Any:
            def execute(given: Any, context: ToolExecutionContext) -> Any:
                order.append(mark)
                return next_(given, context)

            return execute

        return around

    def ask(_: PermissionRequest) -> bool:
        order.append("asked")
        return True

    (tool,) = Toolkit(
        [echo_tool(order)], permission=Permission("ask", ask), middleware=[named("outer"), named("inner")]
    ).tools()
    use(tool)
    assert order == ["outer", "inner", "asked", {}]


def test_a_toolkit_keeps_its_order_and_the_last_of_a_name() -> None:
    again = AgentTool("calculator", lambda _given, _context: "again")
    kit = Toolkit(default_tools()).register(again)
    assert [tool.name for tool in kit.tools()] == ["calculator", "datetime"]
    assert use(kit.tools()[0]) == "again"
    before = time.time()
    assert use(kit.tools()[1])["unix"] >= int(before)
