"""The upstream HTTP/1.1 client: a keep-alive pool straight on asyncio's transports and llhttp's parser.

It is on the hot path, so a request costs one future and no task; deadlines are judged by one sweep of all
connections, ten times a second, and not by a timer each. It follows no redirect, reads no proxy from the
environment, keeps no cookie and decodes no content coding. `upstream` has the words it is spoken to in.
"""

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from pathlib import Path

from joytoken.providers.addresses import Network, look_up, within
from joytoken.providers.interface import CancelledUnsent
from joytoken.providers.transport_connection import Connection
from joytoken.providers.transport_response import Response
from joytoken.providers.upstream import (
    Deadlines,
    Limits,
    Origin,
    UpstreamError,
    build_head,
    header_line,
    parse_origin,
    render,
)

__all__ = [
    "Deadlines",
    "Limits",
    "Origin",
    "Pool",
    "Response",
    "UpstreamError",
    "build_head",
    "header_line",
    "parse_origin",
    "readable_authorities",
    "render",
]

CA_BYTES_MAX = 4 * 1024 * 1024  # of a file of authorities; a whole system's have a quarter of a megabyte

_SWEEP_S = 0.1
# A sweep this late means that the loop stood still, and what providers sent meanwhile is not yet read.
_STALL_S = 0.5
_CLOSE_S = 1.0
_DEADLINES = Deadlines()
_LIMITS = Limits()


class _Site:
    """The connections to one origin, and who waits for one."""

    __slots__ = ("closed", "connections", "denied", "idle", "limits", "loop", "opening", "origin", "tls", "waiters")

    def __init__(self, origin: Origin, limits: Limits, tls: ssl.SSLContext | None, denied: tuple[Network, ...]) -> None:
        self.origin = origin
        self.limits = limits
        self.tls = tls
        self.denied = denied
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.idle: deque[Connection] = deque()
        self.opening = 0
        self.closed = False
        self.waiters: deque[asyncio.Future[Connection | None]] = deque()

    def full(self) -> bool:
        return len(self.connections) + self.opening >= self.limits.connections_max

    def release(self, connection: Connection) -> None:
        """Give a connection to who has waited longest, or keep it."""
        connection.idle_since = self.loop.time()  # also where it is given: the sweep may come before its next request
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """Take a closed connection out of all books."""
        self.connections.discard(connection)
        with suppress(ValueError):
            self.idle.remove(connection)
        self.grant()

    def grant(self) -> None:
        """Let those who have waited longest open a connection, while there is room for one."""
        while self.waiters and not self.full():
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.opening += 1
                waiter.set_result(None)

    async def acquire(self, deadlines: Deadlines, *, fresh: bool = False) -> Connection:
        """Return a connection that serves nobody; one just opened if `fresh`. Raises CancelledUnsent if cancelled."""
        try:
            return await self._acquire(deadlines, fresh=fresh)
        except asyncio.CancelledError as cancelled:
            raise CancelledUnsent from cancelled

    async def _acquire(self, deadlines: Deadlines, *, fresh: bool) -> Connection:
        if self.closed:
            raise _closing()
        if fresh and self.idle and self.full():
            self.idle[0].drop()
        if self.full():
            granted = await self._wait(deadlines)
            if granted is not None and not granted.closed:
                return granted
            if granted is not None:
                return await self._acquire(deadlines, fresh=False)
        else:
            self.opening += 1
        try:
            return await self._open(deadlines)
        finally:
            self.opening -= 1
            self.grant()

    async def _wait(self, deadlines: Deadlines) -> Connection | None:
        """Wait in line for a connection, or (None) for the right to open one, which counts as opening already."""
        if len(self.waiters) >= self.limits.waiters_max:
            raise UpstreamError("pool_full", "too many requests wait for a connection to the provider", sent=False)
        waiter: asyncio.Future[Connection | None] = self.loop.create_future()
        self.waiters.append(waiter)
        try:
            async with asyncio.timeout(deadlines.connect_ms / 1000):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            else:
                with suppress(ValueError):
                    self.waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                message = f"no connection to the provider became free within {deadlines.connect_ms} ms"
                raise UpstreamError("pool_full", message, sent=False) from None
            raise

    def _give_back(self, granted: Connection | None) -> None:
        """Pass on what was granted to a request that was cancelled in the same moment."""
        if granted is None:
            self.opening -= 1
            self.grant()
        elif not granted.closed:
            self.release(granted)

    async def _open(self, deadlines: Deadlines) -> Connection:
        try:
            async with asyncio.timeout(deadlines.connect_ms / 1000):
                connection = await self._connect()
        except TimeoutError:
            message = f"no connection to the provider within {deadlines.connect_ms} ms"
            raise UpstreamError("connect_timeout", message, sent=False) from None
        except ssl.SSLError as error:
            raise UpstreamError("tls_failed", f"TLS with the provider failed: {error.reason}", sent=False) from error
        except (OSError, UnicodeError) as error:
            raise UpstreamError("connect_failed", f"no connection to the provider: {error}", sent=False) from error
        if self.closed:
            connection.drop()
            raise _closing()
        return connection

    async def _connect(self) -> Connection:
        """Connect to the first address that answers; to none where one of them may not be connected to."""
        origin = self.origin
        addresses = await look_up(origin.address or origin.host, origin.port)
        for address in addresses:
            if within(address, self.denied):
                raise OSError(f"{origin.host} is {address}, and upstream.networks_denied names its network")
        failure: OSError | None = None
        for address in addresses:
            try:
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self),
                    str(address),
                    origin.port,
                    ssl=self.tls,
                    server_hostname=origin.host if self.tls is not None else None,
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
            else:
                return connection
        assert failure is not None
        raise failure


class Pool:
    """All connections to all origins, for one event loop. `denied`: networks that it never connects to."""

    __slots__ = ("_closed", "_contexts", "_denied", "_limits", "_sites", "_swept_at", "_timer")

    def __init__(self, limits: Limits = _LIMITS, denied: tuple[Network, ...] = ()) -> None:
        self._limits = limits
        self._denied = denied
        self._sites: dict[Origin, _Site] = {}
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._swept_at = 0.0
        self._closed = False

    async def send(self, origin: Origin, data: bytes, *, whole: bool, deadlines: Deadlines = _DEADLINES) -> Response:
        """Send a complete request (see `upstream.render`) and return its answer, once its head has come.

        With `whole`, the answer is returned when its body is complete. Otherwise the caller reads it, and calls
        `close` on it in every case. Raises `UpstreamError`. A reused connection that turns out to have been closed
        by the provider is replaced by a new one, once; nothing else is sent twice. Cancelled, it closes the
        connection at once; cancelled while it waits for one, it raises CancelledUnsent.
        """
        site = self._sites.get(origin) or self._add(origin)
        connection = site.idle.pop() if site.idle else await site.acquire(deadlines)
        for last in (False, True):
            if self._timer is None:
                self._sweep_later(site.loop)
            response, waiter = connection.start(data, whole=whole, deadlines=deadlines)
            try:
                await waiter
            except BaseException:
                response.close()
                raise
            error = response.error
            if error is None or (response.status and not whole):
                return response
            if last or not _was_stale(connection, response, error):
                raise error
            connection = await site.acquire(deadlines, fresh=True)
        raise AssertionError  # the second round returns or raises

    def stats(self) -> dict[str, dict[str, int]]:
        """Count, for each origin by its authority, connections (`open`, `idle`, `in_use`), attempts and waiters."""
        return {
            f"{site.origin.scheme}://{site.origin.authority}": {
                "open": len(site.connections),
                "idle": len(site.idle),
                "in_use": len(site.connections) - len(site.idle),
                "opening": site.opening,
                "waiting": len(site.waiters),
            }
            for site in self._sites.values()
        }

    async def aclose(self) -> None:
        """Close every connection; requests under way or in line end with an error. Bounded to about one second."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connections: list[Connection] = []
        for site in self._sites.values():
            site.closed = True
            connections += site.connections
            for waiter in site.waiters:
                if not waiter.done():
                    waiter.set_exception(_closing())
            site.waiters.clear()
        for connection in connections:
            connection.fail("reset", "the gateway is closing")
        if connections:
            await asyncio.wait([connection.lost for connection in connections], timeout=_CLOSE_S)

    def _add(self, origin: Origin) -> _Site:
        if self._closed:
            raise _closing()
        context = None
        if origin.scheme == "https":
            context = self._contexts.get(origin.ca_file)
            if context is None:
                context = self._contexts[origin.ca_file] = _tls(origin.ca_file)
        site = self._sites[origin] = _Site(origin, self._limits, context, self._denied)
        return site

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._swept_at = loop.time()
        self._timer = loop.call_later(_SWEEP_S, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Judge every connection, and sweep again while there are any."""
        now = loop.time()
        stalled = now - self._swept_at > _STALL_S
        self._timer = None
        for site in self._sites.values():
            for connection in () if stalled else tuple(site.connections):
                connection.judge(now)
            if site.connections and self._timer is None:
                self._sweep_later(loop)


def _closing() -> UpstreamError:
    return UpstreamError("connect_failed", "the gateway is closing", sent=False)


def _was_stale(connection: Connection, response: Response, error: UpstreamError) -> bool:
    """Tell whether the provider had closed the connection before the request came, so that it saw nothing of it."""
    if not response.reused or response.started or error.kind != "reset":
        return False
    return (connection.loop.time() - connection.sent_at) * 1000 <= connection.site.limits.stale_ms


def _tls(ca_file: str | None) -> ssl.SSLContext:
    """Return the rules for TLS: certificate and host name verified, HTTP/1.1."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UpstreamError("tls_failed", "the file of certificate authorities cannot be read", sent=False) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def readable_authorities(ca_file: str) -> bool:
    """Whether a file is there, of at most `CA_BYTES_MAX`, that has certificates of authorities in PEM."""
    try:
        path = Path(ca_file)
        if not path.is_file() or path.stat().st_size > CA_BYTES_MAX:
            return False
        ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError):  # an SSLError is an OSError
        return False
    return True
