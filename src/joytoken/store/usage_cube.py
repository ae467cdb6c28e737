"""Sums of usage from the tables of sums, as far as these go, and from the records themselves for the rest.

A question is answered from buckets where each of them lies wholly within one group of it: days where days of UTC are
asked for or no times at all, else hours, and quarters of an hour at the edges and where a zone's day begins between
hours. Days of other zones are days of UTC with the hours around midnight moved (`usage_spans`). What a question's
bounds or a zone's day cut out of the smallest bucket, and what has arrived since the tables were brought up to date, is
read from the records. All of it is one view of the database.
"""

import itertools
from collections.abc import Sequence
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
    usage_tag,
    usage_tag_day,
    usage_tag_hour,
)
from joytoken.store.usage_query import (
    COLUMNS,
    QUARTER_US,
    TAG,
    TIMES,
    UsageQuery,
    dimension,
    filters,
    record_sum,
    unindexed,
)
from joytoken.store.usage_roll import rolled
from joytoken.store.usage_roll_tags import OTHERS
from joytoken.store.usage_spans import (
    DAY_QUARTERS,
    HOUR_QUARTERS,
    Moves,
    Part,
    Plan,
    Span,
    group_of,
    midnight,
    number,
    plan,
    quarter_of,
    up,
    within,
)


class Piece(msgspec.Struct, frozen=True):
    """A part of an answer: rows of sums as `usage_summary` has them."""

    select: sa.Select[Any]
    timed: bool  # whether a quarter of the group follows its plain values
    moves: Moves = None  # as those of `usage_spans.Part`


class _Cube(msgspec.Struct, frozen=True):
    tables: dict[int, sa.Table]  # by the quarters of a bucket
    labelled: bool = False
    tag: str | None = None


_LABELLED = _Cube({1: usage_quarter, HOUR_QUARTERS: usage_hour, DAY_QUARTERS: usage_day}, labelled=True)
_BESIDE = [
    ({column.name for column in table.primary_key.columns} - {"bucket"}, _Cube({DAY_QUARTERS: table}))
    for table in BESIDE
]


def pieces(conn: sa.Connection, query: UsageQuery, by: Sequence[str], zone: ZoneInfo) -> list[Piece] | None:
    """What is summed from the tables of sums; None where they do not have what is asked for."""
    cube = _cube(query, by)
    upto = rolled(conn) if cube is not None else 0
    span = bounds(conn, query, usage_day) if upto else None
    if cube is None or span is None:
        return None
    made = plan(list(cube.tables), span, by, zone, [] if cube.tag is None else _unsummed(conn, cube.tag, span))
    if made is None:
        return None
    timed, dialect = bool(made.unit), conn.dialect.name
    found: list[Piece] = []
    for part in made.parts:
        if part.size in cube.tables:
            found += [Piece(select, timed, part.moves) for select in _selects(cube, query, by, part, made)]
        else:
            where = rolled_within(query, upto, part.spans)
            found.append(Piece(of_records(by, where, dialect, moved=True, few=True), timed, part.moves))
    rest = remaining(query, upto, made.covered)
    return [*found, *(Piece(of_records(by, where, dialect, few=True), timed) for where in rest)]


def _cube(query: UsageQuery, by: Sequence[str]) -> _Cube | None:
    plain = [name for name in by if name not in TIMES]
    if any(name not in COLUMNS for name in plain):
        tag = plain[0].removeprefix(TAG)
        alone = len(plain) == 1 and plain[0] == TAG + tag and tag and not filters(query)
        return _Cube({HOUR_QUARTERS: usage_tag_hour, DAY_QUARTERS: usage_tag_day}, tag=tag) if alone else None
    asked = {COLUMNS[name].name for name in plain} | set(filters(query))
    if asked <= set(ROLLUP_LABELS):
        return _LABELLED
    return next((cube for names, cube in _BESIDE if asked <= names and "hour" not in by), None)


def bounds(conn: sa.Connection, query: UsageQuery, days: sa.Table) -> Span | None:
    """The whole quarters that a query asks for, of all days that a table has; None where there is none."""
    bucket = days.c.bucket
    # Each by itself: SQLite finds one of them at an end of its index, and reads all of it for two at once.
    edges = [sa.select(edge).scalar_subquery() for edge in (sa.func.min(bucket), sa.func.max(bucket))]
    low, high = conn.execute(sa.select(*edges)).one()
    if low is None:
        return None
    first, last = low * DAY_QUARTERS, (high + 1) * DAY_QUARTERS
    if query.since_us is not None:
        first = max(first, up(query.since_us, QUARTER_US))
    if query.until_us is not None:
        last = min(last, query.until_us // QUARTER_US)
    return (first, last) if first < last else None


def _unsummed(conn: sa.Connection, tag: str, span: Span) -> list[Span]:
    """The days of which the sums do not have a tag, or not all of its values."""
    other = usage_tag.alias()
    known = sa.exists().where(other.c.bucket == usage_tag.c.bucket, other.c.tag == tag)
    missing = sa.or_(usage_tag.c.tag == tag, sa.and_(usage_tag.c.tag == OTHERS, ~known))
    day = usage_tag.c.bucket
    found = sa.select(day).where(day >= span[0] // DAY_QUARTERS, day * DAY_QUARTERS < span[1])
    found = found.where(~usage_tag.c.summed, missing).order_by(day)
    return [(at * DAY_QUARTERS, (at + 1) * DAY_QUARTERS) for (at,) in conn.execute(found)]


def _selects(cube: _Cube, query: UsageQuery, by: Sequence[str], part: Part, made: Plan) -> list[sa.Select[Any]]:
    table = cube.tables[part.size]
    if cube.tag is None:
        names = [COLUMNS[name].name for name in by if name not in TIMES]
        asked = filters(query)
        labelled = cube.labelled and bool(names or asked)
        side = usage_label if labelled else table
        same = [side.c[name] == value for name, value in asked.items()]
        select = _summed(table, [side.c[name] for name in names], part, made).where(*same)
        return [select.join_from(table, usage_label, table.c.label == usage_label.c.id) if labelled else select]
    # What has no such tag is everything, less what has it.
    tagged, none = table.c.tag == cube.tag, sa.literal("").label("none")
    return [
        _summed(_LABELLED.tables[part.size], [none], part, made),
        _summed(table, [none], part, made, less=True).where(tagged),
        _summed(table, [table.c.value], part, made).where(tagged),
    ]


def _summed(
    table: sa.Table, plain: Sequence[sa.ColumnElement[Any]], part: Part, made: Plan, *, less: bool = False
) -> sa.Select[Any]:
    """The sums of some buckets; `less`: as amounts to be taken away."""
    bucket = table.c.bucket
    sums = [sa.func.coalesce(sa.func.sum(table.c[name]), 0) for name in ROLLUP_SUMS]
    groups = [column for column in plain if isinstance(column, sa.Column)]
    columns: list[sa.ColumnElement[Any]] = list(plain)
    times: list[sa.ColumnElement[Any]] = []
    if made.unit:
        # Without labels, rows come in the order of their buckets and are summed as they come; there are few of these.
        ordered = not groups and part.moves is None
        times.append(bucket if ordered else group_of(bucket, part, made.unit, made.shifts))
        columns.append(quarter_of(bucket, part))
    select = sa.select(*columns, *(-one if less else one for one in sums)).where(within(bucket, part.spans))
    return select.group_by(*groups, *times) if groups or times else select


def remaining(query: UsageQuery, upto: int, covered: Sequence[Span]) -> list[list[sa.ColumnElement[bool]]]:
    """Conditions of the records that are not in the covered quarters: what came since, and what is around them."""
    since, started = usage_record.c.ingest_seq, usage_record.c.started_us
    low, high = covered[0][0] * QUARTER_US, covered[-1][1] * QUARTER_US
    known = _rolled(query, upto)
    before = [started < (low if query.until_us is None else min(low, query.until_us))]
    after = [started >= (high if query.since_us is None else max(high, query.since_us))]
    if query.since_us is not None:
        before.append(started >= query.since_us)
    if query.until_us is not None:
        after.append(started < query.until_us)
    found = [[since > upto, *unindexed(query)], [*known, *before], [*known, *after]]
    gaps = [(one[1], other[0]) for one, other in itertools.pairwise(covered)]
    return [*found, rolled_within(query, upto, gaps)] if gaps else found


def rolled_within(query: UsageQuery, upto: int, spans: Sequence[Span]) -> list[sa.ColumnElement[bool]]:
    """Conditions of the records in some quarters that are in the sums, too."""
    started = usage_record.c.started_us
    inside = [sa.and_(started >= low * QUARTER_US, started < high * QUARTER_US) for low, high in spans]
    return [*_rolled(query, upto), sa.or_(*inside)]


def _rolled(query: UsageQuery, upto: int) -> list[sa.ColumnElement[bool]]:
    same = unindexed(msgspec.structs.replace(query, since_us=None, until_us=None))
    return [usage_record.c.ingest_seq + number(0) <= upto, *same]


def of_records(
    by: Sequence[str],
    where: Sequence[sa.ColumnElement[bool]],
    dialect: str,
    *,
    moved: bool = False,
    few: bool = False,
) -> sa.Select[Any]:
    """Sums of records by dimensions, and by quarter where times are among them.

    `moved`: by the nearest midnight instead. `few`: the conditions leave few of them, so that no index is to be read
    through for the sake of its order.
    """
    plain = [name for name in by if name not in TIMES]
    end: sa.ColumnElement[str] = sa.literal_column("''")
    values = [dimension(name, dialect).concat(end) if few else dimension(name, dialect) for name in plain]
    groups: list[sa.Label[Any]] = [value.label(f"d{n}") for n, value in enumerate(values)]
    if set(by) & set(TIMES):
        groups.append(quarter_started(moved=moved))
    select = sa.select(*groups, *[record_sum(name) for name in ROLLUP_SUMS]).where(*where)
    return select.group_by(*(sa.literal_column(group.name) for group in groups)) if groups else select


def quarter_started(*, moved: bool) -> sa.Label[Any]:
    """The quarter that a record began in; of one that is moved, the nearest midnight."""
    quarter = usage_record.c.started_us // number(QUARTER_US)
    return (midnight(quarter) if moved else quarter).label("quarter")
