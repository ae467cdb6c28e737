"""A worker's share of each account, as integers that one event loop owns, and who waits for them."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from joytoken.domain.record import UsageRecord

if TYPE_CHECKING:
    from joytoken.escrow.terms import Hold

FIRST_LEASE_HOLDS = 8  # an account whose spending is not known yet is leased for so many holds like its first


class Lease:
    """One account's share. What the store knows as outstanding is ``free + held + unflushed + returning``."""

    __slots__ = (
        "account", "ask", "available", "away_until", "demand", "dry_until", "elsewhere", "free", "full", "has_row",
        "held", "limit", "queued", "rate", "returning", "strict_until", "unflushed", "used", "waiters",
    )  # fmt: skip

    def __init__(self, account: str, limit: int | None) -> None:
        self.account = account
        self.limit = limit
        self.free = 0
        self.held = 0
        self.unflushed = 0  # charged here, not yet at the store
        self.returning = 0  # given back here, not yet at the store
        self.available = 0  # free at the store when it last answered
        self.elsewhere = 0  # leased by other workers when it last answered
        self.full = False  # the store did not open it: as many as may be were opened today
        self.has_row = False  # the store may have a row for it
        self.used = True  # since the last tick
        self.demand = 0  # nanocredits held since the last tick
        self.rate = 0.0  # nanocredits held per second
        self.dry_until = 0.0  # the store had nothing more
        self.away_until = 0.0  # the store did not answer
        self.strict_until = 0.0  # others ask for this account: take only what is needed
        self.ask: Ask | None = None  # the question that is under way
        self.waiters: deque[Waiter] = deque()
        self.queued = 0  # sum over waiters

    @property
    def outstanding(self) -> int:
        """What the store believes to be leased here."""
        return self.free + self.held + self.unflushed + self.returning

    @property
    def empty(self) -> bool:
        """Whether nothing would be lost by forgetting it."""
        return not (self.outstanding or self.waiters or self.ask)

    @property
    def hopeful(self) -> bool:
        """Whether there is anything left, here or elsewhere, as far as is known."""
        return bool(self.free or self.held or self.returning or self.available or self.elsewhere)

    def left(self) -> tuple[int, bool]:
        """By what it compares as the one that has the least: what is left, and a limit before a wallet."""
        return self.free + self.returning + self.available, self.limit is None

    def target(self, need: int, lease_s: float, now: float) -> int:
        """How much to ask for, in nanocredits, where at least `need` is needed now."""
        if now < self.strict_until:
            return need
        if not self.rate:
            return max(need, self.demand) * FIRST_LEASE_HOLDS
        return max(need, int(max(self.rate, self.demand) * lease_s))

    def tick(self, elapsed_s: float) -> None:
        """Measure the spending of the time that went by."""
        rate = self.demand / elapsed_s
        self.rate = rate if rate > self.rate else (self.rate + rate) / 2
        self.demand = 0

    def ahead(self, waiter: "Waiter") -> int:
        """What those wait for who came before this waiter, in nanocredits; enough to know once it exceeds `free`."""
        total = 0
        for other in self.waiters:
            if other is waiter:
                break
            if not other.done:
                total += other.amount
                if total > self.free:
                    break
        return total

    def next_to_be_served(self) -> "Waiter | None":
        """The first who waits and fits into what is free beside those before."""
        self.trim()
        ahead = 0
        for waiter in self.waiters:
            if waiter.done:
                continue
            if ahead + waiter.amount > self.free:
                return None
            if waiter.fits():
                return waiter
            ahead += waiter.amount
        return None

    def idle_beside(self) -> "list[Lease]":
        """What its first waiter cannot use while this account lacks: parts of it, and of others that are scarce too."""
        wanted = self.waiters[0].leases
        return [other for other in wanted if other.free and (other is self or other.available < other.queued)]

    def trim(self) -> None:
        """Drop those at the head who wait no more."""
        waiters = self.waiters
        while waiters and waiters[0].done:
            waiters.popleft()


class Waiter:
    """A hold that did not fit at once. First come, first served, per account."""

    __slots__ = ("amount", "done", "future", "input_cost", "leases", "record", "since", "timer")

    def __init__(
        self,
        record: UsageRecord,
        leases: tuple[Lease, ...],
        amount: int,
        input_cost: int,
        future: "asyncio.Future[Hold]",
        since: float,
    ) -> None:
        self.record = record
        self.leases = leases
        self.amount = amount
        self.input_cost = input_cost
        self.future = future
        self.since = since
        self.timer: asyncio.TimerHandle | None = None
        self.done = False
        for lease in leases:
            lease.waiters.append(self)
            lease.queued += amount

    def fits(self) -> bool:
        """Whether each account can carry it beside those who came before."""
        # The scarcest first: its answer is quick, where a rich account's queue would be counted to its end.
        leases = sorted(self.leases, key=lambda lease: lease.free)
        return all(lease.free - lease.ahead(self) >= self.amount for lease in leases)

    def leave(self) -> None:
        """Leave all queues."""
        self.done = True
        if self.timer is not None:
            self.timer.cancel()
        for lease in self.leases:
            lease.queued -= self.amount
            lease.trim()


class Ask:
    """A question to the store about several accounts, and who wants to know the answer."""

    __slots__ = ("answered", "first", "wants")

    def __init__(self, wants: "list[tuple[Lease, int, int]]", answered: "asyncio.Future[None]") -> None:
        self.wants = wants  # lease, need, target
        self.answered = answered
        self.first: list[TopUp] = []  # running requests are served before waiting ones


class TopUp:
    """A running request that wants more."""

    __slots__ = ("added", "hold", "more")

    def __init__(self, hold: "Hold", more: int) -> None:
        self.hold = hold
        self.more = more
        self.added = 0
