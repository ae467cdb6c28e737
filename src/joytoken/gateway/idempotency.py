"""Idempotent requests: the answer of the first is kept, and replayed to whoever sends it again with the same key.

Only requests that carry an `Idempotency-Key` wait for the store. The answer's end reaches the caller after the store
has it, so that a caller who saw the end can rely on the replay. A caller who hangs up does not stop the first request:
the answer that was paid for is there when they come back. A caller who says `X-JoyToken-On-Disconnect: stop` does:
their request then ends as one without a key, and the key is free again.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from joytoken.domain.errors import Conflict, GatewayError, InvalidRequest, Unavailable
from joytoken.domain.record import UsageRecord
from joytoken.gateway.caller import Caller
from joytoken.gateway.keyring import Principal
from joytoken.gateway.trail import Trail
from joytoken.store.engine import StoreUnavailable
from joytoken.store.idempotency import NOBODY, Existing, Holder

KEY_CHARS_MAX = 255
ON_DISCONNECT = "X-JoyToken-On-Disconnect"
STOP, FINISH = b"stop", b"finish"
_HOUR_US = 3_600_000_000
_PURGE_US = 600_000_000
_TOO_LARGE = 0  # the status of an entry whose answer was not kept
_REPLAYED = b"idempotent-replayed: true\r\n"
_log = logging.getLogger(__name__)


class Table(Protocol):
    """The store's table of idempotency keys. Called from threads."""

    def begin(
        self,
        key_id: str,
        idem_key: str,
        fingerprint: bytes,
        request_id: str,
        at_us: int,
        expires_us: int,
        holder: Holder,
    ) -> Existing | None: ...

    def finish(
        self,
        key_id: str,
        idem_key: str,
        request_id: str,
        status: int,
        content_type: str,
        body: bytes,
        headers_json: str,
    ) -> None: ...

    def drop(self, key_id: str, idem_key: str, request_id: str) -> None: ...

    def purge(self, now_us: int) -> int: ...


class Records(Protocol):
    """Where the usage record of an earlier request is found. Called from threads."""

    def get(self, request_id: str) -> UsageRecord | None: ...


class Recorder:
    """A caller whose answer is kept while it is sent; the end of it is held back until `commit`."""

    def __init__(self, caller: Caller, bytes_max: int, *, stops: bool = False) -> None:
        """`stops`: the answer is wanted only as long as the caller is there."""
        self._caller = caller
        self._stops = stops
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._size = 0
        self._whole: tuple[int, bytes, bytes] | None = None
        self._failed: tuple[int, bytes, bytes] | None = None
        self.status = 0
        self.headers = b""
        self.ended = False

    @property
    def paused(self) -> bool:
        """Whether the caller takes bytes more slowly than they come."""
        return self._caller.paused

    @property
    def gone(self) -> bool:
        """Whether nobody wants the answer any more: never, where it is kept for a caller who comes back."""
        return self._stops and self._caller.gone

    @property
    def body(self) -> bytes | None:
        """The answer's body; None where it is larger than what is kept."""
        return b"".join(self._parts) if self._size <= self._bytes_max else None

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        self.status, self.headers, self.ended = status, headers, True
        self._whole = (status, headers, body)
        self._keep(body)

    def fail(self, status: int, headers: bytes, body: bytes) -> None:
        self._failed = (status, headers, body)

    def start(self, status: int, headers: bytes) -> None:
        self.status, self.headers = status, headers
        self._caller.start(status, headers)

    def write(self, data: bytes) -> None:
        self._keep(data)
        self._caller.write(data)

    def finish(self) -> None:
        self.ended = True

    async def drain(self) -> None:
        await self._caller.drain()

    def commit(self) -> None:
        """Send what was held back: the whole answer, the stream's end, or the error."""
        if self._failed is not None:
            self._caller.fail(*self._failed)
        elif self._whole is not None:
            self._caller.reply(*self._whole)
        elif self.ended:
            self._caller.finish()

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._bytes_max:
            self._parts.append(data)
        else:
            self._parts.clear()


class Idempotency:
    """What an idempotent request leans on."""

    def __init__(
        self,
        table: Table,
        records: Records,
        *,
        answer_bytes_max: int,
        hours: int,
        under_way_ms_max: int,
        holder: Callable[[], Holder] = lambda: NOBODY,
    ) -> None:
        """`holder`: this worker and its epoch, by which others see whether it is still there to finish."""
        self._holder = holder
        self._table = table
        self._records = records
        self._answer_bytes_max = answer_bytes_max
        self._kept_us = hours * _HOUR_US
        self._under_way_us_max = under_way_ms_max * 1000
        self._purged_us = 0
        self._running: set[tuple[str, str]] = set()

    async def begin(self, principal: Principal, trail: Trail, caller: Caller) -> Recorder | None:
        """A recorder for the first request of its key; None where the answer of the first was replayed.

        Raises InvalidRequest where a header is wrong or the key was used for another body (422), Conflict (409) where
        the first request is under way, or its answer was not kept, and Unavailable where that cannot be looked up.
        """
        name, stops = _name_of(trail), _stops(trail)
        key_id = principal.key.key_id
        fingerprint = hashlib.blake2b(trail.call.body, digest_size=16).digest()
        if (key_id, name) in self._running:
            raise _under_way()
        self._running.add((key_id, name))
        try:
            existing = await self._first(key_id, name, fingerprint, trail)
        except StoreUnavailable as error:
            self._running.discard((key_id, name))
            message = "the Idempotency-Key cannot be looked up now; nothing was done"
            raise Unavailable(message, "store_away", retry_after_s=1) from error
        except BaseException:
            self._running.discard((key_id, name))
            raise
        if existing is None:
            return Recorder(caller, self._answer_bytes_max, stops=stops)
        self._running.discard((key_id, name))
        _replay(existing, caller)
        return None

    async def _first(self, key_id: str, name: str, fingerprint: bytes, trail: Trail) -> Existing | None:
        """The kept answer of the first request; None where this one is the first."""
        for _ in range(2):
            existing = await self._claimed(key_id, name, fingerprint, trail)
            if existing is None:
                return None
            if existing.fingerprint != fingerprint:
                message = "this Idempotency-Key was used for another request body; use a new one"
                raise InvalidRequest(message, "idempotency_key_reused", status=422)
            if existing.state == "done":
                return existing
            if not await asyncio.to_thread(self._forget_lost, key_id, name, existing, trail.call.started_us):
                break
        raise _under_way()

    async def _claimed(self, key_id: str, name: str, fingerprint: bytes, trail: Trail) -> Existing | None:
        """Claim the key in a thread. A caller who hangs up meanwhile leaves no claim behind."""
        claim = asyncio.ensure_future(asyncio.to_thread(self._claim, key_id, name, fingerprint, trail))
        try:
            return await asyncio.shield(claim)
        except asyncio.CancelledError:
            if await claim is None:
                await asyncio.to_thread(self._table.drop, key_id, name, trail.request_id)
            raise

    async def end(self, principal: Principal, trail: Trail, recorder: Recorder) -> None:
        """Keep the answer if it was paid for, or forget the key so that the request can be sent again; then send it.

        One that its caller did not want to its end is forgotten, too.
        """
        name, key_id = _name_of(trail), principal.key.key_id
        record = trail.record
        worth_keeping = recorder.ended and record is not None and (record.charged > 0 or trail.error is None)
        worth_keeping = worth_keeping and trail.ending != "client_gone"
        try:
            ended = asyncio.to_thread(self._end, key_id, name, trail.request_id, recorder, worth_keeping=worth_keeping)
            await asyncio.shield(ended)
        except StoreUnavailable as error:  # a repetition is told that the answer was lost
            _log.warning("the answer of request %s was not kept for its Idempotency-Key: %s", trail.request_id, error)
        finally:
            self._running.discard((key_id, name))
            recorder.commit()

    def _claim(self, key_id: str, name: str, fingerprint: bytes, trail: Trail) -> Existing | None:
        now_us = trail.call.started_us
        if now_us - self._purged_us > _PURGE_US:
            self._purged_us = now_us
            self._table.purge(now_us)
        until_us = now_us + self._kept_us
        return self._table.begin(key_id, name, fingerprint, trail.request_id, now_us, until_us, self._holder())

    def _end(self, key_id: str, name: str, request_id: str, recorder: Recorder, *, worth_keeping: bool) -> None:
        if not worth_keeping:
            self._table.drop(key_id, name, request_id)
            return
        body = recorder.body
        status = recorder.status if body is not None else _TOO_LARGE
        headers = msgspec.json.encode(recorder.headers.decode("latin-1")).decode()
        self._table.finish(key_id, name, request_id, status, "", body or b"", headers)

    def _forget_lost(self, key_id: str, name: str, existing: Existing, now_us: int) -> bool:
        """Whether the first request ended unpaid and without its answer being kept: then it may be tried anew."""
        record = self._records.get(existing.request_id)
        if record is not None and record.charged > 0 and record.ending != "client_gone":
            message = (
                f"the first request under this Idempotency-Key ({existing.request_id}) was charged, and its answer was"
                " lost when the gateway stopped; use a new key to ask again"
            )
            raise Conflict(message, "idempotency_answer_lost")
        begun_us = existing.expires_us - self._kept_us
        if record is None and not existing.over and now_us - begun_us < self._under_way_us_max:
            return False
        self._table.drop(key_id, name, existing.request_id)
        return True


def _name_of(trail: Trail) -> str:
    given = trail.call.idempotency_key or b""
    if not 1 <= len(given) <= KEY_CHARS_MAX or not all(0x20 < byte < 0x7F for byte in given):
        message = f"Idempotency-Key must be 1 to {KEY_CHARS_MAX} visible ASCII characters"
        raise InvalidRequest(message, "idempotency_key_invalid", param="Idempotency-Key")
    return given.decode("ascii")


def _stops(trail: Trail) -> bool:
    given = trail.call.on_disconnect
    if given not in (None, STOP, FINISH):
        message = f"{ON_DISCONNECT} is `stop` or `finish` (the default)"
        raise InvalidRequest(message, "invalid_header", param=ON_DISCONNECT)
    return given == STOP


def _under_way() -> GatewayError:
    message = "the first request under this Idempotency-Key is under way; try again when it has ended"
    error = Conflict(message, "idempotency_in_progress")
    error.retry_after_s = 1
    return error


def _replay(existing: Existing, caller: Caller) -> None:
    if existing.status == _TOO_LARGE:
        raise Conflict(
            f"the answer to this Idempotency-Key ({existing.request_id}) was too large to be kept; use a new key",
            "idempotency_answer_too_large",
        )
    headers = msgspec.json.decode(existing.headers_json, type=str).encode("latin-1")
    caller.reply(existing.status, headers + _REPLAYED, existing.body)
