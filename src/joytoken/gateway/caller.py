"""The other end of an exchange: whoever waits for the answer. The door implements it; the gateway only writes to it."""

from typing import Protocol


class Caller(Protocol):
    """Where an answer goes. `headers` are complete header lines, each ended by CR LF."""

    @property
    def paused(self) -> bool:
        """Whether the caller takes bytes more slowly than they come: await `drain` before the next write."""
        ...

    @property
    def gone(self) -> bool:
        """Whether the caller hung up: what is written goes nowhere."""
        ...

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """Send a whole answer."""
        ...

    def fail(self, status: int, headers: bytes, body: bytes) -> None:
        """Send an error as a whole answer; where an answer has begun already, break it off."""
        ...

    def start(self, status: int, headers: bytes) -> None:
        """Begin a streamed answer."""
        ...

    def write(self, data: bytes) -> None:
        """Send a part of a streamed answer. Never blocks; see `paused`."""
        ...

    def finish(self) -> None:
        """End a streamed answer."""
        ...

    async def drain(self) -> None:
        """Wait until the caller has taken what was written, or is gone."""
        ...
