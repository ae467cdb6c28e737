"""The escrow: holds, settles and releases over several accounts at once, at the speed of integers.

One per worker process, in its event loop. What a request may cost is frozen on local leases before the provider is
called, and written into the journal; what it did cost is journalled before the caller gets the last byte. The flusher's
thread brings it to the store.
"""

import asyncio
from collections.abc import Sequence

from joytoken.domain.ledger import Settled, Want
from joytoken.domain.record import UsageRecord
from joytoken.escrow.flusher import Flusher
from joytoken.escrow.journal import PROGRESS, Journal
from joytoken.escrow.leases import TopUp, Waiter
from joytoken.escrow.life import Life
from joytoken.escrow.terms import (
    Closed,
    EscrowSettings,
    EscrowStats,
    Fenced,
    Hold,
    RecoveryReport,
    Short,
)

__all__ = ["Closed", "Escrow", "EscrowSettings", "EscrowStats", "Fenced", "Hold", "RecoveryReport", "Short"]


class Escrow(Life):
    """Holds against leased money. Everything but `start` and `stop` belongs to the event loop that started it."""

    @property
    def worker(self) -> str:
        """The worker's name."""
        return self._worker

    @property
    def epoch(self) -> int:
        """The epoch that it serves in; 0 where it does not."""
        return self._epoch

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

    def full(self, account: str) -> bool:
        """Whether the store does not open this account, because as many as may be were opened today."""
        lease = self._leases.get(account)
        return lease is not None and lease.full

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
            syncs=self._durability.syncer.syncs if self._durability else 0,
            unsecured=self._durability.unsecured if self._durability else 0,
        )
