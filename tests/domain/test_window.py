"""The windows of limits, in any zone and across every change of its clocks."""

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from joytoken.domain.window import ALL_TIME, window_of

ZONES = sorted(available_timezones())
HOUR_US = 3_600_000_000
# Midnights that are skipped, that come twice, and a day that never was.
ODD = [
    ("America/Sao_Paulo", "2018-11-04T03:00:00"),
    ("America/Havana", "2024-11-03T05:00:00"),
    ("America/St_Johns", "2006-10-29T02:31:00"),
    ("Pacific/Apia", "2011-12-30T10:00:00"),
    ("America/Toronto", "1919-03-31T04:45:00"),
    ("Africa/Cairo", "2024-04-25T22:00:00"),
]


def us(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


moments = st.integers(us("1900-01-01T00:00:00"), us("2099-12-31T00:00:00"))
kinds = st.sampled_from(["day", "week", "month"])


@given(st.sampled_from(ZONES), kinds, moments)
@example("America/Sao_Paulo", "day", us(ODD[0][1]))
@example("America/Havana", "day", us(ODD[1][1]))
@example("America/St_Johns", "day", us(ODD[2][1]))
@example("Pacific/Apia", "week", us(ODD[3][1]))
def test_windows_follow_each_other_without_gap_or_overlap(name, kind, moment):
    zone = ZoneInfo(name)
    window = window_of(kind, moment, zone)
    assert window.holds(moment)
    for inside in (window.from_us, window.until_us - 1, (window.from_us + window.until_us) // 2):
        assert window_of(kind, inside, zone) == window
    after, before = window_of(kind, window.until_us, zone), window_of(kind, window.from_us - 1, zone)
    assert (before.until_us, after.from_us) == (window.from_us, window.until_us)
    assert before.name < window.name < after.name


@given(st.sampled_from(ZONES), moments)
def test_a_day_lies_within_one_week_and_one_month(name, moment):
    zone = ZoneInfo(name)
    day = window_of("day", moment, zone)
    for kind in ("week", "month"):
        longer = window_of(kind, moment, zone)
        assert longer.from_us <= day.from_us < day.until_us <= longer.until_us


@pytest.mark.parametrize(("name", "moment"), ODD)
def test_odd_midnights_belong_to_one_day_each(name, moment):
    zone = ZoneInfo(name)
    seen = []
    for step in range(-48, 48):
        window = window_of("day", us(moment) + step * HOUR_US // 2, zone)
        if not seen or seen[-1] != window:
            seen.append(window)
    assert len({window.name for window in seen}) == len(seen)
    assert all(one.until_us == other.from_us for one, other in itertools.pairwise(seen))


@pytest.mark.parametrize(
    ("zone", "moment", "name", "begins", "ends"),
    [
        ("UTC", "2026-11-30T23:59:59", "M:2026-11", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("Asia/Shanghai", "2026-11-30T16:00:00", "M:2026-12", "2026-11-30T16:00:00", "2026-12-31T16:00:00"),
        ("America/New_York", "2026-12-01T04:59:59", "M:2026-11", "2026-11-01T04:00:00", "2026-12-01T05:00:00"),
        ("Europe/Berlin", "2026-03-31T21:59:59", "M:2026-03", "2026-02-28T23:00:00", "2026-03-31T22:00:00"),
        ("Europe/Berlin", "2026-12-31T23:00:00", "M:2027-01", "2026-12-31T23:00:00", "2027-01-31T23:00:00"),
    ],
)
def test_a_month_ends_at_the_midnight_of_its_zone(zone, moment, name, begins, ends):
    window = window_of("month", us(moment), ZoneInfo(zone))
    assert window == (name, us(begins), us(ends))
    assert window.seconds_left(us(moment)) == max(1, (us(ends) - us(moment)) // 1_000_000)


def test_all_time_has_one_window():
    assert window_of("total", us("1970-01-01T00:00:00"), UTC) is ALL_TIME
    assert ALL_TIME.holds(us("2099-01-01T00:00:00"))
