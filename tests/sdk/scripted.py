"""A provider on loopback that is told over HTTP what to answer, so that a test in any language can script it.

What it answers, and how it is told, stands in `tests/sdk/README.md`. Its one queue of answers for each name is kept in
memory; a script of a name replaces its answers and forgets its calls.
"""

import base64
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.journeys.stub import completion, events

BODY_BYTES_MAX = 16 << 20
CALLS_MAX = 1000  # of one name that are remembered
ENDS = frozenset({"done", "plain", "cut", "reset", "hang"})
FIELDS = frozenset({"status", "headers", "json", "text", "base64", "events", "pause_ms", "delay_ms", "end", "piece"})


@dataclass
class Call:
    """One call as the provider saw it."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float = field(default_factory=time.time)
    finished: bool = False
    cancelled: bool = False  # the peer left before the answer was whole


class Gone(Exception):
    """The peer has closed its connection."""


def named(body: Any) -> str:
    """The model that a control call is about; raises ValueError where it names none."""
    if not isinstance(body, dict) or not isinstance(name := body.get("model"), str) or not name:
        msg = "model: a name, not empty"
        raise ValueError(msg)
    return name


def checked(answers: Any) -> list[dict[str, Any]]:
    """The answers of a script; raises ValueError with what is wrong with them."""
    if not isinstance(answers, list) or not answers or not all(isinstance(answer, dict) for answer in answers):
        msg = "answers: a list of one or more objects"
        raise ValueError(msg)
    for answer in answers:
        if unknown := sorted(answer.keys() - FIELDS):
            msg = f"answers: unknown field {unknown[0]!r}; there are {', '.join(sorted(FIELDS))}"
            raise ValueError(msg)
        if answer.get("end", "done") not in ENDS:
            msg = f"end: one of {', '.join(sorted(ENDS))}"
            raise ValueError(msg)
    return answers


class Scripts:
    """What each name answers, and what it was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, list[dict[str, Any]]] = {}
        self._calls: dict[str, list[Call]] = {}

    def put(self, name: str, answers: list[dict[str, Any]]) -> None:
        with self._lock:
            self._answers[name] = list(answers)
            self._calls[name] = []

    def take(self, call: Call) -> dict[str, Any]:
        """Note the call, and give its answer: the next one of its name, the last one from then on."""
        with self._lock:
            noted = self._calls.setdefault(call.name, [])
            noted.append(call)
            del noted[:-CALLS_MAX]
            queue = self._answers.get(call.name)
            if queue:
                return queue.pop(0) if len(queue) > 1 else queue[0]
        return unscripted(call)

    def calls(self, name: str) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(call) for call in self._calls.get(name, [])]


def unscripted(call: Call) -> dict[str, Any]:
    """A plain completion, whole or streamed; other paths are not served without a script."""
    if not call.path.endswith("/chat/completions") or not isinstance(call.body, dict):
        message = f"nothing is scripted for {call.name!r}"
        return {"status": 404, "json": {"error": {"message": message, "type": "not_found_error", "code": "no_script"}}}
    if call.body.get("stream"):
        return {"events": [part.decode() for part in events(done=False)]}
    return {"json": completion()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/_calls":
            name = parse_qs(url.query).get("model", [""])[0]
            self.whole(200, json.dumps({"calls": self.server.scripts.calls(name)}).encode())
        else:
            self.answer(None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raw = self.chunked()
        elif length > BODY_BYTES_MAX:
            self.close_connection = True
            self.whole(413, b"{}")
            return
        else:
            raw = self.rfile.read(length)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw.decode("utf-8", "replace")
        if self.path in {"/_script", "/_model"}:
            self.control(body)
        else:
            self.answer(body)

    def chunked(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(20).partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(2)
        self.rfile.readline(2)
        return b"".join(parts)

    def control(self, body: Any) -> None:
        try:
            name = named(body)
            if self.path == "/_script":
                self.server.scripts.put(name, checked(body.get("answers")))
            else:
                self.server.make_model(name, {key: value for key, value in body.items() if key != "model"})
        except (ValueError, AssertionError) as error:
            self.whole(400, json.dumps({"error": {"message": str(error)}}).encode())
        else:
            self.whole(200, json.dumps({"model": name}).encode())

    def name_of(self, body: Any) -> str:
        """Whose script answers: the name in `/at/NAME/…`, else the body's model, else the method and path."""
        path = urlsplit(self.path).path
        if path.startswith("/at/"):
            return unquote(path.split("/")[2])
        model = body.get("model") if isinstance(body, dict) else None
        return model if isinstance(model, str) else f"{self.command} {path}"

    def answer(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.name_of(body), self.command, self.path, headers, body)
        answer = self.server.scripts.take(call)
        try:
            self.wait(answer.get("delay_ms", 0))
            if "events" in answer:
                self.stream(answer)
            else:
                self.scripted(answer)
            call.finished = True
        except (Gone, OSError):
            call.cancelled = True
            self.close_connection = True

    def scripted(self, answer: dict[str, Any]) -> None:
        if answer.get("end") == "reset":
            self.reset()
            return
        if "base64" in answer:
            data = base64.b64decode(answer["base64"])
        else:
            data = answer["text"].encode() if "text" in answer else json.dumps(answer.get("json")).encode()
        if answer.get("end") == "hang":
            self.wait(None)
        if answer.get("end") == "cut":
            self.head(answer, {"Content-Length": str(len(data) + 1)})
            self.wfile.write(data)
            self.close_connection = True
        else:
            self.whole(answer.get("status", 200), data, answer.get("headers", {}))

    def head(self, answer: dict[str, Any], more: dict[str, str]) -> None:
        self.send_response(answer.get("status", 200))
        given = answer.get("headers", {})
        default = "text/event-stream" if "events" in answer else "application/json"
        for name, value in ({"Content-Type": default} | more | given).items():
            self.send_header(name, str(value))
        self.end_headers()

    def whole(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.head({"status": status, "headers": headers or {}}, {"Content-Length": str(len(data))})
        self.wfile.write(data)

    def stream(self, answer: dict[str, Any]) -> None:
        self.head(answer, {"Transfer-Encoding": "chunked"})
        for part in answer["events"]:
            data = (part if isinstance(part, str) else f"data: {json.dumps(part)}\n\n").encode()
            for piece in pieces(data, answer.get("piece")):
                self.piece(piece)
            self.wait(answer.get("pause_ms", 0))
        end = answer.get("end", "done")
        if end == "hang":
            self.wait(None)
        elif end == "reset":
            self.reset()
        elif end == "cut":
            self.close_connection = True
        else:
            if end == "done":
                self.piece(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

    def piece(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def wait(self, ms: float | None) -> None:
        """Wait so long (None: for ever); raises Gone as soon as the peer has left."""
        end = None if ms is None else time.monotonic() + ms / 1000
        while (left := 1.0 if end is None else end - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], left)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise Gone
            if readable:
                time.sleep(min(left, 0.01))  # a next request is waiting already

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise Gone

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the calls are kept."""


def pieces(data: bytes, size: int | None) -> Iterator[bytes]:
    """The same bytes in pieces of at most this size."""
    for at in range(0, len(data), size or len(data) or 1):
        yield data[at : at + (size or len(data))]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self) -> None:
        self.scripts = Scripts()
        self.make_model: Callable[[str, dict[str, Any]], None] = self.no_models
        super().__init__(("127.0.0.1", 0), _Handler)

    @staticmethod
    def no_models(name: str, _fields: dict[str, Any]) -> None:
        """Refuse to make a model: there is no gateway."""
        msg = f"model {name!r} is not made: this provider stands alone"
        raise ValueError(msg)

    def handle_error(self, *_: Any) -> None:
        """A peer that hangs up is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def scripted() -> Iterator[_Server]:
    """A provider that is told over HTTP what to answer, for as long as the block runs."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
