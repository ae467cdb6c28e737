"""The thread that speaks to the store for a worker: batches of settles and returns, and questions for leases.

The event loop hands over by appending to deques and reads nothing of this thread's; answers come back as callbacks in
the loop. So no lock is taken on the loop's side, and every integer of a lease has one owner.
"""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from joytoken.domain.ledger import Granted, Want
from joytoken.escrow.leases import Ask
from joytoken.escrow.terms import EscrowSettings
from joytoken.store.engine import StoreUnavailable
from joytoken.store.ledger import Batch, Flushed, Ledger, SettleRow, WorkerFenced

_FIRST_RETRY_S = 0.05
_log = logging.getLogger(__name__)


class Loopside(Protocol):
    """What the flusher tells the escrow, always in the event loop."""

    def answered(self, ask: Ask, granted: list[Granted] | None, failure: Exception | None) -> None:
        """A question has its answer, or has none."""

    def acknowledged(self, batch: Batch, flushed: Flushed, sent: float) -> None:
        """The store has a batch. `sent`: the monotonic second before it was sent."""

    def recalled(self, accounts: Sequence[str]) -> None:
        """Others need what is free of these accounts."""

    def refused(self, failure: Exception) -> None:
        """The store did not take a batch; unless this worker is fenced, it is sent again."""

    def compared(self, leases: dict[str, int]) -> None:
        """What the store knows as leased here, at a moment when nothing was under way."""


class Flusher:
    """A worker's one writer. `settles` and `returns` are filled by the event loop."""

    def __init__(
        self,
        ledger: Ledger,
        worker: str,
        epoch: int,
        settings: EscrowSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        escrow: Loopside,
        wall_us: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settles: deque[SettleRow] = deque()
        self.returns: deque[tuple[int, dict[str, int]]] = deque()  # with their number in the journal
        self.attentive = False  # whether there are free leases, which others may want. Set by the loop
        self.flushes = 0
        self.failures = 0
        self._asks: deque[Ask] = deque()
        self._ledger = ledger
        self._worker = worker
        self._epoch = epoch
        self._settings = settings
        self._loop = loop
        self._escrow = escrow
        self._wall_us = wall_us
        self._clock = clock
        self._wake = threading.Event()
        self._urgent = False
        self._beat = False
        self._taking = False
        self._stopping = False
        self._fenced = False
        self._compare = False
        self._frozen: Batch | None = None
        self._retry_s = 0.0
        self._flushed_at = self._heard_at = clock()  # or tried
        self._due: float | None = None
        self._give_up: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"joytoken-flush-{worker}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the deques now. From the loop."""
        self._wake.set()

    def hurry(self) -> None:
        """Flush now, without waiting for company. From the loop."""
        self._urgent = True
        self._wake.set()

    def beat(self) -> None:
        """Hear from the store now, also where there is nothing to bring. From the loop."""
        self._beat = True
        self._wake.set()

    def ask(self, ask: Ask) -> None:
        """Put a question. From the loop."""
        self._asks.append(ask)
        self._wake.set()

    def stop(self) -> None:
        """Bring over what there is and end; `join` tells when. From the loop."""
        self._stopping = True
        self._wake.set()

    def fence(self) -> None:
        """End without another flush: the epoch is over. From the loop."""
        self._fenced = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; from any other thread. False where it did not end in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def idle(self) -> bool:
        """Whether the store has everything."""
        return not (self.settles or self.returns or self._taking or self._frozen)

    def _run(self) -> None:
        while (wait_s := self.turn()) is not None:
            if wait_s > 0:
                self._wake.wait(wait_s)
                self._wake.clear()
        self._answer_asks()

    def turn(self) -> float | None:
        """Do what is due now. Returns for how many seconds nothing else will be, unless woken; None at the end."""
        if self._fenced:
            return None
        self._answer_asks()
        now = self._clock()
        work = not self.idle
        if self._stopping:
            if self._give_up is None:
                self._give_up = now + self._settings.stop_wait_ms / 1000
            if not work or now > self._give_up:
                return None
        self._due = due = self._when(now, work=work)
        if now < due:
            hear = self._when_to_hear()
            if now < hear:
                return min(due, hear) - now
            self._hear()
            self._heard_at = self._clock()
            return 0.0
        self._urgent, self._beat, self._due = False, False, None
        self._flush()
        self._flushed_at = self._heard_at = self._clock()
        return 0.0

    def _when(self, now: float, *, work: bool) -> float:
        """When to bring something to the store next, or only that this worker lives."""
        settings, flushed_at = self._settings, self._flushed_at
        if not work:
            quiet_ms = settings.recall_ms if self._compare and not self._retry_s else settings.heartbeat_ms
            return now if self._beat and not self._retry_s else flushed_at + quiet_ms / 1000
        if self._retry_s and not self._stopping:
            return flushed_at + self._retry_s
        if self._urgent or self._stopping or len(self.settles) >= settings.flush_records:
            return now if not self._retry_s else flushed_at + _FIRST_RETRY_S
        flush_s = settings.flush_ms / 1000
        return now + flush_s if self._due is None or self._due > now + flush_s else self._due

    def _when_to_hear(self) -> float:
        """When to ask the store next what others need. Each flush tells it, too."""
        return self._heard_at + self._settings.recall_ms / 1000 if self.attentive and not self._retry_s else math.inf

    def _hear(self) -> None:
        try:
            accounts = self._ledger.recalls()
        except Exception as failure:  # noqa: BLE001 - this thread goes on whatever it was
            if not isinstance(failure, StoreUnavailable):  # of that, the next flush tells
                _log.exception("it was not heard who needs money, and is asked again")
            return
        if accounts:
            self._tell(self._escrow.recalled, accounts)

    def _freeze(self) -> Batch:
        """Take what is there, as one batch that stays as it is until the store has it."""
        waiting = self.settles
        settles = [waiting.popleft() for _ in range(min(len(waiting), 4 * self._settings.flush_records))]
        sums: dict[tuple[str, ...], int] = {}  # most requests name the same accounts as others
        for _, accounts, charged, _ in settles:
            sums[accounts] = sums.get(accounts, 0) + charged
        charges: dict[str, int] = {}
        for accounts, charged in sums.items():
            for account in accounts:
                charges[account] = charges.get(account, 0) + charged
        upto = settles[-1][0] if settles else 0
        returns: dict[str, int] = {}
        # A return may be sent with or after every settle before it, and never skips one.
        while self.returns and (not self.settles or self.returns[0][0] < self.settles[0][0]):
            number, parts = self.returns.popleft()
            upto = max(upto, number)
            for account, amount in parts.items():
                returns[account] = returns.get(account, 0) + amount
        now_us = self._wall_us()
        return Batch(upto, settles, returns, now_us, self._settings.lease_deadline_ms * 1000, charges)

    def _flush(self) -> None:
        batch = self._frozen
        if batch is None:
            self._taking = True
            batch = self._freeze()
            if batch.upto:  # a heartbeat alone need not be kept
                self._frozen = batch
            self._taking = False
        sent = self._clock()
        try:
            flushed = self._ledger.flush(self._worker, self._epoch, batch)
        except Exception as failure:  # noqa: BLE001 - whatever it was, the batch must reach the store
            self.failures += 1
            if not isinstance(failure, StoreUnavailable | WorkerFenced):
                _log.exception("a flush failed, and is tried again until it succeeds")
            self._fenced = self._fenced or isinstance(failure, WorkerFenced)
            self._retry_s = min(max(self._retry_s * 2, _FIRST_RETRY_S), self._settings.retry_ms_max / 1000)
            self._tell(self._escrow.refused, failure)
            return
        self._frozen = None
        self._retry_s = 0.0
        self.flushes += 1
        self._tell(self._escrow.acknowledged, batch, flushed, sent)
        if self._compare:
            self._look()

    def _look(self) -> None:
        """After a question whose answer was lost, learn what the store granted. Nothing else is under way here."""
        try:
            leases = self._ledger.leases(self._worker, self._epoch)
        except StoreUnavailable:
            return
        self._compare = False
        self._tell(self._escrow.compared, leases)

    def _answer_asks(self) -> None:
        if not self._asks:
            return
        asks: list[Ask] = []
        while self._asks:
            asks.append(self._asks.popleft())
        wants = [(Want(lease.account, lease.limit), need, target) for ask in asks for lease, need, target in ask.wants]
        try:
            granted = self._ledger.grant(self._worker, self._epoch, wants, self._wall_us())
        except Exception as failure:  # noqa: BLE001 - the asker is told, and decides
            self._compare = True
            for ask in asks:
                self._tell(self._escrow.answered, ask, None, failure)
            return
        start = 0
        for ask in asks:
            self._tell(self._escrow.answered, ask, granted[start : start + len(ask.wants)], None)
            start += len(ask.wants)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            self._stopping = True
