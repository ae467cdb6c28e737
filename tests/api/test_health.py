import asyncio

import pytest

from joytoken.api.health import Readiness
from tests.api.worlds import World


async def well():
    return ""


async def closed():
    return "closed"


async def broken():
    raise OSError("postgres://user:swordfish@database is away")


async def stuck():
    await asyncio.Event().wait()
    return ""


async def test_health_depends_on_nothing():
    found = await World(ready_checks={"store": broken}).ask("/health")
    assert (found.status, found.json) == (200, {"status": "ok", "version": "1.2.3"})


READY = [
    ({}, 200, {}),
    ({"store": well, "escrow": well}, 200, {"store": "ok", "escrow": "ok"}),
    ({"store": well, "escrow": closed}, 503, {"store": "ok", "escrow": "closed"}),
    ({"store": broken, "catalog": well}, 503, {"store": "failed", "catalog": "ok"}),
]


@pytest.mark.parametrize(("checks", "status", "shown"), READY)
async def test_ready_names_each_check(checks, status, shown):
    found = await World(ready_checks=checks).ask("/ready")
    assert found.status == status
    assert found.json == {"status": "ready" if status == 200 else "not_ready", "checks": shown}
    assert b"swordfish" not in found.body


async def test_a_check_that_hangs_has_failed():
    assert await Readiness({"store": stuck, "escrow": well}, check_ms=1).look() == {
        "store": "timed out",
        "escrow": "ok",
    }


class Counted:
    def __init__(self):
        self.now, self.calls, self.said = 0.0, 0, ""
        self.readiness = Readiness({"store": self.check}, remembered_ms=500, clock=lambda: self.now)

    async def check(self):
        self.calls += 1
        await asyncio.sleep(0)
        return self.said


async def test_many_who_ask_at_once_cost_one_look():
    counted = Counted()
    results = await asyncio.gather(*(counted.readiness.look() for _ in range(20)))
    assert (counted.calls, results) == (1, [{"store": "ok"}] * 20)


async def test_a_result_is_remembered_for_a_moment():
    counted = Counted()
    await counted.readiness.look()
    counted.said = "away"
    counted.now = 0.499
    assert await counted.readiness.look() == {"store": "ok"}
    counted.now = 0.5
    assert await counted.readiness.look() == {"store": "away"}
    assert counted.calls == 2


async def test_one_who_hangs_up_does_not_end_the_look_of_the_others():
    counted = Counted()
    first, second = [asyncio.create_task(counted.readiness.look()) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"store": "ok"}
    assert counted.calls == 1
