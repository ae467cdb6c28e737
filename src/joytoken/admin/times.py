"""Times as people and programs write them, to and from unix microseconds."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from joytoken.domain.errors import InvalidRequest

SECOND_US = 1_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def spell_time(time_us: int) -> str:
    """A moment as ISO 8601 in UTC with milliseconds: ``2026-11-22T10:00:00.000Z``."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spell_optional(time_us: int | None) -> str | None:
    """The same, where there may be no moment."""
    return None if time_us is None else spell_time(time_us)


def parse_duration(text: str, param: str) -> int:
    """Microseconds of a duration such as ``30d``, ``24h``, ``90m`` or ``0s``. Raises InvalidRequest naming `param`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(f"{text!r} is not a duration such as 30d, 24h, 90m or 45s", param=param)
    return int(match[1]) * _UNITS[match[2]] * SECOND_US


def parse_moment(text: str, param: str, now_us: int, *, ahead: bool, zone: str = "UTC") -> int:
    """Unix microseconds of a duration from now (`ahead`: into the future), a day, or an ISO 8601 time.

    A day or a time without an offset is read in `zone`. Raises InvalidRequest naming `param`.
    """
    text = text.strip()
    if _DURATION.fullmatch(text):
        distance = parse_duration(text, param)
        return now_us + distance if ahead else max(now_us - distance, 0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        said = f"{text!r} is neither a duration such as 30d nor a time such as 2026-11-22 or 2026-11-22T10:00:00Z"
        raise InvalidRequest(said, param=param) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return (moment - _EPOCH) // timedelta(microseconds=1)
