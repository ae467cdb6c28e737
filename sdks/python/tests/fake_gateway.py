"""A gateway on loopback that answers as it is told, and remembers what it was asked."""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 30


@dataclass
class Answer:
    """One answer: a body, or a stream of events that ends as `end` says."""

    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    events: list[Any] | None = None  # JSON values; a text is sent as it stands
    end: str = "done"  # done; plain: without [DONE]; cut: closed before its end; reset; hang: until the peer leaves


@dataclass
class Call:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: Any
    left: threading.Event = field(default_factory=threading.Event)  # the peer left a stream that hung


class FakeGateway:
    """Gives the answers of its script in order; the last one stays."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.gateway = self
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def script(self, *answers: Answer) -> None:
        with self._lock:
            self._answers = list(answers)

    def take(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(call)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE_S)
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, headers, json.loads(sent) if sent else None)
        answer = self.server.gateway.take(call)
        if answer.end == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        if answer.events is None:
            self._send_whole(answer)
        else:
            self._send_events(answer, call)

    def _send_whole(self, answer: Answer) -> None:
        body = answer.body if answer.body is not None else json.dumps(answer.json).encode()
        if answer.json is None and answer.body is None:
            body = b""
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self, answer: Answer, call: Call) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        for name, value in {"Content-Type": "text/event-stream", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if answer.end == "hang":
            # A reader may leave while the events are still on their way to it, or after the last one.
            self.connection.settimeout(PATIENCE_S)
            with contextlib.suppress(ConnectionError):
                self._send_each(answer.events)
                self.connection.recv(1)
            call.left.set()
            return
        self._send_each(answer.events)
        if answer.end == "done":
            self._send_chunk("data: [DONE]\n\n")
        if answer.end != "cut":
            self.wfile.write(b"0\r\n\r\n")

    def _send_each(self, events: list[Any] | None) -> None:
        for event in events or []:
            self._send_chunk(event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n")

    def _send_chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def completion(content: str | None = "Hello.", **more: Any) -> dict[str, Any]:
    """A chat completion as the gateway gives it."""
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "metadata": {"request_id": "req-1", "billing": {"credits_used": "0.000150"}},
        **more,
    }


def tool_call(name: str, arguments: Any = None, call_id: str = "call_a", **more: Any) -> dict[str, Any]:
    """A call of a tool, as a model makes it."""
    given = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": given}, **more}


def calling(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chat completion that calls tools."""
    return completion(None, message={"tool_calls": list(calls), **more.pop("message", {})}, **more)


def chunks(*deltas: dict[str, Any], **last: Any) -> list[dict[str, Any]]:
    """The chunks of a stream; the last one has usage and metadata."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    told: list[dict[str, Any]] = [
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    end = {k: completion()[k] for k in ("usage", "metadata")}
    return [*told, {**base, "choices": [], **end, **last}]


def refusal(status: int, kind: str, code: str | None, **more: Any) -> Answer:
    """A failure, as the gateway tells it."""
    error = {"message": "no", "type": kind, "code": code, "param": None, "request_id": "req-9"}
    return Answer(status, json={"error": error}, **more)


def paths(calls: Iterable[Call]) -> list[str]:
    return [f"{call.method} {call.path}" for call in calls]
