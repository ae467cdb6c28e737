"""A proxy before a PostgreSQL server that cuts a connection at a chosen statement of a transaction.

It reads the frontend's messages as far as it must (https://www.postgresql.org/docs/current/protocol-message-formats.html):
which statement is run, and where it ends. A cut is a reset of the socket, of which neither side had a word.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.world import World
from tests.postgres import PostgresServer, database_name

_SECRETS = {80877103, 80877104}  # asks for TLS and GSSAPI, in place of a first message
_CODE = struct.Struct("!II")
_LENGTH = struct.Struct("!I")
_FLUSH = ("begin", "from worker", "advisory")  # how it begins: with its fence, and its turn at the ledger
COMMIT = "commit"


@dataclass
class Cut:
    """The connection is cut at the statement of this number of the next flush that has as many.

    Not all have as many; where none comes that does, it is cut at the commit of one. A flush with settlements is known
    by its first three statements; before the third, it may be any transaction that begins alike. `answered`: only once
    the server has answered, so that it is the answer which is lost.
    """

    number: int
    answered: bool
    shorter: int = 30  # flushes that go by without having as many
    done: threading.Event = field(default_factory=threading.Event)
    statement: str = ""


@dataclass
class _Line:
    """One connection: the texts of its prepared statements, and its transaction so far."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    prepared: dict[bytes, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    bound: str = ""
    cut: Cut | None = None  # as soon as the server has answered


class Proxy:
    """Listens on a port of loopback, in a thread of its own, until `close`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._cut: Cut | None = None
        self.flushes = 0  # that were committed without a cut
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self.port: int = self._server.result(10).sockets[0].getsockname()[1]

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self, number: int, *, answered: bool) -> Cut:
        """Arm one cut; `done` is set when it has come."""
        self._cut = Cut(number, answered)
        return self._cut

    def disarm(self) -> None:
        self._cut = None

    async def _end(self) -> None:
        self._server.result().close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        upstream = None
        try:
            answers, upstream = await asyncio.open_unix_connection(str(self._target))
            line = _Line(writer, upstream)
            there = asyncio.create_task(self._ask(line, reader))
            back = asyncio.create_task(self._answer(line, answers))
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, upstream):
                if end is not None:
                    end.close()
            self._tasks.discard(asyncio.current_task())

    async def _ask(self, line: _Line, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:  # until the first message that is one
                head = await reader.readexactly(_CODE.size)
                length, code = _CODE.unpack(head)
                line.server.write(head + await reader.readexactly(length - _CODE.size))
                if code not in _SECRETS:
                    break
            while True:
                kind = await reader.readexactly(1)
                length = await reader.readexactly(_LENGTH.size)
                body = await reader.readexactly(_LENGTH.unpack(length)[0] - _LENGTH.size)
                cut = self._seen(line, kind, body)
                if cut is not None and not cut.answered:
                    self._reset(line, cut)
                    return
                line.cut = cut or line.cut
                line.server.write(kind + length + body)
                await line.server.drain()

    async def _answer(self, line: _Line, answers: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(65_536):
                if line.cut is not None:
                    if data[-6:-1] == b"Z\0\0\0\5":  # ready for the next: this one is done
                        self._reset(line, line.cut)
                        return
                    continue
                line.client.write(data)
                await line.client.drain()

    def _seen(self, line: _Line, kind: bytes, body: bytes) -> Cut | None:
        """Note a message of the frontend; gives the cut that is due right before it."""
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            line.prepared[name] = rest.partition(b"\0")[0].decode()
            return None
        if kind == b"B":
            name = body.partition(b"\0")[2].partition(b"\0")[0]
            line.bound = line.prepared.get(name, "?")
            return None
        if kind not in b"QE":
            return None
        statement = (body[:-1].decode() if kind == b"Q" else line.bound).lower()
        if statement.startswith("begin"):
            line.ran = []
        line.ran.append(statement)
        if not _may_be_a_flush(line.ran):
            return None
        cut = self._cut
        if cut is not None:
            cut.shorter -= statement == COMMIT
            if len(line.ran) == cut.number or cut.shorter < 0:
                self._cut = None
                cut.statement = statement
                return cut
        self.flushes += statement == COMMIT
        return None

    def _reset(self, line: _Line, cut: Cut) -> None:
        for end in (line.client, line.server):
            sock = end.get_extra_info("socket")
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
            end.transport.abort()
        cut.done.set()


def _may_be_a_flush(ran: list[str]) -> bool:
    return all(sign in statement for sign, statement in zip(_FLUSH, ran, strict=False))


class Proxied(World):
    """A PostgreSQL server that the gateway reaches through a proxy."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        super().__init__(folder, server)
        self.proxy = Proxy(server.folder / ".s.PGSQL.5432")

    def reached(self, url: str) -> str:
        return f"postgresql://joytoken@127.0.0.1:{self.proxy.port}/{database_name(url)}"

    def close(self) -> None:
        self.proxy.close()
