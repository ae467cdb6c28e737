"""What survives what: in which order the disk, the store, the provider and the caller are spoken to."""

import asyncio
import threading

import msgspec
import pytest

from joytoken.escrow import durability
from joytoken.escrow.engine import Closed
from joytoken.escrow.recovery import Slot, recover
from joytoken.store.ledger_types import WorkerRow
from tests.escrow.making import SMALL, WORKER, Accidents, a_record, an_escrow, crash, fund, row, settle, usage, wants
from tests.escrow.test_life import eventually, give_up

POWER = msgspec.structs.replace(SMALL, durability="power")
CENTRAL = msgspec.structs.replace(SMALL, durability="central", flush_ms=60_000)


class Disk:
    """Syncs that wait for a gate, or fail; and what each of them brought to the disk."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.failure = None
        self.synced = []
        self.real = durability.sync

    def sync(self, files):
        assert self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        self.real(files)
        self.synced.append(len(files))


@pytest.fixture
def disk(monkeypatch):
    made = Disk()
    monkeypatch.setattr(durability, "sync", made.sync)
    return made


async def still_waits(task):
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not task.done()


async def held(escrow, number=1):
    hold = await escrow.hold(a_record(number), wants(), 1_000, 70)
    escrow.called(hold)
    return hold


async def test_process_asks_nobody(store, tmp_path, disk):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    assert (escrow.secures, escrow._durability, store.ledger.durable) == (False, None, False)
    hold = await held(escrow)
    await escrow.secure_hold()
    settle(escrow, hold, 100)
    await escrow.secure_settle()
    await escrow.stop()
    assert disk.synced == []


@pytest.mark.parametrize("settings", [POWER, CENTRAL], ids=["power", "central"])
async def test_a_hold_is_on_the_disk_before_the_provider_is_called(store, tmp_path, disk, settings):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, settings)
    hold = await held(escrow)
    disk.gate.clear()
    waiting = asyncio.create_task(escrow.secure_hold())
    await still_waits(waiting)
    disk.gate.set()
    await waiting
    assert escrow._journal.synced_seq >= 2
    settle(escrow, hold, 100)
    await escrow.stop()


async def test_a_settle_is_on_the_disk_before_the_last_byte(store, tmp_path, disk):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, POWER)
    hold = await held(escrow)
    await escrow.secure_hold()
    disk.gate.clear()
    settle(escrow, hold, 100)
    seq = escrow._journal.seq
    waiting = asyncio.create_task(escrow.secure_settle())
    await still_waits(waiting)
    disk.gate.set()
    await waiting
    assert escrow._journal.synced_seq >= seq
    await escrow.stop()


async def test_one_sync_serves_all_who_wait(store, tmp_path, disk):
    fund(store.ledger, 10**6)
    escrow = await an_escrow(store.ledger, tmp_path, POWER)
    holds = [await held(escrow, n) for n in range(20)]
    disk.gate.clear()
    first = asyncio.create_task(escrow.secure_hold())
    await still_waits(first)
    others = []
    for hold in holds:
        settle(escrow, hold, 100)
        others.append(asyncio.create_task(escrow.secure_settle()))
    await still_waits(others[0])
    others[7].cancel()  # one of them hangs up
    disk.gate.set()
    await asyncio.wait([first, *others])
    assert disk.synced == [2, 1]  # both segments the first time, then the one that is written to
    assert escrow.stats().syncs == 2
    await escrow.stop()
    assert store.ledger.verify().first_bad is None


async def test_the_loop_goes_on_while_the_disk_works(store, tmp_path, disk):
    fund(store.ledger, 10**6)
    escrow = await an_escrow(store.ledger, tmp_path, POWER)
    first = await held(escrow)
    disk.gate.clear()
    waiting = asyncio.create_task(escrow.secure_hold())
    await still_waits(waiting)
    second = escrow.try_hold(a_record(2), wants(), 1_000, 0)
    settle(escrow, second, 10)
    disk.gate.set()
    await waiting
    settle(escrow, first, 10)
    await escrow.stop()


async def test_a_disk_that_fails_lets_no_provider_be_called_and_still_answers(store, tmp_path, disk, caplog):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, POWER)
    paid = await held(escrow)
    await escrow.secure_hold()
    disk.failure = OSError(5, "input/output error")
    settle(escrow, paid, 100)
    await escrow.secure_settle()  # the answer is there and paid for
    assert escrow.stats().unsecured == 1
    assert "before its settlement was safe" in caplog.text
    hold = await held(escrow, 2)
    disk.failure = None  # a disk that has failed once is not believed again
    with pytest.raises(Closed, match="disk"):
        await escrow.secure_hold()
    escrow.release(hold, hold.record)
    await escrow.stop()
    assert row(store.ledger).balance == 99_900


async def test_a_wait_for_the_disk_has_its_bound(store, tmp_path, disk):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(POWER, durability_wait_ms=20))
    hold = await held(escrow)
    disk.gate.clear()
    with pytest.raises(Closed, match="disk"):
        await escrow.secure_hold()
    settle(escrow, hold, 100)
    await escrow.secure_settle()
    assert escrow.stats().unsecured == 1
    disk.gate.set()
    await escrow.stop()


async def test_central_waits_for_the_stores_commit(store, tmp_path, disk):
    fund(store.ledger, 100_000)
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path, CENTRAL)
    hold = await held(escrow)
    ledger.away = True
    settle(escrow, hold, 100)
    waiting = asyncio.create_task(escrow.secure_settle())
    await still_waits(waiting)
    assert usage(store, hold.request_id) is None
    ledger.away = False
    await waiting
    assert usage(store, hold.request_id).charged == 100
    await escrow.secure_settle()  # nothing is left to wait for
    await escrow.stop()


async def test_central_lets_go_where_the_epoch_was_given_up(store, tmp_path):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(CENTRAL, watch_ms=10, heartbeat_ms=20))
    hold = await held(escrow)
    give_up(store)
    settle(escrow, hold, 100)
    await escrow.secure_settle()
    assert usage(store, hold.request_id).charged == 100
    assert escrow.stats().unsecured == 0
    await eventually(lambda: escrow.stats().epoch == 2)
    await escrow.stop()


async def test_what_is_carried_is_on_the_disk_before_its_segment_is_used_again(store, tmp_path, disk):
    """Where a power cut comes between, an open hold is in one segment or in the other."""
    fund(store.ledger, 10**9)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(POWER, journal_segment_bytes=16 << 10))
    stays = await held(escrow, 10**6)
    disk.gate.clear()

    async def fill():
        for number in range(1_000):
            settle(escrow, await escrow.hold(a_record(number), wants(), 1_000, 0), 10)
            if not number % 5:
                await escrow.flush_now()

    with pytest.raises(Closed, match="journal"):  # the store has all of it, but the disk has not
        await fill()
    assert escrow._journal.turns == 1
    disk.gate.set()
    await escrow.secure_hold()
    for number in range(1_000, 1_100):
        hold = await escrow.hold(a_record(number), wants(), 1_000, 0)
        await escrow.secure_hold()
        settle(escrow, hold, 10)
        await escrow.flush_now()
    assert escrow._journal.turns > 2
    settle(escrow, stays, 100)
    await escrow.stop()


def test_what_workers_commit_survives_a_power_cut_where_that_is_asked_for(store, tmp_path):
    async def levels():
        escrow = await an_escrow(store.ledger, tmp_path, POWER)
        with store.database.engine.connect() as conn:
            level = conn.exec_driver_sql("PRAGMA synchronous").scalar() if store.database.sqlite else 2
            conn.rollback()
        await escrow.stop()
        return level

    assert asyncio.run(levels()) == 2  # FULL


async def test_a_store_that_lost_its_leases_does_not_stop_a_start(store, tmp_path):
    """A power cut at `process`: the journal knows of leases that the store has forgotten."""
    fund(store.ledger, 1_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, flush_ms=60_000))
    settle(escrow, await escrow.hold(a_record(1), wants(), 700, 0), 700)
    settle(escrow, await escrow.hold(a_record(2), wants(), 300, 0), 300)
    crash(escrow)
    with store.database.write(durable=False) as conn:
        conn.exec_driver_sql("DELETE FROM lease")
        conn.exec_driver_sql("UPDATE account SET leased = 0")
    store.ledger.adjust("wallet:ann:standard", -200, "spent elsewhere", "k9", "test", 1)
    report = recover(store.ledger, Slot(tmp_path, WORKER), 5)
    assert (report.settled, report.late) == (2, True)
    assert [usage(store, a_record(n).request_id).shortfall for n in (1, 2)] == [0, 200]
    assert row(store.ledger).balance == 0
    assert store.ledger.verify().first_bad is None
    assert store.incidents.list()[0].closed_us is not None
    assert not [found for found in store.ledger.workers() if isinstance(found, WorkerRow)]
