"""Tool calls as they travel: their arguments, their results, and their fragments in a stream."""

import json
from collections.abc import Iterable
from typing import Any

from joytoken_sdk.json_value import JsonObject, object_of

_MERGE_DEPTH_MAX = 64  # of a provider's own data; below that the later value counts


def parse_tool_arguments(value: str) -> Any:
    """Return the input of a call: the JSON of its arguments, `{}` of none, `{"raw": value}` of what is not JSON."""
    if value == "":
        return {}
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {"raw": value}


def stringify_tool_result(value: object) -> str:
    """Return a tool's result as the content of a message: a text as it is, everything else as JSON.

    Models of pydantic are dumped. Raises TypeError or ValueError of what JSON does not have.
    """
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain, allow_nan=False)


def to_chat_tool(name: str, description: str | None, parameters: JsonObject | None) -> JsonObject:
    """Return a tool as chat completions declare it."""
    function: JsonObject = {"name": name}
    if description is not None:
        function["description"] = description
    function["parameters"] = parameters if parameters is not None else {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


class ToolCallAssembly:
    """Puts the tool calls of a stream together from their fragments, by `index`."""

    def __init__(self) -> None:
        self._calls: dict[int, JsonObject] = {}

    def add(self, fragments: Iterable[object]) -> None:
        for position, fragment in enumerate(fragments):
            piece = object_of(fragment)
            if piece is None:
                continue
            index = piece.get("index")
            at = index if isinstance(index, int) else position
            call = self._calls.setdefault(at, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
            _merge(call, piece)

    def calls(self) -> list[JsonObject]:
        """Return the calls so far, in the order of their index."""
        return [call for _, call in sorted(self._calls.items())]


def _merge(call: JsonObject, fragment: JsonObject) -> None:
    for name, value in fragment.items():
        if name in {"index", "type"}:
            continue
        if name == "function":
            part = object_of(value) or {}
            call["function"]["name"] += part.get("name") or ""
            call["function"]["arguments"] += part.get("arguments") or ""
        elif name == "extra_content":
            if (more := object_of(value)) is not None:
                call[name] = _merged_deeply(call.get(name), more)
        elif value or name not in {"id", "thought_signature"}:
            call[name] = value


def _merged_deeply(into: object, more: JsonObject, depth: int = 0) -> JsonObject:
    """Merge objects; everything else is replaced."""
    before = object_of(into)
    if before is None or depth > _MERGE_DEPTH_MAX:
        return more
    merged = dict(before)
    for name, value in more.items():
        inner = object_of(value)
        merged[name] = value if inner is None else _merged_deeply(merged.get(name), inner, depth + 1)
    return merged


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _plain(value: object) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"a {type(value).__name__} is not JSON")
    return dump(mode="json")
