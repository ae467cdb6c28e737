"""What a start makes of a life that ended without a word."""

import os
import subprocess
import sys
import time

import pytest

from joytoken.escrow.journal import segment_path
from joytoken.escrow.recovery import Slot, recover, recover_siblings
from joytoken.store.engine import StoreUnavailable
from tests.escrow.making import SMALL, WORKER, a_record, an_escrow, crash, fund, row, settle, usage, wants

KILLS = 8


@pytest.mark.parametrize(
    ("called", "progress", "charged", "shortfall"),
    [
        (False, (), 0, 0),
        (True, (), 70, 0),
        (True, (300,), 300, 0),
        (True, (300, 900), 900, 0),
        (True, (1_200,), 1_000, 200),
    ],
)
async def test_an_open_hold_is_charged_by_what_the_journal_proves(
    store, tmp_path, called, progress, charged, shortfall
):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    hold = await escrow.hold(a_record(1), wants(5_000), 1_000, 70)
    if called:
        escrow.called(hold)
    for cost in progress:
        escrow.progress(hold, cost)
    crash(escrow)
    report = recover(store.ledger, slot(tmp_path), 5_000)
    assert (report.epoch, report.settled, report.resolved, report.charged) == (1, 0, 1, charged)
    found = usage(store, hold.request_id)
    assert (found.ending, found.usage_source) == ("recovered", "recovered")
    assert (found.cost, found.charged, found.shortfall) == (charged + shortfall, charged, shortfall)
    assert (row(store.ledger).balance, row(store.ledger).leased) == (10_000 - charged, 0)
    assert store.ledger.verify().first_bad is None
    assert recover(store.ledger, slot(tmp_path), 5_000).epoch == 0  # nothing is left to do


async def test_a_hold_that_says_it_was_called_is_charged_for_its_input(store, tmp_path):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    first = await escrow.hold(a_record(1), wants(5_000), 100, 70)
    hold = escrow.try_hold(a_record(2), wants(5_000), 100, 60, called=True)
    assert (first.called, hold.called) == (False, True)
    written = escrow.stats().journal_used_bytes
    escrow.called(hold)  # said already
    assert escrow.stats().journal_used_bytes == written
    crash(escrow)
    assert recover(store.ledger, slot(tmp_path), 5_000).charged == 60
    assert usage(store, first.request_id).charged == 0
    assert usage(store, hold.request_id).charged == 60


def slot(folder):
    return Slot(folder, WORKER)


class Dies:
    """A ledger whose process dies at its n-th call, before it or after it."""

    def __init__(self, ledger, at, after):
        self.ledger, self.left, self.after = ledger, at, after

    def __getattr__(self, name):
        method = getattr(self.ledger, name)
        if not callable(method):
            return method

        def call(*args, **values):
            self.left -= 1
            if not self.left and not self.after:
                raise StoreUnavailable("died before")
            answer = method(*args, **values)
            if not self.left:
                raise StoreUnavailable("died after")
            return answer

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 7))
async def test_a_recovery_that_dies_is_done_again(store, tmp_path, monkeypatch, at, after):
    monkeypatch.setattr("joytoken.escrow.recovery.BATCH_RECORDS", 3)
    fund(store.ledger, 1_000_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    holds = [await escrow.hold(a_record(n), wants(), 1_000, 70) for n in range(8)]
    for hold in holds[:5]:
        escrow.called(hold)
        settle(escrow, hold, 100)
    await escrow.flush_now()
    for hold in holds[5:7]:
        settle(escrow, hold, 100)
    escrow.called(holds[7])
    crash(escrow)
    dying = Dies(store.ledger, at, after)
    for _ in range(2):
        try:
            recover(dying, slot(tmp_path), 5)
        except StoreUnavailable:
            continue
    recover(store.ledger, slot(tmp_path), 5)
    assert row(store.ledger).balance == 1_000_000 - 770
    assert row(store.ledger).leased == 0
    report = store.ledger.verify()
    assert (report.first_bad, report.records) == (None, 8)


async def test_a_lost_journal_returns_the_leases(store, tmp_path):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    await escrow.hold(a_record(1), wants(), 1_000, 70)
    crash(escrow)
    for number in range(2):
        segment_path(tmp_path, slot(tmp_path).name, number).unlink()
    again = await an_escrow(store.ledger, tmp_path)
    await again.stop()
    assert (row(store.ledger).balance, row(store.ledger).leased) == (10_000, 0)


@pytest.mark.parametrize("cut", [300, 700, 1_100, 1_500, 2_500])
async def test_a_cut_journal_settles_what_is_left_of_it(store, tmp_path, cut):
    fund(store.ledger, 10_000)
    slow = {"flush_ms": 60_000}
    escrow = await an_escrow(store.ledger, tmp_path, type(SMALL)(**slow, journal_segment_bytes=64 << 10))
    for number in range(6):
        hold = await escrow.hold(a_record(number), wants(), 1_000, 70)
        escrow.called(hold)
        settle(escrow, hold, 500)
    crash(escrow)
    path = segment_path(tmp_path, slot(tmp_path).name, 0)
    os.truncate(path, cut)
    again = await an_escrow(store.ledger, tmp_path)
    await again.stop()
    report = store.ledger.verify()
    assert report.first_bad is None
    assert row(store.ledger).leased == 0
    records = [usage(store, a_record(n).request_id) for n in range(6)]
    charged = [record.charged for record in records if record]
    assert charged == [500] * (len(charged) - 1) + charged[-1:] or not charged
    assert row(store.ledger).balance == 10_000 - sum(charged)


async def test_a_hold_that_is_left_of_a_cut_journal_is_resolved_though_the_store_is_further(store, tmp_path):
    """What is cut off was in the store already: the numbers of a recovery go on after the store's, not before."""
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    open_one = await escrow.hold(a_record(1), wants(), 1_000, 70)
    escrow.called(open_one)
    ended = await escrow.hold(a_record(2), wants(), 1_000, 70)
    written = escrow.stats().journal_used_bytes
    settle(escrow, ended, 500)
    for number in range(3, 6):
        settle(escrow, await escrow.hold(a_record(number), wants(), 1_000, 70), 500)
    await escrow.flush_now()
    crash(escrow)
    os.truncate(segment_path(tmp_path, slot(tmp_path).name, 0), written)
    report = recover(store.ledger, slot(tmp_path), 5_000)
    assert (report.resolved, report.charged) == (1, 70)
    assert usage(store, open_one.request_id).ending == "recovered"
    assert usage(store, ended.request_id).charged == 500
    assert (row(store.ledger).balance, row(store.ledger).leased) == (10_000 - 4 * 500 - 70, 0)
    assert store.ledger.verify().first_bad is None


def test_kill_9_loses_and_invents_nothing(store, store_url, tmp_path, repository):
    """A child serves requests from a small wallet and keeps a bill of its own; it is killed at random moments."""
    fund(store.ledger, 3_000_000)
    bill = tmp_path / "bill"
    bill.touch()
    for number in range(KILLS):
        before = bill.stat().st_size
        command = [sys.executable, "-m", "tests.escrow.killed_child", store_url, str(tmp_path), str(bill), str(number)]
        child = subprocess.Popen(command, cwd=repository)
        try:
            deadline = time.monotonic() + 30
            while bill.stat().st_size < before + 2_000 + 4_000 * number and time.monotonic() < deadline:
                assert child.poll() is None
                time.sleep(0.003)
        finally:
            child.kill()
            child.wait()
    recover(store.ledger, slot(tmp_path), 5)
    report = store.ledger.verify()
    assert report.first_bad is None
    called, ended = {}, {}
    for line in bill.read_text().splitlines():
        what, request_id, cost = line.split()
        (called if what == "C" else ended)[request_id] = int(cost)
    spent = 0
    for request_id, input_cost in called.items():
        found = usage(store, request_id)
        assert found is not None, request_id
        spent += found.charged
        if found.ending == "recovered":
            assert request_id not in ended or found.cost in {input_cost, ended[request_id] // 2}
            assert found.cost >= input_cost or found.cost == ended.get(request_id, 0) // 2 or found.cost > 0
        else:
            assert found.cost == ended[request_id]
    # Killed after the journal says that the provider is called, and before it was: its input, which the bill lacks.
    unbilled = [record for record in store.usage.export() if record.request_id not in called]
    assert all(record.ending == "recovered" and record.cost in {0, 50} for record in unbilled)
    assert sum(record.cost > 0 for record in unbilled) <= KILLS
    spent += sum(record.charged for record in unbilled)
    assert len(called) > 100
    assert row(store.ledger).balance + spent == 3_000_000
    assert row(store.ledger).leased == 0


async def test_what_others_of_the_folder_left_is_recovered_and_whoever_lives_is_left_alone(store, tmp_path):
    fund(store.ledger, 10_000)
    names = ("host:0", "old-name:0", "host:7")
    living, *dead = [await an_escrow(store.ledger, tmp_path, worker=name) for name in names]
    elsewhere = await an_escrow(store.ledger, tmp_path / "another", worker="far:0")
    for number, escrow in enumerate((living, *dead, elsewhere)):
        await escrow.hold(a_record(number), wants(5_000), 1_000, 70)
    for escrow in (*dead, elsewhere):
        crash(escrow)
    done = recover_siblings(store.ledger, tmp_path, "host:0", 5_000)
    assert sorted(report.worker for report in done) == ["host:7", "old-name:0"]
    assert [report.resolved for report in done] == [1, 1]
    assert [store.ledger.state(name)[1] for name in ("far:0", *names)] == ["live", "live", "dead", "dead"]
    assert recover_siblings(store.ledger, tmp_path, "host:0", 5_000) == []
    await living.stop()
