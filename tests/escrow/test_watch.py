"""Who is lost, who has died, and who is only slow."""

import asyncio
import json

import msgspec
import pytest

from joytoken.escrow.recovery import Siblings, Slot, recover_siblings
from joytoken.escrow.terms import Closed, EscrowSettings
from joytoken.escrow.watch import Watch
from joytoken.store.engine import StoreUnavailable
from joytoken.store.ledger import Batch
from tests.escrow.making import SMALL, WALLET, Accidents, a_record, an_escrow, crash, fund, row, settle, usage, wants
from tests.escrow.test_life import eventually

OTHER = "far:0"
SETTINGS = EscrowSettings()  # 30 s, and 10 minutes


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def watch(store, tmp_path, clock):
    tmp_path.joinpath("journal").mkdir()
    return Watch(
        store.ledger, tmp_path / "journal", "near:0", SETTINGS, clock=lambda: clock[0], wall_us=lambda: 7_000_000
    )


@pytest.fixture
def other(store):
    """A worker elsewhere, which has leased 500 of 1,000."""
    fund(store.ledger, 1_000)
    epoch = store.ledger.register(OTHER, "far", 1)
    store.ledger.grant(OTHER, epoch, [(wants()[0], 500, 500)], 1)
    return epoch


def looks(watch, clock, seconds, step=10):
    for _ in range(seconds // step):
        clock[0] += step
        watch.look()


def test_a_node_that_is_silent_keeps_its_leases_for_ten_minutes(store, watch, clock, other):
    watch.look()
    looks(watch, clock, 620)
    assert (watch.abandoned, row(store.ledger).leased) == ([], 500)
    looks(watch, clock, 20)
    assert (watch.abandoned, row(store.ledger).leased) == ([OTHER], 0)
    looks(watch, clock, 2_000)
    assert watch.abandoned == [OTHER]
    incident = store.incidents.list()[0]
    assert (incident.kind, incident.subject, incident.closed_us) == ("abandoned", f"{OTHER}/{other}", None)
    told = json.loads(incident.detail)
    assert (told["worker"], told["epoch"], told["host"], told["returned"]) == (OTHER, other, "far", {WALLET: 500})
    assert store.ledger.verify().first_bad is None


def test_a_node_that_is_heard_is_not_lost_however_long(store, watch, clock, other):
    for _ in range(100):
        looks(watch, clock, 20)
        store.ledger.flush(OTHER, other, Batch(0, [], {}, 1))
    assert watch.abandoned == []


@pytest.mark.parametrize("jump_s", [3_600, -3_600])
def test_a_clock_that_jumps_makes_nobody_lost(store, watch, clock, other, jump_s, monkeypatch):
    """The store's clock may be wrong by an hour: who is heard is not lost, and who is not is lost in time."""
    if store.database.sqlite:
        real = store_clock()
        monkeypatch.setattr("joytoken.store.clock.wall_us", lambda: real + jump_s * 1_000_000 + int(clock[0] * 1e6))
    else:
        with store.database.write(durable=False) as conn:  # the same, seen from the other side
            conn.exec_driver_sql(f"UPDATE worker SET lease_deadline_us = lease_deadline_us - {jump_s * 1_000_000}")
    watch.look()
    looks(watch, clock, 20)
    assert watch.abandoned == []
    store.ledger.flush(OTHER, other, Batch(0, [], {}, 1))
    looks(watch, clock, 20)
    assert watch.abandoned == []
    looks(watch, clock, 640)
    assert watch.abandoned == [OTHER]


@pytest.mark.parametrize("jump_s", [3_600, -3_600])
def test_a_clock_that_jumps_during_a_silence_neither_shortens_nor_prolongs_it(store, watch, clock, other, jump_s):
    """Leases that go back too soon are spent by others: what the silent node settles late is the operator's loss."""
    watch.look()
    looks(watch, clock, 60)
    row_of = watch._ledger.workers
    watch._ledger.workers = lambda: [  # the store's clock, as it tells how long a deadline is over
        msgspec.structs.replace(found, overdue_us=found.overdue_us + jump_s * 1_000_000) for found in row_of()
    ]
    looks(watch, clock, 560)
    assert (watch.abandoned, row(store.ledger).leased) == ([], 500)
    looks(watch, clock, 20)
    assert (watch.abandoned, row(store.ledger).leased) == ([OTHER], 0)


def store_clock():
    from joytoken.store.clock import wall_us

    return wall_us()


def test_a_worker_that_starts_later_need_not_wait_again(store, watch, clock, other):
    """The store's clock says how long the leases have been reserved already."""
    with store.database.write(durable=False) as conn:
        conn.exec_driver_sql(f"UPDATE worker SET lease_deadline_us = lease_deadline_us - {700 * 1_000_000}")
    watch.look()
    looks(watch, clock, 20)
    assert watch.abandoned == []
    looks(watch, clock, 20)
    assert watch.abandoned == [OTHER]


def test_a_store_that_is_away_is_looked_at_later(store, tmp_path, clock, other):
    ledger = Accidents(store.ledger)
    watch = Watch(ledger, tmp_path, "near:0", SETTINGS, clock=lambda: clock[0], wall_us=lambda: 1)
    looks(watch, clock, 600)
    ledger.away = True
    looks(watch, clock, 100)
    ledger.away = False
    watch.look()
    assert watch.abandoned == []  # it could not be heard either
    looks(watch, clock, 20)
    assert watch.abandoned == []
    looks(watch, clock, 10)
    assert watch.abandoned == [OTHER]


def test_a_watch_that_looks_seldom_gives_up_a_lost_node_too(store, tmp_path, clock, other):
    seldom = msgspec.structs.replace(SETTINGS, watch_ms=60_000)
    watch = Watch(store.ledger, tmp_path, "near:0", seldom, clock=lambda: clock[0], wall_us=lambda: 1)
    looks(watch, clock, 720, step=60)
    assert watch.abandoned == [OTHER]


@pytest.mark.parametrize("still", [False, True], ids=["the store was away", "this worker stood still"])
def test_who_could_not_be_heard_for_long_may_still_be_heard(store, tmp_path, clock, other, still):
    """After a database was away for longer than the ten minutes, whoever looks first must not give up all others."""
    ledger = Accidents(store.ledger)
    watch = Watch(ledger, tmp_path, "near:0", SETTINGS, clock=lambda: clock[0], wall_us=lambda: 1)
    looks(watch, clock, 60)
    ledger.away = True
    if still:
        clock[0] += 3_600
    else:
        looks(watch, clock, 3_600)
    ledger.away = False
    looks(watch, clock, 20)
    assert watch.abandoned == []
    store.ledger.flush(OTHER, other, Batch(0, [], {}, 1))
    looks(watch, clock, 600)
    assert (watch.abandoned, row(store.ledger).leased) == ([], 500)


async def test_siblings_recover_who_has_died(store, tmp_path):
    fund(store.ledger, 100_000)
    watchful = msgspec.structs.replace(SMALL, watch_ms=10)
    lives, dies = [await an_escrow(store.ledger, tmp_path, watchful, f"host:{n}") for n in range(2)]
    hold = await dies.hold(a_record(1), wants(), 1_000, 70)
    dies.called(hold)
    await asyncio.to_thread(lives._watch.look)
    assert store.ledger.state("host:1")[1] == "live"  # its lock is not free
    crash(dies)
    await eventually(lambda: store.ledger.state("host:1")[1] == "dead")
    assert usage(store, hold.request_id).charged == 70
    again = await an_escrow(store.ledger, tmp_path, SMALL, "host:1")
    settle(again, await again.hold(a_record(2), wants(), 1_000, 0), 10)
    await again.stop()
    await lives.stop()
    assert row(store.ledger).balance == 100_000 - 80
    assert row(store.ledger).leased == 0
    assert store.ledger.verify().first_bad is None


async def test_a_sibling_that_ended_is_asked_for_once(store, tmp_path):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, SMALL, "host:1")
    await escrow.hold(a_record(1), wants(), 1_000, 70)
    crash(escrow)
    (tmp_path / "host_2.lock").touch()  # whoever made it has not written its name yet
    asked = Accidents(store.ledger)
    siblings = Siblings(asked, tmp_path, "host:0")
    assert siblings.names() == {"host:0", "host:1", ""}
    assert [(report.worker, report.resolved) for report in siblings.recover(5)] == [("host:1", 1)]
    asked.away = True
    assert siblings.recover(5) == []
    taken = Slot(tmp_path, "host:1")
    taken.take()
    assert siblings.recover(5) == []
    taken.free()
    with pytest.raises(StoreUnavailable):
        siblings.recover(5)
    assert recover_siblings(store.ledger, tmp_path, "host:0", 5) == []


def test_a_start_waits_for_a_sibling_that_recovers_its_slot(tmp_path):
    held, waits = Slot(tmp_path, "host:1"), Slot(tmp_path, "host:1")
    held.take()
    with pytest.raises(Closed, match="already"):
        waits.take(0.05)

    async def both():
        taking = asyncio.create_task(asyncio.to_thread(waits.take, 30))
        await asyncio.sleep(0.05)
        assert not taking.done()
        held.free()
        await taking

    asyncio.run(both())
    waits.free()
