"""Epochs that end from outside, and deadlines that are kept whatever the clocks say."""

import asyncio

import msgspec
import pytest

from joytoken.escrow.engine import Closed, Fenced
from joytoken.store.engine import StoreError
from tests.escrow.making import SMALL, WALLET, WORKER, Accidents, a_record, an_escrow, fund, row, settle, usage, wants

WATCHFUL = msgspec.structs.replace(SMALL, watch_ms=10, heartbeat_ms=20)


async def eventually(holds):
    """Wait until something holds."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


def give_up(store, worker=WORKER):
    """Hold a worker for lost, at once."""
    for _ in range(100):  # it may be heard in between
        seen = next(found for found in store.ledger.workers() if found.worker == worker)
        if store.ledger.abandon(worker, seen.epoch, seen.deadline_us) is not None:
            return
    raise AssertionError("it is heard all the time")


async def fenced(escrow):
    await eventually(lambda: isinstance(escrow._closed, Fenced))


async def test_a_worker_that_was_held_for_lost_files_what_it_has_and_begins_anew(store, tmp_path):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, WATCHFUL)
    running, done = [await escrow.hold(a_record(n), wants(50_000), 1_000, 0) for n in (1, 2)]
    give_up(store)
    assert row(store.ledger).leased == 0
    settle(escrow, done, 600)
    await fenced(escrow)
    with pytest.raises(Fenced):
        escrow.try_hold(a_record(3), wants(), 1, 0)
    with pytest.raises(Fenced):
        await escrow.ready(wants())
    assert escrow.stats().epoch == 1  # the stream that runs is let run
    escrow.called(running)
    escrow.progress(running, 300)
    settle(escrow, running, 700)
    await eventually(lambda: escrow.stats().state == "open")
    assert escrow.stats().epoch == 2
    assert [usage(store, hold.request_id).charged for hold in (running, done)] == [700, 600]
    settle(escrow, await escrow.hold(a_record(4), wants(50_000), 1_000, 0), 50)
    await escrow.flush_now()
    await escrow.stop()
    assert row(store.ledger).balance == 100_000 - 1_350
    report = store.ledger.verify()
    assert (report.first_bad, report.records) == (None, 3)
    assert store.ledger.state(WORKER)[:2] == (2, "dead")


async def test_late_settles_never_overspend(store, tmp_path):
    """What the account can no longer carry is a shortfall; each request has its one record."""
    fund(store.ledger, 1_000)
    escrow = await an_escrow(store.ledger, tmp_path, WATCHFUL)
    holds = [await escrow.hold(a_record(n), wants(900), 300, 0) for n in range(3)]
    give_up(store)
    other = await an_escrow(store.ledger, tmp_path / "elsewhere", WATCHFUL, "other:0")
    settle(other, await other.hold(a_record(9), wants(900), 500, 0), 500)
    await other.flush_now()
    await other.stop()
    for hold in holds:
        settle(escrow, hold, 250)
    await eventually(lambda: escrow.stats().epoch == 2)
    await escrow.stop()
    records = [usage(store, hold.request_id) for hold in holds]
    assert [(record.cost, record.charged, record.shortfall) for record in records] == [
        (250, 250, 0), (250, 150, 100), (250, 0, 250),
    ]  # fmt: skip
    assert row(store.ledger, "quota:key-a:D:2026-11-22").balance == 0
    assert row(store.ledger).balance == 100
    assert store.ledger.verify().first_bad is None


async def test_a_late_journal_is_settled_by_the_next_start(store, tmp_path):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, flush_ms=60_000))
    holds = [await escrow.hold(a_record(n), wants(), 1_000, 70) for n in range(3)]
    settle(escrow, holds[0], 600)
    escrow.called(holds[1])
    give_up(store)
    escrow._quieten()
    escrow._flusher.fence()
    await asyncio.to_thread(escrow._flusher.join, 10)
    escrow._journal.close()
    escrow._slot.free()
    for _ in range(2):
        again = await an_escrow(store.ledger, tmp_path)
        await again.stop()
    records = [usage(store, hold.request_id) for hold in holds]
    assert [(record.ending, record.charged) for record in records] == [
        ("completed", 600), ("recovered", 70), ("recovered", 0),
    ]  # fmt: skip
    assert store.ledger.verify().first_bad is None


async def test_a_worker_of_the_same_name_elsewhere_is_not_stolen_from(store, tmp_path):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, WATCHFUL)
    hold = await escrow.hold(a_record(1), wants(), 1_000, 0)
    other = await an_escrow(store.ledger, tmp_path / "elsewhere", WATCHFUL)
    settle(escrow, hold, 600)
    await fenced(escrow)
    await eventually(lambda: usage(store, hold.request_id) is not None)
    await other.flush_now()
    assert (other.stats().state, isinstance(escrow._closed, Fenced)) == ("open", True)
    await other.stop()
    await eventually(lambda: escrow.stats().state == "open")
    assert escrow.stats().epoch == 3
    await escrow.stop()
    assert row(store.ledger).balance == 100_000 - 600
    assert store.ledger.verify().first_bad is None


async def test_a_worker_stops_before_its_deadline_by_its_own_clock(store, tmp_path):
    """Counted from before the store was asked; the wall clock jumps as it likes."""
    fund(store.ledger, 100_000)
    ledger, wall = Accidents(store.ledger), [10**15]
    short = msgspec.structs.replace(SMALL, lease_deadline_ms=400, heartbeat_ms=20)
    escrow = await an_escrow(ledger, tmp_path, short, wall_us=lambda: wall[0])
    hold = await escrow.hold(a_record(1), wants(), 1_000, 0)
    for jump in (3_600_000_000, -7_200_000_000):
        wall[0] += jump
        before = escrow._acknowledged_at
        await eventually(lambda: escrow._acknowledged_at > before)  # noqa: B023 - called before the next round
        assert escrow.stats().state == "open"
        deadline_us = next(found for found in store.ledger.workers() if found.worker == WORKER).deadline_us
        assert deadline_us > 1_700_000_000_000_000  # the store's own clock
    ledger.away = True
    while escrow.stats().state == "open":
        assert escrow._clock() < escrow._acknowledged_at + 30  # the store is away: nothing moves this on
        await asyncio.sleep(0.005)
    with pytest.raises(Closed, match="too long"):
        escrow.try_hold(a_record(2), wants(), 1, 0)
    settle(escrow, hold, 10)
    ledger.away = False
    await eventually(lambda: escrow.stats().state == "open")
    await escrow.stop()


async def test_an_answer_that_took_longer_than_the_deadline_does_not_open_again(store, tmp_path):
    fund(store.ledger, 100_000)
    now = [0.0]
    escrow = await an_escrow(
        store.ledger, tmp_path, msgspec.structs.replace(SMALL, flush_ms=60_000), clock=lambda: now[0]
    )
    settle(escrow, await escrow.hold(a_record(1), wants(), 1_000, 0), 10)
    now[0] = 29.0
    escrow._quieten()
    escrow._guard()
    assert escrow.stats().state != "open"
    escrow.acknowledged(msgspec.structs.replace(escrow._flusher._freeze(), settles=[]), _Answer(), sent=0.2)
    assert escrow.stats().state != "open"
    escrow.acknowledged(msgspec.structs.replace(escrow._flusher._freeze(), settles=[]), _Answer(), sent=28.9)
    assert escrow.stats().state == "open"
    await escrow.stop()


class _Answer:
    applied_seq, recalls = 0, ()


async def test_a_question_under_way_is_answered_when_the_epoch_ends(store, tmp_path, monkeypatch):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, WATCHFUL)
    monkeypatch.setattr(escrow._flusher, "ask", lambda ask: None)  # it had ended a moment ago
    asked = asyncio.ensure_future(escrow.ready(wants()))
    await asyncio.sleep(0)
    give_up(store)
    escrow._flusher.beat()
    with pytest.raises(Closed):
        await asyncio.wait_for(asked, 30)
    await eventually(lambda: escrow.stats().epoch == 2)
    await escrow.stop()


def test_an_epoch_that_was_heard_again_is_not_given_up(store):
    epoch = store.ledger.register(WORKER, "host", 1)
    assert store.ledger.abandon(WORKER, epoch, 1) is None
    seen = store.ledger.workers()[0]
    store.ledger.finish(WORKER, epoch)
    assert store.ledger.abandon(WORKER, epoch, seen.deadline_us) is None
    assert store.ledger.state(WORKER)[1] == "dead"


def test_an_epoch_that_was_given_up_begins_anew_only_after_its_journal(store):
    epoch = store.ledger.register(WORKER, "host", 1)
    give_up(store)
    with pytest.raises(StoreError, match="recover"):
        store.ledger.register(WORKER, "host", 1)
    store.ledger.finish(WORKER, epoch)
    assert store.ledger.register(WORKER, "host", 1) == epoch + 1
    assert WALLET not in store.ledger.leases(WORKER, epoch)
