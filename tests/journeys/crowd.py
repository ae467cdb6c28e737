"""Many callers at once, from one event loop: each asks once on a connection of its own."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

from tests.journeys.wire import CHAT, Client

PATIENCE_S = 60.0
T = TypeVar("T")


@dataclass
class Heard:
    """What one caller got. Without a status, the connection ended before any answer."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    whole: bool = False
    refused: bool = False  # nobody listened, so that nothing was sent

    @property
    def code(self) -> str:
        """The code of an error, else the empty string."""
        return self.error["code"] if self.status >= 400 else ""

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]

    @property
    def metadata(self) -> dict[str, Any]:
        """Of a stream that came to its end, or of a whole answer."""
        if b"event-stream" not in self.head:
            return json.loads(self.body)["metadata"]
        (found,) = [line[6:] for line in self.body.split(b"\n") if b'"metadata"' in line]
        return json.loads(found)["metadata"]

    @property
    def request_id(self) -> str:
        """The gateway's id of the request; empty where no head came."""
        _, _, rest = self.head.lower().partition(b"x-daoe-request-id: ")
        return rest.partition(b"\r\n")[0].decode()


def request(client: Client, **body: Any) -> bytes:
    """The bytes of a chat completion on a connection that is closed behind it."""
    document = json.dumps({"messages": [{"role": "user", "content": "hi"}], **body}).encode()
    return client.head("Connection: close", "Content-Type: application/json", f"Content-Length: {len(document)}") + (
        document
    )


async def ask(client: Client, data: bytes) -> Heard:
    """Send the request, and read until the connection ends, however it does."""
    heard = Heard()
    got = b""
    try:
        reader, writer = await asyncio.open_connection(*client.address)
    except OSError:
        heard.refused = True
        return heard
    with contextlib.closing(writer), contextlib.suppress(OSError):
        writer.write(data)
        while part := await reader.read(65_536):
            got += part
    head, found, rest = got.partition(b"\r\n\r\n")
    if not found:
        return heard
    heard.head = head
    heard.status = int(head.split(b" ", 2)[1])
    chunked = b"transfer-encoding: chunked" in head.lower()
    heard.body, heard.whole = _unchunked(rest) if chunked else (rest, _has_its_length(head, rest))
    return heard


def run(made: Coroutine[Any, Any, T]) -> T:
    """Run it on an event loop of its own, which is nobody else's current one."""
    with contextlib.closing(uvloop.new_event_loop()) as loop:
        return loop.run_until_complete(made)


def together(client: Client, count: int, **body: Any) -> list[Heard]:
    """So many callers, all at once."""
    data = request(client, **body)

    async def all_of_them() -> list[Heard]:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.gather(*[ask(client, data) for _ in range(count)])

    assert CHAT.encode() in data
    return run(all_of_them())


def again_and_again(client: Client, callers: int, going_on: Callable[[], bool], **body: Any) -> list[Heard]:
    """So many callers, each asking anew as soon as it has been answered, for as long as it goes on."""
    data = request(client, **body)
    heard: list[Heard] = []

    async def one() -> None:
        while going_on():
            made = await ask(client, data)
            heard.append(made)
            if not made.status:
                await asyncio.sleep(0.02)  # nobody is there

    async def all_of_them() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*[one() for _ in range(callers)])

    run(all_of_them())
    return heard


class Kept:
    """A caller who keeps its connection for as long as the answers say nothing of its end."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.opened = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, **body: Any) -> Heard:
        """Ask once more. A connection that ends, or is refused, is an answer without a status, or not whole."""
        document = json.dumps({"messages": [{"role": "user", "content": "hi"}], **body}).encode()
        heard = Heard()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self.client.address)
                self.opened += 1
            reader, writer = self._streams
            writer.write(self.client.head(f"Content-Length: {len(document)}") + document)
            heard.head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
            heard.status = int(heard.head.split(b" ", 2)[1])
            lower = heard.head.lower()
            _, sized, rest = lower.partition(b"content-length: ")
            if sized:
                heard.body = await reader.readexactly(int(rest.partition(b"\r\n")[0]))
                heard.whole = True
            else:
                heard.body, heard.whole = _unchunked(await reader.readuntil(b"\r\n0\r\n\r\n"))
            if b"connection: close" in lower:
                self.close()
        except (OSError, asyncio.IncompleteReadError):
            self.close()
        return heard

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def tally(heard: list[Heard]) -> Counter[tuple[int, str]]:
    """How many got which status, and which code."""
    return Counter((one.status, one.code) for one in heard)


def _has_its_length(head: bytes, body: bytes) -> bool:
    _, found, rest = head.lower().partition(b"content-length: ")
    return bool(found) and int(rest.partition(b"\r\n")[0]) == len(body)


def _unchunked(data: bytes) -> tuple[bytes, bool]:
    body = []
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            return b"".join(body), False
        size = int(line, 16)
        if not size:
            return b"".join(body), True
        body.append(data[:size])
        data = data[size + 2 :]
