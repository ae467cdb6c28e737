"""Tools that touch nothing: arithmetic and the time."""

import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.json_value import JsonObject
from joytoken_sdk.toolkit.argument import object_schema, text_argument
from joytoken_sdk.toolkit.expression import eval_expression

_EXACT_MAX = 2**53


def calculator() -> AgentTool:
    """Return a tool that works out an arithmetic expression."""
    return AgentTool(
        name="calculator",
        description="Work out an arithmetic expression with + - * / %, parentheses and decimal numbers.",
        parameters=object_schema({"expression": "The expression, such as (2 + 3) * 4."}, ["expression"]),
        execute=_calculate,
    )


def date_time() -> AgentTool:
    """Return a tool that tells the time in a time zone."""
    return AgentTool(
        name="datetime",
        description="Tell the current date and time in a time zone.",
        parameters=object_schema({"timezone": "An IANA name such as Europe/Berlin; UTC where it is left out."}),
        execute=_tell_time,
    )


def _calculate(given: Any, _: ToolExecutionContext) -> JsonObject:
    try:
        value = eval_expression(text_argument(given, "expression"))
    except ValueError as error:
        raise ValueError(f"calculator: {error}") from None
    return {"result": int(value) if value.is_integer() and abs(value) <= _EXACT_MAX else value}


def _tell_time(given: Any, _: ToolExecutionContext) -> JsonObject:
    name = text_argument(given, "timezone", "") or "UTC"
    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(f'datetime: invalid timezone "{name[:100]}"') from None
    now = time.time()
    shown = datetime.fromtimestamp(now, zone).strftime("%Y-%m-%d %H:%M:%S")
    return {"datetime": shown, "timezone": name, "unix": int(now)}
