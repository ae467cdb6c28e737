"""What a provider adapter is: it turns a choice and a request body into an answer in the OpenAI wire format.

An adapter is one small class and one line in `registry.py`. The gateway speaks OpenAI chat completions on both
sides; an adapter for another wire protocol translates on its own side of this interface.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from joytoken.domain.catalog import Disconnect
from joytoken.domain.route import Choice


class ProviderFailure(Exception):
    """The provider could not be reached, or broke off; `kind` is a stable word such as ``connect_failed``, ``cut``."""

    def __init__(self, kind: str, message: str, *, status: int = 502) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status  # the status for the caller: 502, 503 or 504


class CancelledUnsent(asyncio.CancelledError):
    """A call was cancelled before the provider was sent anything of it, so that it cannot cost anything."""


Take = Callable[[bytes], bool]  # takes a piece of a body; says whether it wants the next one


class Pieces(ABC):
    """`pass_on` for an answer that can only be read piece by piece."""

    __slots__ = ()

    @abstractmethod
    async def read(self) -> bytes:
        """The next bytes; empty at the end."""

    async def pass_on(self, take: Take) -> bool:
        """Hand each piece to `take`; see `Answer`."""
        while data := await self.read():
            if not take(data):
                return True
        return False


class Answer(Protocol):
    """A provider's answer under way. `close` is idempotent and stops an answer that is not complete."""

    status: int

    @property
    def content(self) -> bytes:
        """The whole body where the request was not streamed, or where the status is not 200."""
        ...

    def header(self, name: bytes) -> bytes | None:
        """The first header of this name (lower case), or None."""
        ...

    async def read(self) -> bytes:
        """The next bytes of a streamed body; empty at its end. Raises ProviderFailure where the body breaks off."""
        ...

    async def pass_on(self, take: Take) -> bool:
        """Hand each piece of a streamed body to `take` as it arrives; whether it was `take` that wanted no more.

        False at the body's end. Raises ProviderFailure where the body breaks off, and what `take` raises.
        """
        ...

    def end(self) -> None:
        """The answer's last event was read: let the rest of its framing arrive without anyone waiting for it."""
        ...

    def close(self) -> None:
        """Give the connection back, or end it where the body is not complete."""
        ...


class Provider(Protocol):
    """Who answers. One instance serves all deployments of one provider at one configuration."""

    on_disconnect: Disconnect
    output_bound_field: str  # the request field that carries the output bound
    takes_metadata: bool  # whether the caller's `metadata` field may be forwarded

    async def invoke(self, choice: Choice, body: bytes, *, stream: bool, request_id: str) -> Answer:
        """Call the provider; an HTTP error is an Answer too. Raises ProviderFailure where no answer comes.

        `body` is complete: it names the upstream model of `choice`. `request_id` is told to the provider.
        """
        ...
