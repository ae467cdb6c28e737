"""The OpenAPI description of everything that is served, derived from the types that serve it: `spec/openapi.yaml`."""

import json
import re
from typing import Any

import msgspec

import joytoken
from joytoken.admin.operation import IDEMPOTENCY_FIELD, IDEMPOTENCY_HEADER, Operation
from joytoken.admin.operations import OPERATIONS
from joytoken.api.manage import ROOT
from joytoken.api.openapi_public import PUBLIC_PATHS, PUBLIC_SCHEMAS, PUBLIC_TYPES

_SCHEMAS = "#/components/schemas/"
_PLAIN = re.compile(r"[A-Za-z_/$][A-Za-z0-9_/${}.-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_ABOUT = """\
A self-hosted, OpenAI-compatible model gateway. Model calls and the catalog take a key (`jt_live_…`), management takes \
an admin key (`jt_admin_…`), both as a bearer token or in `X-API-Key`. Amounts of money are decimal strings, times are \
ISO 8601 in UTC, tokens are integers."""


def document() -> dict[str, Any]:
    """The whole description as OpenAPI 3.1."""
    types: list[type] = list(PUBLIC_TYPES)
    for operation in OPERATIONS:
        types += [operation.request, operation.response]
    _, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS + "{name}")
    paths: dict[str, Any] = {path: dict(item) for path, item in PUBLIC_PATHS.items()}
    for operation in OPERATIONS:
        paths.setdefault(ROOT + operation.path, {})[operation.method.lower()] = _described(operation, components)
    for operation in OPERATIONS:
        components.pop(operation.request.__name__, None)  # what is left of it stands in the operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "JoyToken",
            "version": joytoken.__version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:7410"}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "responses": {
                "Error": {
                    "description": "A refusal or a failure; `type` and `code` are stable words.",
                    "content": {"application/json": {"schema": {"$ref": _SCHEMAS + "Error"}}},
                }
            },
            "schemas": dict(sorted({**PUBLIC_SCHEMAS, **components}.items())),
        },
    }


def to_yaml(value: Any) -> str:
    """JSON-like data as YAML, in the order in which it stands."""
    return "\n".join(_lines(value, 0)) + "\n"


def _described(operation: Operation[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    schema = components[operation.request.__name__]
    properties: dict[str, Any] = schema.get("properties", {})
    required = schema.get("required", [])
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.name.partition(".")[0]],
        "summary": operation.summary,
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in operation.path_fields
    ]
    if operation.idempotent:
        parameters.append(
            {
                "name": IDEMPOTENCY_HEADER,
                "in": "header",
                "required": True,
                "schema": properties[IDEMPOTENCY_FIELD],
                "description": "The same key with the same change is done once.",
            }
        )
    if not operation.has_body:
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": properties[name]}
            for name in operation.body_fields
        ]
    if parameters:
        described["parameters"] = parameters
    if operation.has_body and operation.body_fields:
        body = {name: item for name, item in schema.items() if name not in {"properties", "required", "title"}}
        body["properties"] = {name: properties[name] for name in operation.body_fields}
        if needed := [name for name in required if name in operation.body_fields]:
            body["required"] = needed
        described["requestBody"] = {"required": bool(needed), "content": {"application/json": {"schema": body}}}
    answered = {"application/json": {"schema": {"$ref": _SCHEMAS + operation.response.__name__}}}
    described["responses"] = {
        str(operation.status): {"description": "Done.", "content": answered},
        "default": {"$ref": "#/components/responses/Error"},
    }
    return described


def _lines(value: Any, depth: int) -> list[str]:
    indent = "  " * depth
    if isinstance(value, dict):
        entries = [(f"{indent}{_scalar(str(key))}:", item) for key, item in value.items()]
    else:
        entries = [(f"{indent}-", item) for item in value]
    lines: list[str] = []
    for head, item in entries:
        if isinstance(item, dict | list) and item:
            lines.append(head)
            lines += _lines(item, depth + 1)
        else:
            lines.append(f"{head} {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS and "$" not in value[:1]:
        return value
    # JSON's spelling of everything else, an empty list or object too, is YAML's as well.
    return json.dumps(value, ensure_ascii=False)
