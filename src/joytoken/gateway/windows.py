"""The names of a key's daily and weekly window, in the reporting zone."""

from zoneinfo import ZoneInfo

from joytoken.domain.window import Window, window_of


class Windows:
    """Names the day and the ISO week of a moment, such as ``D:2026-11-22`` and ``W:2026-W47``.

    A request belongs to the windows of its admission. The names are worked out once a day.
    """

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._day = self._week = Window("", 0, 0)
        self._from_us = 0
        self._until_us = 0
        self._names = ("", "")

    def at(self, now_us: int) -> tuple[str, str]:
        """The names of the day and the week that hold a unix time in microseconds."""
        if not self._from_us <= now_us < self._until_us:
            day = self._day = window_of("day", now_us, self._zone)
            _, self._from_us, self._until_us = day
            self._week = window_of("week", now_us, self._zone)
            self._names = (day.name, self._week.name)
        return self._names

    def seconds_left(self, now_us: int, *, weekly: bool = False) -> int:
        """Seconds until the day or the week ends: what a caller who used up that limit has to wait."""
        self.at(now_us)
        return (self._week if weekly else self._day).seconds_left(now_us)
