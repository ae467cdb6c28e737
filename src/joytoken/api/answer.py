"""Answers of the ASGI application: JSON bodies, errors in the contract's shape, and the headers of every answer."""

import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from joytoken.domain.errors import GatewayError, InternalError
from joytoken.domain.ids import request_id
from joytoken.gateway.relay import error_object

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_OWN_HEADERS = frozenset((b"x-request-id", b"x-daoe-request-id", b"x-content-type-options"))


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer whose body is this content as JSON; bytes are sent as they are."""
    body = content if isinstance(content, bytes) else _encode(content)
    return Response(body, status, headers, media_type="application/json")


def envelope(data: Any) -> dict[str, Any]:
    """The catalog's wrapping of a success."""
    return {"code": 0, "message": "success", "data": data}


def refusal(error: GatewayError, scope: Scope) -> Response:
    """An error as an answer."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return answer({"error": error_object(error, id_of(scope))}, error.http_status, headers)


def id_of(scope: Scope) -> str:
    """The gateway's own id of a request that passed through `Envelope`."""
    found: str = scope["state"]["request_id"]
    return found


class Envelope:
    """The outermost layer: names each request, ends its defects in the contract's shape, and stamps each answer.

    Every answer carries the request's name (the caller's `X-Request-ID` where it is well-formed, else the gateway's own
    id) and is not to be stored unless it says otherwise. A HEAD has the head of its GET and no body.
    """

    def __init__(self, app: ASGIApp, correlation_id_chars_max: int) -> None:
        self._app = app
        self._correlation_id_chars_max = correlation_id_chars_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = request_id(time.time_ns() // 1_000_000, secrets.randbits(80))
        scope.setdefault("state", {})["request_id"] = own
        name = self._correlation_of(scope) or own.encode()
        bodiless = scope["method"] == "HEAD"
        started = False

        async def stamped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": _stamp(message.get("headers", ()), name)}
            elif bodiless and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            _log.exception("request %s failed", own, exc_info=error)
            if started:
                raise  # the server breaks the connection off, so that half an answer is not taken for a whole one
            defect = InternalError("the gateway failed on this request; its id is in `request_id`")
            await refusal(defect, scope)(scope, receive, stamped)

    def _correlation_of(self, scope: Scope) -> bytes | None:
        given: bytes | None = None
        for header, value in scope["headers"]:
            if header == b"x-request-id":
                given = value
        if given is None or not 1 <= len(given) <= self._correlation_id_chars_max:
            return None
        return given if all(0x20 < byte < 0x7F for byte in given) else None


def _stamp(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[tuple[bytes, bytes]]:
    kept = [(header, value) for header, value in headers if header.lower() not in _OWN_HEADERS]
    if not any(header.lower() == b"cache-control" for header, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return [
        *kept,
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", name),
        (b"x-daoe-request-id", name),
    ]
