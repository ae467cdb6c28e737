"""Management by a gateway's API, with the standard library's client."""

import http.client
import ssl
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from joytoken.admin.operation import IDEMPOTENCY_FIELD, IDEMPOTENCY_HEADER, Operation, Req, Res
from joytoken.domain import errors
from joytoken.domain.errors import GatewayError, InvalidRequest, Unavailable

ROOT = "/api/v1/manage"
TIMEOUT_S = 60.0
ANSWER_BYTES_MAX = 256 * 1024 * 1024
_ERRORS: dict[str, type[GatewayError]] = {
    kind.type: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GatewayError) and kind is not GatewayError
}


class _Fault(msgspec.Struct):
    message: str = ""
    type: str = ""
    code: str | None = None
    param: str | None = None


class _Failed(msgspec.Struct):
    error: _Fault


class Remote:
    """Management of the gateway at a URL."""

    def __init__(self, url: str, admin_key: str) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidRequest(f"{url!r} is not the address of a gateway such as http://127.0.0.1:7410", param="url")
        self._root = parts.path.rstrip("/") + ROOT
        self._key = admin_key
        self._place = f"{parts.scheme}://{parts.netloc}"
        self._connection = connect(parts.scheme, parts.hostname, parts.port)

    def call(self, operation: Operation[Req, Res], request: Req) -> Res:
        """Do one act. Raises GatewayError; Unavailable where no gateway answers."""
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
        path = operation.path
        for name in operation.path_fields:
            path = path.replace("{" + name + "}", quote(str(fields[name]), safe=""))
        given = {name: fields[name] for name in operation.body_fields if fields[name] is not None}
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if operation.idempotent:
            headers[IDEMPOTENCY_HEADER] = fields[IDEMPOTENCY_FIELD]
        body = None
        if operation.has_body:
            body = msgspec.json.encode(given)
            headers["Content-Type"] = "application/json"
        elif given:
            path += "?" + urlencode({name: _query(value) for name, value in given.items()}, doseq=True)
        status, content = self._send(operation.method, self._root + path, body, headers)
        if status >= 400:
            raise _error(status, content)
        try:
            return msgspec.json.decode(content, type=operation.response)
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"what answers at {self._place} is no JoyToken gateway ({error})", "unreachable"
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self._connection.close()
            raise Unavailable(f"no gateway answers at {self._place}: {error}", "unreachable") from error


def connect(scheme: str, host: str, port: int | None, timeout_s: float = TIMEOUT_S) -> http.client.HTTPConnection:
    """A connection to a gateway; TLS is verified."""
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _query(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _error(status: int, content: bytes) -> GatewayError:
    try:
        fault = msgspec.json.decode(content, type=_Failed).error
    except msgspec.MsgspecError:
        return Unavailable(f"the answer was HTTP {status}, and not a gateway's", "unreachable")
    kind = _ERRORS.get(fault.type, GatewayError)
    return kind(fault.message, fault.code, param=fault.param, status=status)
