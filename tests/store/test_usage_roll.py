"""The tables of sums: each record in them once, whoever adds it and however often that fails."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa

from joytoken.store import usage_roll
from joytoken.store.engine import Database
from joytoken.store.schema import usage_record
from joytoken.store.schema_rollup import (
    usage_hour,
    usage_label,
    usage_latency_day,
    usage_quarter,
    usage_tag,
    usage_tag_day,
    usage_tag_hour,
)
from joytoken.store.usage import UsageTable
from joytoken.store.usage_months import table_of
from joytoken.store.usage_query import UsageQuery
from joytoken.store.usage_roll import rolled
from joytoken.store.usage_roll_tags import TagBounds
from joytoken.store.usage_summary import totals
from tests.store import making

NOON = making.NOON_US
HOUR_US = 3_600_000_000
ALL = UsageQuery()


def records(count, first=0):
    chance = random.Random(first)
    return [
        making.record(
            number,
            started_us=NOON + chance.randrange(100 * HOUR_US),
            key_id=chance.choice(("k1", "k2")),
            model=chance.choice(("m1", "m2", "m3")),
            end_user=chance.choice(("", "u1")),
            tags=chance.choice(("", '{"team":"a"}', '{"team":"b","x":"1"}')),
            ending=chance.choice(("completed", "client_gone")),
            charged=chance.randrange(1_000),
        )
        for number in range(first, first + count)
    ]


def upto(database):
    with database.read() as conn:
        return rolled(conn)


@pytest.mark.parametrize("part", [1, 7, 1_000])
def test_sums_are_read_from_their_tables(database, part):
    """With the records gone, the answers are the same: they came from the tables alone."""
    usage = UsageTable(database)
    making.fill(database, records(60))
    questions = [
        (ALL, ()),
        (ALL, ("key", "provider")),
        (UsageQuery(ending="client_gone"), ("ending", "error")),
        (ALL, ("end_user",)),
        (ALL, ("model", "day")),
        (ALL, ("tag:team",)),
        (UsageQuery(since_us=NOON - 12 * HOUR_US), ("tag:none",)),
        (UsageQuery(key_id="k1"), ("hour",)),
        (UsageQuery(since_us=NOON + HOUR_US, until_us=NOON + 80 * HOUR_US + HOUR_US // 4), ("day", "tier")),
    ]
    zones = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
    asked = [(query, by, zone) for query, by in questions for zone in zones]
    before = [usage.summary(*question) for question in asked]
    counts = []
    while count := usage.roll(part):
        counts.append(count)
    assert (sum(counts), max(counts), upto(database)) == (60, min(part, 60), usage.last_seq())
    with database.write(durable=False) as conn:
        conn.exec_driver_sql(f"DELETE FROM {table_of('2026-11')}")
    assert [usage.summary(*question) for question in asked] == before
    assert usage.summary(ALL, ["tag:team", "model"]) == []  # which only the records know


def test_a_label_is_known_by_all_its_parts(database):
    parts = ("project", "application", "environment", "task")
    made = [making.record(n, **{parts[n % 4]: f"x{n % 3}"}) for n in range(24)]
    making.fill(database, made)
    UsageTable(database).roll()
    with database.read() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(usage_label)).scalar_one() == 12
        per_hour = conn.execute(sa.select(sa.func.sum(usage_hour.c.requests))).scalar_one()
    assert per_hour == 24


def named(number, tags, day=0):
    return making.record(number, started_us=NOON + day * 24 * HOUR_US, tags=msgspec.json.encode(tags).decode())


def test_what_callers_name_is_summed_within_bounds(database):
    """Tags beyond are read from the records, and take no room; the next day begins anew."""
    usage, bounds = UsageTable(database), TagBounds(names_max=3, values_max=4)
    made = [named(n, {"team": f"t{n % 3}", "trace": f"x{n}", f"own-{max(n, 5)}": "1"}) for n in range(20)]
    made += [named(30 + n, {"team": "t9", "late": "1"}, day=1) for n in range(4)]
    making.fill(database, made)
    asked = [
        (ALL, (f"tag:{name}", *times))
        for name in ("team", "trace", "own-7", "late", "none")
        for times in ((), ("day",))
    ]
    before = [usage.summary(*question) for question in asked]
    while usage.roll(3, bounds):
        assert [usage.summary(*question) for question in asked] == before
    with database.read() as conn:
        kept = conn.execute(
            sa.select(usage_tag.c.tag, usage_tag.c.summed).order_by(usage_tag.c.bucket, usage_tag.c.tag)
        )
        marks = [tuple(row) for row in kept]
        rows = conn.execute(sa.select(usage_tag_day.c.tag, sa.func.count()).group_by(usage_tag_day.c.tag))
        in_days = {row[0]: row[1] for row in rows}
        in_hours = set(conn.execute(sa.select(usage_tag_hour.c.tag)).scalars())
    # Of the first day three names, of which one had too many values, and a mark for the names that came later.
    assert marks == [("", False), ("own-5", True), ("team", True), ("trace", False), ("late", True), ("team", True)]
    assert in_days == {"own-5": 1, "team": 4, "late": 1}
    assert in_hours == set(in_days)


def test_what_arrives_late_is_added_to_its_old_buckets(database):
    usage = UsageTable(database)
    questions = [(ALL, ("key", "day")), (ALL, ("tag:team", "hour")), (ALL, ("end_user",)), (ALL, ("ending", "error"))]
    late, early = records(40), records(40, first=40)
    making.fill(database, early)
    usage.roll()
    making.fill(database, late)
    before = [usage.summary(*question) for question in questions], usage.latency(ALL, ["model", "day"])
    assert usage.roll(25) == 25
    between = [usage.summary(*question) for question in questions], usage.latency(ALL, ["model", "day"])
    assert usage.roll(25) == 15
    after = [usage.summary(*question) for question in questions], usage.latency(ALL, ["model", "day"])
    assert before == between == after
    assert totals(after[0][0]).requests == 80


def test_two_at_once_add_each_record_once(url):
    databases = [Database(url) for _ in range(2)]
    making.fill(databases[0], records(200))
    start = threading.Barrier(2)

    def roll(database):
        start.wait()
        found = 0
        while upto(database) < 200:
            found += UsageTable(database).roll(7)
        return found

    with ThreadPoolExecutor(2) as pool:
        added = list(pool.map(roll, databases))
    assert sum(added) == 200
    with databases[0].read() as conn:
        assert conn.execute(sa.select(sa.func.sum(usage_quarter.c.requests))).scalar_one() == 200
        assert conn.execute(sa.select(sa.func.sum(usage_latency_day.c.requests))).scalar_one() == 200
        tagged = conn.execute(sa.select(usage_record.c.tags)).scalars().all()
        summed = conn.execute(sa.select(sa.func.sum(usage_tag_day.c.requests))).scalar_one()
        assert summed == sum(tags.count(":") for tags in tagged)
    for database in databases:
        database.close()


def test_what_fails_is_done_again_from_where_it_was(database, monkeypatch):
    making.fill(database, records(30))
    usage = UsageTable(database)
    usage.roll(10)

    def answers():
        return usage.summary(ALL, ["key"]), usage.summary(ALL, ["tag:team"]), usage.latency(ALL, ["model", "hour"])

    expected = answers()

    def fail(*_):
        raise RuntimeError("the process dies")

    with monkeypatch.context() as patch:
        patch.setattr(usage_roll, "put_value", fail)
        with pytest.raises(RuntimeError):
            usage.roll(10)
    assert upto(database) == 10
    assert answers() == expected
    assert usage.roll() == 20
    assert answers() == expected


def test_sums_are_whole_while_records_arrive_and_are_added(url):
    """Four readers, a writer of tens and a roller: each view is whole batches and never goes back."""
    database = Database(url)
    usage = UsageTable(database)
    done = threading.Event()

    def read(by):
        seen = []
        while not done.is_set() or len(seen) < 2:
            seen.append(totals(usage.summary(ALL, by, "Asia/Kolkata")).requests)
        return seen

    def roll():
        while not done.is_set() or usage.roll(3):
            usage.roll(3)

    with ThreadPoolExecutor(5) as pool:
        reading = [pool.submit(read, by) for by in ((), ("key",), ("day",), ("end_user",))]
        rolling = pool.submit(roll)
        for batch in range(12):
            making.fill(database, records(10, first=batch * 10))
        done.set()
        rolling.result()
    for seen in (future.result() for future in reading):
        assert all(count % 10 == 0 for count in seen)
        assert seen == sorted(seen)
    assert upto(database) == 120
    assert totals(usage.summary(ALL, ["key"])).requests == 120
    database.close()
