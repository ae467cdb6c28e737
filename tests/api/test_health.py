import asyncio
import sqlite3

import pytest

from joytoken.api.health import Readiness
from joytoken.store.engine import Database
from joytoken.store.open import Store, open_store
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


async def test_a_database_that_is_locked_is_asked_by_one_thread(tmp_path):
    """It makes who asks wait for seconds: many who look meanwhile must not use up the threads."""
    url = f"sqlite:///{tmp_path}/x.db"
    open_store(url).close()
    locked = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    locked.execute("PRAGMA locking_mode = EXCLUSIVE")
    locked.execute("BEGIN IMMEDIATE")
    store, asked = Store(Database(url)), []

    async def check():
        asked.append(1)
        await asyncio.to_thread(store.generation)
        return ""

    readiness = Readiness({"store": check}, check_ms=50, remembered_ms=0)
    for _ in range(5):
        assert await readiness.look() == {"store": "timed out"}
    assert len(asked) == 1
    locked.close()
    patient = asyncio.get_running_loop().time() + 30
    while await readiness.look() != {"store": "ok"}:
        assert asyncio.get_running_loop().time() < patient
        await asyncio.sleep(0.01)
    await asyncio.wait(readiness._looking.values())
    store.close()


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
