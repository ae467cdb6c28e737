"""The events of a stream. The `openai` package's reader, with what it leaves out."""

from collections.abc import AsyncIterator, Iterator
from itertools import chain

from openai._streaming import ServerSentEvent, SSEDecoder

from joytoken_sdk.body_bound import EventBound

_END = b"\n\n"  # ends an event that the body left open, and is nothing otherwise


class EventDecoder(SSEDecoder):
    """Reads events as all SDKs do.

    Beside what the package reads: a byte order mark is skipped, an event without data is none, and the last event
    needs no empty line behind it, so that one that was cut in two is an error and not lost.
    """

    _begun = False

    def decode(self, line: str) -> ServerSentEvent | None:
        if not self._begun:
            line = line.removeprefix("\ufeff")
            self._begun = True
        event = super().decode(line)
        return event if event is not None and event.data else None

    def iter_bytes(self, iterator: Iterator[bytes]) -> Iterator[ServerSentEvent]:
        return super().iter_bytes(chain(_bounded(iterator), (_END,)))

    def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
        return super().aiter_bytes(_with_end(iterator))


async def _with_end(iterator: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    bound = EventBound()
    async for piece in iterator:
        bound.add(piece)
        yield piece
    yield _END


def _bounded(iterator: Iterator[bytes]) -> Iterator[bytes]:
    bound = EventBound()
    for piece in iterator:
        bound.add(piece)
        yield piece
