"""How much of an answer is read: what never ends must not fill the memory."""

import re
from collections.abc import AsyncIterator, Iterator

import httpx2

from joytoken_sdk.errors import JoyTokenAPIError, api_error

ANSWER_BYTES_MAX = 256 << 20
"""A whole answer; images in base64 are the largest."""

ERROR_BYTES_MAX = 1 << 20
"""What is read of a failure's body; the rest is left."""

EVENT_BYTES_MAX = 16 << 20
"""One event of a stream."""

_EVENT_END = re.compile(rb"\n\n|\r\n\r\n|\r\r")
_END_BYTES_MAX = 4


def bound_body(response: httpx2.Response, *, stream: bool) -> None:
    """Bound what is read of an answer. A stream that has begun well is bounded by its events alone."""
    failed = response.status_code >= 400
    if stream and not failed:
        return
    limit = ERROR_BYTES_MAX if failed else ANSWER_BYTES_MAX
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _AsyncBounded(response.stream, _Bound(limit, cut=failed))
    elif isinstance(response.stream, httpx2.SyncByteStream):  # pyright: ignore[reportUnnecessaryIsInstance]
        # A client of the older httpx that was handed in has streams of its own, which stay as they are.
        response.stream = _Bounded(response.stream, _Bound(limit, cut=failed))


class EventBound:
    """Counts the bytes of an event that has not ended. Raises JoyTokenAPIError of one that is too long."""

    def __init__(self) -> None:
        self._open = 0
        self._tail = b""  # where an end may have begun

    def add(self, piece: bytes) -> None:
        first, *more = _EVENT_END.split(self._tail + piece)
        sizes = [self._open - len(self._tail) + len(first), *map(len, more)]
        if max(sizes) > EVENT_BYTES_MAX:
            raise _too_long("an event of the stream", EVENT_BYTES_MAX)
        self._open = sizes[-1]
        self._tail = (more[-1] if more else first)[-_END_BYTES_MAX + 1 :]


class _Bound:
    """Counts the bytes of a body, which is cut or refused at its limit."""

    def __init__(self, limit: int, *, cut: bool) -> None:
        self._left = limit
        self._limit = limit
        self._cut = cut

    @property
    def is_reached(self) -> bool:
        return self._left == 0 and self._cut

    def take(self, piece: bytes) -> bytes:
        if len(piece) > self._left and not self._cut:
            raise _too_long("the answer", self._limit)
        taken = piece[: self._left]
        self._left -= len(taken)
        return taken


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, bound: _Bound) -> None:
        self._stream = stream
        self._bound = bound

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield self._bound.take(piece)
            if self._bound.is_reached:
                return

    def close(self) -> None:
        self._stream.close()


class _AsyncBounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, bound: _Bound) -> None:
        self._stream = stream
        self._bound = bound

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield self._bound.take(piece)
            if self._bound.is_reached:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()


def _too_long(what: str, limit: int) -> JoyTokenAPIError:
    return api_error(200, f"{what} has more than {limit} bytes")
