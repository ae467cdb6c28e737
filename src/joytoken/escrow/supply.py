"""Where the money of a hold comes from: questions to the store, its answers, and what is given back to it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from joytoken.domain.ledger import Granted
from joytoken.escrow.durability import Durability
from joytoken.escrow.holds import Holds
from joytoken.escrow.journal import RETURN
from joytoken.escrow.leases import Ask, Lease, Waiter
from joytoken.escrow.terms import Away, Closed, EscrowSettings, Fenced, Short
from joytoken.store.ledger import Batch, Flushed, WorkerFenced

_AWAY_S = 0.25  # after a question without an answer, for so long none is put
_RECALLED_S = 1.0  # after a recall, for so long only what is needed is asked for
_RETURN_ACCOUNTS = 1_000  # accounts in one RETURN
_EARLY = 0.95  # a worker stops at this part of its deadline: before the store can hold it for silent
_FIRST_HOLD = 1_000_000  # nanocredits: what a hold is thought to be before the first one


class Supply(Holds):
    """Leases, asked for where holds lack them and returned where nobody uses them. It hears the flusher."""

    def __init__(self, settings: EscrowSettings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self._deadline_s = settings.lease_deadline_ms * _EARLY / 1000
        self._shorts = self._grants = 0
        self._typical = _FIRST_HOLD
        self._acknowledged_at = 0.0
        self._ticked_at = 0.0
        self._tick_handle: asyncio.TimerHandle | None = None
        self._durability: Durability | None = None

    def _seek(self, waiter: Waiter) -> None:
        """A hold that did not fit at once: admit it, ask for it, or know that it is hopeless."""
        self._typical = waiter.amount
        if waiter.fits():
            self._let(waiter)
            return
        now = self._clock()
        short = [lease for lease in waiter.leases if lease.free < lease.queued]
        for lease in short:
            if lease.away_until > now:
                self._refuse(waiter, Closed("the store does not answer"))
                return
            if lease.dry_until > now and self._hopeless(waiter, lease):
                return
        unasked = [lease for lease in short if lease.ask is None and lease.dry_until <= now]
        if unasked:
            self._ask(unasked)
        waiter.timer = self._loop.call_later(self._settings.hold_wait_ms / 1000, self._expire, waiter)

    def _hopeless(self, waiter: Waiter, lease: Lease) -> bool:
        """Refuse a waiter that this account could not carry even if all that is held were released."""
        if waiter.amount <= lease.free + lease.held + lease.returning + lease.available + lease.elsewhere:
            return False
        self._shorts += 1
        self._refuse(waiter, Short(lease.account, waiter.amount, lease.free + lease.available))
        return True

    def _expire(self, waiter: Waiter) -> None:
        """The wait is over; but before the store has answered once, nobody knows that there is nothing."""
        if waiter.done:
            return
        settings = self._settings
        short = [lease for lease in waiter.leases if lease.free - lease.ahead(waiter) < waiter.amount]
        now = self._clock()
        if any(lease.ask is not None and lease.dry_until <= now for lease in short):
            if now - waiter.since < settings.grant_wait_ms / 1000:
                waiter.timer = self._loop.call_later(settings.dry_ms / 1000, self._expire, waiter)
            else:
                self._refuse(waiter, Closed("the store does not answer"))
            return
        lease = min(short or waiter.leases, key=Lease.left)
        self._shorts += 1
        self._refuse(waiter, Short(lease.account, waiter.amount, lease.free + lease.available))

    def _ask(self, leases: Sequence[Lease], need: int = 0, *, ahead: bool = False) -> Ask:
        """Put one question about accounts of which none has a question under way.

        `ahead`: a hold will come soon, and would be quick if there were plenty.
        """
        now, lease_s = self._clock(), self._settings.lease_ms / 1000
        wants = []
        for lease in leases:
            needed = max(lease.queued + need - lease.free, 0)
            target = lease.target(max(needed, self._typical if need or ahead else 0), lease_s, now)
            wants.append((lease, needed, target))
        ask = Ask(wants, self._loop.create_future())
        for lease in leases:
            lease.ask = ask
        self._grants += 1
        self._flusher.ask(ask)
        return ask

    # ── what the flusher tells ────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, ask: Ask, granted: list[Granted] | None, failure: Exception | None) -> None:
        """A question has its answer: first to running requests, then to who waits."""
        now = self._clock()
        for n, (lease, need, _) in enumerate(ask.wants):
            lease.ask = None
            if granted is None:
                lease.away_until = now + _AWAY_S
                continue
            answer = granted[n]
            lease.away_until = 0.0
            lease.free += answer.amount
            self._flusher.attentive = True
            lease.has_row = lease.has_row or answer.amount > 0
            lease.available, lease.elsewhere, lease.full = answer.available, answer.elsewhere, answer.full
            lease.used = lease.used or answer.amount > 0
            dry = answer.amount < need or not (lease.free or answer.available)
            lease.dry_until = now + self._settings.dry_ms / 1000 if dry else 0.0
        if isinstance(failure, WorkerFenced):
            self.refused(failure)
        for wish in ask.first:
            self._enlarge(wish)
        if not ask.answered.done():
            ask.answered.set_result(None)
        for lease, _, _ in ask.wants:
            self._admit(lease)
        for lease, _, _ in ask.wants:
            self._judge(lease, failed=granted is None)

    def _judge(self, lease: Lease, *, failed: bool) -> None:
        """Refuse who waits in vain, and ask again for the others while they wait."""
        for waiter in list(lease.waiters):
            if waiter.done:
                continue
            if failed:
                self._refuse(waiter, self._closed or Closed("the store does not answer"))
            else:
                self._hopeless(waiter, lease)
        if not lease.waiters or failed:
            return
        if lease.dry_until > self._clock():
            if lease.elsewhere:
                self._spare(lease)
            self._loop.call_later(self._settings.dry_ms / 1000, self._ask_again, lease)
        else:
            self._ask_again(lease)

    def _spare(self, lease: Lease) -> None:
        """Others have what is missing here, and may miss what is idle here: give that back, and ask for all anew."""
        parts = {other.account: other.free for other in lease.idle_beside()}
        for account in parts:
            self._leases[account].dry_until = lease.dry_until
        self._return(parts)
        if parts:
            self._flusher.hurry()

    def _ask_again(self, lease: Lease) -> None:
        """Ask for what the first who waits is short of: all of it at once, since a part would serve nobody."""
        if self._closed is not None or lease.ask is not None or lease.queued <= lease.free:
            return
        lease.trim()
        self._ask([other for other in lease.waiters[0].leases if other.ask is None and other.queued > other.free])

    def acknowledged(self, batch: Batch, flushed: Flushed, sent: float) -> None:
        """The store has a batch: what was charged in it is no part of a lease any more."""
        self._acknowledged_at = sent
        self._journal.applied_seq = max(self._journal.applied_seq, flushed.applied_seq)
        if self._durability is not None:
            self._durability.applied(flushed.applied_seq)
        leases = self._leases
        for account, charged in batch.charges.items():
            if charged:
                leases[account].unflushed -= charged
        for account, amount in batch.returns.items():
            lease = leases.get(account)
            if lease is not None:
                lease.returning -= amount
                lease.available += amount
                lease.dry_until = 0.0 if amount else lease.dry_until  # the store has something again
                lease.has_row = bool(lease.outstanding)
        if self._closed is not None:
            if isinstance(self._closed, Away) and self._clock() < sent + self._deadline_s:
                self._closed = None
            return
        if flushed.recalls:
            self.recalled(flushed.recalls)
        self._refill(batch.charges)

    def recalled(self, accounts: Sequence[str]) -> None:
        """Others need what is free of these accounts: give it back."""
        if self._closed is not None:
            return
        now = self._clock()
        parts: dict[str, int] = {}
        for account in accounts:
            lease = self._leases.get(account)
            if lease is not None:
                lease.strict_until = now + _RECALLED_S
                if lease.free:  # who waits here cannot use it: something else is missing, or it is too little
                    parts[account] = lease.free
        self._return(parts)
        if parts:
            self._flusher.hurry()

    def refused(self, failure: Exception) -> None:
        """The store did not take a batch. A fenced worker admits nothing more; its journal keeps what it lacks."""
        if isinstance(failure, WorkerFenced) and not isinstance(self._closed, Fenced):
            self._closed = Fenced(str(failure))
            self._refuse_all(self._closed)
            for ask in {lease.ask for lease in self._leases.values() if lease.ask is not None}:
                self.answered(ask, None, None)  # nobody else will: the flusher has ended

    def compared(self, leases: dict[str, int]) -> None:
        """An answer was lost: what the store granted with it is ours."""
        for account, outstanding in leases.items():
            lease = self._leases.get(account)
            if lease is None:
                lease = self._leases[account] = Lease(account, None)
            extra = outstanding - lease.outstanding
            if extra > 0:
                lease.free += extra
                self._admit(lease)

    def _refill(self, accounts: Iterable[str]) -> None:
        """Ask ahead for accounts that will run dry soon, where there is plenty: nobody waits for it."""
        now, lease_s = self._clock(), self._settings.lease_ms / 1000
        low = []
        for account in accounts:
            lease = self._leases.get(account)
            if lease is None or lease.ask is not None or lease.dry_until > now:
                continue
            target = lease.target(0, lease_s, now)
            if lease.free * 4 < target and lease.available > 4 * target:
                low.append(lease)
        if low:
            self._ask(low)

    def _return(self, parts: dict[str, int]) -> None:
        """Hand free parts back. Numbered by the journal, so that the store takes each return once."""
        accounts = list(parts)
        for start in range(0, len(accounts), _RETURN_ACCOUNTS):
            part = {account: parts[account] for account in accounts[start : start + _RETURN_ACCOUNTS]}
            if not self._journal.note(RETURN, {}):
                return
            for account, amount in part.items():
                lease = self._leases[account]
                lease.free -= amount
                lease.returning += amount
                if not amount:  # said once: the store knows no such row when it is said again
                    lease.has_row = False
            self._flusher.returns.append((self._journal.seq, part))
            self._flusher.wake()

    @property
    def _tick_s(self) -> float:
        return self._settings.idle_ms / 2000

    def _tick(self) -> None:
        """Measure spending, give back what is not used, forget what is empty."""
        self._tick_handle = self._loop.call_later(self._tick_s, self._tick)
        now = self._clock()
        elapsed_s = max(now - self._ticked_at, 0.001)
        self._ticked_at = now
        parts: dict[str, int] = {}
        empty = []
        for lease in self._leases.values():
            used = lease.used or lease.demand > 0
            lease.tick(elapsed_s)
            if used:
                lease.used = False
                continue
            if lease.free and not lease.waiters and lease.ask is None:
                parts[lease.account] = lease.free
            elif lease.empty and lease.has_row:
                parts[lease.account] = 0  # so that the store drops its row
            elif lease.empty:
                empty.append(lease)
        if self._closed is None:
            self._return(parts)
            self._forget(empty)
            self._flusher.attentive = any(lease.free for lease in self._leases.values())

    def _forget(self, empty: list[Lease]) -> None:
        needed = {lease for hold in self._open.values() for lease in hold.leases} if empty else set()
        for lease in empty:
            if lease not in needed:
                del self._leases[lease.account]
