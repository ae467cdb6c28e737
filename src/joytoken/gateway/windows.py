"""The names of a key's daily and weekly window, in the reporting zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SECOND_US = 1_000_000


class Windows:
    """Names the day and the ISO week of a moment, such as ``D:2026-11-22`` and ``W:2026-W47``.

    A request belongs to the windows of its admission. The names are worked out once a day.
    """

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._from_us = 0
        self._until_us = 0
        self._names = ("", "")

    def at(self, now_us: int) -> tuple[str, str]:
        """The names of the day and the week that hold a unix time in microseconds."""
        if not self._from_us <= now_us < self._until_us:
            moment = datetime.fromtimestamp(now_us / _SECOND_US, UTC).astimezone(self._zone)
            day = moment.date()
            start = datetime(day.year, day.month, day.day, tzinfo=self._zone)
            end = datetime.combine(day + timedelta(days=1), start.timetz())
            self._from_us = int(start.timestamp()) * _SECOND_US
            self._until_us = int(end.timestamp()) * _SECOND_US
            year, week, _ = day.isocalendar()
            self._names = (f"D:{day.isoformat()}", f"W:{year}-W{week:02d}")
        return self._names

    def seconds_left(self, now_us: int) -> int:
        """Seconds until the day ends: what a caller who used up a daily limit has to wait."""
        self.at(now_us)
        return max(1, (self._until_us - now_us) // _SECOND_US)
