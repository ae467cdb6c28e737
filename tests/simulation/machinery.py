"""Simulated time, a flusher without a thread, a journal and a store with accidents; all else is real."""

import asyncio
import random
from typing import Any

from joytoken.escrow.flusher import Flusher
from joytoken.escrow.journal import Journal
from joytoken.store.engine import StoreUnavailable

_AMPLE = 400  # rounds of a stop's flusher


class Crash(SystemExit):
    """The process ends here, as of kill -9. A SystemExit, since an event loop swallows everything else.

    `kind` and `body` tell the journal's record that was whole when it ended; kind 0 where none was.
    """

    def __init__(self, kind: int = 0, body: object = None) -> None:
        super().__init__(9)
        self.kind = kind
        self.body = body


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop whose time passes only when it is told to: waiting takes no time."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now
        self._selector = self
        self.set_exception_handler(lambda _, context: None)

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[object]:
        if timeout:
            self._now += timeout
        return []

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as failure:  # noqa: BLE001 - handed on, as an executor does
            future.set_exception(failure)
        return future

    def until(self, now: float) -> None:
        """Run what is due up to a moment, and be there."""
        self.call_at(now, self.stop)
        self.run_forever()
        self._now = max(self._now, now)


class Stepper(Flusher):
    """The flusher, one step at a time, instead of in a thread."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self._clock = self._loop.time
        self._flushed_at = self._heard_at = self._clock()

    def start(self) -> None:
        pass

    def answer(self) -> None:
        self._answer_asks()

    def step(self) -> None:
        if self._fenced:
            self._answer_asks()
        else:
            self._flush()

    def join(self, timeout_s: float) -> bool:
        for _ in range(_AMPLE):
            self._answer_asks()
            if self._fenced or self.idle:
                return True
            self._flush()
        return True


class FragileJournal(Journal):
    """A journal whose process may end before, within or after the copy of a record."""

    fuse = -1  # records until the end; below zero: none
    mode = "whole"
    noted = True
    dice: random.Random
    turned_open = 0  # rotations with open holds, over all worlds

    def _write(self, kind: int, length: int) -> int:
        if self.fuse < 0 or self.fuse > 0:
            self.fuse -= self.fuse > 0
            return super()._write(kind, length)
        if self.mode == "nothing":
            raise Crash
        at, position, body = self._at, self._position, bytes(self._buffer)
        super()._write(kind, length)
        if self.mode == "torn":
            cut = position + self.dice.randrange(1, length)
            self._segments[at].map[cut : position + length] = bytes(position + length - cut)
            if all(byte == 0 for byte in body[cut - position :]):
                self._segments[at].map[cut - 1] ^= 0xFF
            raise Crash
        raise Crash(kind, self.seq)

    def _rotate(self, room: int) -> bool:
        turned = super()._rotate(room)
        FragileJournal.turned_open += turned and bool(self.reserved)
        return turned

    def note(self, kind: int, body: object) -> bool:
        self.noted = super().note(kind, body)
        return self.noted


class Accidents:
    """The way from one worker to the store: it may be closed, lose answers, or be where the process ends."""

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger
        self.away = False
        self.next = ""  # the accident of the next call: lost, unsent, crash-before, crash-after
        self.delayed: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []  # calls of the dead that are under way yet

    @property
    def sqlite(self) -> bool:
        return bool(self.ledger.sqlite)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **values: Any) -> Any:
            accident, self.next = self.next, ""
            if self.away or accident == "unsent":
                raise StoreUnavailable("away")
            if accident == "crash-before":
                if name in {"flush", "grant", "flush_late", "abandon"} and not values:
                    self.delayed.append((name, args, values))
                raise Crash
            answer = getattr(self.ledger, name)(*args, **values)
            if accident == "crash-after":
                raise Crash
            if accident == "lost":
                raise StoreUnavailable("the answer was lost")
            return answer

        return call
