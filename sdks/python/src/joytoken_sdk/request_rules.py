"""What JoyToken adds to the requests of the `openai` package, for both of its clients."""

import random
import re
import time
from collections.abc import Mapping

import httpx2
import openai
from openai._models import FinalRequestOptions

from joytoken_sdk.errors import InvalidCall
from joytoken_sdk.json_value import JsonObject, object_of
from joytoken_sdk.retry import is_transient, retry_delay_s

IDEMPOTENCY_HEADER = "Idempotency-Key"
ON_DISCONNECT_HEADER = "X-JoyToken-On-Disconnect"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*\Z")
_VISIBLE = re.compile(r"[!-~]+\Z")
_OPEN_TO_ALL = "/api/v1/models"  # the catalog needs no key


def check_call(options: FinalRequestOptions, api_key: str) -> None:
    """Refuse what the gateway would refuse anyway. Raises InvalidCall."""
    if not api_key and not options.url.endswith(_OPEN_TO_ALL):
        raise InvalidCall("JoyToken API key is required. Pass api_key or set JOY_TOKEN_API_KEY.")
    body = _body_of(options)
    if "model" in body and not (isinstance(body["model"], str) and body["model"].strip()):
        raise InvalidCall('JoyToken model must be "auto" or the name of a model, and not empty.')


def check_headers(headers: Mapping[str, object], api_key: str) -> None:
    """Refuse what would end a header or begin another one. Raises InvalidCall, which never holds a value."""
    for name, value in headers.items():
        if not _HEADER_NAME.match(name):
            raise InvalidCall(f"the name of the header {name[:40]!r} has a character that no header may have")
        if not isinstance(value, str):
            continue
        if not _HEADER_VALUE.match(value):
            raise InvalidCall(f"the value of the header {name} has a character that no header may have")
        length_max = _name_length_max(name.lower())
        if length_max and not (len(value) <= length_max and _VISIBLE.match(value)):
            raise InvalidCall(f"the header {name} must be 1 to {length_max} visible ASCII characters without spaces")
    if not _HEADER_VALUE.match(api_key):
        raise InvalidCall("the API key has a character that no header may have")


def complete_headers(headers: httpx2.Headers, options: FinalRequestOptions, api_key: str) -> None:
    """Set what belongs to JoyToken. The key is always the client's own, whatever headers were given."""
    headers.pop("x-api-key", None)
    headers.pop("Authorization", None)
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    if _body_of(options).get("stream") is True:
        headers["Accept"] = "text/event-stream"
        if IDEMPOTENCY_HEADER in headers:
            headers.setdefault(ON_DISCONNECT_HEADER, "stop")


def should_retry(response: httpx2.Response) -> bool:
    """Tell whether an answer is worth another attempt."""
    return is_transient(response.status_code, response.content if response.status_code == 409 else b"")


def delay_s(attempt: int, headers: httpx2.Headers | None) -> float:
    """Return the pause before the attempt after this one, from 0."""
    asked = headers.get("retry-after") if headers is not None else None
    return retry_delay_s(attempt, asked, now_s=time.time(), chance=random.random())  # noqa: S311 - no secret


def final_error(error: httpx2.TransportError, request: httpx2.Request) -> openai.APIConnectionError | None:
    """Return what ends a call at once, where it must not be repeated; None where it may.

    A stream that ends with its reader is not kept under its key: asked for again, it would be paid again. So it is
    repeated only where no connection came about.
    """
    ends_with_reader = request.headers.get(ON_DISCONNECT_HEADER) == "stop"
    if not ends_with_reader or isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return None
    if isinstance(error, httpx2.TimeoutException):
        return openai.APITimeoutError(request=request)
    return openai.APIConnectionError(request=request)


def _name_length_max(header: str) -> int:
    """Return how long a header may be that is a name; 0 of all other headers."""
    if header == IDEMPOTENCY_HEADER.lower():
        return 255
    return 128 if header.startswith("x-joytoken-") else 0


def _body_of(options: FinalRequestOptions) -> JsonObject:
    return {**(object_of(options.json_data) or {}), **(object_of(options.extra_json) or {})}
