"""A model's message as it is kept and sent again."""

from typing import Any

from joytoken_sdk.errors import JoyTokenError
from joytoken_sdk.json_value import JsonObject, object_of, objects_of, text_of
from joytoken_sdk.tool_calls import stringify_tool_result


def message_of(message: Any) -> JsonObject:
    """Return an answer's message with whole tool calls, everything else as it came.

    What a call lacks is empty, arguments that are no text become one, and what is no call at all is left out. Raises
    JoyTokenError where there is no message.
    """
    given = object_of(message)
    if given is None:
        raise JoyTokenError("the model provider gave no message")
    if not isinstance(given.get("tool_calls"), list):
        return given
    return {**given, "tool_calls": [_call_of(call) for call in objects_of(given["tool_calls"])]}


def _call_of(call: JsonObject) -> JsonObject:
    called = object_of(call.get("function")) or {}
    given = called.get("arguments")
    function = {
        **called,
        "name": text_of(called.get("name")) or "",
        "arguments": "" if given is None else stringify_tool_result(given),
    }
    return {"type": "function", **call, "id": text_of(call.get("id")) or "", "function": function}
