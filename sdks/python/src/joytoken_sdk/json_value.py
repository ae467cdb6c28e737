"""JSON as Python has it, and reading what others sent without trusting it."""

import json
import re
from typing import Any, TypeAlias, TypeVar, cast

_HALF = re.compile("[\ud800-\udfff]")
T = TypeVar("T")

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


def well_formed(value: T) -> T:
    """Return a JSON value, with U+FFFD for each half of a character: UTF-8 has none, and no request could carry it."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(_HALF.sub("\ufffd", text)) if _HALF.search(text) else value


def compact(value: object) -> str:
    """Return the JSON of a value, without spaces and with its characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
