"""A long journal is read by a process beside the one that writes, and nothing depends on whether it can."""

import select
import subprocess
import sys

import msgspec
import pytest

from joytoken.escrow import reading, recovery
from joytoken.escrow.journal import SETTLE, Replay
from joytoken.escrow.reading import End, Reader, Settles
from joytoken.escrow.recovery import Slot, recover
from joytoken.store.batch import Batch
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
    """Small batches; the process is waited for as soon as it is there. Gives the parts that came from it."""
    parts = []
    monkeypatch.setattr(recovery, "BATCH_RECORDS", 3)
    monkeypatch.setattr(recovery, "_ALONE_BATCHES", 2)
    monkeypatch.setattr(Reader, "ready", lambda reader: bool(select.select([reader._process.stdout], [], [])[0]))
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


def test_a_long_journal_is_read_beside(store, slot, heard):
    check(store, slot)
    left = SETTLES - 5 - 6  # after those in the store, and two batches that were read here
    assert [part.prepared.count for part in heard if isinstance(part, Settles)] == [3] * (left // 3) + [left % 3]
    assert isinstance(heard[-1], End)


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


def test_what_cannot_be_written_as_it_is_ready_is_read_again_here(store, slot, heard):
    """One of the requests is in the store, though the watermark does not know."""
    seq, accounts, charged, known = next(iter(_settles(slot)))
    late = Batch(seq, [(seq, accounts, charged, known)], {}, 5)
    epoch = store.ledger.register("other:0", "other", 1)
    store.ledger.grant("other:0", epoch, [(want, 0, 1_000) for want in wants(10**6)], 1)
    store.ledger.flush("other:0", epoch, late)
    store.ledger.finish("other:0", epoch)
    report = recover(store.ledger, slot, 5)
    assert (report.settled, report.resolved) == (SETTLES - 5, 3)
    assert row(store.ledger, WALLET).balance == MONEY - 100 * SETTLES - 160
    assert store.ledger.verify().first_bad is None
    assert heard


def _settles(slot):
    """The last batch of the journal."""
    replay = Replay(slot.folder, slot.name, slot.worker, 1)
    found = [body for body in replay if body[1] == SETTLE]
    seq, _, (accounts, record) = found[-1]
    yield seq, accounts, record.charged, record


def test_it_ends_with_the_one_that_it_reads_for(slot, monkeypatch):
    monkeypatch.setattr(reading, "_PIPE_BYTES", 4_096)  # so that it waits for who reads
    with Reader(slot.folder, slot.name, slot.worker, 1, 0, 1, sqlite=True) as reader:
        assert isinstance(next(reader.parts()), Settles)
    assert reader._process.returncode == 1


def test_it_needs_no_database():
    """What it imports is a part of the time until it begins."""
    program = "import sys, joytoken.escrow.reading; print('sqlalchemy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout == b"False\n"
