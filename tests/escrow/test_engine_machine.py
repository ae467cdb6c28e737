"""A machine of everything that can happen to money, with small balances, against a real store and journal."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from joytoken.domain.errors import Conflict
from joytoken.domain.ledger import Want
from joytoken.escrow.engine import Closed, Short
from joytoken.store.engine import StoreUnavailable
from joytoken.store.open import open_store
from tests.escrow.making import SMALL, WORKER, Accidents, a_record, an_escrow, crash, row

OWNERS = ("ann", "bob")
LIMIT = 3_000
QUICK = msgspec.structs.replace(SMALL, hold_wait_ms=1, dry_ms=1, flush_ms=2, journal_segment_bytes=16 << 10, idle_ms=40)
few = st.integers(0, 1_200)


def wallet(owner):
    return f"wallet:{owner}:standard"


class Money(RuleBasedStateMachine):
    """The model is a bill: what each request cost, and what each wallet was given."""

    fresh: Callable[[Path], str]  # the URL of a new database, given a folder

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="joytoken-machine-"))
        self.store = open_store(self.fresh(self.folder))
        self.ledger = Accidents(self.store.ledger)
        self.ledger.ledger._pause = lambda _: None
        self.loop = asyncio.new_event_loop()
        self.given = dict.fromkeys(OWNERS, 0)
        self.open = []  # hold, what a recovery would charge
        self.bill = {}  # request → owner, cost or None where not known
        self.number = 0
        for owner in OWNERS:
            self._give(owner, 5_000)
        self.escrow = self._run(an_escrow(self.ledger, self.folder, QUICK))

    def _run(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    def _give(self, owner, amount):
        self.number += 1
        self.store.ledger.top_up(wallet(owner), amount, "r", f"k{self.number}", "t", 1)
        self.given[owner] += amount

    @rule(owner=st.sampled_from(OWNERS), amount=few, quota=st.booleans(), input_cost=st.integers(0, 50))
    def hold(self, owner, amount, quota, input_cost):
        self.number += 1
        record = a_record(self.number)
        record.owner_id = owner
        wants = [Want(wallet(owner))] + ([Want(f"quota:{owner}:D:1", LIMIT)] if quota else [])
        try:
            hold = self._run(self.escrow.hold(record, wants, amount, min(input_cost, amount)))
        except (Short, Closed):
            return
        self.open.append([hold, 0])
        self.bill[record.request_id] = (owner, 0)

    def _pick(self, index):
        return self.open[index % len(self.open)]

    @precondition(lambda self: self.open)
    @rule(index=st.integers(0, 50))
    def called(self, index):
        item = self._pick(index)
        self.escrow.called(item[0])
        item[1] = max(item[1], item[0].input_cost)

    @precondition(lambda self: self.open)
    @rule(index=st.integers(0, 50), part=st.integers(0, 100))
    def progress(self, index, part):
        item = self._pick(index)
        cost = item[0].amount * part // 100
        self.escrow.called(item[0])
        self.escrow.progress(item[0], cost)
        item[1] = cost

    @precondition(lambda self: self.open)
    @rule(index=st.integers(0, 50), more=st.integers(1, 800))
    def top_up_hold(self, index, more):
        hold = self._pick(index)[0]
        before = hold.amount
        added = self._run(self.escrow.top_up(hold, more))
        assert 0 <= added <= more
        assert hold.amount == before + added

    @precondition(lambda self: self.open)
    @rule(index=st.integers(0, 50), percent=st.integers(0, 160), twice=st.booleans())
    def settle(self, index, percent, twice):
        hold, _ = self.open.pop(index % len(self.open))
        record = hold.record
        record.cost = cost = hold.amount * percent // 100
        record.ending = "completed"
        outcome = self.escrow.settle(hold, record)
        assert outcome.charged + outcome.shortfall == cost
        assert outcome.charged >= min(cost, hold.amount)
        if twice:
            assert self.escrow.settle(hold, record) is outcome
        self.bill[record.request_id] = (record.owner_id, cost)

    @precondition(lambda self: self.open)
    @rule(index=st.integers(0, 50))
    def release(self, index):
        hold, _ = self.open.pop(index % len(self.open))
        hold.record.ending = "provider_failed"
        assert self.escrow.release(hold, hold.record).charged == 0

    @rule(lost=st.integers(0, 2))
    def flush(self, lost):
        self.ledger.lose_flush = lost
        self._run(self.escrow.flush_now())

    @rule()
    def lose_a_grant(self):
        self.ledger.lose_grant = 1

    @rule(ms=st.integers(1, 60))
    def time_passes(self, ms):
        self._run(asyncio.sleep(ms / 1000))

    @rule(owner=st.sampled_from(OWNERS), amount=st.integers(1, 2_000))
    def top_up(self, owner, amount):
        self._give(owner, amount)

    @rule(owner=st.sampled_from(OWNERS), amount=st.integers(1, 2_000))
    def adjust(self, owner, amount):
        self.number += 1
        clock = iter(range(100))
        self.ledger.ledger._clock = lambda: next(clock) * 0.6
        try:
            self.store.ledger.adjust(wallet(owner), -amount, "r", f"k{self.number}", "t", 1)
        except Conflict:
            return
        self.given[owner] -= amount

    @rule(owner=st.sampled_from(OWNERS), limit=st.integers(0, LIMIT))
    def change_limit(self, owner, limit):
        self.store.ledger.set_quota_limit(owner, "D:1", limit)

    @rule(recovery_dies=st.booleans())
    def crash(self, recovery_dies):
        crash(self.escrow)
        for hold, proven in self.open:
            self.bill[hold.request_id] = (hold.record.owner_id, proven)
        self.open = []
        self.ledger.lose_flush = int(recovery_dies)
        self.ledger.lose_grant = 0
        try:
            self.escrow = self._run(an_escrow(self.ledger, self.folder, QUICK))
        except StoreUnavailable:
            assert recovery_dies
            self.ledger.lose_flush = 0
            self.escrow = self._run(an_escrow(self.ledger, self.folder, QUICK))
        self.ledger.lose_flush = 0

    @rule()
    def restart(self):
        for hold, proven in self.open:
            self.bill[hold.request_id] = (hold.record.owner_id, proven)
        self.open = []
        self._run(self.escrow.stop())
        assert self.store.ledger.state(WORKER)[1] == "dead"
        assert all(found.leased == 0 for found in self.store.ledger.accounts())
        self.escrow = self._run(an_escrow(self.ledger, self.folder, QUICK))

    @invariant()
    def the_books_are_in_order(self):
        assert self.store.ledger.verify().first_bad is None

    @invariant()
    def nothing_here_is_below_zero(self):
        for lease in self.escrow._leases.values():
            assert min(lease.free, lease.held, lease.unflushed, lease.returning, lease.queued) >= 0
            assert lease.held == sum(hold.amount for hold, _ in self.open if lease.account in hold.accounts)

    def teardown(self):
        for hold, proven in self.open:
            self.bill[hold.request_id] = (hold.record.owner_id, proven)
        self._run(self.escrow.stop())
        charged = dict.fromkeys(OWNERS, 0)
        for request_id, (owner, cost) in self.bill.items():
            found = self.store.usage.get(request_id)
            assert (found.cost, found.owner_id) == (cost, owner)
            charged[owner] += found.charged
        report = self.store.ledger.verify()
        assert (report.first_bad, report.records) == (None, len(self.bill))
        for owner in OWNERS:
            assert row(self.store.ledger, wallet(owner)).balance == self.given[owner] - charged[owner] >= 0
            assert row(self.store.ledger, wallet(owner)).leased == 0
        self.store.close()
        self.loop.close()
        shutil.rmtree(self.folder)


def test_whatever_happens_the_money_is_exact(migrated_file):
    def fresh(folder):
        shutil.copyfile(migrated_file, folder / "joytoken.db")
        return f"sqlite:///{folder}/joytoken.db"

    Money.fresh = staticmethod(fresh)
    run_state_machine_as_test(Money, settings=settings(max_examples=25, stateful_step_count=40))


def test_whatever_happens_the_money_is_exact_on_postgres(postgres, migrated_name):
    made = []

    def fresh(_):
        made.append(postgres.create(migrated_name))
        return made[-1]

    Money.fresh = staticmethod(fresh)
    run_state_machine_as_test(Money, settings=settings(max_examples=10, stateful_step_count=40))
    for url in made:
        postgres.drop(url)
