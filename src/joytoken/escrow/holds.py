"""Holds on the leases at hand: made, enlarged and settled, and those that wait until they fit.

Nothing here asks the store: what it is asked, and what it answers, is `supply.py`. All of it runs in the event loop;
only the flusher's deques are seen by another thread.
"""

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from joytoken.domain.ledger import Settled, Want
from joytoken.domain.record import UsageRecord, close_record
from joytoken.escrow.flusher import Flusher
from joytoken.escrow.journal import HoldBody, Journal, JournalFull
from joytoken.escrow.leases import Lease, TopUp, Waiter
from joytoken.escrow.terms import Closed, EscrowSettings, Hold


class Holds:
    """What is held on which leases, and who waits for room on them."""

    def __init__(self, settings: EscrowSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._open: dict[str, Hold] = {}
        self._closed: Closed | None = Closed("not started")
        self._waiting = self._holds = self._settles = self._shortfall = 0
        self._flush_records = settings.flush_records
        self._journal: Journal
        self._flusher: Flusher
        self._loop: asyncio.AbstractEventLoop

    def _lease(self, want: Want) -> Lease:
        lease = self._leases.get(want.account)
        if lease is None:
            lease = self._leases[want.account] = Lease(want.account, want.limit)
        lease.limit = want.limit
        return lease

    def _take(
        self, record: UsageRecord, leases: tuple[Lease, ...], amount: int, input_cost: int, *, called: bool = False
    ) -> Hold:
        """Write the HOLD, then move the integers: nothing has happened where the journal is full."""
        record.hold = amount
        hold = Hold(record, leases, amount, input_cost, called=called)
        if hold.request_id in self._open:
            raise ValueError(f"request {hold.request_id} has an open hold already")
        try:
            hold.reserve = self._journal.hold((amount, input_cost, hold.accounts, called, -1, record))
        except JournalFull as full:
            self._flusher.hurry()
            raise Closed("the journal is full: the store does not keep up") from full
        for lease in leases:
            lease.free -= amount
            lease.held += amount
            lease.demand += amount
        self._open[hold.request_id] = hold
        self._holds += 1
        return hold

    def _carried(self) -> Iterator[HoldBody]:
        for hold in self._open.values():
            record = hold.record
            if record.detail:
                record = msgspec.structs.replace(record, detail=b"")
            yield hold.amount, hold.input_cost, hold.accounts, hold.called, hold.progress, record

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

    def _let(self, waiter: Waiter) -> None:
        if waiter.future.done():  # hung up a moment ago
            self._leave(waiter)
            return
        try:
            hold = self._take(waiter.record, waiter.leases, waiter.amount, waiter.input_cost)
        except (Closed, ValueError) as failure:
            self._leave(waiter)
            waiter.future.set_exception(failure)
            return
        self._leave(waiter)
        waiter.future.set_result(hold)

    def _refuse(self, waiter: Waiter, failure: Exception) -> None:
        """Let a waiter go without a hold; who came after it may fit now."""
        if waiter.done:
            return
        self._leave(waiter)
        if not waiter.future.done():
            waiter.future.set_exception(failure)
        for lease in waiter.leases:
            self._admit(lease)

    def _refuse_all(self, failure: Closed) -> None:
        for lease in list(self._leases.values()):
            for waiter in list(lease.waiters):
                self._refuse(waiter, failure)

    def _leave(self, waiter: Waiter) -> None:
        waiter.leave()
        self._waiting -= 1

    def _withdraw(self, waiter: Waiter) -> None:
        """The caller hung up while waiting: out of the queue, or out of the hold that came at the same moment."""
        if not waiter.done:
            self._leave(waiter)
            for lease in waiter.leases:
                self._admit(lease)
        elif waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
            waiter.record.ending = "client_gone"
            waiter.record.cost = 0
            self.settle(waiter.future.result(), waiter.record)

    def _admit(self, lease: Lease) -> None:
        """Serve who waits for an account, in order, until one does not fit into what is free beside those before."""
        while (found := lease.next_to_be_served()) is not None:
            self._let(found)

    def _enlarge(self, wish: TopUp) -> None:
        hold = wish.hold
        more = min([lease.free for lease in hold.leases], default=0)
        more = min(more, wish.more - wish.added)
        if more <= 0 or hold.outcome is not None:
            return
        amount = hold.amount + more
        body = (amount, hold.input_cost, hold.accounts, hold.called, hold.progress, hold.record)
        self._journal.reserved -= hold.reserve
        try:
            hold.reserve = self._journal.hold(body)
        except JournalFull:
            self._journal.reserved += hold.reserve
            return
        hold.amount = hold.record.hold = amount
        wish.added += more
        for lease in hold.leases:
            lease.free -= more
            lease.held += more
            lease.demand += more
