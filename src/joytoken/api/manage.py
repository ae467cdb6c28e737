"""`/api/v1/manage/…`: the management API, made from the table of operations."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from joytoken.admin.desk import Desk
from joytoken.admin.operation import IDEMPOTENCY_FIELD, IDEMPOTENCY_HEADER, Operation
from joytoken.admin.operations import OPERATIONS
from joytoken.api.answer import answer
from joytoken.domain.errors import InvalidKey, InvalidRequest, MissingKey, Unavailable
from joytoken.domain.ids import ADMIN_PREFIX, secret_digest, secret_hint, well_formed
from joytoken.store.engine import StoreUnavailable

ROOT = "/api/v1/manage"
BODY_BYTES_MAX = 1024 * 1024
# A name with slashes, such as openai/gpt-4o-mini, may stand in the path as it is; and so may a run's id.
_PATHS = {"/models/{name}": "/models/{name:path}", "/runs/{id}": "/runs/{id:path}"}


def manage_routes(desk: Desk) -> list[BaseRoute]:
    """One route for each operation, in the table's order. They raise GatewayError, which the application answers."""
    return [_route(desk, operation) for operation in OPERATIONS]


def admins_only(desk: Desk) -> Callable[[Request], Awaitable[str]]:
    """What raises for whoever comes without an admin key, and gives the actor's name."""

    async def permit(request: Request) -> str:
        return await asyncio.to_thread(_actor, desk, _credential(request))

    return permit


def _route(desk: Desk, operation: Operation[Any, Any]) -> Route:
    async def endpoint(request: Request) -> Response:
        # The credential first: a stranger learns nothing of what is wrong with a request.
        actor = await asyncio.to_thread(_actor, desk, _credential(request))
        wanted = _decoded(operation, request, await _body(request) if operation.has_body else b"")
        try:
            result = await asyncio.to_thread(operation.run, desk.acting(actor), wanted)
        except StoreUnavailable as error:
            raise Unavailable("the database cannot be used now", "store_unavailable", retry_after_s=1) from error
        return answer(result, operation.status)

    path = ROOT + _PATHS.get(operation.path, operation.path)
    return Route(path, endpoint, methods=[operation.method], name=operation.name)


def _credential(request: Request) -> str:
    given = request.headers.getlist("x-api-key") or [
        value[7:].strip() for value in request.headers.getlist("authorization") if value[:7].lower() == "bearer "
    ]
    if len(given) > 1:
        raise InvalidRequest("more than one credential came with the request", "conflicting_credentials")
    if not given or not given[0]:
        raise MissingKey("management needs an admin key: Authorization: Bearer jt_admin_…")
    return given[0]


def _actor(desk: Desk, credential: str) -> str:
    """Who acts, as the audit log names them. Raises InvalidKey, Unavailable."""
    refused = InvalidKey("this is not an admin key of this gateway")
    if not well_formed(credential, ADMIN_PREFIX):
        raise refused
    digest = secret_digest(credential.encode(), desk.vault.pepper)
    try:
        known: Iterable[bytes] = desk.store.keys.admins()
    except StoreUnavailable as error:
        raise Unavailable("the database cannot be used now", "store_unavailable", retry_after_s=1) from error
    # Every one is compared, each in constant time.
    matches = [hmac.compare_digest(digest, other) for other in known]
    if not any(matches):
        raise refused
    return f"admin {secret_hint(credential)}"


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise InvalidRequest(f"the body is larger than {BODY_BYTES_MAX} bytes", "body_too_large")
        parts.append(part)
    return b"".join(parts)


def _decoded(operation: Operation[Any, Any], request: Request, body: bytes) -> msgspec.Struct:
    """The request of an operation from body or query, path and header. Raises InvalidRequest."""
    fields = _body_fields(operation, body) if operation.has_body else _query_fields(operation, request)
    fields.update(request.path_params)
    if operation.idempotent:
        keys = request.headers.getlist(IDEMPOTENCY_HEADER)
        if len(keys) != 1:
            message = f"the header {IDEMPOTENCY_HEADER} is mandatory here, once: it makes a repetition harmless"
            raise InvalidRequest(message, "idempotency_key_missing", param=IDEMPOTENCY_HEADER)
        fields[IDEMPOTENCY_FIELD] = keys[0]
    try:
        wanted: msgspec.Struct = msgspec.convert(fields, operation.request, strict=operation.has_body)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), param=_param(str(error))) from None
    return wanted


def _body_fields(operation: Operation[Any, Any], body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("the body is not JSON", "invalid_json") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("the body is not a JSON object", "invalid_json")
    elsewhere = [name for name in fields if name in {*operation.path_fields, IDEMPOTENCY_FIELD}]
    if elsewhere:
        message = f"{elsewhere[0]} does not stand in the body, but in the path or a header"
        raise InvalidRequest(message, param=elsewhere[0])
    return fields


def _query_fields(operation: Operation[Any, Any], request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    types = {info.name: info.type for info in msgspec.inspect.type_info(operation.request).fields}  # type: ignore[attr-defined]
    for name in request.query_params:
        if name not in operation.body_fields:
            raise InvalidRequest(f"there is no parameter {name[:100]!r} here", "unknown_parameter", param=name[:100])
        values = request.query_params.getlist(name)
        many = isinstance(types[name], msgspec.inspect.ListType)
        if len(values) > 1 and not many:
            raise InvalidRequest(f"the parameter {name} stands here more than once", param=name)
        fields[name] = values if many else values[0]
    return fields


def _param(message: str) -> str | None:
    """The field that a message of the decoder names: ``… - at `$.rpm` ``, or an unknown one."""
    if "unknown field `" in message:
        return message.partition("unknown field `")[2].partition("`")[0]
    if "missing required field `" in message:
        return message.partition("missing required field `")[2].partition("`")[0]
    return message.rpartition("`$.")[2].partition("`")[0] if "`$." in message else None
