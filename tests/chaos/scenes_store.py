"""The store goes away, its connections are cut, the disk is full."""

import contextlib
import resource
import time

from tests.chaos.crowd import Crowd
from tests.chaos.proxy import COMMIT, Proxied
from tests.chaos.stage import SQLITE, Scene, Stage
from tests.chaos.world import SmallDisk
from tests.journeys.gateway import PATIENCE_S, wait_for

STATEMENTS_MAX = 40  # of a flush


def _store_away(stage: Stage) -> None:
    house = stage.house
    away_s = stage.size(8, 30)
    people = house.people()
    crowd = house.crowd(people, each=2)
    for _ in stage.rounds(1, 1):
        house.served(30)
        time.sleep(1)  # leases grow with what is spent
        began = time.monotonic()
        with contextlib.ExitStack() as outage:
            if house.server is not None:
                house.server.stop()
                outage.callback(house.server.start)
            else:
                outage.enter_context(house.books.locked())
            time.sleep(away_s)
            ended = time.monotonic()
        house.ready()
        house.served(6)
    house.heard(crowd)
    within = [one for one in house.told if began < one.began and one.ended < ended]
    after = [one for one in house.told if one.began > ended]
    refused = [one for one in within if one.status == 503]
    served = sum(one.served for one in within)
    bare = sum(not one.retry_after for one in refused)
    stage.note(
        f"away for {away_s} s: {served} were served from leases, {len(refused)} got 503; "
        f"{sum(one.served for one in after)} were served afterwards"
    )
    assert refused, "nobody was told that the store is away"
    assert not bare, f"{bare} answers of 503 have no Retry-After"
    assert served, "nobody was served from leases"


def _reset(stage: Stage) -> None:
    """The connection is cut at each statement of a flush in turn: before the server has it, and after it answered."""
    house = stage.house
    world = house.world
    assert isinstance(world, Proxied)
    crowd = house.crowd(house.people(), each=2)
    house.served()
    cuts, statements = 0, 0
    for _ in stage.rounds(1, 2):
        house.drip()
        statement = number = 0
        while statement != COMMIT:
            number += 1
            assert number <= STATEMENTS_MAX, f"a flush has more than {STATEMENTS_MAX} statements: {statement}"
            for answered in (False, True):
                mark = world.proxy.flushes
                wait_for(lambda mark=mark: world.proxy.flushes > mark, "no flush succeeds")
                cut = world.proxy.cut(number, answered=answered)
                assert cut.done.wait(PATIENCE_S), f"no flush came to its statement {number}"
                statement = cut.statement
                cuts += 1
        statements = max(statements, number)
        house.ready()
        house.served()
    house.heard(crowd)
    stage.note(
        f"{cuts} cuts: at each of a flush's {statements} statements, before the server had it, and before its answer "
        f"was back, the commit's too; {sum(one.status == 503 for one in house.told)} got 503"
    )


def _disk_full(stage: Stage) -> None:
    """No byte is free where the gateway writes; and with the database away, nothing leaves its journal any more.

    On SQLite the full disk is the database's too. A PostgreSQL server has its own, so it is stopped besides.
    """
    house = stage.house
    disk = _Disk(stage)
    crowd = house.crowd(house.people())
    told = 0
    for _ in stage.rounds(1, 4):
        house.served(20)
        time.sleep(3)  # leases grow with what is spent
        began = time.monotonic()
        with contextlib.ExitStack() as outage:
            disk.fill()
            outage.callback(disk.empty)
            if house.server is not None:
                house.served(10)  # the journal's files have their blocks
                house.server.stop()
                outage.callback(house.server.start)
            wait_for(lambda began=began: _refused(crowd, began), "the journal does not fill up")
            time.sleep(stage.dice.random())
            if stage.dice.random() < 0.5:
                house.kill()
        if house.gateway.process.poll() is not None:
            house.revive()
        house.ready()
        house.served(6)
        told = _refused(crowd, began)
    house.heard(crowd)
    stage.note(f"{disk.how}: in the last round {told} were told that the journal is full")


def _refused(crowd: Crowd, began: float) -> int:
    """How many were turned away since then since there was no room for the records of their request."""
    return sum(one.began > began and "the journal is full" in one.why for one in list(crowd.told))


class _Disk:
    """The disk of the gateway's data folder: one of its own or, where none can be had, the next best."""

    def __init__(self, stage: Stage) -> None:
        world = stage.house.world
        assert isinstance(world, SmallDisk)
        self._house, self._world = stage.house, world
        self.how = "a file system in memory, full to its last byte"
        if world.disk is None:
            self.how = "no file could grow (RLIMIT_FSIZE, which gives EFBIG where a full disk gives ENOSPC)"

    def fill(self) -> None:
        if self._world.disk is None:
            self._limit(1)
        else:
            self._world.fill()

    def empty(self) -> None:
        if self._world.disk is not None:
            self._world.empty()
        elif self._house.gateway.process.poll() is None:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        process = self._house.gateway.process.pid
        _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (size if hard == resource.RLIM_INFINITY else hard, hard))


SCENES = [
    Scene(
        "store-away",
        "SQLite locked by another program, PostgreSQL stopped: for 30 s",
        90,
        _store_away,
        settings={"money.lease_seconds": 10, "money.lease_idle_ms": 1_000},
    ),
    Scene(
        "store-reset",
        "the connection to the database is cut at each statement of a flush",
        60,
        _reset,
        world=Proxied,
        not_on={
            SQLITE: "a file has no connection to be cut; that a flush which breaks at any statement is whole or "
            "nothing is shown in tests/escrow/test_flusher_faults.py"
        },
    ),
    Scene(
        "disk-full",
        "no byte is free where the gateway writes, and its journal fills up; then there is room again",
        75,
        _disk_full,
        settings={"money.journal_bytes": 65_536, "money.lease_seconds": 60, "money.lease_idle_ms": 2_000},
        world=SmallDisk,
    ),
]
