"""What can go wrong.

    JoyTokenError                everything that this package raises by itself
    ├── InvalidCall              a call that was refused before anything was sent
    └── JoyTokenAPIError         a call that failed; its code in brackets
        ├── InvalidRequest       400, 422 [invalid_request]
        ├── AuthenticationFailed 401 [authentication]
        ├── InsufficientQuota    402 [insufficient_quota]
        ├── PermissionRefused    403 [permission]
        ├── NotFound             404 [not_found]
        ├── Conflict             409 [conflict]
        ├── RateLimited          429 [rate_limited]
        ├── ServerError          5xx [server_error]
        ├── RequestTimedOut      no answer in time [timeout]
        └── ConnectionFailed     no answer at all [network]

Any other failure is a plain `JoyTokenAPIError` [unknown]. Model calls through the `openai` package raise that package's
errors; `error_of` tells the same of them.
"""

import json
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, cast

from joytoken_sdk.json_value import JsonObject, compact, object_of, text_of

if TYPE_CHECKING:
    import openai

_MESSAGE_CHARACTERS_MAX = 4096


class JoyTokenError(Exception):
    """Everything that this package raises by itself."""


class InvalidCall(JoyTokenError, ValueError):
    """A call that was refused before anything was sent."""


class JoyTokenAPIError(JoyTokenError):
    """A call that failed: an answer that is an error, or none at all."""

    code: ClassVar[str] = "unknown"
    """The coarse code, one for each class of errors."""

    status: int
    """The HTTP status; 0 where no answer came."""

    body: object
    """The parsed JSON of the answer, else its text; None where it was empty."""

    headers: Mapping[str, str]
    """The headers of the answer."""

    request_id: str | None
    """The id under which the gateway knows the request."""

    error_type: str | None
    """The gateway's kind of the error, such as `policy_rejected`."""

    error_code: str | None
    """The gateway's reason, such as `tier_not_allowed`."""

    param: str | None
    """The field of the request that is at fault."""

    def __init__(
        self, message: str, *, status: int = 0, body: object = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.request_id = _request_id_of(self.headers)
        detail = _detail_of(body)
        self.error_type = text_of(detail.get("type"))
        self.error_code = text_of(detail.get("code"))
        self.param = text_of(detail.get("param"))


class InvalidRequest(JoyTokenAPIError):
    """400 or 422: the request is at fault, and `param` names the field."""

    code = "invalid_request"


class AuthenticationFailed(JoyTokenAPIError):
    """401: no key came, or none that can be read."""

    code = "authentication"


class InsufficientQuota(JoyTokenAPIError):
    """402: a wallet, a limit, a budget or a run has not enough credits left; `error_code` says which."""

    code = "insufficient_quota"


class PermissionRefused(JoyTokenAPIError):
    """403: the key is unknown, or its policy does not allow what was asked for."""

    code = "permission"


class NotFound(JoyTokenAPIError):
    """404: there is no such thing, or it is somebody else's."""

    code = "not_found"


class Conflict(JoyTokenAPIError):
    """409: it contradicts what was said or asked before."""

    code = "conflict"


class RateLimited(JoyTokenAPIError):
    """429: too much at once; `Retry-After` of the headers says how long to wait."""

    code = "rate_limited"


class ServerError(JoyTokenAPIError):
    """5xx: the gateway or a provider failed."""

    code = "server_error"


class RequestTimedOut(JoyTokenAPIError):
    """No answer came in time."""

    code = "timeout"


class ConnectionFailed(JoyTokenAPIError):
    """No answer came: the connection was refused, or it broke."""

    code = "network"


_CLASSES: dict[int, type[JoyTokenAPIError]] = {
    400: InvalidRequest,
    401: AuthenticationFailed,
    402: InsufficientQuota,
    403: PermissionRefused,
    404: NotFound,
    409: Conflict,
    422: InvalidRequest,
    429: RateLimited,
}


def api_error(status: int, body: object, headers: Mapping[str, str] | None = None) -> JoyTokenAPIError:
    """Return the error that an answer means."""
    kind = _CLASSES.get(status, ServerError if 500 <= status <= 599 else JoyTokenAPIError)
    return kind(_message_of(body, status), status=status, body=body, headers=headers)


def error_of(exception: BaseException) -> JoyTokenAPIError | None:
    """Return what an error of the `openai` package means, as JoyToken's own calls would raise it.

    An error of this package is given back as it is; None where it is no failed call at all.
    """
    if isinstance(exception, JoyTokenAPIError):
        return exception
    package = sys.modules.get("openai")
    if package is None or not isinstance(exception, package.APIError):
        return None
    return _error_of_openai(package, cast("openai.APIError", exception))


@contextmanager
def joytoken_errors() -> Generator[None]:
    """Raise what errors of the `openai` package mean."""
    try:
        yield
    except Exception as error:
        meant = error_of(error)
        if meant is None or meant is error:
            raise
        raise meant from error


def _error_of_openai(package: Any, exception: "openai.APIError") -> JoyTokenAPIError:
    if isinstance(exception, package.APITimeoutError):
        return RequestTimedOut("JoyToken did not answer in time")
    if isinstance(exception, package.APIConnectionError):
        return ConnectionFailed(f"the connection to JoyToken failed: {exception.__cause__ or exception}")
    response: Any = getattr(exception, "response", None)
    if response is None:  # within a stream that had begun well
        return api_error(200, exception.body)
    return api_error(response.status_code, _body_of(response.text), dict(response.headers))


def _body_of(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text or None


def _detail_of(body: object) -> JsonObject:
    """Return the object that tells of the error: `error` of the body, or the body itself."""
    whole = object_of(body) or {}
    return object_of(whole.get("error")) or whole


def _message_of(body: object, status: int) -> str:
    message = _words_of(body) or f"JoyToken API request failed with status {status}"
    return message if len(message) <= _MESSAGE_CHARACTERS_MAX else message[:_MESSAGE_CHARACTERS_MAX] + "…"


def _words_of(body: object) -> str | None:
    whole = object_of(body)
    if whole is None:
        return text_of(body)
    error = whole.get("error")
    inner = object_of(error) or {}
    words = text_of(error) or text_of(inner.get("message")) or text_of(whole.get("message"))
    return words or (None if error is None else compact(error))


def _request_id_of(headers: Mapping[str, str]) -> str | None:
    lower = {name.lower(): value for name, value in headers.items()}
    return text_of(lower.get("x-request-id")) or text_of(lower.get("x-daoe-request-id"))
