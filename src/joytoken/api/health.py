"""Is the process alive, and can it serve: for supervisors and load balancers. Neither needs a key."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from joytoken.api.answer import answer

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str]]
"""Gives "" where all is well, else why not in a few words that anyone may read. Raising counts as "failed"."""

CHECK_MS = 500
"""A check that takes longer has failed for now; it is not begun again before it has ended."""
REMEMBERED_MS = 500
"""Anyone may ask, so that the answer is worked out at most this often."""


class Readiness:
    """Whether everything that serving needs is there: named checks, run together."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        check_ms: int = CHECK_MS,
        remembered_ms: int = REMEMBERED_MS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._checks = dict(checks)
        self._check_s = check_ms / 1000
        self._remembered_s = remembered_ms / 1000
        self._clock = clock
        self._found: dict[str, str] = {}
        self._until = float("-inf")
        self._under_way: asyncio.Task[dict[str, str]] | None = None
        self._looking: dict[str, asyncio.Task[str]] = {}

    async def look(self) -> dict[str, str]:
        """The result of each check by its name: "ok", or why not."""
        if self._clock() < self._until:
            return self._found
        if self._under_way is None:
            self._under_way = asyncio.get_running_loop().create_task(self._run())
        # One caller who hangs up must not end the look of the others.
        return await asyncio.shield(self._under_way)

    async def _run(self) -> dict[str, str]:
        try:
            results = await asyncio.gather(*(self._one(name, check) for name, check in self._checks.items()))
            self._found = dict(zip(self._checks, results, strict=True))
            self._until = self._clock() + self._remembered_s
        finally:
            self._under_way = None
        return self._found

    async def _one(self, name: str, check: Check) -> str:
        looking = self._looking.get(name)
        if looking is None or looking.done():
            looking = self._looking[name] = asyncio.get_running_loop().create_task(_result(name, check))
        # What waits in a thread, such as for a locked database, cannot be ended: another one beside it would be a
        # thread more for each who asks.
        done, _ = await asyncio.wait({looking}, timeout=self._check_s)
        return looking.result() if done else "timed out"


async def _result(name: str, check: Check) -> str:
    try:
        return await check() or "ok"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is not ready
        _log.warning("the readiness check %s failed: %s", name, error)
        return "failed"


def health_routes(version: str, readiness: Readiness) -> list[BaseRoute]:
    """`GET /health`: the process answers. `GET /ready`: 200 where every check is well, else 503."""

    async def health(_: Request) -> Response:
        return answer({"status": "ok", "version": version})

    async def ready(_: Request) -> Response:
        checks = await readiness.look()
        well = all(result == "ok" for result in checks.values())
        return answer({"status": "ready" if well else "not_ready", "checks": checks}, 200 if well else 503)

    return [Route("/health", health), Route("/ready", ready)]
