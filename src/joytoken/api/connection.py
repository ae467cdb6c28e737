"""The caller's side of a connection on the hot route (`gateway.caller.Caller`): how an answer is written."""

import asyncio
from time import monotonic
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

CLOSE = b"connection: close\r\n"


class AnsweringProtocol(HttpToolsProtocol):
    """A connection that can be answered: whole, or as a stream with back-pressure."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.paused = False  # the caller does not take what was written
        self.gone = False
        self.since = monotonic()  # when the current phase began, for the sweep
        self._started = False
        self._answered = False
        self._ahead = False  # the client sent more before its answer
        self._keep_alive = True
        self._chunked = True
        self._stopping = False
        self._drained: asyncio.Future[None] | None = None

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """Send a whole answer."""
        self._started = self._answered = True
        if self.gone:
            return
        close = b"" if self._keep_alive and not self._ahead and not self._stopping else CLOSE
        self.transport.write(
            b"%b%bcontent-length: %d\r\n%b\r\n%b" % (STATUS_LINE[status], headers, len(body), close, body)
        )

    def fail(self, status: int, headers: bytes, body: bytes) -> None:
        """Send an error; break off where an answer has begun already."""
        if not self._started:
            self.reply(status, headers, body)
        elif not self.gone:
            self.transport.abort()

    def start(self, status: int, headers: bytes) -> None:
        """Begin a streamed answer."""
        self._started = True
        if self.gone:
            return
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        if not self._chunked:
            self._keep_alive = False
        close = b"" if self._keep_alive and not self._ahead and not self._stopping else CLOSE
        self.transport.write(b"%b%b%b%b\r\n" % (STATUS_LINE[status], headers, framing, close))

    def write(self, data: bytes) -> None:
        """Send a part of a streamed answer."""
        if not self.gone:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finish(self) -> None:
        """End a streamed answer."""
        self._answered = True
        if self._chunked and not self.gone:
            self.transport.write(b"0\r\n\r\n")

    async def drain(self) -> None:
        """Wait until the caller has taken what was written, or is gone."""
        if self.gone or not self.paused:
            return
        self._drained = self.loop.create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self.paused = True
        self.since = monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
