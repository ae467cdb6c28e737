"""The day and the week of a moment, in the operator's zone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.gateway.windows import Windows


def us(text):
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("zone", "moment", "day", "week"),
    [
        ("UTC", "2026-11-22T23:59:59+00:00", "D:2026-11-22", "W:2026-W47"),
        ("UTC", "2026-11-23T00:00:00+00:00", "D:2026-11-23", "W:2026-W48"),
        ("UTC", "2027-01-01T12:00:00+00:00", "D:2027-01-01", "W:2026-W53"),
        ("Asia/Shanghai", "2026-11-22T16:00:00+00:00", "D:2026-11-23", "W:2026-W48"),
        ("Asia/Shanghai", "2026-11-22T15:59:59+00:00", "D:2026-11-22", "W:2026-W47"),
        ("America/New_York", "2026-11-23T04:59:59+00:00", "D:2026-11-22", "W:2026-W47"),
        ("Asia/Kathmandu", "2026-11-22T18:15:00+00:00", "D:2026-11-23", "W:2026-W48"),
    ],
)
def test_names(zone, moment, day, week):
    assert Windows(zone).at(us(moment)) == (day, week)


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("2026-11-22T00:00:00+00:00", 86_400),
        ("2026-11-22T23:59:59+00:00", 1),
        ("2026-03-29T00:00:00+01:00", 23 * 3600),  # the clocks go forward on this day
        ("2026-10-25T00:00:00+02:00", 25 * 3600),  # and back on this one
    ],
)
def test_seconds_left(moment, seconds):
    zone = "UTC" if moment.endswith("+00:00") else "Europe/Berlin"
    assert Windows(zone).seconds_left(us(moment)) == seconds


@given(st.lists(st.integers(1_700_000_000, 1_900_000_000), max_size=20), st.sampled_from(["UTC", "Europe/Berlin"]))
def test_what_is_remembered_never_changes_an_answer(moments, zone):
    """Requests come in any order around midnight: an earlier one belongs to its own day."""
    one = Windows(zone)
    for second in moments:
        assert one.at(second * 1_000_000) == Windows(zone).at(second * 1_000_000)
        assert 1 <= one.seconds_left(second * 1_000_000) <= 25 * 3600
