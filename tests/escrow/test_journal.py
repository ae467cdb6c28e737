"""What is written is read, whatever happened to the tail."""

import mmap
import random
import resource

import pytest

from joytoken.escrow.journal import CALLED, HOLD, PROGRESS, SETTLE, Journal, JournalFull, Replay, segment_path
from tests.escrow.making import a_record

SIZE = 16 << 10


def a_journal(folder, *, epoch=1, carry=(), worker="host:0", size=SIZE):
    return Journal(folder, "slot", worker, epoch, segment_bytes=size, segments=2, carry=lambda: carry)


def replay(folder, epoch=1, worker="host:0"):
    found = Replay(folder, "slot", worker, epoch)
    return list(found), found


def body(number, amount=10):
    return (amount, 1, ("wallet:ann:standard",), False, -1, a_record(number))


def test_a_record_waits_for_no_page_of_a_new_file(tmp_path):
    journal, number = a_journal(tmp_path, size=4 << 20), 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    while journal.used_bytes < 2 << 20:
        number += 1
        journal.settle((("a",), a_record(number)), journal.hold(body(number)))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    journal.close()
    assert (faults < 200) == the_kernel_can_populate()  # of 512 pages


def the_kernel_can_populate():
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        try:
            page.madvise(23)
        except OSError:  # older than Linux 5.14
            return False
        return True


def test_every_kind_comes_back(tmp_path):
    journal = a_journal(tmp_path)
    reserve = journal.hold(body(1))
    reserve = journal.called("req-1", reserve)
    journal.note(PROGRESS, ("req-1", 2**60))
    assert journal.settle((("a", "b"), a_record(1, 5)), reserve) == 4
    assert journal.reserved == 0
    journal.close()
    records, found = replay(tmp_path)
    assert records == [
        (1, HOLD, body(1)),
        (2, CALLED, "req-1"),
        (3, PROGRESS, ("req-1", 2**60)),
        (4, SETTLE, (("a", "b"), a_record(1, 5))),
    ]
    assert (found.torn, found.missing, found.last_seq) == (False, False, 4)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_tail_leaves_the_records_before_it(tmp_path, seed):
    chance = random.Random(seed)
    journal = a_journal(tmp_path, size=4 * SIZE)
    ends = []
    for number in range(20):
        journal.hold(body(number))
        ends.append(journal.used_bytes)
    journal.close()
    path = segment_path(tmp_path, "slot", 0)
    data = bytearray(path.read_bytes())
    at = chance.randrange(256, ends[-1])
    if seed % 2:
        del data[at:]
    else:
        data[at] ^= chance.randrange(1, 256)
    path.write_bytes(data)
    records, _ = replay(tmp_path)
    whole = sum(1 for end in ends if end <= at)
    assert [record[2][5].request_id for record in records] == [a_record(n).request_id for n in range(whole)]


@pytest.mark.parametrize("at", [0, 9, 30, 255])
def test_a_damaged_header_hides_its_segment(tmp_path, at):
    journal = a_journal(tmp_path)
    journal.hold(body(1))
    journal.close()
    path = segment_path(tmp_path, "slot", 0)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    records, found = replay(tmp_path)
    assert records == []
    assert found.missing


def test_other_epochs_and_workers_are_not_read(tmp_path):
    journal = a_journal(tmp_path, epoch=3)
    journal.hold(body(1))
    journal.close()
    assert replay(tmp_path, epoch=2)[0] == []
    assert replay(tmp_path, epoch=3, worker="other:0")[0] == []
    assert len(replay(tmp_path, epoch=3)[0]) == 1


def test_an_earlier_life_is_wiped(tmp_path):
    journal = a_journal(tmp_path)
    while journal._at == 0:
        journal.settle((("a",), a_record(1)), journal.hold(body(1)))
        journal.applied_seq = journal.seq
    journal.close()
    a_journal(tmp_path).close()  # the same epoch of another database
    assert replay(tmp_path)[0] == []


def test_rotation_carries_what_is_open_and_waits_for_the_store(tmp_path):
    carry = [body(0)]
    journal = a_journal(tmp_path, carry=carry)
    journal.hold(body(0))

    def fill():
        for number in range(1, 1_000):
            journal.settle((("a",), a_record(number, 5)), journal.hold(body(number)))

    with pytest.raises(JournalFull):
        fill()
    records, found = replay(tmp_path)
    assert [seq for seq, _, _ in records] == list(range(1, journal.seq + 1))
    assert not found.missing
    assert sum(1 for _, kind, content in records if kind == HOLD and content == body(0)) == 2
    last = journal.seq
    journal.applied_seq = last
    journal.hold(body(5_000))  # the first segment is free again
    records, found = replay(tmp_path)
    assert records[-2][1:] == (HOLD, body(0))
    assert records[-1][:2] == (last + 2, HOLD)
    journal.close()


def test_a_settle_of_every_admitted_hold_fits(tmp_path):
    journal = a_journal(tmp_path)
    reserves = []

    def fill():
        for number in range(1_000):
            reserves.append(journal.called("r" * 36, journal.hold(body(number))))  # noqa: PERF401 - it ends by raising

    with pytest.raises(JournalFull):
        fill()
    while journal.note(PROGRESS, ("r" * 36, 1)):
        pass
    for number, reserve in enumerate(reserves):
        journal.settle((("a",), a_record(number, 5, detail=b"x" * 9_000, error_code="e" * 500)), reserve)
    journal.close()
    records, _ = replay(tmp_path)
    assert sum(1 for _, kind, _ in records if kind == SETTLE) == len(reserves) > 1
