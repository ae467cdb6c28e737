"""What the OpenAPI description says of the endpoints that callers use: model calls, catalog, receipts, health."""

from typing import Any

from joytoken.admin.own_key import OwnKey
from joytoken.admin.receipts import Receipt
from joytoken.admin.runs import RunTree

_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}
_OBJECT: dict[str, Any] = {"type": "object"}
_ERROR = {"$ref": "#/components/responses/Error"}
_METADATA = {"$ref": "#/components/schemas/ResponseMetadata"}

# Types that are described by what they are.
PUBLIC_TYPES: tuple[type, ...] = (Receipt, OwnKey, RunTree)

PUBLIC_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "code", "param", "request_id"],
                "properties": {
                    "message": _STRING,
                    "type": {"type": "string", "examples": ["insufficient_quota"]},
                    "code": {"type": "string", "examples": ["wallet_empty"]},
                    "param": {"type": ["string", "null"]},
                    "request_id": _STRING,
                },
            }
        },
    },
    "ChatRequest": {
        "type": "object",
        "description": "An OpenAI chat completion request. Fields that are not named here are passed on untouched.",
        "required": ["messages"],
        "additionalProperties": True,
        "properties": {
            "messages": {"type": "array", "minItems": 1, "items": _OBJECT},
            "model": {"type": "string", "description": "A model's name or alias, or `auto`."},
            "tier": {"enum": ["economy", "standard", "premium"]},
            "stream": {"type": "boolean", "default": False},
            "stream_options": {"type": ["object", "null"]},
            "max_tokens": {"type": ["integer", "null"], "minimum": 1},
            "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
            "temperature": {"type": ["number", "null"]},
            "top_p": {"type": ["number", "null"]},
            "tools": {"type": ["array", "null"], "items": _OBJECT},
            "user": {"type": "string", "description": "The end user, for attribution."},
            "metadata": {"type": ["object", "null"], "description": "Tags for attribution; values are strings."},
        },
    },
    "ResponseMetadata": {
        "type": "object",
        "description": "What the gateway says of an answer; on a stream in the last event before `[DONE]`.",
        "required": ["request_id", "billing_id", "model", "provider", "tier", "billing"],
        "properties": {
            "request_id": _STRING,
            "billing_id": _STRING,
            "model": _STRING,
            "provider": _STRING,
            "tier": _STRING,
            "tag": {"type": "array", "items": _STRING},
            "score": {"type": "number"},
            "latency": {
                "type": "object",
                "description": "Milliseconds.",
                "properties": {
                    name: {"type": "number"} for name in ("routing_ms", "first_token_ms", "stream_ms", "total_ms")
                },
            },
            "billing": {
                "type": "object",
                "properties": {
                    "credits_used": {"type": "string", "examples": ["0.001200"]},
                    "input_tokens": _INTEGER,
                    "output_tokens": _INTEGER,
                    "cached_input_tokens": {"type": ["integer", "null"]},
                    "cached_output_tokens": {"type": ["integer", "null"]},
                    "reasoning_tokens": {"type": ["integer", "null"]},
                    "usd_cost": {"type": ["string", "null"]},
                    "ending": _STRING,
                    "usage_source": {"enum": ["reported", "estimated", "recovered", "none"]},
                },
            },
        },
    },
    "ChatCompletion": {
        "type": "object",
        "description": "An OpenAI chat completion with the gateway's `metadata`.",
        "additionalProperties": True,
        "required": ["id", "object", "created", "model", "choices", "usage", "metadata"],
        "properties": {
            "id": _STRING,
            "object": {"const": "chat.completion"},
            "created": _INTEGER,
            "model": _STRING,
            "choices": {"type": "array", "items": _OBJECT},
            "usage": _OBJECT,
            "metadata": _METADATA,
        },
    },
    "Envelope": {
        "type": "object",
        "required": ["code", "message", "data"],
        "properties": {"code": {"const": 0}, "message": {"const": "success"}, "data": _OBJECT},
    },
    "ModelObject": {
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {"id": _STRING, "object": {"const": "model"}, "created": _INTEGER, "owned_by": _STRING},
    },
}


def _reply(description: str, schema: str, **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}, **more}
    return {"200": {"description": description, "content": content}, "default": _ERROR}


def _query(name: str, description: str, *, many: bool = False) -> dict[str, Any]:
    schema = {"type": "array", "items": _STRING} if many else _STRING
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _STRING}


def _get(name: str, tag: str, summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"get": {"operationId": name, "tags": [tag], "summary": summary, **more, "responses": responses}}


_FILTERS = [
    _query("tier", "Only of this tier."),
    _query("provider", "Only of this vendor."),
    _query("feature_tag", "Only with this feature."),
    _query("pack", "Only with this SKU tag or scenario."),
    _query("industry_packs", "Only with one of these scenarios.", many=True),
    _query("locale", "`en` or `zh`."),
]
_HEADERS = [
    {"name": name, "in": "header", "required": False, "schema": _STRING, "description": description}
    for name, description in (
        ("X-Request-ID", "A correlation id: 1 to 128 visible ASCII characters. It is echoed."),
        ("Idempotency-Key", "A repetition with the same key and body gets the first answer, and is charged once."),
        ("X-JoyToken-Run-Id", "The run of an agent that this request belongs to."),
        ("X-JoyToken-Parent-Run-Id", "The run that began this one."),
        ("X-JoyToken-Run-Budget", "Credits that the run may spend, with its first request."),
        ("X-JoyToken-Workflow", "What the run is a run of, with its first request."),
        ("X-JoyToken-Step", "Which step of the run this is."),
        ("X-JoyToken-On-Disconnect", "`stop` ends such a request when its caller hangs up; `finish` is the default."),
    )
]

PUBLIC_PATHS: dict[str, dict[str, Any]] = {
    "/openai/v1/chat/completions": {
        "post": {
            "operationId": "chat.completions",
            "tags": ["models"],
            "summary": "A chat completion, as JSON or as a stream of server-sent events",
            "parameters": _HEADERS,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}},
            },
            "responses": _reply("The answer.", "ChatCompletion", **{"text/event-stream": {"schema": _STRING}}),
        }
    },
    "/openai/v1/models": _get(
        "models.index",
        "models",
        "Models that the key may call",
        {
            "200": {
                "description": "The list.",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["object", "data"],
                            "properties": {
                                "object": {"const": "list"},
                                "data": {"type": "array", "items": {"$ref": "#/components/schemas/ModelObject"}},
                            },
                        }
                    }
                },
            },
            "default": _ERROR,
        },
    ),
    "/openai/v1/models/{model}": _get(
        "models.one", "models", "One model", _reply("The model.", "ModelObject"), parameters=[_path("model")]
    ),
    "/api/v1/models": _get(
        "catalog.models",
        "catalog",
        "The public catalog",
        _reply("The models.", "Envelope"),
        parameters=_FILTERS,
        security=[{}],
    ),
    "/api/v1/models/meta": _get("catalog.meta", "catalog", "What can be filtered by", _reply("Labels.", "Envelope")),
    "/api/v1/pricing": _get("catalog.pricing", "catalog", "What a credit costs", _reply("Prices.", "Envelope")),
    "/api/v1/key": _get(
        "key", "keys", "The calling key: its policy, and what is left for it", _reply("The key.", "OwnKey")
    ),
    "/api/v1/runs/{run_id}": _get(
        "run",
        "runs",
        "A run of the key's owner, with the runs below it and their requests, 1,000 each at most",
        _reply("The run.", "RunTree"),
        parameters=[_path("run_id")],
    ),
    "/api/v1/requests/{request_id}": _get(
        "receipt",
        "requests",
        "The receipt of a request, for the key that paid; without what the provider costs",
        {
            "200": {"description": "The receipt.", "content": {"application/json": {"schema": _OBJECT}}},
            "default": _ERROR,
        },
        parameters=[_path("request_id")],
    ),
    "/health": _get(
        "health",
        "health",
        "Whether the process lives",
        {"200": {"description": "It does.", "content": {"application/json": {"schema": _OBJECT}}}},
        security=[{}],
    ),
    "/ready": _get(
        "ready",
        "health",
        "Whether it can serve",
        {
            "200": {"description": "It can.", "content": {"application/json": {"schema": _OBJECT}}},
            "503": {"description": "It cannot now.", "content": {"application/json": {"schema": _OBJECT}}},
        },
        security=[{}],
    ),
    "/metrics": _get(
        "metrics",
        "health",
        "A worker's figures, for Prometheus; with an admin key, unless `server.metrics_public` is set",
        {
            "200": {
                "description": "The figures, in the text format 0.0.4.",
                "content": {"text/plain": {"schema": _STRING}},
            },
            "default": _ERROR,
        },
    ),
}
