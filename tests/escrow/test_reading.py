"""A long journal is read by a process beside the one that writes, and nothing depends on whether it can."""

import gc
import os
import signal
import subprocess
import sys

import msgspec
import pytest

from joytoken.escrow import reading, recovery
from joytoken.escrow.journal import SETTLE, Replay, read_row
from joytoken.escrow.reading import End, Found, Reader, Ready, read_parts, whole
from joytoken.escrow.recovery import Slot, recover
from joytoken.store.batch import Batch, prepare
from joytoken.store.record import record_row
from tests.escrow.making import (
    SMALL,
    WALLET,
    WORKER,
    Accidents,
    a_record,
    an_escrow,
    crash,
    fund,
    row,
    settle,
    usage,
    wants,
)

SETTLES, MONEY = 40, 10**9


@pytest.fixture
def heard(monkeypatch):
    """Small batches, and a border right behind the first two. Gives the parts that came from the process."""
    parts = []
    monkeypatch.setattr(recovery, "BATCH_RECORDS", 3)
    monkeypatch.setattr(recovery, "_ALONE_BATCHES", 2)
    monkeypatch.setattr(recovery, "_AHEAD_BATCHES", 2)
    told = Reader.parts

    def tell(reader):
        for part in told(reader):
            parts.append(part)
            yield part

    monkeypatch.setattr(Reader, "parts", tell)
    return parts


@pytest.fixture
async def slot(store, tmp_path):
    """The slot of a worker that died with settles, of which some are in the store, and holds of every kind."""
    fund(store.ledger, MONEY)
    settings = msgspec.structs.replace(SMALL, journal_segment_bytes=1 << 20, flush_ms=60_000)
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path, settings)
    holds = [await escrow.hold(a_record(number), wants(10**6), 1_000, 70) for number in range(SETTLES + 3)]
    for number, hold in enumerate(holds[:SETTLES]):
        settle(escrow, hold, 100)
        if number == 4:
            await escrow.flush_now()
            ledger.away = True
    escrow.called(holds[SETTLES])
    escrow.called(holds[SETTLES + 1])
    escrow.progress(holds[SETTLES + 1], 90)
    crash(escrow)
    slot = Slot(tmp_path, WORKER)
    slot.take()
    yield slot
    slot.free()


def check(store, slot):
    report = recover(store.ledger, slot, 5)
    assert (report.settled, report.resolved, report.torn, report.missing) == (SETTLES - 5, 3, False, False)
    assert report.charged == 100 * report.settled + 160
    charged = [*[100] * SETTLES, 70, 90, 0]
    assert [usage(store, a_record(number).request_id).charged for number in range(SETTLES + 3)] == charged
    wallet = row(store.ledger, WALLET)
    assert (wallet.balance, wallet.leased) == (MONEY - sum(charged), 0)
    found = store.ledger.verify()
    assert (found.first_bad, found.records) == (None, SETTLES + 3)


def counts(parts):
    return [len(part.seqs) if isinstance(part, Found) else part.count for part in parts if not isinstance(part, End)]


@pytest.mark.parametrize("ahead", [0, 2, 3, 6, 40])
def test_a_long_journal_is_read_beside(store, slot, heard, monkeypatch, ahead):
    monkeypatch.setattr(recovery, "_AHEAD_BATCHES", ahead)
    check(store, slot)
    if ahead == 40:  # its end comes first
        assert heard == []
        return
    assert gc.isenabled()
    left = sum(counts(heard))
    assert left <= SETTLES - 5 - 6  # after those in the store, and two batches that were read here
    assert ahead or left == SETTLES - 5 - 6
    assert counts(heard) == [3] * (left // 3) + [left % 3] * bool(left % 3)
    assert isinstance(heard[-1], End)


def test_it_makes_batches_ready_while_others_wait_to_be_read(slot):
    what = (slot.folder, slot.name, slot.worker, 1)
    with Reader(*what, 0, 3, sqlite=True) as reader:
        assert reader._process.wait(60) == 0
        first, *others, end = reader.parts()
    ready = Ready(slot.worker, 1, sqlite=True)
    found = list(read_parts(Replay(*what), 0, 3))
    assert isinstance(first, Found), "nobody was at work"
    assert first == found[0]
    assert len(others) == len(found) - 2 == -(-SETTLES // 3) - 1
    assert others == [ready.make(part) for part in found[1:-1]]
    assert end == found[-1]


def test_a_batch_made_ready_says_what_its_settles_say(slot, store):
    found = next(read_parts(Replay(slot.folder, slot.name, slot.worker, 1), 0, SETTLES))
    for sqlite in (True, False):
        made, read = Ready(slot.worker, 1, sqlite=sqlite).make(found), whole(found)
        assert (made.count, made.upto, made.charged, made.charges) == (
            read.count,
            read.upto,
            read.charged,
            read.charges,
        )
        rows = [record_row(record, slot.worker, 1, seq) for seq, _, _, record in read.rows]
        assert made.prepared == prepare(rows, sqlite=sqlite)


@pytest.mark.parametrize("fields", [-2, 0, 3])
def test_settles_of_other_versions_are_read(fields):
    """One with fewer fields, and one with more."""
    record = msgspec.structs.astuple(a_record(1))
    other = record[:fields] if fields < 0 else record + (7,) * fields
    assert read_row(msgspec.msgpack.encode((("a", "b"), other))) == (("a", "b"), record)


@pytest.mark.parametrize("program", ["/bin/false", "/there/is/none"])
def test_without_that_process_everything_is_read_here(store, slot, heard, monkeypatch, program):
    monkeypatch.setattr(reading.sys, "executable", program)
    check(store, slot)
    assert heard == []


def test_what_a_killed_one_did_not_say_is_read_here(store, slot, heard, monkeypatch):
    told = Reader.parts

    def killed(reader):
        yield next(told(reader))
        reader._process.kill()

    monkeypatch.setattr(Reader, "parts", killed)
    check(store, slot)
    assert len(heard) == 1


def known_to_the_store(store, slot, *numbers):
    """Have another worker settle some of the journal's requests, of which the watermark says nothing."""
    found = [(seq, *body) for seq, kind, body in Replay(slot.folder, slot.name, slot.worker, 1) if kind == SETTLE]
    epoch = store.ledger.register("other:0", "other", 1)
    store.ledger.grant("other:0", epoch, [(want, 0, 10_000) for want in wants(10**6)], 1)
    for number in numbers:
        seq, accounts, record = found[number]
        store.ledger.flush("other:0", epoch, Batch(seq, [(seq, accounts, record.charged, record)], {}, 5))
    store.ledger.finish("other:0", epoch)


@pytest.mark.parametrize(
    ("known", "ready", "times"),
    [
        ([6], False, 1),  # in a batch that was read here
        ([-1], False, 1),  # in one that the process sent as the journal has it
        ([-1], True, 2),  # in one that it had made ready
        ([20, 28, 36], True, 3),  # in so many of these that all is read here
    ],
)
def test_what_cannot_be_written_as_it_is_ready_is_read_here(store, slot, heard, monkeypatch, known, ready, times):
    known_to_the_store(store, slot, *known)
    monkeypatch.setattr(recovery, "_AHEAD_BATCHES", 0)
    monkeypatch.setattr(recovery, "_ALONE_BATCHES", 1)
    told, begun = Reader.parts, []
    applied = store.ledger.state(WORKER)[2]
    as_found = {
        part.upto: part for part in list(read_parts(Replay(slot.folder, slot.name, WORKER, 1), applied, 3))[:-1]
    }

    def tell(reader):
        begun.append(reader)
        if ready:
            reader._process.wait(60)  # while nobody reads, it makes batches ready
        for part in told(reader):
            yield part if ready or isinstance(part, End) else as_found[part.upto]

    monkeypatch.setattr(Reader, "parts", tell)
    report = recover(store.ledger, slot, 5)
    assert (report.settled, report.resolved) == (SETTLES - 5, 3)
    assert row(store.ledger, WALLET).balance == MONEY - 100 * SETTLES - 160
    assert store.ledger.verify().first_bad is None
    assert len(begun) == times


def test_a_month_that_others_were_behind_is_gone_on_with(store, slot, heard, monkeypatch):
    """The first batch of it needs its numbers; the others are written as they are ready."""
    other = a_record(10_000)
    other.started_us = other.finished_us = 1_790_000_000_000_000
    epoch = store.ledger.register("other:0", "other", 1)
    store.ledger.grant("other:0", epoch, [(want, 0, 10_000) for want in wants(10**6)], 1)
    store.ledger.flush("other:0", epoch, Batch(1, [(1, (), 0, other)], {}, 5))
    store.ledger.finish("other:0", epoch)
    read = []
    monkeypatch.setattr(recovery, "whole", lambda found: read.append(found) or whole(found))
    report = recover(store.ledger, slot, 5)
    assert (report.settled, report.resolved) == (SETTLES - 5, 3)
    assert len(read) == (1 if store.ledger.sqlite else 0)
    assert heard
    assert store.ledger.verify().first_bad is None


def test_it_ends_with_the_one_that_it_reads_for(slot, monkeypatch):
    monkeypatch.setattr(reading, "_PIPE_BYTES", 4_096)  # so that it waits for who reads
    with Reader(slot.folder, slot.name, slot.worker, 1, 0, 1, sqlite=True) as reader:
        assert isinstance(next(reader.parts()), Found)
        assert reader._process.poll() is None
    assert reader._process.returncode == -signal.SIGKILL


def test_it_ends_when_nobody_reads(slot):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "joytoken.escrow.reading", str(slot.folder), slot.name, slot.worker, "1", "0", "1"]
    ended = subprocess.run([*command, "sqlite"], check=False, stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_it_needs_no_database():
    """What it imports is a part of the time until it begins."""
    program = "import sys, joytoken.escrow.reading; print('sqlalchemy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout == b"False\n"
