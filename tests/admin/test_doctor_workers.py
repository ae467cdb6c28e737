"""What `joytoken doctor` says of workers."""

import dataclasses
import fcntl
import os

import pytest
from msgspec.structs import replace

from joytoken.admin.doctor_workers import look_at_workers
from joytoken.admin.folder import instance
from joytoken.escrow.recovery import Slot

LEASE_US = 30_000_000


@pytest.fixture
def take(desk, data_dir):
    """Register the worker of a slot as its process would: with or without having its lock still."""
    folder = data_dir / "journal"
    slots = []

    def register(slot, *, alive=True, lease_us=LEASE_US):
        worker = f"{instance(data_dir)}:{slot}"
        taken = Slot(folder, worker)
        taken.take()
        (folder / f"{taken.name}.0.journal").write_bytes(bytes(2 << 20))
        epoch = desk.store.ledger.register(worker, "here", 0, lease_us)
        if alive:
            slots.append(taken)
        else:
            taken.free()
        return worker, epoch

    yield register
    for slot in slots:
        slot.free()


def look(desk, workers=1):
    settings = replace(desk.settings, server=replace(desk.settings.server, workers=workers))
    return {finding.name: finding for finding in look_at_workers(dataclasses.replace(desk, settings=settings))}


def test_workers_that_are_well(desk, take, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert look(desk)["slots"].detail == "none was taken yet"
    take(0)
    take(1)
    desk.store.ledger.finish(*take(2, alive=False))
    found = look(desk, 2)
    assert {finding.state for finding in found.values()} == {"ok"}
    assert found["processes"].detail == "2 configured, beside 2 processors"
    assert found["slots"].detail == "0 live (heard of 0 s ago), 1 live (heard of 0 s ago), 2 ended"
    assert found["workers"].detail == "none is silent, and no incident is open"
    found = look(desk, 3)
    assert (found["processes"].state, found["processes"].next) == ("warning", "lower server.workers to that number")


def test_one_that_died_one_that_is_recovered_and_one_that_was_given_up(desk, take):
    dead, _ = take(0, alive=False)
    claimed, _ = take(1)
    desk.store.ledger.claim(claimed)
    lost, epoch = take(2, alive=False)
    (row,) = [row for row in desk.store.ledger.workers() if row.worker == lost]
    desk.store.ledger.abandon(lost, epoch, row.deadline_us)
    found = look(desk, 2)
    assert found["slots"].detail == "0 dead, not settled, 1 recovering, 2 abandoned"
    assert found[f"worker {dead}"].detail == "its process has died, and its journal is not settled"
    assert "given up" in found[f"worker {lost}"].detail
    assert "joytoken serve" in found[f"worker {lost}"].next
    assert f"worker {claimed}" not in found
    assert [name for name in found if name.startswith("incident")]
    assert "workers" not in found


def test_one_that_is_not_heard_of(desk, take):
    here, _ = take(0, lease_us=-5_000_000)
    desk.store.ledger.register("elsewhere:0", "there", 0, -60_000_000)
    found = look(desk)
    assert found[f"worker {here}"].detail == "not heard of for 5 s more than its leases allow"
    assert found["worker elsewhere:0"].next == "start joytoken serve on there again"
    assert found["slots"].detail == "0 live (heard of 35 s ago)"


def test_journals_that_nobody_has(desk, take, data_dir):
    desk.store.ledger.finish(*take(0, alive=False))
    desk.store.ledger.finish(*take(3, alive=False))
    found = look(desk, 1)["journals"]
    assert found.detail == "1 files, 2 MiB, are of slots that no worker takes any more, and settled"
    assert found.next.startswith(f"remove them: {data_dir / 'journal'}")
    assert "journals" not in look(desk, 3)
    (data_dir / "journal" / "other_0.0.journal").touch()
    found = look(desk, 3)["journals"]
    assert found.detail == "the database knows no worker of 1, such as other_0.0.journal"
    assert "database.url" in found.next


def test_looking_takes_no_lock_away(desk, take, data_dir):
    take(0)
    look(desk)
    (path,) = (data_dir / "journal").glob("*.lock")
    with path.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
