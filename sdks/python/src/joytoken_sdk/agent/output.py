"""A final answer as a value: how a model is asked for it, and how it is read."""

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from joytoken_sdk.agent.schema_check import misfit_of
from joytoken_sdk.errors import InvalidCall, JoyTokenError
from joytoken_sdk.json_value import JsonObject, object_of

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_FENCED = re.compile(r"```[^\n]*\n(.*)```\Z", re.DOTALL)
_PROBLEMS_MAX = 5


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A final answer that is JSON of a schema; the name is 1 to 64 letters, digits, `_` and `-`."""

    name: str
    schema: JsonObject


Output: TypeAlias = type[BaseModel] | OutputFormat
"""What a final answer should be: a model of pydantic, or JSON of a schema."""


class AgentOutputError(JoyTokenError):
    """A final answer that is not of the shape that was asked for, also after the model was asked again."""

    text: str
    """The answer."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"the final answer does not fit: {problem}")
        self.text = text


def response_format_of(output: Output | None) -> JsonObject | None:
    """Return how a model is asked for it. Raises InvalidCall where it cannot be asked for."""
    if output is None:
        return None
    if isinstance(output, OutputFormat):
        name, schema = output.name, output.schema
    else:
        name, schema = output.__name__, strict_schema(output)
    if not _NAME.match(name):
        raise InvalidCall("the name of an output must be 1 to 64 letters, digits, _ and -")
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}


def read_output(output: Output | None, text: str) -> tuple[Any, str | None]:
    """Return the value of an answer, and what is wrong with it. Without a format every text is right, and no value."""
    if output is None:
        return None, None
    plain = _without_fence(text)
    if not isinstance(output, OutputFormat):
        try:
            return output.model_validate_json(plain), None
        except ValidationError as error:
            return None, validation_problem(error)
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError) as error:
        return None, f"it is no JSON: {error}"
    return value, misfit_of(output.schema, value)


def repair_text(problem: str) -> str:
    """Return what is said to a model whose answer does not fit."""
    return f"Your answer does not fit the schema: {problem}. Answer again with nothing but JSON that fits it."


def validation_problem(error: ValidationError) -> str:
    """Return what pydantic found, without what it was given."""
    problems = [
        f"at {'.'.join(map(str, one['loc']))}: {one['msg']}" if one["loc"] else one["msg"]
        for one in error.errors(include_url=False, include_context=False, include_input=False)[:_PROBLEMS_MAX]
    ]
    return "; ".join(problems)


def strict_schema(model: type[BaseModel]) -> JsonObject:
    """Return a model's JSON Schema as strict providers want it: each object closed, each property required."""
    return _closed(model.model_json_schema())


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    rules = object_of(schema)
    if rules is None:
        return schema
    closed = {name: _closed(value) for name, value in rules.items()}
    properties = object_of(rules.get("properties"))
    if rules.get("type") == "object" and properties is not None:
        closed |= {"additionalProperties": False, "required": list(properties)}
    return closed


def _without_fence(text: str) -> str:
    """Return a text without the Markdown fence that some models put around JSON."""
    fenced = _FENCED.match(text.strip())
    return fenced[1] if fenced else text
