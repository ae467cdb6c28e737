"""Models behind a JoyToken gateway, as an agent asks them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from joytoken_sdk.agent.model import ModelRequest, ModelResponse, StreamPart
from joytoken_sdk.agent.provider_chat import JoyTokenProtocol, call_headers, chat_body, model_response
from joytoken_sdk.chat_assembly import ChatAssembly
from joytoken_sdk.errors import error_of, joytoken_errors
from joytoken_sdk.json_value import object_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

_PATH = "/chat/completions"
_UNDER_WAY_S_MAX = 300.0
_UNDER_WAY_PAUSE_S = 0.5


class JoyTokenProvider:
    """A model behind a JoyToken gateway, for an `Agent`.

    `client` is one that `openai_client` made; without it `options` are those of `openai_client`. `model` is `auto` or
    the name of a model. `protocol="anthropic"` bounds each answer as messages must, at 1,024 tokens unless the agent
    says otherwise, and sends one system message.
    """

    def __init__(
        self,
        model: str = "auto",
        *,
        protocol: JoyTokenProtocol = "openai",
        client: "OpenAI | None" = None,
        **options: Any,
    ) -> None:
        self._model = model
        self._protocol: JoyTokenProtocol = protocol
        self._given = client
        self._options = options

    @cached_property
    def _client(self) -> "OpenAI":
        from joytoken_sdk.openai_clients import openai_client

        return self._given or openai_client(**self._options)

    def complete(self, request: ModelRequest) -> ModelResponse:
        """Ask, and give the whole answer."""
        with joytoken_errors():
            return model_response(self._post(request, stream=False))

    def stream(self, request: ModelRequest) -> Generator[StreamPart, None, None]:
        """Ask, and give text as it comes, then the whole answer."""
        assembly = ChatAssembly()
        with joytoken_errors(), self._post(request, stream=True) as chunks:
            for chunk in chunks:
                if text := assembly.add(object_of(chunk) or {}):
                    yield text
        yield model_response(assembly.answer())

    def close(self) -> None:
        """Close the connections, where the provider made its client itself."""
        if self._given is None and "_client" in self.__dict__:
            self._client.close()

    def _post(self, request: ModelRequest, *, stream: bool) -> Any:
        from openai import Stream

        body = chat_body(self._model, self._protocol, request, stream=stream)
        options: Any = {"headers": call_headers(request, self._client.max_retries)}
        until = time.monotonic() + _UNDER_WAY_S_MAX
        while True:
            try:
                return self._client.post(
                    _PATH, body=body, cast_to=object, options=options, stream=stream, stream_cls=Stream[object]
                )
            except Exception as error:
                if not _is_under_way(request, error) or time.monotonic() > until:
                    raise
            time.sleep(_UNDER_WAY_PAUSE_S)


class AsyncJoyTokenProvider:
    """The same for an `AsyncAgent`; `client` is one that `async_openai_client` made."""

    def __init__(
        self,
        model: str = "auto",
        *,
        protocol: JoyTokenProtocol = "openai",
        client: "AsyncOpenAI | None" = None,
        **options: Any,
    ) -> None:
        self._model = model
        self._protocol: JoyTokenProtocol = protocol
        self._given = client
        self._options = options

    @cached_property
    def _client(self) -> "AsyncOpenAI":
        from joytoken_sdk.openai_clients import async_openai_client

        return self._given or async_openai_client(**self._options)

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """Ask, and give the whole answer."""
        with joytoken_errors():
            return model_response(await self._post(request, stream=False))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamPart, None]:
        """Ask, and give text as it comes, then the whole answer."""
        assembly = ChatAssembly()
        with joytoken_errors():
            async with await self._post(request, stream=True) as chunks:
                async for chunk in chunks:
                    if text := assembly.add(object_of(chunk) or {}):
                        yield text
        yield model_response(assembly.answer())

    async def close(self) -> None:
        """Close the connections, where the provider made its client itself."""
        if self._given is None and "_client" in self.__dict__:
            await self._client.close()

    async def _post(self, request: ModelRequest, *, stream: bool) -> Any:
        from openai import AsyncStream

        body = chat_body(self._model, self._protocol, request, stream=stream)
        options: Any = {"headers": call_headers(request, self._client.max_retries)}
        until = time.monotonic() + _UNDER_WAY_S_MAX
        while True:
            try:
                return await self._client.post(
                    _PATH, body=body, cast_to=object, options=options, stream=stream, stream_cls=AsyncStream[object]
                )
            except Exception as error:
                if not _is_under_way(request, error) or time.monotonic() > until:
                    raise
            await asyncio.sleep(_UNDER_WAY_PAUSE_S)


def _is_under_way(request: ModelRequest, error: Exception) -> bool:
    """Tell whether the first request under the same key has not come to its end yet.

    Who resumes a run right after a crash comes before the gateway has read that one's answer to its end.
    """
    meant = error_of(error) if request.durable else None
    return meant is not None and meant.error_code == "idempotency_in_progress"
