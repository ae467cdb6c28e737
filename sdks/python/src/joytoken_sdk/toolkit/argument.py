"""What the tools of the toolkit take: objects of texts."""

from collections.abc import Mapping, Sequence

from joytoken_sdk.json_value import JsonObject, object_of

ARGUMENT_BYTES_MAX = 1 << 20
"""The longest argument that a tool takes, in bytes."""


def object_schema(texts: Mapping[str, str], required: Sequence[str] = ()) -> JsonObject:
    """Return the JSON Schema of an object of texts, by their descriptions."""
    properties = {name: {"type": "string", "description": description} for name, description in texts.items()}
    schema: JsonObject = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return schema


def text_argument(given: object, name: str, default: str | None = None) -> str:
    """Return a text of a tool's input.

    Raises ValueError where it is missing without a default, no text, or too long.
    """
    value = (object_of(given) or {}).get(name)
    if value is None:
        if default is None:
            raise ValueError(f'missing required argument "{name}"')
        return default
    if not isinstance(value, str):
        raise ValueError(f'argument "{name}" must be a string')  # noqa: TRY004 - a value that a model gave
    if len(value.encode("utf-8", "replace")) > ARGUMENT_BYTES_MAX:
        raise ValueError(f'argument "{name}" has more than {ARGUMENT_BYTES_MAX} bytes')
    return value
