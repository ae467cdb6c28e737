"""One HTTP/1.1 connection to a provider and the answers it brings: asyncio's transport, llhttp's parser.

Whatever ends a request (its last byte, an error, a deadline, `close`, a cancelled task) detaches its `Response` from
the `Connection` exactly once, and the connection then either serves the next request or is gone.
"""

import asyncio
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from joytoken.providers.interface import Take
from joytoken.providers.transport_response import Response
from joytoken.providers.upstream import Deadlines, Limits, UpstreamError, UpstreamKind

_INTERIM_ANSWERS_MAX = 8
_INTERIM = frozenset({100, 102, 103})


class Site(Protocol):
    """What a connection needs of the place that keeps it."""

    limits: Limits
    loop: asyncio.AbstractEventLoop
    connections: "set[Connection]"

    def release(self, connection: "Connection") -> None:
        """Take back a connection whose answer is complete."""

    def forget(self, connection: "Connection") -> None:
        """Strike off a connection that is closed."""


class _Refused(Exception):
    """Raised inside the parser, to stop it."""


class Connection(asyncio.Protocol):
    """One connection, which serves one request after the other."""

    __slots__ = (
        "chunks",
        "closed",
        "complete",
        "deadlines",
        "feed",
        "idle_since",
        "interims",
        "keep",
        "loop",
        "lost",
        "on_body",
        "parser",
        "partial_head",
        "paused",
        "progress",
        "progress_at",
        "received",
        "response",
        "reused",
        "sent_at",
        "sink",
        "site",
        "status",
        "transport",
        "waiter",
        "whole",
    )

    transport: asyncio.Transport
    deadlines: Deadlines

    def __init__(self, site: Site) -> None:
        self.site = site
        self.loop = site.loop
        self.chunks: list[bytes] = []
        self.on_body = self.chunks.append  # the parser looks its callbacks up once, so this list stays
        self.parser = HttpResponseParser(self)
        self.feed = self.parser.feed_data
        self.partial_head = bytearray()
        self.response: Response | None = None
        self.waiter: asyncio.Future[bool] | None = None
        self.sink: Take | None = None  # of a reader that takes pieces as they arrive
        self.closed = self.reused = self.whole = self.complete = self.keep = self.paused = self.progress = False
        self.status = self.received = self.interims = 0
        self.sent_at = self.progress_at = 0.0
        self.idle_since = self.loop.time()
        self.lost: asyncio.Future[None] = self.loop.create_future()

    def start(self, data: bytes, *, whole: bool, deadlines: Deadlines) -> tuple[Response, "asyncio.Future[bool]"]:
        """Write a request; the future is done when its head (or, if `whole`, all of it) or an error has come."""
        self.status = self.received = self.interims = 0
        self.complete = self.progress = False
        self.progress_at = 0.0
        self.whole = whole
        self.deadlines = deadlines
        self.sent_at = self.loop.time()
        response = self.response = Response(self)
        waiter = self.waiter = self.loop.create_future()
        if self.closed:  # since it was taken from the pool, or as soon as it was open: nothing else would end the wait
            self.fail("reset", "the provider closed the connection before the request", sent=False)
        else:
            self.transport.write(data)
        return response, waiter

    def take(self) -> bytes:
        """Return all that is buffered, and read on."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.received = 0
        if self.paused:
            self.paused = False
            self.progress = True  # the silence so far was the reader's
            self.transport.resume_reading()
        return data

    # ── what the transport tells ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.site.connections.add(self)

    def data_received(self, data: bytes) -> None:
        response = self.response
        if response is None:
            self.drop()  # nobody asked for anything
            return
        self.progress = response.started = True
        try:
            self.feed(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.complete:
                if self.status and not response.status:
                    self._take_head(response, data)  # what came before the fault counts, as if it had come alone
                self.fail("protocol_error", f"the provider's answer is not HTTP: {error.__context__ or error}")
                return
            self.keep = False  # a whole answer, and then something that is none
        if not response.status and not self._take_head(response, data):
            return
        if self.complete:
            self._finish(response)
            return
        self.received += len(data)
        limits = self.site.limits
        if self.whole:
            if self.received > limits.body_bytes_max:
                self.fail("body_too_large", f"the provider's answer is over {limits.body_bytes_max} bytes")
        elif self.chunks:
            if self.sink is not None:
                self._pour(self.sink)
                return
            self._wake()
            if self.received > limits.buffer_bytes_max and not self.paused:
                self.paused = True
                self.transport.pause_reading()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        if not self.lost.done():
            self.lost.set_result(None)

    # ── what the parser tells ──

    def on_message_begin(self) -> None:
        if self.complete:
            raise _Refused

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= 200:
            self.status = status
            self.keep = self.parser.should_keep_alive()
            return
        self.interims += 1
        if status not in _INTERIM or self.interims > _INTERIM_ANSWERS_MAX:
            raise _Refused(f"an interim answer {status} that was not asked for, or too many")

    def on_message_complete(self) -> None:
        self.complete = self.status != 0

    # ── the life of an answer ──

    def _take_head(self, response: Response, data: bytes) -> bool:
        """Keep the head's bytes until it is whole; then judge and hand it over, and return True."""
        limit = self.site.limits.header_bytes_max
        if not self.status:
            self.partial_head += data
            if len(self.partial_head) > limit:
                self.fail("header_too_large", f"the head of the provider's answer is over {limit} bytes")
            return False
        if self.partial_head:
            data = bytes(self.partial_head + data)
            self.partial_head.clear()
        head = data.lstrip(b"\r\n")
        if self.interims:
            for _ in range(self.interims):
                head = head[head.index(b"\r\n\r\n") + 4 :].lstrip(b"\r\n")
        end = head.index(b"\r\n\r\n") + 2
        if end > limit:
            self.fail("header_too_large", f"the head of the provider's answer is over {limit} bytes")
            return False
        head = head[:end]
        lower = head.lower()
        if b"\ncontent-encoding:" in lower or b"\ntransfer-encoding:" in lower:
            coding = _coding_beyond_chunked(lower)
            if coding:
                self.fail("protocol_error", f"the provider's answer has a {coding}, though none was accepted")
                return False
        response.status = self.status
        response.head = head
        if not self.whole:
            self._wake()
        return True

    def _finish(self, response: Response) -> None:
        """Give a complete answer to its reader, and the connection to the next request."""
        chunks = self.chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        limit = self.site.limits.body_bytes_max
        if self.whole and len(body) > limit:
            self.fail("body_too_large", f"the provider's answer is over {limit} bytes")
            return
        chunks.clear()
        self.response = None
        if self.whole:
            response.body = body
            body = b""
        response.detach(body, None)
        self._wake()
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
        # Bytes of the request still unwritten: the provider answered without reading it all, and may not read on.
        if self.keep and not self.closed and not self.transport.get_write_buffer_size():
            self.reused = True
            self.site.release(self)
        else:
            self.drop()

    def _ended(self, error: Exception | None) -> None:
        """Judge the end of the connection, which is the end of the body where nothing else marks that."""
        self.keep = False
        response = self.response
        if response is None:
            self.drop()
        elif not response.status:
            self.fail("reset", "the provider closed the connection before it answered")
        elif error is None and not (response.header(b"content-length") or response.header(b"transfer-encoding")):
            self._finish(response)
        else:
            self.fail("cut", "the provider closed the connection in the middle of its answer")

    def fail(self, kind: UpstreamKind, message: str, *, sent: bool = True) -> None:
        """End the request, if there is one, with an error, and the connection with it."""
        response = self.response
        if response is not None:
            self.response = None
            rest = b"" if self.whole else b"".join(self.chunks)
            response.detach(rest, UpstreamError(kind, message, sent=sent))
            self._wake()
        self.drop()

    def _pour(self, sink: Take) -> None:
        """Hand what has arrived to a reader that takes it here and now; wake it where it wants no more."""
        try:
            if not sink(self.take()):
                self._wake(stopped=True)
        except Exception as error:  # noqa: BLE001 - the reader's own
            waiter, self.waiter, self.sink = self.waiter, None, None
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)

    def _wake(self, *, stopped: bool = False) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = self.sink = None
            if not waiter.done():
                waiter.set_result(stopped)

    def drop(self) -> None:
        """Close at once, whatever is still to be read or written. May be called again."""
        if not self.closed:
            self.closed = True
            self.chunks.clear()
            self.transport.abort()
            self.site.forget(self)

    def judge(self, now: float) -> None:
        """Close what has been idle, or silent, or busy for too long at the monotonic time `now` (seconds)."""
        deadlines = None if self.response is None else self.deadlines
        if deadlines is None:
            if (now - self.idle_since) * 1000 > self.site.limits.keepalive_ms:
                self.drop()
        elif (now - self.sent_at) * 1000 > deadlines.total_ms:
            self.fail("total_timeout", f"the provider's answer took longer than {deadlines.total_ms} ms")
        elif self.progress or self.paused:
            self.progress = False
            self.progress_at = now
        elif not self.progress_at:
            if (now - self.sent_at) * 1000 > deadlines.first_byte_ms:
                self.fail("first_byte_timeout", f"the provider sent nothing for {deadlines.first_byte_ms} ms")
        elif (now - self.progress_at) * 1000 > deadlines.idle_ms:
            self.fail("idle_timeout", f"the provider's answer stopped for {deadlines.idle_ms} ms")


def _coding_beyond_chunked(head: bytes) -> str:
    """Name the kind of coding that a head in lower case announces, if it is more than the chunked transfer coding."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        if name == b"content-encoding" and value not in (b"", b"identity"):
            return "content coding"
        if name == b"transfer-encoding" and value != b"chunked":
            return "transfer coding beyond chunked"
    return ""
