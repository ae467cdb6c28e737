"""Whether a call is made again, and when. Pure: the caller hands time and chance in."""

import email.utils
import json
import math
import re
from typing import Any

DELAY_S_MAX = 8.0
_JITTER_S_FIRST = 0.5
_DOUBLINGS_MAX = 8  # far beyond the longest delay
_SECONDS = re.compile(r"[0-9]+\Z")
_DATE = re.compile(r"[A-Za-z]{3,9},? ")


def is_transient(status: int, body: bytes) -> bool:
    """Tell whether an answer says: not now. Of conflicts only the first request of the same key that is under way."""
    if status == 409:
        return _code_of(body) == "idempotency_in_progress"
    return status == 429 or 500 <= status <= 599


def retry_delay_s(attempt: int, retry_after: str | None, *, now_s: float, chance: float) -> float:
    """Return the seconds until the next attempt.

    `attempt` is the one that failed, from 0; `now_s` is Unix time, `chance` a number from 0 to 1. What the gateway asks
    for counts, up to `DELAY_S_MAX`; else chance decides, within a bound that doubles.
    """
    asked = _retry_after_s((retry_after or "").strip(), now_s)
    if asked is not None:
        return min(max(asked, 0.0), DELAY_S_MAX)
    return chance * min(_JITTER_S_FIRST * 2 ** min(attempt, _DOUBLINGS_MAX), DELAY_S_MAX)


def _retry_after_s(value: str, now_s: float) -> float | None:
    """Read seconds or an HTTP date."""
    if _SECONDS.match(value):
        return float(value) if len(value) < 16 else math.inf
    if not _DATE.match(value):
        return None
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - now_s
    except (ValueError, OverflowError):
        return None


def _code_of(body: bytes) -> str | None:
    try:
        read: Any = json.loads(body)
        return read["error"]["code"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
