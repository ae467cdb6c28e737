"""Judges of answers: JSON schemas by name, from an OpenAPI file or from the short list of our own.

    judge.named("CreateChatCompletionResponse", answer)  # [] where there are none

A judge is a jsonschema validator over the file's own `components`; only OpenAPI 3.0's `nullable`, which OpenAI still
uses in a 3.1 file, is put into JSON Schema's words first.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]


def without_nullable(schema: Any) -> Any:
    """The same schema with `nullable: true` as a type or an alternative of its own."""
    if isinstance(schema, list):
        return [without_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # `nullable` may be a property's name as well; only the keyword has a boolean.
    made = {name: without_nullable(value) for name, value in schema.items() if not _is_keyword(name, value)}
    if schema.get("nullable") is True:
        return {"anyOf": [made, {"type": "null"}]}
    return made


def _is_keyword(name: str, value: Any) -> bool:
    return name == "nullable" and isinstance(value, bool)


class Judge:
    """The schemas of one document, by their names in its `components`."""

    def __init__(self, name: str, components: dict[str, Any]) -> None:
        self.name = name
        self._components = components

    def named(self, name: str, value: Any) -> list[str]:
        """What a value lacks or has wrong by the schema of this name."""
        return self.complaints({"$ref": f"#/components/schemas/{name}"}, value)

    def complaints(self, schema: dict[str, Any], value: Any) -> list[str]:
        """The same by any schema, which may refer to those of the document."""
        validator = Draft202012Validator({**schema, "components": self._components})
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


# What every answer must have, in short: a clone without OpenAI's file tests this much.
_TEXT = {"type": ["string", "null"]}
_USAGE = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "additionalProperties": {"not": {"type": "null"}},
}
_FINISH = ["stop", "length", "tool_calls", "content_filter", "function_call"]
_CALLS = {"type": "array", "items": {"type": "object", "required": ["id", "type", "function"]}}
_OWN = {
    "CreateChatCompletionResponse": {
        "type": "object",
        "required": ["id", "object", "created", "model", "choices"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "object": {"const": "chat.completion"},
            "created": {"type": "integer", "minimum": 1},
            "model": {"type": "string", "minLength": 1},
            "usage": _USAGE,
            "choices": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "finish_reason", "logprobs", "message"],
                    "properties": {
                        "index": {"type": "integer"},
                        "finish_reason": {"enum": _FINISH},
                        "message": {
                            "type": "object",
                            "required": ["role", "content", "refusal"],
                            "properties": {
                                "role": {"const": "assistant"},
                                "content": _TEXT,
                                "refusal": _TEXT,
                                "tool_calls": _CALLS,
                                "function_call": {"type": "object"},
                                "annotations": {"type": "array"},
                            },
                        },
                    },
                },
            },
        },
    },
    "CreateChatCompletionStreamResponse": {
        "type": "object",
        "required": ["id", "object", "created", "model", "choices"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "object": {"const": "chat.completion.chunk"},
            "created": {"type": "integer", "minimum": 1},
            "model": {"type": "string", "minLength": 1},
            "usage": {"anyOf": [_USAGE, {"type": "null"}]},
            "choices": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "delta", "finish_reason"],
                    "properties": {
                        "index": {"type": "integer"},
                        "finish_reason": {"enum": [*_FINISH, None]},
                        "delta": {
                            "type": "object",
                            "properties": {
                                "content": _TEXT,
                                "refusal": _TEXT,
                                "tool_calls": {"type": "array", "items": {"required": ["index"]}},
                                "function_call": {"type": "object"},
                            },
                        },
                    },
                },
            },
        },
    },
    "ListModelsResponse": {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        },
    },
    "Model": {
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {"object": {"const": "model"}, "created": {"type": "integer"}},
    },
    "ErrorResponse": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "object", "required": ["type", "message", "param", "code"]}},
    },
}


def _openai_files() -> Iterator[Path]:
    """OpenAI's own file, where a folder beside the clone or the environment has one."""
    folder = Path(os.environ.get("JOY_TOKEN_SHARED") or ROOT.parent / "shared")
    yield from sorted(folder.glob("spec/openai-*.json"))


def openai_judges() -> list[Judge]:
    """Our own short list, and each file of OpenAI's that is there."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8"))["components"] for path in _openai_files()}
    judges = [Judge(name, without_nullable(components)) for name, components in found.items()]
    return [Judge("required", {"schemas": _OWN}), *judges]


def own_document() -> dict[str, Any]:
    """The gateway's own OpenAPI file."""
    made: dict[str, Any] = yaml.safe_load((ROOT / "spec" / "openapi.yaml").read_text(encoding="utf-8"))
    return made
