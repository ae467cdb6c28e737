"""Clocks that jump."""

import time
from collections import Counter
from datetime import datetime, timedelta

from tests.chaos.scenes_workers import WORKERS
from tests.chaos.stage import Scene, Stage
from tests.chaos.world import TimeMachine
from tests.journeys.gateway import wait_for

_HOUR = timedelta(hours=1)
_EPOCHS = "SELECT id, epoch, state FROM worker ORDER BY id"


def _clock_jump(stage: Stage) -> None:
    """From half an hour before midnight to half an hour after it and back, while daily limits are being used up.

    On PostgreSQL the server's clock, by which deadlines are kept, jumps too: with the gateway's, before it, after it.
    """
    house = stage.house
    world = house.world
    assert isinstance(world, TimeMachine)
    people = house.people()
    if stage.full and house.server is not None:
        house.replica()  # nodes watch over each other
        wait_for(lambda: len(house.books.rows(_EPOCHS)) == 2 * WORKERS, "the other node does not come")
    before = house.books.rows(_EPOCHS)
    fresh = [house.customer("1000", "limited", limit_daily=limit) for limit in ("0.02", "0.03")]
    crowd = house.crowd([*people, *fresh], each=3, gateways=house.gateways)
    jumps = 0
    for number in stage.rounds(4, 12):
        house.served(stage.size(25, 60))
        for wall in stage.dice.sample(world.walls, len(world.walls)):
            world.jump(wall, timedelta() if number % 2 == 0 else _HOUR)
            jumps += 1
            time.sleep(stage.dice.random() * 0.5)
        house.drip()
    house.served(stage.size(25, 60))
    house.heard(crowd)
    after = house.books.rows(_EPOCHS)
    assert before == after, f"workers were held for dead or lost: {before}, then {after}"
    assert not house.books.rows("SELECT id FROM incident"), "a jump made an incident"
    seen = Counter((one.status, one.code) for one in house.told)
    # A server whose clock goes ahead ends what has a time limit; then it is said so, and nothing is charged.
    away = [one for one in house.told if house.server is not None and one.code == "store_away" and one.retry_after]
    lost = [one for one in house.told if (one.status not in (200, 402) or not one.whole) and one not in away]
    assert not lost, f"{len(lost)} of {len(house.told)} requests failed: {dict(seen)}"
    days = Counter(
        datetime.fromtimestamp(us / 1e6, world.zone).date().isoformat()
        for (us,) in house.books.rows("SELECT started_us FROM usage_record WHERE charged > 0")
    )
    refused = seen[402, "daily_limit"]
    assert len(days) == 2, f"requests of these days only: {dict(days)}"
    assert refused, "no limit was used up"
    stage.note(
        f"{jumps} jumps of an hour over midnight in {world.zone}, of the clocks of "
        f"{'the gateway' if house.server is None else 'the gateway and the server'}: "
        f"{' and '.join(str(days[day]) for day in sorted(days))} requests were paid in the two days, {refused} refused "
        f"by a daily limit, {len(away)} told to come again, none failed"
    )


SCENES = [
    Scene(
        "clock-jump",
        "the wall clock goes an hour forward over midnight, and back",
        40,
        _clock_jump,
        settings={"money.zone": str(TimeMachine.zone), "server.workers": WORKERS},
        world=TimeMachine,
    ),
]
