"""Sums of usage by any dimensions, exact in every time zone.

The database sums by quarter of an hour, or by a local day or hour; what belongs together is folded together here, where
the time zone's rules are known.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from joytoken.domain.errors import InvalidRequest
from joytoken.store.schema_rollup import ROLLUP_SUMS
from joytoken.store.usage_cube import Piece, of_records, pieces
from joytoken.store.usage_query import QUARTER_US, TIMES, UsageQuery, conditions
from joytoken.store.usage_refunds import refunds_by
from joytoken.store.usage_spans import receivers


class UsageRow(msgspec.Struct, kw_only=True):
    """Sums over the records of one group; `keys` are its values in the order of the dimensions.

    A day reads ``2026-11-22``, an hour ``2026-11-22T14:00+05:30``: the offset tells the two hours apart that bear one
    name when clocks are set back. Amounts in nanocredits, `_usd` in nano-dollars. Token counts that were not reported
    count as 0.
    """

    keys: tuple[str, ...] = ()
    requests: int = 0
    errors: int = 0  # endings other than completed ones
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    charged: int = 0
    shortfall: int = 0
    charged_usd: int = 0
    provider_cost_usd: int = 0
    margin_usd: int = 0  # over the records whose provider cost is known
    uncosted: int = 0  # records whose provider cost is not known
    first_token_us: int = 0  # microseconds, summed over `first_tokens`
    first_tokens: int = 0  # records that have a first token's time
    refunded: int = 0  # of what was charged, given back by now

    @property
    def first_token_ms(self) -> float | None:
        """The mean time to the first token in milliseconds; None where there was none."""
        return self.first_token_us / self.first_tokens / 1000 if self.first_tokens else None


_SUMS = (*ROLLUP_SUMS, "refunded")


def totals(rows: Iterable[UsageRow]) -> UsageRow:
    """The row of all rows together; its `keys` are empty."""
    total = UsageRow()
    for row in rows:
        _add(total, [getattr(row, name) for name in _SUMS], _SUMS)
    return total


def summarise(conn: sa.Connection, query: UsageQuery, by: Sequence[str], zone: str) -> list[UsageRow]:
    """One row for each group: earliest first where grouped by time, then by what was charged, most first.

    Raises InvalidRequest for an unknown dimension or time zone.
    """
    times = Times(zone)
    parts = pieces(conn, query, by, times.zone)
    if parts is None:
        timed = any(name in TIMES for name in by)
        parts = [Piece(of_records(by, conditions(query), conn.dialect.name), timed)]
    plain = sum(name not in TIMES for name in by)
    found: dict[tuple[str, ...], UsageRow] = {}
    earliest: dict[tuple[str, ...], int] = {}
    for part in parts:
        for row in conn.execute(part.select):
            for quarter, sign in receivers(part.moves, row[plain] if part.timed else 0):
                values = iter(row)
                keys = tuple(times.label(name, quarter) if name in TIMES else next(values) for name in by)
                into = found.get(keys)
                if into is None:
                    into = found[keys] = UsageRow(keys=keys)
                _add(into, row[plain + part.timed :], sign=sign)
                when = tuple(key for key, name in zip(keys, by, strict=True) if name in TIMES)
                earliest[when] = min(quarter, earliest.get(when, quarter))
    for quarter, values, amount in refunds_by(conn, query, by):
        keys = tuple(times.label(name, quarter) if name in TIMES else next(values) for name in by)
        if keys in found:
            found[keys].refunded += amount

    def rank(row: UsageRow) -> tuple[int, int, tuple[str, ...]]:
        when = tuple(key for key, name in zip(row.keys, by, strict=True) if name in TIMES)
        return earliest[when], -row.charged, row.keys

    rows = sorted(found.values(), key=rank)
    # A sum over nothing is a row of zeros in SQL; here it is no group at all.
    return [row for row in rows if row.requests]


class Times:
    """Quarters of an hour as days and hours of a time zone."""

    def __init__(self, zone: str) -> None:
        try:
            self.zone = ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as unknown:
            raise InvalidRequest(f"there is no time zone {zone!r}", "unknown_zone", param="zone") from unknown
        self._seen: dict[int, str] = {}

    def label(self, name: str, quarter: int) -> str:
        local = self._seen.get(quarter)
        if local is None:
            moment = datetime.fromtimestamp(quarter * (QUARTER_US // 1_000_000), self.zone)
            local = self._seen[quarter] = moment.isoformat(timespec="minutes")
        return local[:10] if name == "day" else f"{local[:14]}00{local[16:]}"


def _add(into: UsageRow, values: Sequence[Any], names: Sequence[str] = ROLLUP_SUMS, sign: int = 1) -> None:
    for name, value in zip(names, values, strict=True):
        setattr(into, name, getattr(into, name) + sign * int(value))  # PostgreSQL sums into decimals
