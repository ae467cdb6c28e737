"""An answer of the upstream client, as its reader sees it."""

import asyncio
from typing import Protocol

from joytoken.providers.interface import Take
from joytoken.providers.upstream import UpstreamError, UpstreamKind


class Source(Protocol):
    """What an answer needs of the connection that brings it."""

    loop: asyncio.AbstractEventLoop
    reused: bool
    chunks: list[bytes]
    waiter: "asyncio.Future[bool] | None"
    sink: Take | None

    def take(self) -> bytes:
        """Return all that is buffered, and read on."""

    def fail(self, kind: UpstreamKind, message: str, *, sent: bool = True) -> None:
        """End the request, if there is one, with an error, and the connection with it."""


class Response:
    """An answer. `body` is the complete body of a request sent with `whole`; otherwise `read` gives it in pieces."""

    __slots__ = ("_connection", "_rest", "body", "error", "head", "reused", "started", "status")

    def __init__(self, connection: Source) -> None:
        self.status = 0
        self.head = b""
        self.body = b""
        self.started = False
        self.reused = connection.reused
        self.error: UpstreamError | None = None
        self._connection: Source | None = connection
        self._rest = b""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The names and values of the answer's headers, in their order and as they were spelt."""
        lines = (line.partition(b":") for line in self.head.split(b"\r\n")[1:-1])
        return [(name, value.strip(b" \t")) for name, _, value in lines]

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header `name`, given in lower case, or None."""
        start = self.head.lower().find(b"\r\n%b:" % name)
        if start < 0:
            return None
        start += len(name) + 3
        return self.head[start : self.head.index(b"\r\n", start)].strip(b" \t")

    async def read(self) -> bytes:
        """Return what has arrived of the body since the last call, waiting if that is nothing; `b""` at its end.

        Raises `UpstreamError` after the last piece of a body that broke off. Cancelled, it closes the connection.
        """
        while (connection := self._connection) is not None:
            if connection.chunks:
                return connection.take()
            waiter = connection.waiter = connection.loop.create_future()
            try:
                await waiter
            except BaseException:
                self.close()
                raise
        rest = self._rest
        if rest:
            self._rest = b""
        elif self.error is not None:
            raise self.error
        return rest

    async def pass_on(self, take: Take) -> bool:
        """Hand each piece of the body to `take` as soon as it arrives, without a turn of the event loop in between.

        Returns True once `take` has said False: it wants no more for now. Returns False at the body's end. Raises
        `UpstreamError` after the last piece of a body that broke off, and what `take` raises. Cancelled, it closes the
        connection.
        """
        while (connection := self._connection) is not None:
            if connection.chunks:
                if not take(connection.take()):
                    return True
                continue
            waiter = connection.waiter = connection.loop.create_future()
            connection.sink = take
            try:
                stopped = await waiter
            except BaseException:
                self.close()
                raise
            finally:
                connection.sink = None
            if stopped:
                return True
        rest = self._rest
        if rest:
            self._rest = b""
            if not take(rest):
                return True
        if self.error is not None:
            raise self.error
        return False

    @property
    def content(self) -> bytes:
        """The complete body."""
        return self.body

    def end(self) -> None:
        """What was of interest has come: let the rest arrive without anyone waiting for it."""
        if self._connection is None:
            return
        task = asyncio.get_running_loop().create_task(_read_out(self))
        _reading_out.add(task)
        task.add_done_callback(_reading_out.discard)

    @property
    def ended(self) -> bool:
        """Whether nothing more will arrive: the body is complete, or it broke off."""
        return self._connection is None

    def close(self) -> None:
        """Let go of the answer: a connection whose answer is not complete is closed at once. May be called again."""
        self._rest = b""
        if self._connection is not None:
            self._connection.fail("reset", "the answer was closed before its end")

    def detach(self, rest: bytes, error: UpstreamError | None) -> None:
        """Take over what is left of the body, and the way it ended, from the connection."""
        self._connection = None
        self._rest = rest
        self.error = error


_READ_OUT_S = 1.0
_reading_out: set[asyncio.Task[None]] = set()  # the event loop itself keeps no task alive


async def _read_out(response: Response) -> None:
    """Read what little is left (the framing's end), so that the connection can serve again."""
    try:
        async with asyncio.timeout(_READ_OUT_S):
            while await response.read():
                pass
    except (TimeoutError, UpstreamError):
        pass
    finally:
        response.close()
