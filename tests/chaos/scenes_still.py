"""Processes that stand still while for everybody else time goes on, for so long that others count without them."""

import contextlib
import os
import signal
import time

import msgspec

from joytoken.store.ledger_late import Abandonment
from tests.chaos.crowd import Ask
from tests.chaos.house import USUAL
from tests.chaos.scenes_workers import WORKERS
from tests.chaos.stage import SQLITE, Scene, Stage
from tests.journeys.gateway import wait_for

# Who asks a worker that stands still goes away again, and asks the other one.
_LEAVING = (*USUAL, Ask("chaos/quick", leaves_s=2.0), Ask("chaos/slow", stream=True, leaves_s=3.0))
_OVERDUE = "SELECT COUNT(*) FROM worker WHERE state = 'live' AND lease_deadline_us < {}"
_GIVEN_UP = "SELECT COUNT(*) FROM incident WHERE kind = 'abandoned'"
_SHORT_MS = 1_500  # a deadline that is soon over


def _stopped(stage: Stage) -> None:
    """SIGSTOP: one of two workers, then both; for longer than the deadline of its leases."""
    house = stage.house
    pause_s = stage.size(2, 90)
    crowd = house.crowd(house.people(), _LEAVING)
    overdue = 0
    for number in stage.rounds(2, 1):
        house.served()
        workers = sorted(house.gateway.workers().values())
        with _still(workers if number == 2 else [stage.dice.choice(workers)]):
            time.sleep(pause_s)
            overdue += house.books.rows(_OVERDUE.format(time.time_ns() // 1000))[0][0]
        house.ready()
        house.served()
    house.heard(crowd)
    assert overdue, "no lease's deadline was passed"
    assert not house.books.rows(_GIVEN_UP)[0][0], "a worker was given up"
    stage.note(
        f"one of {WORKERS} workers stopped for {pause_s} s{'' if stage.full else ', then both'}; "
        f"a lease's deadline is {30 if stage.full else _SHORT_MS / 1000:g} s"
    )


def _given_up(stage: Stage) -> None:
    """One of two nodes is stopped, or killed, until the other has given it up; then it comes back, and its journal."""
    house = stage.house
    house.replica()
    crowd = house.crowd(house.people(), _LEAVING, each=2, gateways=house.gateways)
    for number in stage.rounds(2, 8):
        house.served(6)
        lost = stage.dice.choice(house.gateways)
        before = house.books.rows(_GIVEN_UP)[0][0]
        if number % 2:
            with _still([lost.process.pid]):
                _wait_for_incidents(stage, before + 1)
            wait_for(lambda lost=lost: "was held for lost" in lost.log, "it does not notice that it was given up")
        else:
            house.kill(lost)
            _wait_for_incidents(stage, before + 1)
            lost.start()
        wait_for(lambda: not house.books.rows(_GIVEN_UP + " AND closed_us IS NULL")[0][0], "a journal does not come")
        house.drip()
    house.served(6)
    house.heard(crowd)
    count = house.books.rows(_GIVEN_UP)[0][0]
    late = house.books.rows("SELECT detail FROM incident WHERE kind = 'abandoned'")
    records = sum(msgspec.json.decode(detail, type=Abandonment).late_records for (detail,) in late)
    stage.note(f"given up {count} times, after {_SHORT_MS / 1000:g} s and 1 s more; {records} records came late")


def _wait_for_incidents(stage: Stage, count: int) -> None:
    wait_for(lambda: stage.house.books.rows(_GIVEN_UP)[0][0] >= count, "nobody gives up a node that is silent")


@contextlib.contextmanager
def _still(processes: list[int]):
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


SCENES = [
    Scene(
        "stopped",
        "SIGSTOP of a worker for longer than a lease's deadline, then SIGCONT",
        120,
        _stopped,
        settings={"server.workers": WORKERS},
        short={"money.lease_deadline_ms": _SHORT_MS},
    ),
    Scene(
        "given-up",
        "a node is silent until the other gives up its leases, and comes back with its journal",
        60,
        _given_up,
        settings={"money.lease_deadline_ms": _SHORT_MS, "money.abandon_ms": 1_000, "money.watch_ms": 100},
        not_on={
            SQLITE: "a database file has one gateway, and no worker of it gives up another: the journal of one that "
            "died is there, and recovered at once"
        },
    ),
]
