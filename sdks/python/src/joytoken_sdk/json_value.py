"""JSON as Python has it, and reading what others sent without trusting it."""

import json
from typing import Any, TypeAlias, cast

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object."""


def object_of(value: object) -> JsonObject | None:
    """Return the value where it is a JSON object."""
    return cast("JsonObject", value) if isinstance(value, dict) else None


def objects_of(value: object) -> list[JsonObject]:
    """Return the objects of a list; nothing of what is no list."""
    if not isinstance(value, list):
        return []
    return [item for item in map(object_of, cast("list[object]", value)) if item is not None]


def text_of(value: object) -> str | None:
    """Return the value where it is a text that is not empty."""
    return value if isinstance(value, str) and value else None


def number_of(value: object) -> float | None:
    """Return the value where it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def compact(value: object) -> str:
    """Return the JSON of a value, without spaces and with its characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
