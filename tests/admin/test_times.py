import pytest

from joytoken.admin.times import parse_duration, parse_moment, spell_time
from joytoken.domain.errors import InvalidRequest
from tests.admin.conftest import NOW_US

HOUR_US = 3_600_000_000


def test_a_moment_reads_as_iso_8601():
    assert spell_time(NOW_US) == "2026-11-22T12:00:00.000Z"
    assert spell_time(NOW_US + 1_999) == "2026-11-22T12:00:00.001Z"


@pytest.mark.parametrize(
    ("text", "hours"), (("0s", 0), ("60m", 1), ("24h", 24), ("30d", 720), ("1w", 168), (" 3600s ", 1))
)
def test_durations(text, hours):
    assert parse_duration(text, "overlap") == hours * HOUR_US


@pytest.mark.parametrize("text", ("", "1", "d", "-1d", "1.5h", "1y", "1000000000d"))
def test_what_is_no_duration(text):
    with pytest.raises(InvalidRequest) as caught:
        parse_duration(text, "overlap")
    assert caught.value.param == "overlap"


@pytest.mark.parametrize(
    ("text", "ahead", "zone", "expected"),
    (
        ("1h", True, "UTC", NOW_US + HOUR_US),
        ("1h", False, "UTC", NOW_US - HOUR_US),
        ("2026-11-22", False, "UTC", NOW_US - 12 * HOUR_US),
        ("2026-11-22", False, "Europe/Berlin", NOW_US - 13 * HOUR_US),
        ("2026-11-22T12:00:00Z", False, "Europe/Berlin", NOW_US),
        ("2026-11-22T13:00:00+01:00", True, "UTC", NOW_US),
    ),
)
def test_moments(text, ahead, zone, expected):
    assert parse_moment(text, "since", NOW_US, ahead=ahead, zone=zone) == expected


def test_what_is_no_moment():
    with pytest.raises(InvalidRequest, match="neither a duration"):
        parse_moment("yesterday", "since", NOW_US, ahead=False)
