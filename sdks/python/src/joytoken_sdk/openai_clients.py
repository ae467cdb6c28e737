"""The `openai` package on a JoyToken gateway: its own clients, with JoyToken's rules for keys, headers and retries."""

import uuid
from collections.abc import Mapping
from typing import Any, Self

import httpx2
from openai import AsyncOpenAI, OpenAI
from openai._models import FinalRequestOptions

from joytoken_sdk.body_bound import bound_body
from joytoken_sdk.environment import settings_of
from joytoken_sdk.event_stream import EventDecoder
from joytoken_sdk.request_rules import (
    IDEMPOTENCY_HEADER,
    check_call,
    check_headers,
    complete_headers,
    delay_s,
    final_error,
    should_retry,
)
from joytoken_sdk.version import USER_AGENT


def openai_client(
    *,
    api_key: str | None = None,
    api_base_url: str | None = None,
    openai_base_url: str | None = None,
    idempotency: bool = True,
    **options: Any,
) -> OpenAI:
    """Return an `openai.OpenAI` on the gateway that the environment names.

    Every paid call carries an `Idempotency-Key`: a random one that is kept over its retries, or what the call gives as
    `extra_headers={"Idempotency-Key": …}`. A stream carries `X-JoyToken-On-Disconnect: stop`, so that closing it ends
    the call at the provider.

    `api_key`, `api_base_url` and `openai_base_url` stand for `JOY_TOKEN_API_KEY`, `JOY_TOKEN_API_BASE_URL` and
    `JOY_TOKEN_OPENAI_BASE_URL`; without any address it is `http://localhost:7410`. `idempotency=False` sends no key
    unless a call gives one. `options` are those of `openai.OpenAI`, such as `timeout` (seconds) and `max_retries`. A
    key that is missing is told by the first call that needs one: `InvalidCall`.
    """
    settings = settings_of(api_key, api_base_url, openai_base_url)
    return JoyTokenOpenAI(
        api_key=settings.api_key, base_url=settings.openai_base_url, idempotency=idempotency, **options
    )


def async_openai_client(
    *,
    api_key: str | None = None,
    api_base_url: str | None = None,
    openai_base_url: str | None = None,
    idempotency: bool = True,
    **options: Any,
) -> AsyncOpenAI:
    """Return an `openai.AsyncOpenAI` on the gateway that the environment names; else as `openai_client`."""
    settings = settings_of(api_key, api_base_url, openai_base_url)
    return AsyncJoyTokenOpenAI(
        api_key=settings.api_key, base_url=settings.openai_base_url, idempotency=idempotency, **options
    )


class JoyTokenOpenAI(OpenAI):
    """`openai.OpenAI` with JoyToken's rules."""

    def __init__(self, *, idempotency: bool = True, _enforce_credentials: bool = False, **options: Any) -> None:
        # Whatever `copy` says of credentials: a missing key is told by the call that needs one.
        super().__init__(**options, _enforce_credentials=False)
        # What the environment says of an account at OpenAI is none of the gateway's business.
        self.organization = self.project = self.admin_api_key = None
        self._idempotency = idempotency
        self._idempotency_header = IDEMPOTENCY_HEADER if idempotency else None

    @property
    def user_agent(self) -> str:
        return USER_AGENT

    def copy(self, *, _extra_kwargs: Mapping[str, Any] | None = None, **options: Any) -> Self:
        return super().copy(_extra_kwargs={"idempotency": self._idempotency, **(_extra_kwargs or {})}, **options)

    with_options = copy

    def _idempotency_key(self) -> str:
        return str(uuid.uuid4())

    def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        check_call(options, self.api_key)
        return super()._prepare_options(options)

    def _validate_headers(self, headers: Any, custom_headers: Any) -> None:
        check_headers({**headers, **custom_headers}, self.api_key)

    def _build_headers(self, options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Headers:
        headers = super()._build_headers(options, retries_taken=retries_taken)
        complete_headers(headers, options, self.api_key)
        return headers

    def _send_request(self, request: httpx2.Request, *, stream: bool, **options: Any) -> httpx2.Response:
        try:
            response = super()._send_request(request, stream=True, **options)
            bound_body(response, stream=stream)
            if not stream or response.status_code == 409:  # whose code decides whether the call is made again
                _read(response)
        except httpx2.TransportError as error:
            if (final := final_error(error, request)) is not None:
                raise final from error
            raise
        return response

    def _make_sse_decoder(self) -> EventDecoder:
        return EventDecoder()

    def _should_retry(self, response: httpx2.Response) -> bool:
        return should_retry(response)

    def _calculate_retry_timeout(
        self, remaining_retries: int, options: FinalRequestOptions, response_headers: httpx2.Headers | None = None
    ) -> float:
        return delay_s(options.get_max_retries(self.max_retries) - remaining_retries, response_headers)


class AsyncJoyTokenOpenAI(AsyncOpenAI):
    """`openai.AsyncOpenAI` with JoyToken's rules."""

    def __init__(self, *, idempotency: bool = True, _enforce_credentials: bool = False, **options: Any) -> None:
        # Whatever `copy` says of credentials: a missing key is told by the call that needs one.
        super().__init__(**options, _enforce_credentials=False)
        self.organization = self.project = self.admin_api_key = None
        self._idempotency = idempotency
        self._idempotency_header = IDEMPOTENCY_HEADER if idempotency else None

    @property
    def user_agent(self) -> str:
        return USER_AGENT

    def copy(self, *, _extra_kwargs: Mapping[str, Any] | None = None, **options: Any) -> Self:
        return super().copy(_extra_kwargs={"idempotency": self._idempotency, **(_extra_kwargs or {})}, **options)

    with_options = copy

    def _idempotency_key(self) -> str:
        return str(uuid.uuid4())

    async def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        check_call(options, self.api_key)
        return await super()._prepare_options(options)

    def _validate_headers(self, headers: Any, custom_headers: Any) -> None:
        check_headers({**headers, **custom_headers}, self.api_key)

    def _build_headers(self, options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Headers:
        headers = super()._build_headers(options, retries_taken=retries_taken)
        complete_headers(headers, options, self.api_key)
        return headers

    async def _send_request(self, request: httpx2.Request, *, stream: bool, **options: Any) -> httpx2.Response:
        try:
            response = await super()._send_request(request, stream=True, **options)
            bound_body(response, stream=stream)
            if not stream or response.status_code == 409:  # whose code decides whether the call is made again
                await _aread(response)
        except httpx2.TransportError as error:
            if (final := final_error(error, request)) is not None:
                raise final from error
            raise
        return response

    def _make_sse_decoder(self) -> EventDecoder:
        return EventDecoder()

    def _should_retry(self, response: httpx2.Response) -> bool:
        return should_retry(response)

    def _calculate_retry_timeout(
        self, remaining_retries: int, options: FinalRequestOptions, response_headers: httpx2.Headers | None = None
    ) -> float:
        return delay_s(options.get_max_retries(self.max_retries) - remaining_retries, response_headers)


def _read(response: httpx2.Response) -> None:
    try:
        response.read()
    except BaseException:
        response.close()
        raise


async def _aread(response: httpx2.Response) -> None:
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise
