"""A world of workers, wallets and accidents, all from one seed, and a bill of every call that the world keeps itself.

The workers are real: escrow, leases, journal, flusher and recovery, on a real database. Two of them share a machine,
the third has one of its own. Each has a clock of its own, and so has the store. What the world adds is bad luck.
"""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.errors import Conflict
from joytoken.domain.ledger import Want
from joytoken.domain.record import UsageRecord
from joytoken.escrow.engine import Closed, Escrow, EscrowSettings, Hold, Short
from joytoken.escrow.journal import CALLED, PROGRESS, SETTLE
from joytoken.store.engine import StoreError
from joytoken.store.schema import account, incident, lease, usage_record, worker
from tests.simulation.machinery import Accidents, Crash, FragileJournal, SimulatedLoop

OWNERS = ("ann", "bob")
WORKERS = 3
STEPS = 60
HISTORY = 25  # steps that a failure tells
SETTINGS = EscrowSettings(
    flush_records=8, hold_wait_ms=30, dry_ms=10, idle_ms=400, lease_ms=500, lease_deadline_ms=20_000,
    watch_ms=10**9, abandon_ms=20_000,
)  # fmt: skip
_NOON_US = 1_790_000_000_000_000
_DAY_US = 86_400_000_000


class Violation(AssertionError):
    """An invariant of money does not hold."""


def demand(holds: object, what: str) -> None:
    """Raise Violation where something does not hold."""
    if not holds:
        raise Violation(what)


@dataclass
class Call:
    """What the world knows of one request."""

    owner: str
    record: UsageRecord
    input_cost: int
    held: bool = False
    hold: Hold | None = None
    settled: bool = False
    charged: int | None = None  # as the caller was told
    allowed: set[int] = field(default_factory=lambda: {0})  # costs that the books may show
    least: int = 0  # of the hold
    quota: str = ""


class Process:
    """One worker's slot: its present life, if it has one."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.name = f"host:{number}"
        self.folder = world.folder / ("near" if number < WORKERS - 1 else "far")
        self.rate = world.dice.choice([1.0, 1.0, 0.97, 1.03])  # of its monotonic clock
        self.skew_us = 0  # of its wall clock
        self.way = Accidents(world.ledger)
        self.loop: SimulatedLoop | None = None
        self.escrow: Any = None
        self.tasks: dict[asyncio.Task[Hold], Call] = {}
        self.calls: dict[str, Call] = {}
        self.paused = 0

    def wall_us(self) -> int:
        return self.world.true_us() + self.skew_us

    def go_on(self) -> None:
        """Run what is due in its loop."""
        self.loop.until(self.world.now * self.rate)  # type: ignore[union-attr]

    def start(self) -> None:
        self.loop = loop = SimulatedLoop(self.world.now * self.rate)
        self.world.loops.append(loop)
        escrow: Any = Escrow(
            self.way,  # type: ignore[arg-type]
            worker=self.name, journal_dir=self.folder, settings=self.world.settings, clock=loop.time,
            wall_us=self.wall_us,
        )  # fmt: skip
        try:
            loop.run_until_complete(escrow.start())
        except (StoreError, Crash) as failure:
            self.world.say(f"{self.name} does not start: {failure!r}")
            loop.close()
            escrow._slot.free()
            self.loop = None
            return
        self.escrow = escrow

    def end(self) -> None:
        """As kill -9: nothing more is written, the slot is free."""
        escrow, loop = self.escrow, self.loop
        flusher = escrow._flusher
        if flusher._frozen is not None and self.world.dice.random() < 0.5:
            self.way.delayed.append(("flush", (self.name, escrow._epoch, flusher._frozen), {}))
        escrow._journal.close()
        escrow._slot.free()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
        self.escrow = self.loop = None
        self.tasks.clear()
        self.calls.clear()
        self.paused = 0

    def collect(self) -> None:
        for task in [task for task in self.tasks if task.done()]:
            call = self.tasks.pop(task)
            if task.cancelled():
                continue
            failure = task.exception()
            if failure is None:
                call.hold, call.held, call.least = task.result(), True, task.result().amount
                self.calls[call.record.request_id] = call
            elif not isinstance(failure, Short | Closed):
                raise failure


class World:
    """Everything of one seed. `run` goes through all its steps and judges the end."""

    abandoned = late = begun_anew = 0  # over all worlds: what a run has seen at all

    def __init__(self, seed: int, store: Any, folder: Path) -> None:
        self.dice = random.Random(seed)
        self.store = store
        self.ledger = store.ledger
        self.folder = folder
        self.now = 1_000.0
        self.skew_us = 0  # of the store's clock
        self.timed = self.dice.random() < 0.5  # flushers run by their own clock, too
        self.settings = msgspec.structs.replace(
            SETTINGS, journal_segment_bytes=self.dice.choice([2, 3, 4]) << 10, flush_ms=self.dice.choice([5, 50, 500])
        )
        FragileJournal.dice = self.dice
        self.history: deque[str] = deque(maxlen=HISTORY)
        self.loops: list[SimulatedLoop] = []
        self.bill: dict[str, Call] = {}
        self.given = dict.fromkeys(OWNERS, 0)
        self.limits: dict[str, int] = {}
        self.number = 0
        self.entered: list[tuple[str, int, str]] = []
        self.ledger._clock, self.ledger._pause = lambda: self.now, self._pass
        self.workers = [Process(self, n) for n in range(WORKERS)]
        self.acts = [
            (self._hold, 24), (self._called, 10), (self._progress, 6), (self._settle, 16), (self._enlarge, 4),
            (self._hang_up, 1), (self._flush, 24), (self._accident, 6), (self._fuse, 2), (self._kill, 2),
            (self._away, 2), (self._pause, 2), (self._jump, 1), (self._top_up, 3), (self._adjust, 2), (self._cut, 2),
            (self._late, 6), (self._stop, 1),
            (self._burst, 4), (self._look_around, 5), (self._lose, 1),
        ]  # fmt: skip

    def true_us(self) -> int:
        return _NOON_US + int(self.now * 1e6)

    def store_us(self) -> int:
        """The store's own clock."""
        return self.true_us() + self.skew_us

    def say(self, what: str) -> None:
        self.history.append(f"{self.now:10.3f} {what}")

    def _pass(self, _: float) -> None:
        self.now += 0.4

    def close(self) -> None:
        """End whoever still lives, however this world came to its end."""
        try:
            for process in self.workers:
                if process.escrow is not None:
                    process.end()
        finally:
            for loop in self.loops:
                loop.close()

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        for owner in OWNERS:
            self._give(owner, self.dice.choice([8, 60, 300, 2_000]))
        for process in self.workers:
            process.start()
        acts, weights = zip(*self.acts, strict=True)
        for step, act in enumerate(self.dice.choices(acts, weights, k=STEPS)):
            self.step(act)
            if step % 4 == 0:
                self.look()
        self.finish()

    def step(self, act: Any) -> None:
        """Some time passes, every worker runs, and one thing happens to one of them."""
        self.now += self.dice.choice([0.001, 0.005, 0.02, 0.06, 0.3])
        chosen = self.dice.choice(self.workers)
        for process in self.workers:
            self._advance(process)
        if chosen.escrow is None:
            if self.dice.random() < 0.5:
                self.say(f"{chosen.name} starts")
                chosen.start()
            return
        if chosen.paused:
            return
        self.say(f"{chosen.name} {act.__name__}")
        self.guarded(chosen, lambda: act(chosen))

    def guarded(self, process: Process, act: Any) -> Crash | None:
        try:
            act()
        except Crash as crash:
            self.say(f"{process.name} dies, having written {crash.kind}")
            process.end()
            return crash
        return None

    def _advance(self, process: Process) -> None:
        if process.escrow is None:
            return
        if process.paused:
            process.paused -= 1
            return

        def go() -> None:
            process.go_on()
            flusher = process.escrow._flusher
            for _ in range(5 * self.timed):
                wait_s = flusher.turn()
                process.go_on()
                if wait_s is None or wait_s > 0:
                    break
            if flusher._asks and self.dice.random() < 0.7:
                flusher.answer()
                process.go_on()
            process.collect()

        self.guarded(process, go)

    def _hold(self, process: Process, amount: int = 0) -> Call:
        owner = self.dice.choice(OWNERS)
        amount = amount or self.dice.choice([1, 5, 20, 60])
        self.number += 1
        record = UsageRecord(
            request_id=f"req-{self.number:06}", owner_id=owner, tier="standard", key_id=f"key-{owner}",
            started_us=process.wall_us(), usd_per_credit=2_000_000, tags="x" * self.dice.choice([0, 200]),
        )  # fmt: skip
        call = Call(owner, record, self.dice.randint(0, amount))
        wants = [Want(f"wallet:{owner}:standard")]
        if self.dice.random() < 0.6:
            call.quota = f"quota:key-{owner}:D:{process.wall_us() // _DAY_US}"
            wants.append(Want(call.quota, 400))
            self.limits.setdefault(call.quota, 400)
        self.bill[record.request_id] = call
        task = process.loop.create_task(process.escrow.hold(record, wants, amount, call.input_cost))  # type: ignore[union-attr]
        process.tasks[task] = call
        process.go_on()
        process.collect()
        return call

    def _some(self, process: Process) -> Call | None:
        return self.dice.choice(list(process.calls.values())) if process.calls else None

    def _written(self, kind: int, call: Call, cost: int, act: Any) -> None:
        """Do what is journalled; where the process dies of it, both costs are allowed, or the one that was written."""
        try:
            act()
        except Crash as crash:
            call.allowed |= {cost}
            if crash.kind == kind:
                call.allowed = {cost}
            raise
        call.allowed = {cost}

    def _called(self, process: Process, call: Call | None = None) -> None:
        call = call or self._some(process)
        if call and call.hold and not call.hold.called:
            hold = call.hold
            self._written(CALLED, call, call.input_cost, lambda: process.escrow.called(hold))

    def _progress(self, process: Process) -> None:
        call = self._some(process)
        if call is None or call.hold is None or not call.hold.called:
            return
        hold, before = call.hold, set(call.allowed)
        cost = self.dice.randint(0, hold.amount)
        self._written(PROGRESS, call, cost, lambda: process.escrow.progress(hold, cost))
        if not process.escrow._journal.noted:
            call.allowed |= before

    def _enlarge(self, process: Process) -> None:
        call = self._some(process)
        if call is None or call.hold is None:
            return
        task = process.loop.create_task(process.escrow.top_up(call.hold, self.dice.choice([1, 10, 50])))  # type: ignore[union-attr]
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        process.go_on()

    def _settle(self, process: Process, call: Call | None = None) -> None:
        call = call or self._some(process)
        if call is None or call.hold is None:
            return
        hold, record = call.hold, call.record
        cost = hold.amount * self.dice.choice([0, 30, 100, 100, 180]) // 100
        cap = hold.amount + min(part.free for part in hold.leases)
        record.cost, record.ending = cost, "completed"
        told: list[Any] = []
        self._written(SETTLE, call, cost, lambda: told.append(process.escrow.settle(hold, record)))
        call.settled, call.charged = True, told[0].charged
        del process.calls[record.request_id]
        demand(call.charged == min(cost, cap), f"{record.request_id} cost {cost}, cap {cap}, charged {call.charged}")
        if self.dice.random() < 0.3:
            demand(process.escrow.settle(hold, record) == told[0], f"{record.request_id}: a second settle differs")

    def _hang_up(self, process: Process) -> None:
        for task in list(process.tasks)[:1]:
            task.cancel()

    def _flush(self, process: Process) -> None:
        process.escrow._flusher.step()
        process.go_on()

    def _accident(self, process: Process) -> None:
        process.way.next = self.dice.choice(["lost", "lost", "unsent", "crash-before", "crash-after"])

    def _fuse(self, process: Process) -> None:
        process.escrow._journal.fuse = self.dice.randint(0, 4)
        process.escrow._journal.mode = self.dice.choice(["nothing", "torn", "whole"])

    def _kill(self, process: Process) -> None:
        if self.dice.random() < 0.5:
            process.way.next = self.dice.choice(["crash-before", "crash-after"])  # within the recovery
        raise Crash

    def _away(self, process: Process) -> None:
        process.way.away = not process.way.away

    def _pause(self, process: Process) -> None:
        process.paused = self.dice.randint(3, 15)

    def _burst(self, process: Process) -> None:
        """Many short requests: the journal's segments turn under those that take long."""
        flushes = self.dice.choice([0.0, 0.5])
        self._called(process, self._hold(process, 1))
        for _ in range(self.dice.randint(6, 12)):
            call = self._hold(process, 1)
            if call.hold is not None:
                self._called(process, call)
                self._settle(process, call)
            if self.dice.random() < flushes:
                self._flush(process)
        if self.dice.random() < 0.5:
            raise Crash

    def _look_around(self, process: Process) -> None:
        """Recover siblings, give up who is lost, begin anew where this one was."""
        epoch = process.escrow._epoch
        task = process.loop.create_task(process.escrow._look_once())  # type: ignore[union-attr]
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        process.go_on()
        if process.escrow._epoch != epoch:
            World.begun_anew += 1
            self.say(f"{process.name} begins epoch {process.escrow._epoch}")

    def _lose(self, process: Process) -> None:
        """Nobody hears of a worker for longer than its leases are reserved; then it goes on, or has died."""
        process.paused = self.dice.randint(0, 6)
        for call in list(process.calls.values())[:2]:
            self._settle(process, call)
        others = [other for other in self.workers if other is not process]
        for _ in range(5):
            self.now += 15
            for other in others:
                if other.escrow is not None and not other.paused:
                    self.guarded(other, lambda: self._heard(other))  # noqa: B023 - called at once
        if self.dice.random() < 0.5:  # what went back is taken by others
            for name, available in [(row.account, row.available) for row in self.ledger.accounts("wallet:")]:
                self._change(name.split(":")[1], -available)
        end = self.dice.random()
        if end < 0.3:
            raise Crash
        if end < 0.7:  # its streams end, and it is told
            process.paused = 0
            for call in list(process.calls.values()):
                self._settle(process, call)
            self._heard(process)

    def _heard(self, process: Process) -> None:
        process.go_on()
        process.escrow._flusher.step()
        process.go_on()
        self._look_around(process)
        process.collect()

    def _jump(self, process: Process) -> None:
        who = self.dice.choice([process, self])
        who.skew_us += self.dice.choice([-1, 1]) * self.dice.choice([3_600_000_000, _DAY_US])

    def _late(self, process: Process) -> None:
        """What the dead had sent arrives."""
        for other in self.workers:
            while other.way.delayed:
                name, args, values = other.way.delayed.pop()
                try:
                    getattr(self.ledger, name)(*args, **values)
                except StoreError as failure:
                    self.say(f"a late {name} of {args[:2]}: {failure!r}")

    def _stop(self, process: Process) -> None:
        """A clean stop; open holds are settled by it."""
        escrow, loop = process.escrow, process.loop
        try:
            loop.run_until_complete(escrow.stop())  # type: ignore[union-attr]
        except StoreError as failure:  # the next start does what this one could not
            self.say(f"{process.name} does not stop cleanly: {failure!r}")
        process.collect()
        state = self.ledger.state(process.name)
        loop.close()  # type: ignore[union-attr]
        process.escrow = process.loop = None
        process.calls.clear()
        process.tasks.clear()
        if state and state[1] == "dead":
            demand(not self.ledger.leases(process.name, state[0]), f"{process.name} stopped with leases")

    # ── operators ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _give(self, owner: str, amount: int) -> None:
        key = f"k{len(self.entered)}"
        self.ledger.top_up(f"wallet:{owner}:standard", amount, "r", key, "t", self.true_us())
        self.entered.append((owner, amount, key))
        self.given[owner] += amount

    def _top_up(self, _: Process) -> None:
        if self.dice.random() < 0.4:  # the answer was lost: said again
            owner, amount, key = self.dice.choice(self.entered)
            self.ledger.top_up(f"wallet:{owner}:standard", amount, "r", key, "t", self.true_us())
            return
        self._give(self.dice.choice(OWNERS), self.dice.choice([5, 40, 200]))

    def _adjust(self, _: Process) -> None:
        self._change(self.dice.choice(OWNERS), -self.dice.choice([5, 50, 400]))

    def _change(self, owner: str, amount: int) -> None:
        self.number += 1
        try:
            self.ledger.adjust(f"wallet:{owner}:standard", amount, "r", f"a{self.number}", "t", self.true_us())
        except (Conflict, ValueError):
            return
        self.given[owner] += amount

    def _cut(self, _: Process) -> None:
        for name in list(self.limits)[-1:]:
            limit = self.dice.choice([0, 50, 300, 600])
            _, key, window = name.split(":", 2)
            if self.ledger.set_quota_limit(key, window, limit, at_us=self.true_us()):
                self.limits[name] = max(self.limits[name], limit)

    # ── judgement ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """The invariants of the books, on what is committed now."""
        with self.store.database.read() as conn:
            rows = conn.execute(_ACCOUNTS).all()
            out = dict(conn.execute(_LEASED).all())
            ended = conn.execute(_ENDED).first()
        demand(ended is None, f"a lease of an epoch that has ended: {ended}")
        for name, balance, leased in rows:
            demand(0 <= leased <= balance, f"{name}: balance {balance}, leased {leased}")
            demand(leased == out.pop(name, 0), f"{name}: leased {leased}, which is not the sum of its leases")

    def finish(self) -> None:
        """Bring everything to rest, and compare the books with the bill."""
        for process in self.workers:
            process.way.away, process.way.next, process.paused = False, "", 0
        for _ in range(2):  # once those that live, then those that were dead
            for process in self.workers:
                if process.escrow is not None:
                    self.rest(process)
                self._late(process)
                if process.escrow is None:
                    process.start()
                demand(process.escrow is not None, f"{process.name} cannot be started")
        for process in self.workers:
            self._stop(process)
        self._late(self.workers[0])
        self.look()
        self.compare()
        report = self.ledger.verify()
        demand(report.ok, f"verify: {report.first_bad}")

    def rest(self, process: Process) -> None:
        """A worker that has told the store everything agrees with it about each lease; then it stops."""
        process.escrow._journal.fuse = -1

        def quiet() -> None:
            for _ in range(6):
                self.now += 0.001
                process.escrow._flusher.answer()
                process.escrow._flusher.step()
                process.go_on()
                process.collect()
            flusher = process.escrow._flusher
            if flusher.idle and not flusher._fenced and not flusher._asks and not flusher._compare:
                known = self.ledger.leases(process.name, process.escrow._epoch)
                here = {name: part.outstanding for name, part in process.escrow._leases.items() if part.outstanding}
                told = {name: amount for name, amount in known.items() if amount}
                kept = [part.account for part in process.escrow._leases.values() if part.returning]
                demand(not kept, f"{process.name} keeps what it returned: {kept}")
                demand(here == told, f"{process.name} believes in {here}, the store in {told}")

        self.guarded(process, quiet)
        if process.escrow is not None:
            self._stop(process)

    def compare(self) -> None:
        """Every call once, at a cost that is true, and each wallet to the nanocredit."""
        with self.store.database.read() as conn:
            rows = conn.execute(_RECORDS).all()
            balances = {row[0]: row[1] for row in conn.execute(_ACCOUNTS)}
            given_up = {row[0] for row in conn.execute(_GIVEN_UP)}
        World.abandoned += len(given_up)
        demand(len({row[0] for row in rows}) == len(rows), "a request is there twice")
        spent = dict.fromkeys(OWNERS, 0)
        drained: dict[str, int] = {}
        found = set()
        for request_id, cost, charged, shortfall, who, epoch in rows:
            call = self.bill[request_id]
            found.add(request_id)
            said = f"{request_id}: cost {cost}, charged {charged}, short {shortfall}"
            demand(cost in call.allowed, f"{said}; allowed {sorted(call.allowed)}")
            late = f"{who}/{epoch}" in given_up  # it may be charged less than was promised, never more
            World.late += late
            demand(charged + shortfall == cost, said)
            demand(late or charged >= min(cost, call.least), f"{said}; hold {call.least}")
            told = charged if call.charged is None else call.charged
            demand(charged == told or (late and charged < told), f"{said}; the caller was told {told}")
            spent[call.owner] += charged
            if call.quota:
                drained[call.quota] = drained.get(call.quota, 0) + charged
        lost = [name for name, call in self.bill.items() if call.held and name not in found]
        demand(not lost, f"lost: {lost[:3]}")
        for owner in OWNERS:
            left = balances[f"wallet:{owner}:standard"]
            demand(
                left == self.given[owner] - spent[owner], f"{owner}: {left}, of {self.given[owner]} - {spent[owner]}"
            )
        for name, amount in drained.items():
            demand(amount <= self.limits[name], f"{name}: {amount} of {self.limits[name]}")


_ACCOUNTS = sa.select(account.c.id, account.c.balance, account.c.leased).where(account.c.kind != "platform")
_LEASED = sa.select(lease.c.account, sa.func.sum(lease.c.outstanding)).group_by(lease.c.account)
_ENDED = (
    sa.select(lease.c.account, lease.c.worker, lease.c.epoch, worker.c.state)
    .join(worker, worker.c.id == lease.c.worker)
    .where(worker.c.state.in_(("dead", "abandoned")) | (worker.c.epoch != lease.c.epoch))
    .limit(1)
)
_RECORDS = sa.select(
    *[usage_record.c[name] for name in ("request_id", "cost", "charged", "shortfall", "worker", "epoch")]
)
_GIVEN_UP = sa.select(incident.c.subject)
