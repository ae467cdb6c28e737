"""Gateways of several processes, and several gateways on one database."""

import os
import signal
import time
from pathlib import Path

from tests.chaos.stage import SQLITE, Scene, Stage
from tests.journeys.gateway import answered, wait_for

WORKERS = 2
AVOIDED_S = 0.3  # before a stop
_REPLACED = f"replaced all {WORKERS} workers"


def _worker_killed(stage: Stage) -> None:
    house = stage.house
    crowd = house.crowd(house.people(), each=2)
    for _ in stage.rounds(2, 12):
        house.served(stage.dice.randrange(1, 4))
        time.sleep(stage.dice.random() * 0.4)
        slot, pid = stage.dice.choice(sorted(house.gateway.workers().items()))
        assert _parent(pid) == house.gateway.process.pid
        os.kill(pid, signal.SIGKILL)
        house.kills += 1
        wait_for(lambda slot=slot, pid=pid: house.gateway.workers()[slot] != pid, "nobody takes its slot")
        house.drip()
    house.served()
    house.heard(crowd)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _rolling_restart(stage: Stage) -> None:
    """Two gateways stop and start in turns, each without new callers before, as a load balancer does it.

    Who has a connection that the gateway has not accepted yet would see it end; those under way must not notice.
    """
    house = stage.house
    people = house.people()
    pair = [house.gateway, house.replica()]
    crowd = house.crowd(people, each=2, gateways=pair)
    for number in stage.rounds(2, 8):
        house.served(10)
        crowd.avoided = pair[number % 2]
        time.sleep(AVOIDED_S)
        answered(crowd.avoided.url)  # so everybody who came before has been accepted too
        crowd.avoided.restart()
        crowd.avoided = None
    house.served(10)
    house.heard(crowd)
    _nobody_failed(stage, "of callers with two gateways, one of them closed at a time")


def _workers_replaced(stage: Stage) -> None:
    """SIGHUP: each worker is succeeded by a fresh process, again and again, and no caller notices."""
    house = stage.house
    crowd = house.crowd(house.people(), each=2)
    for _ in stage.rounds(2, 8):
        house.served(10)
        before, count = house.gateway.workers(), house.gateway.log.count(_REPLACED)
        house.gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda count=count: house.gateway.log.count(_REPLACED) > count, "the workers are not replaced")
        assert not set(before.values()) & set(house.gateway.workers().values())
        house.drip()
    house.served(10)
    house.heard(crowd)
    _nobody_failed(stage, "while all workers were replaced again and again")


def _nobody_failed(stage: Stage, when: str) -> None:
    told = stage.house.told
    failed = [one for one in told if one.status not in (200, 402) or not one.whole]
    stage.note(f"{len(told)} requests {when}: {len(failed)} failed")
    seen = sorted({f"{one.status} {one.code} {'whole' if one.whole else 'cut'}" for one in failed})
    assert not failed, f"{len(failed)} of {len(told)} requests failed: {', '.join(seen)}"


SCENES = [
    Scene(
        "workers-replaced",
        "every worker is replaced at SIGHUP, again and again",
        60,
        _workers_replaced,
        settings={"server.workers": WORKERS},
    ),
    Scene(
        "worker-killed",
        "kill -9 of one of two workers, again and again",
        60,
        _worker_killed,
        settings={"server.workers": WORKERS},
    ),
    Scene(
        "rolling-restart",
        "two gateways on one database restart in turns under load",
        60,
        _rolling_restart,
        not_on={SQLITE: "a database file has one gateway: its workers take turns, in workers-replaced"},
    ),
]
