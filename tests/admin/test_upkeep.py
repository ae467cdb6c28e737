import asyncio
import dataclasses

from joytoken.admin.upkeep import Upkeep
from joytoken.config.settings import Usage
from joytoken.store.engine import StoreUnavailable
from joytoken.store.usage_query import UsageQuery
from joytoken.store.usage_roll import rolled
from tests.admin.conftest import NOW_US
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
    upkeep = Upkeep(desk, QUICK)
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
    upkeep = Upkeep(desk, QUICK)
    upkeep.start()
    await until(lambda: upto(desk) == 1)
    await upkeep.stop()
    await upkeep.stop()


async def test_one_turn_is_bounded(desk):
    for _ in range(7):
        paid(desk)
    Upkeep(desk, Usage(roll_records_max=2, roll_parts_max=2)).roll()
    assert upto(desk) == 4


async def test_months_beyond_those_that_are_kept_are_dropped(desk):
    day_us = 86_400_000_000
    for days in (1, 40, 70, 100):
        paid(desk, started_us=NOW_US - days * day_us)
    Upkeep(desk, Usage()).retain()
    assert kept(desk) == ["2026-08", "2026-09", "2026-10", "2026-11"]
    upkeep = Upkeep(desk, Usage(keep_months=1, roll_ms=10))
    upkeep.start()
    await until(lambda: kept(desk) == ["2026-10", "2026-11", "2026-12"])  # the next one is made ahead
    await upkeep.stop()
    assert desk.store.ledger.verify().ok
    assert [row.actor for row in desk.store.audit.list() if row.action == "usage.drop"] == ["upkeep"] * 2


def kept(desk):
    return [row.month for row in desk.store.usage.months() if row.dropped_us is None]


def test_a_month_that_cannot_be_dropped_is_told_and_tried_again(desk, caplog):
    day_us = 86_400_000_000
    paid(desk, started_us=NOW_US - 70 * day_us)
    desk.store.ledger.register("far:0", "far", NOW_US, lease_us=-1)
    now = [NOW_US]
    upkeep = Upkeep(dataclasses.replace(desk, now_us=lambda: now[0]), Usage(keep_months=1))
    upkeep.retain()
    assert "worker far:0 of far has not brought" in caplog.text
    desk.store.ledger.claim("far:0")
    desk.store.ledger.finish("far:0", 1)
    upkeep.retain()
    assert kept(desk) == ["2026-09"]
    now[0] += 3_600_000_000
    upkeep.retain()
    assert kept(desk) == []


async def test_a_gateway_that_stops_does_not_wait_for_a_large_month(desk):
    for days in (70, 70, 100):
        paid(desk, started_us=NOW_US - days * 86_400_000_000)
    upkeep = Upkeep(desk, Usage(keep_months=1, roll_ms=10_000))
    upkeep.start()
    await upkeep.stop()
    upkeep.retain()  # as if it had been under way
    assert kept(desk) == ["2026-08", "2026-09"]
