"""Sums against a naive oracle: one record after the other, in plain Python."""

from collections import defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from joytoken.domain.errors import InvalidRequest
from joytoken.store.schema_rollup import ROLLUP_SUMS
from joytoken.store.usage import UsageTable
from joytoken.store.usage_query import UsageQuery
from joytoken.store.usage_roll_tags import TagBounds
from joytoken.store.usage_summary import UsageRow, totals
from tests.store import making

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def moment_us(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000


# Around the days when clocks change, and a common one.
WINDOWS = [
    ("Asia/Kolkata", moment_us(2026, 3, 10)),
    ("America/St_Johns", moment_us(2026, 3, 8)),
    ("America/St_Johns", moment_us(2026, 11, 1)),
    ("Europe/Berlin", moment_us(2026, 3, 29)),
    ("Europe/Berlin", moment_us(2026, 10, 25)),
    ("Australia/Lord_Howe", moment_us(2026, 4, 4)),
    ("Asia/Kathmandu", moment_us(2026, 12, 31)),
    ("UTC", moment_us(2026, 12, 31)),
]
BY = ("model", "key", "project", "tier", "ending", "day", "hour", "tag:team", 'tag:a"b.c', "tag:none", "end_user")
BY_TAG = [("tag:team",), ("tag:team", "day"), ("hour", 'tag:a"b.c'), ("day", "tag:none")]  # what has sums of its own


def value_of(made, name, zone):
    if name in {"day", "hour"}:
        local = datetime.fromtimestamp(made.started_us // 1_000_000, ZoneInfo(zone))
        offset = local.isoformat(timespec="minutes")[16:]
        return f"{local:%Y-%m-%d}" if name == "day" else f"{local:%Y-%m-%dT%H}:00{offset}"
    if name.startswith("tag:"):
        return msgspec.json.decode(made.tags or "{}").get(name[4:], "")
    return made.key_id if name == "key" else getattr(made, name)


def sums_of(keys, records):
    def total(name):
        return sum(getattr(made, name) or 0 for made in records)

    firsts = [made.first_token_ms for made in records if made.first_token_ms is not None]
    plain = ("charged", "shortfall", "cost", "charged_usd", "provider_cost_usd", "margin_usd")
    counts = [name for name in UsageRow.__struct_fields__ if name.endswith("_tokens") and name != "first_tokens"]
    return UsageRow(
        keys=keys,
        requests=len(records),
        errors=sum(not made.ending.startswith("completed") for made in records),
        uncosted=sum(made.provider_cost_usd is None for made in records),
        first_tokens=len(firsts),
        first_token_us=sum(round(one * 1000) for one in firsts),
        **{name: total(name) for name in (*plain, *counts)},
    )


def oracle(records, by, zone):
    groups = defaultdict(list)
    for made in records:
        groups[tuple(value_of(made, name, zone) for name in by)].append(made)
    return [sums_of(keys, found) for keys, found in groups.items()]


def ordered(rows):
    return sorted(rows, key=lambda row: row.keys)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=120)
@given(data=st.data())
def test_sums_are_the_oracles(database, data):
    zone, midday = data.draw(st.sampled_from(WINDOWS))
    records = data.draw(making.records_between(midday - DAY_US, midday + 2 * DAY_US))
    by = tuple(data.draw(st.lists(st.sampled_from(BY), max_size=4, unique=True) | st.sampled_from(BY_TAG)))
    since = data.draw(st.none() | st.integers(midday - DAY_US, midday + DAY_US))
    until = data.draw(st.none() | st.integers(midday, midday + 2 * DAY_US))
    model = data.draw(st.sampled_from((None, "m1")))
    making.wipe(database)
    # Some were added to their sums, in parts; the rest has come since.
    upto = data.draw(st.integers(0, len(records)))
    making.fill(database, records[:upto])
    part = data.draw(st.integers(1, 50))
    bounds = TagBounds(names_max=data.draw(st.integers(0, 3)), values_max=data.draw(st.integers(1, 3)))
    while UsageTable(database).roll(part, bounds):
        pass
    making.fill(database, records[upto:])

    rows = UsageTable(database).summary(UsageQuery(since_us=since, until_us=until, model=model), by, zone)

    counted = [
        made for made in records if (since or 0) <= made.started_us < (until or 2**60) and model in (None, made.model)
    ]
    assert ordered(rows) == ordered(oracle(counted, by, zone))
    assert totals(rows) == sums_of((), counted)


def each_quarter_summed(database, midday):
    """A record in each quarter of an hour of four days, and the table that has their sums."""
    start, usage = midday - 2 * DAY_US, UsageTable(database)
    records = [
        making.record(
            n,
            started_us=start + n * HOUR_US // 4,
            model=f"m{n % 3}",
            total_ms=float(n),
            first_token_ms=n / 2 if n % 5 else None,
            tags='{"team":"a"}' if n % 2 else "",
        )
        for n in range(4 * 96)
    ]
    making.fill(database, records)
    while usage.roll():
        pass
    return records, usage


@pytest.mark.parametrize(("zone", "midday"), WINDOWS)
def test_each_quarter_of_an_hour_is_of_its_own_day(database, zone, midday):
    records, usage = each_quarter_summed(database, midday)
    for by in (("day",), ("model", "day"), ("tag:team", "day")):
        assert ordered(usage.summary(UsageQuery(), by, zone)) == ordered(oracle(records, by, zone))


def at(number, moment, **changes):
    return making.record(number, started_us=moment, **changes)


def test_the_tables_have_every_sum():
    assert {"keys", *ROLLUP_SUMS} == set(UsageRow.__struct_fields__) - {"refunded"}  # refunds have a table of their own


def test_the_day_with_twenty_five_hours(database):
    start = moment_us(2026, 10, 24, 22)  # midnight in Berlin
    making.fill(database, [at(n, start + n * HOUR_US) for n in range(26)])
    usage = UsageTable(database)
    days = usage.summary(UsageQuery(), ["day"], "Europe/Berlin")
    assert [(row.keys[0], row.requests) for row in days] == [("2026-10-25", 25), ("2026-10-26", 1)]
    hours = [row.keys[0] for row in usage.summary(UsageQuery(), ["hour"], "Europe/Berlin")]
    assert hours[1:5] == [
        "2026-10-25T01:00+02:00",
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]


@pytest.mark.parametrize(
    ("zone", "before_midnight", "day"),
    [
        ("Asia/Kolkata", moment_us(2026, 11, 22, 18, 29, 59), "2026-11-22"),
        ("America/St_Johns", moment_us(2026, 11, 22, 3, 29, 59), "2026-11-21"),
        ("Europe/Berlin", moment_us(2026, 11, 22, 22, 59, 59), "2026-11-22"),
        ("UTC", moment_us(2026, 11, 22, 23, 59, 59), "2026-11-22"),
    ],
)
def test_the_last_microsecond_of_a_day_is_its_own(database, zone, before_midnight, day):
    making.fill(database, [at(1, before_midnight + 999_999), at(2, before_midnight + 1_000_000)])
    rows = UsageTable(database).summary(UsageQuery(), ["day"], zone)
    assert [row.keys[0] == day for row in rows] == [True, False]


def test_the_order_is_time_then_money(database):
    noon = making.NOON_US
    changes = [("a", 1, 0), ("b", 9, 0), ("c", 5, 0), ("a", 7, 1), ("b", 7, 1)]
    making.fill(
        database,
        [at(n, noon + day * DAY_US, model=model, charged=charged) for n, (model, charged, day) in enumerate(changes)],
    )
    usage = UsageTable(database)
    assert [row.keys for row in usage.summary(UsageQuery(), ["model"])] == [("b",), ("a",), ("c",)]
    by_day = usage.summary(UsageQuery(), ["model", "day"])
    assert [(row.keys[0], row.charged) for row in by_day] == [("b", 9), ("c", 5), ("a", 1), ("a", 7), ("b", 7)]


def test_nothing_is_no_row(database):
    usage = UsageTable(database)
    assert usage.summary(UsageQuery()) == usage.summary(UsageQuery(), ["day", "model"]) == []
    assert totals([]) == UsageRow()


def test_the_mean_first_token(database):
    times = (10.0, 20.0, None)
    making.fill(database, [making.record(n, first_token_ms=one) for n, one in enumerate(times)])
    (row,) = UsageTable(database).summary(UsageQuery())
    assert (row.first_token_ms, row.requests) == (15.0, 3)
    assert UsageRow().first_token_ms is None


@pytest.mark.parametrize(
    "tags", ["not json", "[1]", '"text"', "{}", '{"team":null}', r'{"team":"a\u0000b"}', '{"":"x"}']
)
def test_tags_that_are_none(database, tags):
    making.fill(database, [making.record(1, tags=tags)])
    usage = UsageTable(database)
    (row,) = found = usage.summary(UsageQuery(), ["tag:team"])
    assert row.keys == ("",)
    assert usage.roll() == 1
    assert usage.summary(UsageQuery(), ["tag:team"]) == found


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd", "\0"])
def test_an_unknown_zone(database, zone):
    with pytest.raises(InvalidRequest) as refused:
        UsageTable(database).summary(UsageQuery(), ["day"], zone)
    assert refused.value.code == "unknown_zone"
