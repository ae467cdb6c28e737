"""Windows of limits: the day, ISO week or month of a time zone that holds a moment, or all time.

A window is named so that its accounts read well: ``D:2026-11-22``, ``W:2026-W47``, ``M:2026-11``, ``T:all``. Those of
a kind follow each other without gap or overlap, whatever the zone does to its clocks: a day begins with the first
moment of its local midnight, and lasts until the next one begins.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

WindowKind = Literal["day", "week", "month", "total"]
WINDOW_KINDS: tuple[WindowKind, ...] = ("day", "week", "month", "total")
SECOND_US = 1_000_000
FOREVER_US = 2**62

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class Window(NamedTuple):
    """One window: it holds the moments ``from_us <= moment < until_us`` (unix microseconds)."""

    name: str
    from_us: int
    until_us: int

    def holds(self, now_us: int) -> bool:
        """Whether a moment lies within."""
        return self.from_us <= now_us < self.until_us

    def seconds_left(self, now_us: int) -> int:
        """Seconds until it ends, at least 1: what a caller who used up its limit has to wait."""
        return max(1, (self.until_us - now_us) // SECOND_US)


ALL_TIME = Window("T:all", -FOREVER_US, FOREVER_US)


def window_of(kind: WindowKind, now_us: int, zone: tzinfo) -> Window:
    """The window of this kind that holds a unix time in microseconds, in a time zone."""
    if kind == "total":
        return ALL_TIME
    first = _day_of(now_us, zone)
    if kind == "day":
        name, after = f"D:{first.isoformat()}", first + _DAY
    elif kind == "week":
        year, week, weekday = first.isocalendar()
        first -= timedelta(days=weekday - 1)
        name, after = f"W:{year}-W{week:02d}", first + timedelta(days=7)
    else:
        name = f"M:{first.year:04d}-{first.month:02d}"
        first = first.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return Window(name, _begin_us(first, zone), _begin_us(after, zone))


def _begin_us(day: date, zone: tzinfo) -> int:
    """When a day begins. A midnight that clocks skip begins it as they do so, one that comes twice the first time."""
    return (datetime(day.year, day.month, day.day, tzinfo=zone) - _EPOCH) // _MICROSECOND


def _day_of(now_us: int, zone: tzinfo) -> date:
    """The day that holds a moment.

    Nearly always what the clock on the wall says; but where clocks are set back over midnight, a day that has begun
    does not end and begin again.
    """
    day = (_EPOCH + timedelta(microseconds=now_us)).astimezone(zone).date()
    while now_us >= _begin_us(day + _DAY, zone):
        day += _DAY
    while now_us < _begin_us(day, zone):
        day -= _DAY
    return day
