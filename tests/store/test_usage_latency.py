"""Times by slots against a naive oracle, from sums and from records alike."""

from collections import Counter, defaultdict

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from joytoken.domain.errors import InvalidRequest
from joytoken.domain.latency import EDGES_MS, slot_of
from joytoken.store.schema import usage_record
from joytoken.store.usage import UsageTable
from joytoken.store.usage_latency import LatencyRow, merged
from joytoken.store.usage_months import table_of
from joytoken.store.usage_query import UsageQuery
from joytoken.store.usage_roll_sql import slot_sql
from tests.store import making
from tests.store.test_usage_summary import DAY_US, HOUR_US, WINDOWS, each_quarter_summed, value_of

NOON = making.NOON_US
ALL = UsageQuery()


def oracle(records, by, zone):
    groups = defaultdict(list)
    for made in records:
        groups[tuple(value_of(made, name, zone) for name in by)].append(made)
    return [
        LatencyRow(
            keys=keys,
            requests=len(found),
            errors=sum(not made.ending.startswith("completed") for made in found),
            total=dict(Counter(slot_of(made.total_ms) for made in found)),
            first_token=dict(
                Counter(slot_of(made.first_token_ms) for made in found if made.first_token_ms is not None)
            ),
        )
        for keys, found in groups.items()
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(data=st.data())
def test_times_are_the_oracles(database, data):
    zone, midday = data.draw(st.sampled_from(WINDOWS))
    records = data.draw(making.records_between(midday - DAY_US, midday + 2 * DAY_US))
    by = tuple(data.draw(st.lists(st.sampled_from(("provider", "model", "day", "hour")), max_size=3, unique=True)))
    since = data.draw(st.none() | st.integers(midday - DAY_US, midday + DAY_US))
    until = data.draw(st.none() | st.integers(midday, midday + 2 * DAY_US))
    model, key = data.draw(st.sampled_from(((None, None), ("m1", None), (None, "k1"))))
    making.wipe(database)
    upto = data.draw(st.integers(0, len(records)))
    making.fill(database, records[:upto])
    part = data.draw(st.integers(1, 50))
    while UsageTable(database).roll(part):
        pass
    making.fill(database, records[upto:])

    rows = UsageTable(database).latency(UsageQuery(since_us=since, until_us=until, model=model, key_id=key), by, zone)

    counted = [
        made
        for made in records
        if (since or 0) <= made.started_us < (until or 2**60)
        and model in (None, made.model)
        and key in (None, made.key_id)
    ]
    expected = oracle(counted, by, zone)
    assert sorted(rows, key=lambda row: row.keys) == sorted(expected, key=lambda row: row.keys)
    assert merged(rows) == merged(expected)


@pytest.mark.parametrize(("zone", "midday"), WINDOWS)
def test_each_quarter_of_an_hour_is_of_its_own_day(database, zone, midday):
    records, usage = each_quarter_summed(database, midday)
    for by in (("day",), ("model", "day")):
        rows = usage.latency(ALL, by, zone)
        assert sorted(rows, key=lambda row: row.keys) == sorted(oracle(records, by, zone), key=lambda row: row.keys)


def test_the_databases_slot_is_ours(database):
    below = [edge - edge * 1e-12 for edge in EDGES_MS]
    making.fill(database, [making.record(n, total_ms=one) for n, one in enumerate([0.0, *below, *EDGES_MS, 1e300])])
    slot = sa.literal_column(slot_sql("usage_record.total_ms"))
    with database.read() as conn:
        rows = conn.execute(sa.select(usage_record.c.total_ms, slot)).all()
    assert len(rows) == 2 * len(EDGES_MS) + 2
    assert all(slot_of(one) == found for one, found in rows)


def test_they_are_read_from_their_tables(database):
    usage = UsageTable(database)
    making.fill(database, [making.record(n, started_us=NOON + n * HOUR_US // 3, total_ms=2.0**n) for n in range(30)])
    asked = [
        (ALL, (), "UTC"),
        (ALL, ("provider", "model"), "Asia/Kolkata"),
        (UsageQuery(model="m"), ("day",), "Europe/Berlin"),
        (UsageQuery(since_us=NOON + 2 * HOUR_US), ("hour",), "America/New_York"),
    ]
    before = [usage.latency(*question) for question in asked]
    assert usage.roll() == 30
    with database.write(durable=False) as conn:
        conn.exec_driver_sql(f"DELETE FROM {table_of('2026-11')}")
    assert [usage.latency(*question) for question in asked] == before
    assert usage.latency(UsageQuery(key_id="key-1")) == []  # which only the records know


def test_the_order_is_time_then_requests(database):
    days = [("b", 1), ("a", 0), ("c", 0), ("c", 0), ("b", 0), ("a", 1), ("a", 1)]
    making.fill(
        database, [making.record(n, started_us=NOON + day * DAY_US, model=model) for n, (model, day) in enumerate(days)]
    )
    usage = UsageTable(database)
    assert [row.keys[0] for row in usage.latency(ALL, ["model", "day"])] == ["c", "a", "b", "a", "b"]
    assert [row.keys for row in usage.latency(ALL, ["model"])] == [("a",), ("b",), ("c",)]


def test_what_it_is_not_grouped_by(database):
    with pytest.raises(InvalidRequest) as refused:
        UsageTable(database).latency(ALL, ["tag:team"])
    assert (refused.value.code, refused.value.param) == ("unknown_dimension", "by")
