"""The life of a worker: it takes its slot, recovers, registers, watches over the others, and ends clean.

An epoch may also end without the worker: it was paused for so long that its leases were given up, and the next flush is
refused. Then it admits nothing more, lets running requests end, files what it has as late settles, and begins anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from joytoken.escrow.durability import Durability
from joytoken.escrow.flusher import Flusher
from joytoken.escrow.journal import Journal
from joytoken.escrow.recovery import Slot, close_recovered, recover, recovered_cost
from joytoken.escrow.supply import Supply
from joytoken.escrow.terms import Away, Closed, EscrowSettings, Fenced, Hold, RecoveryReport
from joytoken.escrow.watch import Watch
from joytoken.store.engine import StoreError, StoreUnavailable
from joytoken.store.ledger import Ledger

_PAUSE_S = 0.005  # between two looks at whether the store has everything
_log = logging.getLogger(__name__)


def _wall_us() -> int:
    return time.time_ns() // 1000


class Life(Supply):
    """Start, stop and what lies between, but for the holds themselves."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        worker: str,
        journal_dir: Path,
        settings: EscrowSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_us: Callable[[], int] = _wall_us,
    ) -> None:
        super().__init__(settings or EscrowSettings(), clock)
        self._ledger = ledger
        self._worker = worker
        self._wall_us = wall_us
        self._slot = Slot(journal_dir, worker)
        self._epoch = 0
        self._misses = 0
        self._watch = Watch(ledger, journal_dir, worker, self._settings, clock=clock, wall_us=wall_us)
        self.secures = self._settings.durability != "process"
        if self.secures:
            ledger.durable = True
        ledger.values_daily_max = self._settings.values_daily_max
        self._round: asyncio.Task[None] | None = None
        self._look_handle: asyncio.TimerHandle | None = None
        self._guard_handle: asyncio.TimerHandle | None = None

    async def start(self) -> RecoveryReport:
        """Take the slot, recover its last life, begin a new epoch. Raises Closed (also on a full disk), StoreError."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._slot.take, self._settings.slot_wait_ms / 1000)
        try:
            report = await self._begin()
        except BaseException:
            self._slot.free()
            raise
        self._ticked_at = self._clock()
        self._tick_handle = self._loop.call_later(self._tick_s, self._tick)
        self._look_handle = self._loop.call_later(self._settings.watch_ms / 1000, self._look)
        self._guard()
        return report

    async def _begin(self, own_epoch: int | None = None) -> RecoveryReport:
        """Recover what there is to recover, and begin an epoch: with the store, in the journal, in the flusher."""
        report, epoch, sent = await asyncio.to_thread(self._prepare, own_epoch)
        if own_epoch is not None:
            await self._close_journal()
        self._journal = self._new_journal(epoch)
        self._flusher = Flusher(
            self._ledger,
            self._worker,
            epoch,
            self._settings,
            loop=self._loop,
            escrow=self,
            wall_us=self._wall_us,
            clock=self._clock,
        )
        self._flusher.start()
        if self.secures:
            self._durability = Durability(self._settings, self._journal, self._flusher, self._loop)
        self._leases.clear()
        self._epoch = epoch
        self._acknowledged_at = sent
        self._closed = None
        return report

    def _new_journal(self, epoch: int) -> Journal:
        size, count = self._settings.journal_segment_bytes, self._settings.journal_segments
        folder = self._slot.folder
        try:
            return Journal(
                folder,
                self._slot.name,
                self._worker,
                epoch,
                segment_bytes=size,
                segments=count,
                carry=self._carried,
            )
        except OSError as failure:
            raise Closed(f"the journal needs {count * size} bytes in {folder}: {failure.strerror}") from failure

    def _prepare(self, own_epoch: int | None) -> tuple[RecoveryReport, int, float]:
        report = recover(self._ledger, self._slot, self._wall_us(), own_epoch)
        host, lease_us = self._worker.rpartition(":")[0], self._settings.lease_deadline_ms * 1000
        sent = self._clock()
        return report, self._ledger.register(self._worker, host, self._wall_us(), lease_us), sent

    def _guard(self) -> None:
        """Stop in time where the store is silent: counted from before it was last asked, and a little early."""
        left = self._acknowledged_at + self._deadline_s - self._clock()
        if left <= 0:
            if self._closed is None:
                self._closed = Away("the store has not answered for too long")
            left = self._deadline_s
        self._guard_handle = self._loop.call_later(left, self._guard)

    def _look(self) -> None:
        self._look_handle = self._loop.call_later(self._settings.watch_ms / 1000, self._look)
        self.look_around()

    def look_around(self) -> None:
        """Look now for workers that have died, and for nodes that are lost: in the background. From the loop."""
        if self._round is None or self._round.done():
            self._round = self._loop.create_task(self._look_once())

    async def _look_once(self) -> None:
        try:
            if isinstance(self._closed, Fenced):
                if not self._open:
                    await self._begin_anew()
            else:
                await asyncio.to_thread(self._watch.look)
        except Exception:  # noqa: BLE001 - it is tried again, and requests are served meanwhile
            _log.exception("a look at the other workers failed")

    async def _begin_anew(self) -> None:
        """After an epoch that was ended from outside: file what it has, and admit again."""
        self._flusher.fence()
        if not await asyncio.to_thread(self._flusher.join, self._settings.grant_wait_ms / 1000):
            return
        try:
            report = await self._begin(self._epoch)
        except (StoreError, Closed) as failure:  # the next look tries again
            _log.warning("worker %s cannot begin anew yet: %s", self._worker, failure)
            return
        _log.warning(
            "worker %s was held for lost; it filed %d settles, and began epoch %d",
            *(self._worker, report.settled, self._epoch),
        )

    async def flush_now(self) -> None:
        """Wait until the store has everything that was settled before this call."""
        self._flusher.hurry()
        while not self._flusher.idle or any(lease.unflushed or lease.returning for lease in self._leases.values()):
            if isinstance(self._closed, Fenced):
                raise self._closed
            await asyncio.sleep(_PAUSE_S)
            self._flusher.hurry()

    async def stop(self) -> None:
        """Admit nothing more, bring everything to the store, return all leases.

        Holds that are still open are settled as a recovery would settle them. Where the store stays away, the journal
        keeps what it lacks, for the next start.
        """
        if self._epoch == 0:
            return
        self._quieten()
        if self._round is not None:
            await asyncio.wait({self._round})
        if not isinstance(self._closed, Fenced):
            self._closed = Closed("stopping")
        self._refuse_all(self._closed)
        for hold in list(self._open.values()):
            self._settle_open(hold)
        self._flusher.stop()
        patience_s = self._settings.stop_wait_ms / 1000 + self._settings.grant_wait_ms / 1000 + 6
        ended = await asyncio.to_thread(self._flusher.join, patience_s)
        try:
            if ended and self._flusher.idle and not isinstance(self._closed, Fenced):
                with suppress(StoreUnavailable):  # the next start ends this epoch
                    await asyncio.to_thread(self._ledger.finish, self._worker, self._epoch)
        finally:
            self._epoch = 0
            await self._close_journal()
            self._slot.free()

    async def secure_hold(self) -> None:
        """Before a provider is called, where `secures`: what was journalled until now survives. Raises Closed."""
        if self._durability is not None:
            await self._durability.hold()

    async def secure_settle(self) -> None:
        """Before the last byte, where `secures`: the settle that was just journalled survives."""
        if self._durability is not None:
            await self._durability.settle()

    async def _close_journal(self) -> None:
        if self._durability is not None:
            await self._durability.close()
            self._durability = None
        self._journal.close()

    def _quieten(self) -> None:
        for handle in (self._tick_handle, self._look_handle, self._guard_handle):
            if handle is not None:
                handle.cancel()

    def _settle_open(self, hold: Hold) -> None:
        record = hold.record
        cost = recovered_cost(hold.called, hold.progress, hold.input_cost)
        close_recovered(record, cost, hold.amount, self._wall_us())
        self.settle(hold, record)
