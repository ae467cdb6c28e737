import asyncio

from joytoken.admin.upkeep import Upkeep
from joytoken.config.settings import Usage
from joytoken.store.engine import StoreUnavailable
from joytoken.store.usage_query import UsageQuery
from joytoken.store.usage_roll import rolled
from tests.admin.worlds import paid

QUICK = Usage(roll_ms=1, roll_records_max=2)


def upto(desk):
    with desk.store.database.read() as conn:
        return rolled(conn)


async def until(found):
    for _ in range(2_000):
        if await asyncio.to_thread(found):
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it does not happen")


async def test_sums_follow_the_records(desk):
    upkeep = Upkeep(desk.store, QUICK)
    upkeep.start()
    for count in (5, 9):
        for _ in range(count - len(desk.store.usage.list())):
            paid(desk)
        await until(lambda count=count: upto(desk) == count)
    await upkeep.stop()
    paid(desk)
    assert upto(desk) == 9
    assert [row.requests for row in desk.store.usage.summary(UsageQuery())] == [10]


async def test_a_store_that_is_away_is_asked_again(desk, monkeypatch):
    paid(desk)
    original, failures = desk.store.usage.roll, [StoreUnavailable("away"), ValueError("odd")]

    def roll(*bounds):
        if failures:
            raise failures.pop()
        return original(*bounds)

    monkeypatch.setattr(desk.store.usage, "roll", roll)
    upkeep = Upkeep(desk.store, QUICK)
    upkeep.start()
    await until(lambda: upto(desk) == 1)
    await upkeep.stop()
    await upkeep.stop()


async def test_one_turn_is_bounded(desk):
    for _ in range(7):
        paid(desk)
    Upkeep(desk.store, Usage(roll_records_max=2, roll_parts_max=2)).roll()
    assert upto(desk) == 4
