"""What all connections of one process share: the exchange, the limits, and the sweep that ends slow peers."""

import asyncio
import logging
import random
from collections import Counter
from time import monotonic, time_ns
from typing import Protocol

from joytoken.api.head import HeadLimits
from joytoken.domain.ids import request_id
from joytoken.gateway.call import Call
from joytoken.gateway.exchange import Exchange
from joytoken.gateway.idempotency import STOP
from joytoken.gateway.trail import Trail

_log = logging.getLogger(__name__)
_SWEEP_S = 0.5


class Connection(Protocol):
    """A connection, as far as the sweep knows it."""

    def judge(self, now: float) -> None:
        """End the connection if it is too slow; `now` is monotonic seconds."""
        ...


class Door:
    """One per worker process."""

    def __init__(
        self, exchange: Exchange, limits: HeadLimits, *, correlation_id_chars_max: int, drains_max: int, drain_ms: int
    ) -> None:
        self.exchange = exchange
        self.limits = limits
        self._correlation_id_chars_max = correlation_id_chars_max
        self._drains_max = drains_max
        self._drain_s = drain_ms / 1000
        self._drains: Counter[str] = Counter()  # by the provider's name
        self._connections: set[Connection] = set()
        self._entropy = random.SystemRandom()
        self._random = random.Random(self._entropy.getrandbits(128))  # noqa: S311 - ids need no secrecy
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        """Whether there are more connections than allowed."""
        return len(self._connections) > self.limits.connections_max

    def opened(self, connection: Connection) -> None:
        """A connection was made."""
        self._connections.add(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    def _sweep(self) -> None:
        now = monotonic()
        for connection in tuple(self._connections):
            connection.judge(now)
        again = self._connections
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep) if again else None

    def new_id(self) -> str:
        """An id for a request that could not be read."""
        return request_id(time_ns() // 1_000_000, self._random.getrandbits(80))

    def open_trail(self, call: Call) -> Trail:
        """A trail with ids of its own; the caller's `X-Request-ID` is kept beside it where it is well-formed."""
        trail = Trail(call, request_id(call.started_us // 1000, self._random.getrandbits(80)))
        given = call.correlation
        if given is not None and 1 <= len(given) <= self._correlation_id_chars_max and _visible(given):
            trail.correlation_id = given.decode("ascii")
        return trail

    def abandon(self, task: asyncio.Task[None], trail: Trail) -> None:
        """The caller hung up: end the exchange now, unless its answer is of use.

        It is where the provider bills a stream to its end, and where an idempotency key lets the caller come back,
        unless they said that they do not want to.
        """
        choice = trail.choice
        drains = choice is not None and choice.provider.on_disconnect == "drain"
        keeps = trail.call.idempotency_key is not None and trail.call.on_disconnect != STOP
        provider = "" if choice is None else choice.provider.name
        if not (drains or keeps) or self._drains[provider] >= self._drains_max:
            task.cancel()
            return
        trail.note("the caller hung up; the answer was read to its end")
        self._drains[provider] += 1
        task.add_done_callback(lambda _: self._drains.subtract((provider,)))
        asyncio.get_running_loop().call_later(self._drain_s, task.cancel)

    def log_defect(self, error: BaseException | None) -> None:
        """Log a defect of the edge."""
        _log.error("the server's edge failed", exc_info=error)


def _visible(text: bytes) -> bool:
    return all(0x20 < byte < 0x7F for byte in text)
