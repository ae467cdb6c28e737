"""The server's edge: uvicorn's HTTP/1.1 protocol with limits, and the hot route answered without ASGI.

uvicorn keeps the sockets, signals, TLS and graceful stop; every path but the hot one goes to the ASGI application. What
is added: bounds on heads, bodies and slow peers (uvicorn with httptools has none), answers to broken requests in the
contract's shape, and chat completions served straight from the parser's callbacks.

A connection carries one request at a time. A client that sends the next one before its answer (pipelining) gets that
answer with `Connection: close`: what it sent ahead is not read, so that nothing can be smuggled behind a request.
"""

import asyncio
import socket
from time import monotonic, time_ns
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from joytoken.api.connection import CLOSE, AnsweringProtocol
from joytoken.api.door import Door
from joytoken.api.head import Framing, HeadError, HeadLimits, KnownHead, check_size, known_head, path_of, read_head
from joytoken.domain.errors import GatewayError, InvalidRequest
from joytoken.gateway.call import Call
from joytoken.gateway.keyring import Principal
from joytoken.gateway.trail import Trail
from joytoken.workers import bridge

HOT_PATH = b"/openai/v1/chat/completions"
_UNREAD_BODY_BYTES_MAX = 65_536  # of a refused request, so that its connection can be used again
_LINGER_MS = 5_000  # a client that is still sending when it was answered has this time to see the answer
_encode = msgspec.json.Encoder().encode
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class EdgeProtocol(AnsweringProtocol):
    """One connection. `door` is set on the class by the composition root, once per process."""

    door: Door

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits: HeadLimits = self.door.limits
        self.phase = "head"
        self._head_bytes = 0
        self._known: KnownHead | None = None
        self._whole: bytes | None = None  # the bytes of a request that came in one piece
        self._hot = False
        self._trail: Trail | None = None
        self._principal: Principal | None = None
        self._refusal: GatewayError | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._unannounced = False  # the worker leaves, and the answer under way does not say that the connection ends

    # -- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(self.limits.write_buffer_bytes_max)
        self.door.opened(self)
        if self.door.full:
            self.refuse(503, "service_unavailable", "too_many_connections", "the gateway has no connection to spare")

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self.door.closed(self)
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._task is not None and self._trail is not None:
            self.door.abandon(self._task, self._trail)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._task is not None:
            # Read and thrown away: a hang-up shows only behind it.
            self._ahead = True
            self._body_bytes += len(data)
            if self._body_bytes > self.limits.header_bytes_max + self.limits.body_bytes_max:
                self.transport.abort()
            return
        if self.phase == "end":
            return
        self._whole = None
        if self.phase == "idle":
            if self._known is not None:
                body = self._known.body_of(data)
                if body is not None:
                    self._begin_known(self._known.call, body)
                    return
            self.phase, self.since = "head", monotonic()
        if self.phase == "head":
            if not self._head_bytes:
                self._whole = data
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.refuse(400, "invalid_request_error", "upgrade_unsupported", "this server speaks plain HTTP/1.1")
        except httptools.HttpParserCallbackError as error:
            self._callback_failed(error.__context__)
        except httptools.HttpParserError:
            self.refuse(400, "invalid_request_error", "invalid_http", "the request is not valid HTTP/1.1")
        if self.phase == "head" and self._head_bytes > self.limits.header_bytes_max + self.limits.target_bytes_max:
            self.refuse(431, "invalid_request_error", "headers_too_large", "the request's head is too large")

    def _callback_failed(self, error: BaseException | None) -> None:
        if isinstance(error, HeadError):
            self.refuse(error.status, "invalid_request_error", error.code, error.message)
            return
        if error is not None and not isinstance(error, Exception):
            raise error
        self.door.log_defect(error)
        self.refuse(500, "internal_error", "internal_error", "the gateway failed on this request")

    def refuse(self, status: int, kind: str, code: str, message: str) -> None:
        """Answer a request that cannot be read, and close: what follows on the connection cannot be trusted."""
        if self._ended:
            return
        if not self._started and not self._answered:
            given = self.door.new_id()
            error = {"message": message, "type": kind, "code": code, "param": None, "request_id": given}
            body = _encode({"error": error})
            head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            head += b"x-request-id: %b\r\nx-daoe-request-id: %b\r\n" % (given.encode(), given.encode())
            self.transport.write(STATUS_LINE[status] + head + CLOSE + b"\r\n" + body)
        self._end()

    @property
    def _ended(self) -> bool:
        """Whether nothing more is answered on this connection."""
        return self.phase == "end" or self.transport.is_closing()

    def _end(self) -> None:
        """Close this side, and take what the client still sends until it closes its own.

        To close over unread bytes would reset the connection, and the client could lose the answer by that.
        """
        if self._ended:
            return
        if self.door.full or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.phase, self.since = "end", monotonic()
        self.transport.write_eof()
        self.transport.resume_reading()

    # -- the parser's callbacks -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._hot = False
        cycle: RequestResponseCycle | None = self.cycle
        if self._task is not None or self._ended or (cycle is not None and not cycle.response_complete):
            self._ahead = True

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.target_bytes_max:
            raise HeadError(
                "target_too_large", f"the request target is longer than {self.limits.target_bytes_max} bytes", 414
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self.headers) > self.limits.header_count_max or self._head_bytes > self.limits.header_bytes_max:
            check_size(self.headers, self.limits)
        self.phase, self.since, self._head_bytes = "body", monotonic(), 0
        if self._ahead:
            return
        call = Call(self.since, time_ns() // 1000, self.client[0] if self.client else "")
        framing = read_head(self.headers, call)
        if not framing.names_host and self.parser.get_http_version() == "1.1":
            raise HeadError("missing_host", "an HTTP/1.1 request names its Host")
        if path_of(self.url) == HOT_PATH and self.parser.get_method() == b"POST":
            self._begin_hot(call, framing)
            return
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._ahead:
            return
        if not self._hot:
            super().on_body(body)
            return
        self._body_bytes += len(body)
        if self._refusal is None and self._body_bytes > self.limits.body_bytes_max:
            self._refusal = _too_large(self.limits.body_bytes_max)
        if self._refusal is None:
            self._body.append(body)
        elif self._body_bytes > _UNREAD_BODY_BYTES_MAX and not self._answered:
            self._keep_alive = False
            self._answer_refusal()

    def on_message_complete(self) -> None:
        if self._ahead:
            return
        if not self._hot:
            self.phase, self.since = "answer", monotonic()
            super().on_message_complete()
            return
        if self._answered:
            return
        self.phase, self.since = "answer", monotonic()
        if self._refusal is not None:
            self._answer_refusal()
            return
        trail, principal = self._trail, self._principal
        assert trail is not None
        assert principal is not None
        trail.call.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body, self._body_bytes = [], 0
        self._start(principal, trail)

    # -- the hot route --------------------------------------------------------------------------------------------

    def _begin_hot(self, call: Call, framing: Framing) -> None:
        self._hot = True
        self._started = self._answered = False
        self._body_bytes = 0
        self._body = []
        self._refusal = None
        version = self.parser.get_http_version()
        self._keep_alive = version != "1.0" and self.parser.should_keep_alive()
        self._chunked = version != "1.0"
        trail = self._trail = self.door.open_trail(call)
        try:
            self._principal = self.door.exchange.authenticate(trail)
            if framing.content_length > self.limits.body_bytes_max:
                raise _too_large(self.limits.body_bytes_max)
        except GatewayError as error:
            self._refusal = error
            if framing.content_length > _UNREAD_BODY_BYTES_MAX:
                self._keep_alive = False
                self._answer_refusal()
            return
        if framing.expects_continue:
            self.transport.write(_CONTINUE)
        if self._whole is not None and self._keep_alive and self._chunked:
            self._known = known_head(self._whole, framing, call, self.limits)

    def _begin_known(self, like: Call, body: bytes) -> None:
        """A whole request whose head this connection has sent before."""
        self.phase, self.since = "answer", monotonic()
        call = Call(self.since, time_ns() // 1000, like.peer_ip)
        call.body, call.digest = body, like.digest
        call.forwarded_for, call.real_ip, call.run = like.forwarded_for, like.real_ip, like.run
        trail = self._trail = self.door.open_trail(call)
        try:
            principal = self.door.exchange.authenticate(trail)
        except GatewayError as error:
            self._refusal = error
            self._answer_refusal()
            return
        self._start(principal, trail)

    def _start(self, principal: Principal, trail: Trail) -> None:
        task = self._task = self.loop.create_task(self._serve(principal, trail))
        self.tasks.add(task)

    def _answer_refusal(self) -> None:
        assert self._trail is not None
        assert self._refusal is not None
        self.door.exchange.fail(self._refusal, self._trail, self)
        self._done()

    async def _serve(self, principal: Principal, trail: Trail) -> None:
        task = self._task
        try:
            await self.door.exchange.serve(principal, trail, self)
        except asyncio.CancelledError:
            self.transport.abort()
        finally:
            self.tasks.discard(task)
            self._task = None
            self._done()

    def _done(self) -> None:
        """The answer is out: be ready for the next request, or close."""
        self._trail = self._principal = None
        self.server_state.total_requests += 1
        if self.gone:
            return
        if not self._answered or not self._keep_alive or self._ahead or (self._stopping and not self._unannounced):
            self._end()
            return
        self.phase, self.since = "idle", monotonic()
        self._started = self._answered = False

    # -- uvicorn's life cycle, and the sweep ----------------------------------------------------------------------

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self.phase, self.since = "idle", monotonic()

    def shutdown(self) -> None:
        """The server stops: end when the request under way is answered."""
        self._stopping = True
        self._unannounced = False
        if self._task is None:
            super().shutdown()

    def leave(self, over: socket.socket) -> None:
        """The worker has a successor: go there, over a bridge, if this is between two requests; asked again and again.

        An answer whose head is not out yet says that the connection ends behind it. Raises BridgeDown.
        """
        if self._rests:
            if bridge.send(over, self.transport.get_extra_info("socket").fileno()):
                self._unset_keepalive_if_required()
                self.transport.abort()  # this side of it: the other process has the connection
            return
        if not self._stopping:
            self._stopping, self._unannounced = True, self._started
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_started:
            cycle.keep_alive = False

    @property
    def _rests(self) -> bool:
        """Whether nothing of a request is here, and nothing of an answer any more."""
        fresh = self.phase == "head" and not self._head_bytes
        if self._ahead or self._ended or not (fresh or self.phase == "idle"):
            return False
        return not self.transport.get_write_buffer_size()

    def judge(self, now: float) -> None:
        """Close a connection that is too slow: called for each connection now and then."""
        waited_ms = (now - self.since) * 1000
        limits = self.limits
        if self.paused:
            if waited_ms > limits.write_stall_ms:
                self.transport.abort()
        elif self.phase == "head":
            if waited_ms > limits.head_ms:
                self.refuse(408, "invalid_request_error", "head_timeout", "the request's head took too long to arrive")
        elif self.phase == "body":
            if waited_ms > limits.body_ms:
                self.refuse(408, "invalid_request_error", "body_timeout", "the request's body took too long to arrive")
        elif self.phase == "end":
            if waited_ms > _LINGER_MS:
                self.transport.abort()
        elif self.phase == "idle" and waited_ms > limits.keepalive_ms:
            self.transport.close()


def _too_large(most: int) -> InvalidRequest:
    return InvalidRequest(f"the body is larger than {most} bytes", "body_too_large")
