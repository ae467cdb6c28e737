"""Sums of usage from the tables of sums, as far as these go, and from the records themselves for the rest.

A question is answered from buckets where each of them lies wholly within one group of it: days where days of UTC are
asked for or no times at all, else hours, and quarters of an hour at the edges and where a zone's day begins between
hours. What a question's bounds cut out of a quarter, and what has arrived since the tables were brought up to date, is
read from the records. All of it is one view of the database.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from joytoken.store.schema import usage_record
from joytoken.store.schema_rollup import (
    BESIDE,
    ROLLUP_LABELS,
    ROLLUP_SUMS,
    usage_day,
    usage_hour,
    usage_label,
    usage_quarter,
)
from joytoken.store.usage_query import COLUMNS, QUARTER_US, TIMES, UsageQuery, dimension, filters, record_sum, unindexed
from joytoken.store.usage_roll import DAY_QUARTERS, HOUR_QUARTERS, rolled

Span = tuple[int, int]  # from, and up to but without
_SECOND_US = 1_000_000
_LISTED_MAX = 2_000
_FAR = 1 << 40  # more than any local day's or hour's number


class Piece(msgspec.Struct, frozen=True):
    """A part of an answer: rows of sums as `usage_summary` has them."""

    select: sa.Select[Any]
    timed: bool  # whether a quarter of the group follows its plain values


class Shift(msgspec.Struct, frozen=True):
    """From this quarter on, a zone's clocks are so many quarters ahead of UTC."""

    since: int
    ahead: int


def pieces(conn: sa.Connection, query: UsageQuery, by: Sequence[str], zone: ZoneInfo) -> list[Piece] | None:
    """What is summed from the tables of sums; None where they do not have what is asked for."""
    cube = _cube(query, by)
    upto = rolled(conn) if cube is not None else 0
    if cube is None or not upto:
        return None
    bounds = _bounds(conn, cube)
    if bounds is None:
        return None
    first = _up(query.since_us, QUARTER_US) if query.since_us is not None else bounds[0]
    last = query.until_us // QUARTER_US if query.until_us is not None else bounds[1]
    first, last = max(first, bounds[0]), min(last, bounds[1])
    if last <= first:
        return None
    shifts = _shifts(zone, first, last)
    unit = HOUR_QUARTERS if "hour" in by else DAY_QUARTERS if "day" in by else 0
    made, covered = _covered(cube, first, last, unit, shifts)
    if covered is None:
        return None
    parts = [
        Piece(_of_table(cube, query, by, table, size, spans, unit, shifts), bool(unit))
        for table, size, spans in made
        if spans
    ]
    return [*parts, *_of_records(query, by, upto, covered, conn.dialect.name)]


class _Cube(msgspec.Struct, frozen=True):
    tables: dict[int, sa.Table]  # by the quarters of a bucket
    labelled: bool


_LABELLED = _Cube({1: usage_quarter, HOUR_QUARTERS: usage_hour, DAY_QUARTERS: usage_day}, True)
_BESIDE = [
    ({column.name for column in table.primary_key.columns} - {"bucket"}, _Cube({DAY_QUARTERS: table}, False))
    for table in BESIDE
]


def _cube(query: UsageQuery, by: Sequence[str]) -> _Cube | None:
    plain = [name for name in by if name not in TIMES]
    if any(name not in COLUMNS for name in plain):  # a tag
        return None
    asked = {COLUMNS[name].name for name in plain} | set(filters(query))
    if asked <= set(ROLLUP_LABELS):
        return _LABELLED
    return next((cube for names, cube in _BESIDE if asked <= names and "hour" not in by), None)


def _bounds(conn: sa.Connection, cube: _Cube) -> Span | None:
    """From the first quarter to the end of the last, of all days that there are."""
    bucket = cube.tables[DAY_QUARTERS].c.bucket
    low, high = conn.execute(sa.select(sa.func.min(bucket), sa.func.max(bucket))).one()
    return None if low is None else (low * DAY_QUARTERS, (high + 1) * DAY_QUARTERS)


def _shifts(zone: ZoneInfo, first: int, last: int) -> list[Shift]:
    """How far the zone's clocks are ahead, from the first quarter on; one more for each time they are set."""

    def ahead(quarter: int) -> int:
        moment = datetime.fromtimestamp(quarter * (QUARTER_US // _SECOND_US), zone)
        offset = moment.utcoffset()
        return 0 if offset is None else int(offset.total_seconds() * _SECOND_US // QUARTER_US)

    found = [Shift(first, ahead(first))]
    at = first
    while at < last:
        following = min(at + DAY_QUARTERS, last)
        if ahead(following) != found[-1].ahead:
            low, high = at, following
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if ahead(middle) == found[-1].ahead else (low, middle)
            found.append(Shift(high, ahead(high)))
        at = following
    return found


def _up(value: int, size: int) -> int:
    return -(-value // size)


def _covered(
    cube: _Cube, first: int, last: int, unit: int, shifts: list[Shift]
) -> tuple[list[tuple[sa.Table, int, list[Span]]], Span | None]:
    """Which buckets of which table make up the span, and the quarters that they cover: one span, or nothing.

    A bucket may not have a local day or hour begin within it, where these are asked for.
    """
    made: list[tuple[sa.Table, int, list[Span]]] = []
    left = [(first, last)]
    for size in sorted(cube.tables, reverse=True):
        if unit and size > 1 and not _whole(size, unit, shifts):
            continue
        cuts = set(_cut(size, unit, shifts, first, last)) if unit else set()
        spans, rest = _split(left, size, cuts)
        made.append((cube.tables[size], size, spans))
        left = rest
    taken = _joined(sorted((low * size, high * size) for _, size, spans in made for low, high in spans))
    return made, taken[0] if len(taken) == 1 else None


def _whole(size: int, unit: int, shifts: list[Shift]) -> bool:
    """Whether most buckets of a size lie within one local unit."""
    if size > unit:
        return False
    if size < unit:
        return True
    return all(shift.ahead % size == 0 for shift in shifts)


def _cut(size: int, unit: int, shifts: list[Shift], first: int, last: int) -> Iterator[int]:
    """The buckets within which a local unit begins, or clocks are set."""
    for number, shift in enumerate(shifts):
        end = shifts[number + 1].since if number + 1 < len(shifts) else last
        if shift.since % size and shift.since > first:
            yield shift.since // size
        if shift.ahead % size:
            at = _up(shift.since + shift.ahead, unit) * unit - shift.ahead
            while at < end:
                yield at // size
                at += unit


def _split(left: list[Span], size: int, cuts: set[int]) -> tuple[list[Span], list[Span]]:
    """The buckets that lie wholly within these spans and are not cut; and what remains, in quarters."""
    spans: list[Span] = []
    rest: list[Span] = []
    for low, high in left:
        begin, end = _up(low, size), high // size
        if begin >= end:
            rest.append((low, high))
            continue
        if low < begin * size:
            rest.append((low, begin * size))
        at = begin
        for cut in sorted(cut for cut in cuts if begin <= cut < end):
            if at < cut:
                spans.append((at, cut))
            rest.append((cut * size, (cut + 1) * size))
            at = cut + 1
        if at < end:
            spans.append((at, end))
        if end * size < high:
            rest.append((end * size, high))
    return spans, rest


def _joined(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for low, high in spans:
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _of_table(
    cube: _Cube,
    query: UsageQuery,
    by: Sequence[str],
    table: sa.Table,
    size: int,
    spans: list[Span],
    unit: int,
    shifts: list[Shift],
) -> sa.Select[Any]:
    bucket = table.c.bucket
    within = _within(bucket, spans)
    names, asked = [COLUMNS[name].name for name in by if name not in TIMES], filters(query)
    labelled = cube.labelled and bool(names or asked)
    side = usage_label if labelled else table
    plain = [side.c[name] for name in names]
    summed = [sa.func.coalesce(sa.func.sum(table.c[name]), 0) for name in ROLLUP_SUMS]
    groups: list[sa.ColumnElement[Any]] = list(plain)
    columns: list[sa.ColumnElement[Any]] = list(plain)
    if unit:
        # Without labels, rows come in the order of their buckets and are summed as they come; there are few of these.
        groups.append(_local(bucket, size, unit, shifts) if names else bucket)
        columns.append(sa.func.min(bucket) * size)
    select = sa.select(*columns, *summed).where(within, *[side.c[name] == value for name, value in asked.items()])
    if labelled:
        select = select.join_from(table, usage_label, table.c.label == usage_label.c.id)
    return select.group_by(*groups) if groups else select


def _within(bucket: sa.ColumnElement[int], spans: list[Span]) -> sa.ColumnElement[bool]:
    """Said so that the index of buckets is used: SQLite looks through the table for a list of spans."""
    if len(spans) > 1 and sum(high - low for low, high in spans) <= _LISTED_MAX:
        return bucket.in_([at for low, high in spans for at in range(low, high)])
    said = sa.or_(*[sa.and_(bucket >= low, bucket < high) for low, high in spans])
    return said if len(spans) == 1 else sa.and_(bucket >= spans[0][0], bucket < spans[-1][1], said)


def _local(bucket: sa.ColumnElement[int], size: int, unit: int, shifts: list[Shift]) -> sa.ColumnElement[Any]:
    """The number of the local day or hour of a bucket; another one each time that clocks were set."""

    def number(index: int) -> sa.ColumnElement[Any]:
        local = bucket * _number(size) + _number(shifts[index].ahead)
        return local // _number(unit) + _number(index * _FAR)

    if len(shifts) == 1:
        return number(0)
    until = [
        (bucket * _number(size) < _number(shifts[index + 1].since), number(index)) for index in range(len(shifts) - 1)
    ]
    return sa.case(*until, else_=number(len(shifts) - 1))


def _number(value: int) -> sa.ColumnElement[int]:
    """A number as itself: PostgreSQL takes two groups with a parameter each for different ones."""
    return sa.literal_column(f"({value})", sa.BigInteger)


def _of_records(query: UsageQuery, by: Sequence[str], upto: int, covered: Span, dialect: str) -> list[Piece]:
    """What came since, and what lies before and after the span that is covered."""
    since, started = usage_record.c.ingest_seq, usage_record.c.started_us
    low, high = covered[0] * QUARTER_US, covered[1] * QUARTER_US
    known = since + _number(0) <= upto
    before = msgspec.structs.replace(query, until_us=low if query.until_us is None else min(low, query.until_us))
    after = msgspec.structs.replace(query, since_us=high if query.since_us is None else max(high, query.since_us))
    chosen = [[since > upto, *unindexed(query)], [known, *_times(before, started)], [known, *_times(after, started)]]
    return [Piece(of_records(by, where, dialect, few=True), bool(set(by) & set(TIMES))) for where in chosen]


def _times(query: UsageQuery, started: sa.ColumnElement[int]) -> list[sa.ColumnElement[bool]]:
    """A query of records by their time alone, as a few of them are looked through."""
    found = unindexed(msgspec.structs.replace(query, since_us=None, until_us=None))
    if query.since_us is not None:
        found.append(started >= query.since_us)
    if query.until_us is not None:
        found.append(started < query.until_us)
    return found


def of_records(
    by: Sequence[str], where: Sequence[sa.ColumnElement[bool]], dialect: str, *, few: bool = False
) -> sa.Select[Any]:
    """Sums of records by dimensions, and by quarter where times are among them.

    `few`: the conditions leave few of them, so that no index is to be read through for the sake of its order.
    """
    plain = [name for name in by if name not in TIMES]
    end: sa.ColumnElement[str] = sa.literal_column("''")
    values = [dimension(name, dialect).concat(end) if few else dimension(name, dialect) for name in plain]
    groups: list[sa.Label[Any]] = [value.label(f"d{n}") for n, value in enumerate(values)]
    if set(by) & set(TIMES):
        groups.append((usage_record.c.started_us // _number(QUARTER_US)).label("quarter"))
    select = sa.select(*groups, *[record_sum(name) for name in ROLLUP_SUMS]).where(*where)
    return select.group_by(*(sa.literal_column(group.name) for group in groups)) if groups else select
