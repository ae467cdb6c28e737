"""The escrow: holds, settles and releases over several accounts at once, at the speed of integers.

One per worker process, in its event loop. What a request may cost is frozen on local leases before the provider is
called, and written into the journal; what it did cost is journalled before the caller gets the last byte. The flusher's
thread brings it to the store.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from joytoken.domain.ledger import Settled, Want
from joytoken.domain.record import UsageRecord, close_record
from joytoken.escrow.flusher import Flusher
from joytoken.escrow.journal import PROGRESS, Journal
from joytoken.escrow.leases import TopUp, Waiter
from joytoken.escrow.recovery import Slot, close_recovered, recover, recover_others, recovered_cost
from joytoken.escrow.supply import Supply
from joytoken.escrow.terms import (
    Closed,
    EscrowSettings,
    EscrowStats,
    Fenced,
    Hold,
    RecoveryReport,
    Short,
)
from joytoken.store.engine import StoreUnavailable
from joytoken.store.ledger import Ledger

__all__ = ["Closed", "Escrow", "EscrowSettings", "EscrowStats", "Fenced", "Hold", "RecoveryReport", "Short"]

_PAUSE_S = 0.005  # between two looks at whether the store has everything


def _wall_us() -> int:
    return time.time_ns() // 1000


class Escrow(Supply):
    """Holds against leased money. Everything but `start` and `stop` belongs to the event loop that started it."""

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
        self._flush_records = self._settings.flush_records
        self._settles = self._misses = 0
        self._shortfall = 0

    @property
    def worker(self) -> str:
        """The worker's name."""
        return self._worker

    @property
    def epoch(self) -> int:
        """The epoch that it serves in; 0 where it does not."""
        return self._epoch

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> RecoveryReport:
        """Take the slot, recover its last life, begin a new epoch. Raises Closed, StoreUnavailable."""
        self._loop = asyncio.get_running_loop()
        self._slot.take()
        try:
            report, self._epoch = await asyncio.to_thread(self._prepare)
            self._journal = Journal(
                self._slot.folder,
                self._slot.name,
                self._worker,
                self._epoch,
                segment_bytes=self._settings.journal_segment_bytes,
                segments=self._settings.journal_segments,
                carry=self._carried,
            )
        except BaseException:
            self._slot.free()
            raise
        self._flusher = Flusher(
            self._ledger,
            self._worker,
            self._epoch,
            self._settings,
            loop=self._loop,
            escrow=self,
            wall_us=self._wall_us,
        )
        self._flusher.start()
        self._closed = None
        self._acknowledged_at = self._ticked_at = self._clock()
        self._tick_handle = self._loop.call_later(self._tick_s, self._tick)
        return report

    def _prepare(self) -> tuple[RecoveryReport, int]:
        report = recover(self._ledger, self._slot, self._wall_us())
        host = self._worker.rpartition(":")[0]
        return report, self._ledger.register(self._worker, host, self._wall_us())

    def recover_others(self) -> list[tuple[str, RecoveryReport]]:
        """What other workers of this journal's folder left whose slots nobody has. From any thread."""
        return recover_others(self._ledger, self._slot.folder, self._wall_us())

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
        if not isinstance(self._closed, Fenced):
            self._closed = Closed("stopping")
        if self._tick_handle is not None:
            self._tick_handle.cancel()
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
            self._journal.close()
            self._slot.free()

    def _settle_open(self, hold: Hold) -> None:
        record = hold.record
        cost = recovered_cost(hold.called, hold.progress, hold.input_cost)
        close_recovered(record, cost, hold.amount, self._wall_us())
        self.settle(hold, record)

    # ── holds ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def try_hold(
        self, record: UsageRecord, wants: Sequence[Want], amount: int, input_cost: int, *, called: bool = False
    ) -> Hold | None:
        """Freeze an amount (nanocredits) on each account, if the leases here can carry it; None if not.

        Journalled when this returns. `input_cost`: what a call costs before anything is streamed. `called`: the
        provider is called at once, so that one record says both. Raises Closed.
        """
        if self._closed is not None:
            raise self._closed
        leases = self._leases
        parts = []
        for want in wants:
            lease = leases.get(want.account)
            if lease is None or lease.free < amount or lease.waiters:
                return None
            parts.append(lease)
        return self._take(record, tuple(parts), amount, input_cost, called=called)

    async def hold(self, record: UsageRecord, wants: Sequence[Want], amount: int, input_cost: int) -> Hold:
        """Freeze an amount on each account, asking the store and waiting for releases where that can help.

        First come, first served, per account. Raises Short with the account that could not carry it, and Closed.
        """
        held = self.try_hold(record, wants, amount, input_cost)
        if held is not None:
            return held
        self._misses += 1
        leases = tuple([self._lease(want) for want in wants])
        waiter = Waiter(record, leases, amount, input_cost, self._loop.create_future(), self._clock())
        self._waiting += 1
        try:
            self._seek(waiter)
            return await waiter.future
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise

    async def ready(self, wants: Sequence[Want]) -> str | None:
        """The first account that has nothing left at all; None where each has something.

        Asks the store once where nothing is leased here. Raises Closed.
        """
        if self._closed is not None:
            raise self._closed
        missing = []
        for want in wants:
            lease = self._leases.get(want.account)
            if lease is None or not (lease.free or lease.held):
                missing.append(self._lease(want))
        if not missing:
            return None
        now = self._clock()
        unknown = [lease for lease in missing if lease.dry_until <= now]
        if any(lease.away_until > now for lease in unknown):
            raise Closed("the store does not answer")
        asks = {lease.ask for lease in unknown if lease.ask is not None}
        fresh = [lease for lease in unknown if lease.ask is None]
        if fresh:
            asks.add(self._ask(fresh, ahead=True))
        for ask in asks:
            await asyncio.wait({ask.answered})
        if any(lease.away_until > self._clock() for lease in unknown):
            raise Closed("the store does not answer")
        return next((lease.account for lease in missing if not lease.hopeful), None)

    def called(self, hold: Hold) -> None:
        """The provider is called now: from here on a recovery charges at least the input."""
        if hold.outcome is None and not hold.called:
            hold.called = True
            left = self._journal.called(hold.request_id, hold.reserve)
            hold.reserve = left

    def progress(self, hold: Hold, cost: int) -> None:
        """What the call has cost so far, in nanocredits: what a recovery charges."""
        if hold.outcome is None:
            hold.progress = cost
            self._journal.note(PROGRESS, (hold.request_id, cost))  # a full journal knows the cost of a moment ago

    async def top_up(self, hold: Hold, more: int) -> int:
        """Enlarge a hold by up to `more` nanocredits, asking the store once at most; returns what was added."""
        if hold.outcome is not None or more <= 0:
            return 0
        wish = TopUp(hold, more)
        short = [lease for lease in hold.leases if lease.free < more]
        now = self._clock()
        if not short or self._closed is not None or any(max(le.dry_until, le.away_until) > now for le in short):
            self._enlarge(wish)
            return wish.added
        asks = {lease.ask for lease in short if lease.ask is not None}
        if not asks:
            asks.add(self._ask(short, need=more))
        for ask in asks:
            ask.first.append(wish)
        await asyncio.wait({ask.answered for ask in asks})
        return wish.added

    def settle(self, hold: Hold, record: UsageRecord) -> Settled:
        """Charge `record.cost` and release the rest; journalled, with the whole record, when this returns.

        ``charged = min(cost, hold) + min(rest, free lease)``; what is left is a shortfall, for the operator. The record
        is the escrow's from here on. A second call changes nothing and returns the first outcome.
        """
        outcome = hold.outcome
        if outcome is not None:
            return outcome
        amount, cost = hold.amount, record.cost
        if cost < 0:
            raise ValueError("a cost below zero")
        charged = cost
        if cost > amount:
            free = min([lease.free for lease in hold.leases], default=0)
            charged = amount + min(cost - amount, free)
        shortfall = cost - charged
        record.hold = amount
        close_record(record, charged, shortfall)
        seq = self._journal.settle((hold.accounts, record), hold.reserve)
        hold.outcome = outcome = Settled(charged, shortfall, amount - charged if charged < amount else 0)
        del self._open[hold.request_id]
        back = amount - charged
        for lease in hold.leases:
            lease.held -= amount
            lease.free += back
            lease.unflushed += charged
        self._settles += 1
        self._shortfall += shortfall
        settles = self._flusher.settles
        settles.append((seq, hold.accounts, charged, record))
        waiting = len(settles)
        if waiting in {1, self._flush_records}:
            self._flusher.wake()
        if self._waiting:
            for lease in hold.leases:
                self._admit(lease)
        return outcome

    def release(self, hold: Hold, record: UsageRecord) -> Settled:
        """Settle at nothing."""
        if hold.outcome is None:
            record.cost = 0
        return self.settle(hold, record)

    def stats(self) -> EscrowStats:
        """Figures of this worker."""
        leases = self._leases.values()
        flusher: Flusher | None = getattr(self, "_flusher", None)
        journal: Journal | None = getattr(self, "_journal", None)
        return EscrowStats(
            state="open" if self._closed is None else self._closed.why,
            worker=self._worker,
            epoch=self._epoch,
            accounts=len(leases),
            free=sum(lease.free for lease in leases),
            held=sum(lease.held for lease in leases),
            unflushed=sum(lease.unflushed for lease in leases),
            open_holds=len(self._open),
            waiting=self._waiting,
            pending_records=len(flusher.settles) if flusher else 0,
            holds=self._holds,
            settles=self._settles,
            shorts=self._shorts,
            misses=self._misses,
            grants=self._grants,
            flushes=flusher.flushes if flusher else 0,
            flush_failures=flusher.failures if flusher else 0,
            shortfall=self._shortfall,
            journal_used_bytes=journal.used_bytes if journal else 0,
            journal_segment_bytes=self._settings.journal_segment_bytes,
            applied_seq=journal.applied_seq if journal else 0,
            flush_age_s=self._clock() - self._acknowledged_at,
        )
