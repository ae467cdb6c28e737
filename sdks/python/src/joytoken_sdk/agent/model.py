"""What answers an agent."""

from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from joytoken_sdk.json_value import JsonObject


@dataclass(frozen=True, slots=True)
class RunCall:
    """The run that a model call belongs to, and the number of the call in it, from 1."""

    id: str
    step: int
    parent_id: str | None = None
    workflow: str | None = None
    budget: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a provider is asked. Messages and tools are those of chat completions."""

    messages: list[JsonObject]
    tools: list[JsonObject]
    temperature: float | None = None
    max_tokens: int | None = None
    tier: str | None = None
    metadata: JsonObject | None = None
    tool_choice: str | JsonObject | None = None
    """The agent's choice, for the first call of a run; a forced one is `auto` from then on."""
    response_format: JsonObject | None = None
    """Asks for a final answer of a JSON Schema."""
    run: RunCall | None = None
    idempotency_key: str | None = None
    """The same whenever this call of this run is made again."""
    durable: bool = False
    """Whether the run is saved, so that another process may make this call again."""


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """A provider's answer."""

    message: JsonObject
    usage: JsonObject | None = None
    raw: Any = None
    """The provider's own answer."""
    metadata: JsonObject | None = None
    """What the gateway said of the call."""


class ModelProvider(Protocol):
    """What answers an `Agent`."""

    def complete(self, request: ModelRequest) -> ModelResponse: ...


class AsyncModelProvider(Protocol):
    """What answers an `AsyncAgent`."""

    async def complete(self, request: ModelRequest) -> ModelResponse: ...


StreamPart: TypeAlias = str | ModelResponse
"""Text as it comes, and at the end the whole answer."""


@runtime_checkable
class StreamingProvider(Protocol):
    """A provider that can tell its text as it comes."""

    def stream(self, request: ModelRequest) -> Generator[StreamPart, None, None]: ...


@runtime_checkable
class AsyncStreamingProvider(Protocol):
    """The same, asynchronous."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[StreamPart, None]: ...
