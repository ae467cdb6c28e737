"""A provider on loopback that says whatever a test wants, and keeps its own bill.

An answer is a list of actions: bytes to send, seconds (a float) to wait, or one of CUT, RESET and HANG. A test sets the
answers of one upstream model with `stub.says(model, answer, …)`: each call takes the next, and the last one stays. A
model without answers is served by the parameters in its own name, so that a stub in another process can be told too:
`any?words=50&pause_ms=20&usage=none&cut_after=10`.

As a process: `python -m tests.journeys.stub --bill FILE` prints its base URL, and appends each call to the file as it
begins and as it ends.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

CUT, RESET, HANG = "cut", "reset", "hang"  # close now · close with a TCP reset · say nothing more until the peer leaves
Action = bytes | float | str
Answer = list[Action] | Callable[["Seen"], list[Action]]
CREATED = 1_790_000_000
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
TEXT = "Hello from the stub."
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass
class Seen:
    """One call as the provider saw it: a line of its bill."""

    request_id: str
    model: str
    body: dict[str, Any]
    headers: dict[str, str]
    at: float
    bytes_sent: int = 0
    finished: bool = False  # every action was carried out
    cancelled: bool = False  # the peer left before
    ended_at: float = 0.0


# -- answers ---------------------------------------------------------------------------------------------------------


def whole(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> list[Action]:
    """An answer with a length; header names are given with underscores."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return ["\r\n".join(lines).encode() + b"\r\n\r\n" + body]


def completion(text: str | None = TEXT, usage: Any = USAGE, finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    """A completion's JSON; `more` are fields of the message. `usage=...` (an ellipsis) leaves the field out."""
    message = {"role": "assistant", "content": text, "refusal": None, **more}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    made = {"id": "chatcmpl-stub", "object": "chat.completion", "created": CREATED, "model": "stub-upstream"}
    return made | {"choices": [choice]} | ({} if usage is ... else {"usage": usage})


def answer(document: Any = None, **headers: str) -> list[Action]:
    """A completion (or any JSON) as an answer of status 200."""
    return whole(200, json.dumps(completion() if document is None else document).encode(), **headers)


def refusal(status: int, message: str = "the stub says no", kind: str = "stub_error", **headers: str) -> list[Action]:
    """An error in the OpenAI shape."""
    return whole(status, json.dumps({"error": {"message": message, "type": kind}}).encode(), **headers)


def event(document: Any) -> bytes:
    """One event of a stream: JSON, or text as it is."""
    return b"data: " + (document if isinstance(document, bytes) else json.dumps(document).encode()) + b"\n\n"


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk's JSON; without a delta it has no choices."""
    made = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": CREATED, "model": "stub-upstream"}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return made | {"choices": [] if delta is None else [choice]} | more


def events(
    words: list[str] | None = None, usage: Any = USAGE, finish: str | None = "stop", *, done: bool = True
) -> Any:
    """The events of a stream: role, a chunk for each word, the finish, usage (None: none), and `[DONE]`."""
    made = [event(chunk({"role": "assistant", "content": "", "refusal": None}))]
    made += [event(chunk({"content": word})) for word in (words or ["Hello ", "from ", "the ", "stub."])]
    if finish is not None:
        made.append(event(chunk({}, finish)))
    if usage is not None:
        made.append(event(chunk(None, usage=usage)))
    return [*made, event(b"[DONE]")] if done else made


def stream(parts: list[Action] | None = None, *, pause_s: float = 0.0, **headers: str) -> list[Action]:
    """A chunked event stream of these parts (default: `events()`); CUT, RESET and HANG in them end it in that way."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    made: list[Action] = [head.encode() + b"\r\n"]
    for part in events() if parts is None else parts:
        made.append(b"%x\r\n%b\r\n" % (len(part), part) if isinstance(part, bytes) else part)
        if pause_s:
            made.append(pause_s)
    return made if made[-1] in (CUT, RESET, HANG) else [*made, b"0\r\n\r\n"]


def either(seen: Seen) -> list[Action]:
    """The default answer: a stream where one was asked for, else a completion."""
    return stream() if seen.body.get("stream") else answer()


def bytewise(data: bytes) -> list[Action]:
    """The same bytes as one action each."""
    return [data[at : at + 1] for at in range(len(data))]


def named(seen: Seen) -> list[Action]:
    """What a model without answers of its own says: by the parameters in its name, else the defaults."""
    given = dict(parse_qsl(seen.model.partition("?")[2]))
    words = [f"word{number} " for number in range(int(given.get("words", 4)))]
    count = {"prompt_tokens": 11, "completion_tokens": len(words), "total_tokens": 11 + len(words)}
    usage = None if given.get("usage") == "none" else count
    pause_s = int(given.get("pause_ms", 0)) / 1000
    if "status" in given:
        return refusal(int(given["status"]))
    if not seen.body.get("stream"):
        made = completion("".join(words), usage if usage is not None else ...)
        return [pause_s, *answer(made)] if pause_s else answer(made)
    parts: list[Action] = events(words, usage, done=given.get("done") != "none")
    for name, action in (("cut_after", CUT), ("reset_after", RESET), ("hang_after", HANG)):
        if name in given:
            parts = [*parts[: 1 + int(given[name])], action]
    return stream(parts, pause_s=pause_s)


# -- the server ------------------------------------------------------------------------------------------------------


class _Connection(asyncio.Protocol):
    def __init__(self, stub: "Stub") -> None:
        self.stub = stub
        self.buffer = b""
        self.task: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.stub.connections += 1
        self.stub.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self.stub.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.task is None:
            self.next_request()

    def next_request(self) -> None:
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        body = json.loads(rest[:length]) if length else {}
        seen = Seen(headers.get("x-request-id", ""), str(body.get("model", "")), body, headers, time.time())
        self.task = asyncio.get_running_loop().create_task(self.serve(lines[0], seen))

    async def serve(self, line: str, seen: Seen) -> None:
        if line.startswith("GET "):
            self.transport.write(b"".join(whole(200, b'{"object":"list","data":[]}')))  # type: ignore[arg-type]
        else:
            self.stub.begin(seen)
            actions = self.stub.actions(seen)
            seen.finished = await self.carry_out(actions, seen)
            seen.cancelled = self.gone.is_set() and not seen.finished
            seen.ended_at = time.time()
            self.stub.end(seen)
        self.task = None
        if not self.transport.is_closing():
            self.next_request()

    async def carry_out(self, actions: list[Action], seen: Seen) -> bool:
        for action in actions:
            if self.gone.is_set():
                return False
            if isinstance(action, bytes):
                self.transport.write(action)
                seen.bytes_sent += len(action)
                await asyncio.sleep(0)
            elif action == CUT:
                self.transport.close()
            elif action == RESET:
                linger = struct.pack("ii", 1, 0)
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.transport.abort()
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.gone.wait(), None if action == HANG else float(action))
                    return False
        return True


@dataclass
class Stub:
    """The server, in a thread of its own. `bill` may be read at any time from any thread."""

    bill: list[Seen] = field(default_factory=list)
    bill_file: Path | None = None
    connections: int = 0
    port: int = 0  # where it listens; 0 lets the system choose

    def __post_init__(self) -> None:
        self.open: set[_Connection] = set()
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="stub", daemon=True)
        self._thread.start()
        listening.wait(10)

    @property
    def url(self) -> str:
        """The base URL, as `providers add --base-url` takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def says(self, model: str, *answers: Answer) -> None:
        """Set what an upstream model answers: one after the other, the last one from then on."""
        with self._lock:
            self._answers[model] = list(answers)

    def actions(self, seen: Seen) -> list[Action]:
        with self._lock:
            queue = self._answers.get(seen.model)
            given = (queue.pop(0) if len(queue) > 1 else queue[0]) if queue else named
        return given(seen) if callable(given) else given

    def calls(self, model: str | None = None) -> list[Seen]:
        """The bill's lines, of one upstream model or all."""
        with self._lock:
            return [seen for seen in self.bill if model is None or seen.model == model]

    def begin(self, seen: Seen) -> None:
        with self._lock:
            self.bill.append(seen)
            self._file("begin", seen)

    def end(self, seen: Seen) -> None:
        with self._lock:
            self._file("end", seen)

    def close(self) -> None:
        """Stop serving; calls under way are broken off."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _file(self, what: str, seen: Seen) -> None:
        if self.bill_file is not None:
            with self.bill_file.open("a") as file:
                file.write(json.dumps({"what": what, **asdict(seen)}) + "\n")

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        made = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=2048)
        server = self._loop.run_until_complete(made)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self._loop.run_forever()
        server.close()
        for connection in tuple(self.open):
            connection.transport.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()


@contextlib.contextmanager
def running() -> Iterator[Stub]:
    """A stub for as long as the block runs."""
    stub = Stub()
    try:
        yield stub
    finally:
        stub.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A scriptable stub provider.")
    parser.add_argument("--bill", type=Path)
    stub = Stub(bill_file=parser.parse_args().bill)
    print(stub.url, flush=True)
    sys.stdin.read()  # until whoever started it goes away
    stub.close()


if __name__ == "__main__":
    main()
