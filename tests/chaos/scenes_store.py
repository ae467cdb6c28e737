"""The store goes away, the disk is full, replicas take turns."""

import contextlib
import resource
import time

from tests.chaos.stage import POSTGRES, Scene, Stage


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


def _disk_full(stage: Stage) -> None:
    """No file of the gateway can grow: the limit of a process's file sizes, which its owner may set on any system."""
    house = stage.house
    people = house.people()
    crowd = house.crowd(people, each=2)
    house.served()
    process = house.gateway.process
    for _ in stage.rounds(1, 4):
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        began = time.monotonic()
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, hard))
        time.sleep(stage.size(5, 8))
        if stage.dice.random() < 0.5:
            house.kill()
            ended = time.monotonic()
            house.revive()
            process = house.gateway.process
        else:
            ended = time.monotonic()
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        house.ready()
        house.served(6)
    house.heard(crowd)
    within = [one for one in house.told if began < one.began and one.ended < ended]
    refused = [one for one in within if one.status == 503]
    stage.note(
        f"no file could grow (RLIMIT_FSIZE, which gives EFBIG where a full disk gives ENOSPC): in the last round "
        f"{sum(one.served for one in within)} were served, {len(refused)} got 503"
    )


SCENES = [
    Scene(
        "store-away",
        "SQLite locked by another program, PostgreSQL stopped: for 30 s",
        90,
        _store_away,
        settings={"money.lease_seconds": 10, "money.lease_idle_ms": 1_000},
    ),
    Scene(
        "disk-full",
        "no file can grow any more, and then it can again",
        75,
        _disk_full,
        settings={"money.journal_bytes": 262_144},
        not_on={POSTGRES: "the gateway writes no growing file there; a full disk of the server is the server's"},
    ),
]
