"""Buckets that make up a span: each quarter of an hour counts once, and for its own local day or hour."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.store.usage_query import QUARTER_US
from joytoken.store.usage_spans import DAY_QUARTERS, plan, receivers
from joytoken.store.usage_summary import Times

ZONES = (
    "UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "America/Los_Angeles",
    "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Apia", "Africa/Cairo",
    "America/Havana", "America/Asuncion", "Asia/Beirut", "Pacific/Pago_Pago",
)  # fmt: skip


def quarter(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000 // QUARTER_US


def counted(made, times, name):
    """How often each quarter counts, and for which day or hour."""
    found = Counter()
    for part in made.parts:
        for low, high in part.spans:
            for bucket in range(low, high):
                at = bucket * part.size + part.middle
                if part.moves is not None:
                    at = (bucket * part.size + DAY_QUARTERS // 2) // DAY_QUARTERS * DAY_QUARTERS
                for of, sign in receivers(part.moves, at):
                    for one in range(bucket * part.size, (bucket + 1) * part.size):
                        found[one, times.label(name, of) if name else ""] += sign
    return {key: count for key, count in found.items() if count}


@pytest.mark.parametrize("sizes", [(1, 4, 96), (4, 96), (96,)])
@given(data=st.data())
def test_each_quarter_counts_once_for_its_own(sizes, data):
    times = Times(data.draw(st.sampled_from(ZONES)))
    first = quarter(2026, 1, 1) + data.draw(st.integers(0, 365 * DAY_QUARTERS) | st.integers(0, 365).map((96).__mul__))
    last = first + data.draw(st.integers(1, 9 * DAY_QUARTERS))
    name = data.draw(st.sampled_from(("", "day", "hour")))
    days = data.draw(st.lists(st.integers(first // DAY_QUARTERS, last // DAY_QUARTERS), max_size=2, unique=True))
    without = [(day * DAY_QUARTERS, (day + 1) * DAY_QUARTERS) for day in sorted(days)]
    made = plan(sizes, (first, last), (name,), times.zone, without)
    taken = {one for low, high in made.covered for one in range(low, high)} if made else set()
    left = {one for one in range(first, last) if not any(low <= one < high for low, high in without)}
    assert taken == left if 1 in sizes else taken <= left
    expected = {(one, times.label(name, one) if name else ""): 1 for one in taken}
    assert (counted(made, times, name) if made else {}) == expected


def test_days_of_a_zone_are_mostly_days_of_utc():
    made = plan((1, 4, 96), (quarter(2026, 10, 1), quarter(2026, 11, 1)), ("day",), Times("Europe/Berlin").zone)
    # Midnights, those after the clocks were set, and the edges.
    assert buckets(made) == {96: 30, 4: 24 * 2 + 7 + 23}


def test_days_that_begin_between_hours_take_but_that_from_quarters():
    made = plan((4, 96), (quarter(2026, 10, 1), quarter(2026, 11, 1)), ("day",), Times("Asia/Kolkata").zone)
    # The hours from 18:30, those of the first and last day, which are not whole, and half an hour of each day.
    assert buckets(made) == {96: 30, 4: 31 * 5 + 18 + 5, 1: 31 * 2}


def buckets(made):
    """How many buckets of each size are read."""
    found = Counter()
    for part in made.parts:
        found[part.size] += sum(high - low for low, high in part.spans)
    return found
