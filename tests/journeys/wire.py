"""Clients for the journeys: exact bytes over a socket, and JSON and event streams over `http.client`."""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

CHAT = "/openai/v1/chat/completions"
TIMEOUT_S = 60.0


@dataclass
class Reply:
    """An answer. `headers` are by lower-case name; `events` the data of an event stream, `[DONE]` included."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True  # False where the connection ended before the answer did

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error, after a check that it has the contract's shape."""
        assert self.headers["content-type"].startswith("application/json")
        error = self.json["error"]
        assert set(error) - {"details"} == {"message", "type", "code", "param", "request_id"}
        for name in ("message", "type", "code", "request_id"):
            assert isinstance(error[name], str)
            assert error[name]
        assert self.headers["x-request-id"] == self.headers["x-daoe-request-id"]
        return error

    @property
    def events(self) -> list[str]:
        return [part[6:] for part in self.body.decode().split("\n\n") if part.startswith("data: ")]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(data) for data in self.events if data != "[DONE]"]

    @property
    def text(self) -> str:
        """The content of the first choice, whole or streamed."""
        if not self.headers["content-type"].startswith("text/event-stream"):
            return self.json["choices"][0]["message"]["content"]
        choices = [chunk["choices"][0] for chunk in self.chunks if chunk.get("choices")]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def metadata(self) -> dict[str, Any]:
        if not self.headers["content-type"].startswith("text/event-stream"):
            return self.json["metadata"]
        found = [chunk["metadata"] for chunk in self.chunks if "metadata" in chunk]
        assert len(found) == 1
        return found[0]

    @property
    def billing(self) -> dict[str, Any]:
        return self.metadata["billing"]


@dataclass
class Client:
    """Calls one gateway; a connection for each call."""

    url: str
    api_key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request; header names are given with underscores."""
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.api_key is not None and not {name.lower() for name in given} & {"authorization", "x-api-key"}:
            given["Authorization"] = f"Bearer {self.api_key}"
        connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, given)
            response = connection.getresponse()
            whole = True
            try:
                content = response.read()
            except http.client.IncompleteRead as cut:
                content, whole = cut.partial, False
            except ConnectionResetError:
                content, whole = b"", False
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, content, whole)

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, **headers)

    def post(self, path: str, document: Any, **headers: str) -> Reply:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.request("POST", path, body, **{"Content_Type": "application/json", **headers})

    def chat(
        self, model: str | None = None, say: str = "hi", headers: dict[str, str] | None = None, **more: Any
    ) -> Reply:
        """A chat completion of one message; `more` are further fields of the body."""
        body: dict[str, Any] = {"messages": [{"role": "user", "content": say}], **more}
        if model is not None:
            body["model"] = model
        return self.post(CHAT, body, **(headers or {}))

    @contextlib.contextmanager
    def connect(self) -> Iterator["Wire"]:
        """A bare connection."""
        with socket.create_connection(self.address, timeout=TIMEOUT_S) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield Wire(plain)

    def raw(self, data: bytes) -> Reply | None:
        """Send exact bytes, and read one answer; None where the connection was closed without one."""
        with self.connect() as wire:
            wire.send(data)
            return wire.reply()

    def head(self, *lines: str, method: str = "POST", path: str = CHAT) -> bytes:
        """A request's head with Host and Authorization and these lines, and its empty line."""
        first = [f"{method} {path} HTTP/1.1", "Host: gateway.test", f"Authorization: Bearer {self.api_key}"]
        return "\r\n".join([*first, *lines]).encode("latin-1") + b"\r\n\r\n"


class Wire:
    """A connection on which a test says exactly what it wants."""

    def __init__(self, plain: socket.socket) -> None:
        self.socket = plain
        self.read = b""

    def send(self, data: bytes) -> None:
        """Send; a peer that has closed already is no failure, for its answer is still to be read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def more(self) -> bool:
        """Read a piece; False at the end of the connection."""
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self.read += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Read until these bytes have come; give what came up to their end, and keep the rest."""
        while mark not in self.read:
            assert self.more(), f"closed before {mark!r}: {self.read[:500]!r}"
        before, _, self.read = self.read.partition(mark)
        return before + mark

    def closed(self, within_s: float = TIMEOUT_S) -> bool:
        """Whether the peer ends the connection, after whatever it still sends."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                if not self.more():
                    return True
            except TimeoutError:
                return False
        return False

    def reply(self) -> Reply | None:
        """Read one answer; None where the connection ended without any."""
        while b"\r\n\r\n" not in self.read:
            if not self.more():
                assert not self.read, f"half a head: {self.read[:500]!r}"
                return None
        head, _, self.read = self.read.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        status = int(lines[0].split(" ")[1])
        if status == 100:
            return Reply(status, headers, b"")
        body, whole = self._body(headers)
        return Reply(status, headers, body, whole)

    def _body(self, headers: dict[str, str]) -> tuple[bytes, bool]:
        if headers.get("transfer-encoding") == "chunked":
            return self._chunks()
        if "content-length" not in headers:
            while self.more():
                pass
            body, self.read = self.read, b""
            return body, True
        length = int(headers["content-length"])
        while len(self.read) < length:
            if not self.more():
                return self.read, False
        body, self.read = self.read[:length], self.read[length:]
        return body, True

    def _chunks(self) -> tuple[bytes, bool]:
        body = b""
        while True:
            while b"\r\n" not in self.read:
                if not self.more():
                    return body, False
            line, _, rest = self.read.partition(b"\r\n")
            size = int(line, 16)
            while len(rest) < size + 2:
                if not self.more():
                    return body, False
                rest = self.read.partition(b"\r\n")[2]
            body, self.read = body + rest[:size], rest[size + 2 :]
            if not size:
                return body, True
