"""How long requests took, by provider, model, day and hour: counts by slots of time (`domain.latency`).

As with other sums, they come from their own tables as far as these go: by hour and day, for each provider and model.
What is cut out of an hour, what arrived since, and what is filtered by anything else is read from the records.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.errors import InvalidRequest
from joytoken.store.schema import usage_record
from joytoken.store.schema_rollup import LATENCY_SUMS, usage_latency_day, usage_latency_hour
from joytoken.store.usage_cube import bounds, quarter_started, remaining, rolled_within
from joytoken.store.usage_query import TIMES, UsageQuery, conditions, filters, record_sum
from joytoken.store.usage_roll import rolled
from joytoken.store.usage_roll_sql import slot_sql
from joytoken.store.usage_spans import (
    DAY_QUARTERS,
    HOUR_QUARTERS,
    Moves,
    Part,
    Plan,
    group_of,
    plan,
    quarter_of,
    receivers,
    within,
)
from joytoken.store.usage_summary import Times

LATENCY_DIMENSIONS = ("provider", "model", *TIMES)
_TABLES = {HOUR_QUARTERS: usage_latency_hour, DAY_QUARTERS: usage_latency_day}
_NOTHING: sa.ColumnElement[int] = sa.literal_column("0")


class LatencyRow(msgspec.Struct, kw_only=True):
    """The times of one group, as requests by slot; `keys` are its values in the order of the dimensions."""

    keys: tuple[str, ...] = ()
    requests: int = 0
    errors: int = 0  # endings other than completed ones
    total: dict[int, int] = {}
    first_token: dict[int, int] = {}  # of the requests that had one


def merged(rows: Iterable[LatencyRow]) -> LatencyRow:
    """The row of all rows together; its `keys` are empty."""
    found = LatencyRow()
    for row in rows:
        found.requests += row.requests
        found.errors += row.errors
        for into, counts in ((found.total, row.total), (found.first_token, row.first_token)):
            for slot, count in counts.items():
                into[slot] = into.get(slot, 0) + count
    return found


def latencies(conn: sa.Connection, query: UsageQuery, by: Sequence[str], zone: str) -> list[LatencyRow]:
    """One row for each group: earliest first where grouped by time, then by requests, most first.

    Raises InvalidRequest for an unknown dimension or time zone.
    """
    for name in by:
        if name not in LATENCY_DIMENSIONS:
            raise InvalidRequest(f"times cannot be grouped by {name!r}", "unknown_dimension", param="by")
    times = Times(zone)
    plain = sum(name not in TIMES for name in by)
    timed = plain < len(by)
    found: dict[tuple[str, ...], LatencyRow] = {}
    earliest: dict[tuple[str, ...], int] = {}

    def group(values: Sequence[str], quarter: int) -> LatencyRow:
        plains = iter(values)
        keys = tuple(times.label(name, quarter) if name in TIMES else next(plains) for name in by)
        when = _when(keys, by)
        earliest[when] = min(quarter, earliest.get(when, quarter))
        return found.setdefault(keys, LatencyRow(keys=keys))

    for select, moves in _selects(conn, query, by, times):
        groups: dict[Sequence[Any], list[tuple[LatencyRow, int]]] = {}  # of which there are few, and many rows of each
        for row in conn.execute(select):
            head = tuple(row[: plain + timed])
            into = groups.get(head)
            if into is None:
                received = receivers(moves, head[plain] if timed else 0)
                into = groups[head] = [(group(head[:plain], quarter), sign) for quarter, sign in received]
            slot, requests, errors, firsts = row[plain + timed :]
            for one, sign in into:
                _add(one, slot, sign * int(requests), sign * int(errors), sign * int(firsts))
    rows = [row for row in found.values() if row.requests]  # all of another day's may have been taken from it
    for one in rows:
        one.total = {slot: count for slot, count in one.total.items() if count}
        one.first_token = {slot: count for slot, count in one.first_token.items() if count}
    return sorted(rows, key=lambda row: (earliest[_when(row.keys, by)], -row.requests, row.keys))


def _add(into: LatencyRow, slot: int, requests: int, errors: int, first_tokens: int) -> None:
    if requests:
        into.requests += requests
        into.errors += errors
        into.total[slot] = into.total.get(slot, 0) + requests
    if first_tokens:
        into.first_token[slot] = into.first_token.get(slot, 0) + first_tokens


def _when(keys: tuple[str, ...], by: Sequence[str]) -> tuple[str, ...]:
    return tuple(key for key, name in zip(keys, by, strict=True) if name in TIMES)


def _selects(
    conn: sa.Connection, query: UsageQuery, by: Sequence[str], times: Times
) -> Iterator[tuple[sa.Select[Any], Moves]]:
    upto = rolled(conn) if filters(query).keys() <= {"provider", "model"} else 0
    span = bounds(conn, query, usage_latency_day) if upto else None
    made = plan(list(_TABLES), span, by, times.zone) if span is not None else None
    if made is None:
        yield from ((select, None) for select in _of_records(by, conditions(query)))
        return
    for part in made.parts:
        if part.size in _TABLES:
            yield _of_table(query, by, part, made), part.moves
        else:
            where = rolled_within(query, upto, part.spans)
            yield from ((select, part.moves) for select in _of_records(by, where, moved=True))
    for where in remaining(query, upto, made.covered):
        yield from ((select, None) for select in _of_records(by, where))


def _of_table(query: UsageQuery, by: Sequence[str], part: Part, made: Plan) -> sa.Select[Any]:
    table = _TABLES[part.size]
    plain = [table.c[name] for name in by if name not in TIMES]
    columns: list[sa.ColumnElement[Any]] = list(plain)
    groups: list[sa.ColumnElement[Any]] = list(plain)
    if made.unit:
        groups.append(group_of(table.c.bucket, part, made.unit, made.shifts))
        columns.append(quarter_of(table.c.bucket, part))
    select = sa.select(*columns, table.c.slot, *[sa.func.sum(table.c[name]) for name in LATENCY_SUMS])
    same = [table.c[name] == value for name, value in filters(query).items()]
    return select.where(within(table.c.bucket, part.spans), *same).group_by(*groups, table.c.slot)


def _of_records(
    by: Sequence[str], where: Sequence[sa.ColumnElement[bool]], *, moved: bool = False
) -> Iterator[sa.Select[Any]]:
    groups: list[sa.Label[Any]] = [
        usage_record.c[name].label(f"d{n}") for n, name in enumerate(by) if name not in TIMES
    ]
    if set(by) & set(TIMES):
        groups.append(quarter_started(moved=moved))
    whole = (sa.func.count(), record_sum("errors"), _NOTHING)
    first = (_NOTHING, _NOTHING, sa.func.count())
    for column, sums in ((usage_record.c.total_ms, whole), (usage_record.c.first_token_ms, first)):
        slot: sa.Label[int] = sa.literal_column(slot_sql(f"usage_record.{column.name}"), sa.Integer).label("slot")
        select = sa.select(*groups, slot, *sums).where(*where, column.is_not(None))
        yield select.group_by(*(sa.literal_column(group.name) for group in (*groups, slot)))
