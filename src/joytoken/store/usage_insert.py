"""The one insert that every request pays for: usage records into the tables of their months, many in one statement."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from joytoken.store.batch import INSERT_ROWS, Prepared, values_of
from joytoken.store.record import (
    NO_GROUPS,
    STARTED,
    Shape,
    insert_places,
    rows_json,
    shape_of,
    usage_insert_json,
    usage_insert_sql,
)
from joytoken.store.statement import run_text, select_text
from joytoken.store.usage_months import LAST_SEQ, Months, month_of, table_of

_NEXT = "SELECT nextval('usage_blank_ingest_seq_seq') FROM generate_series(1, %s)"
Rows = Sequence[tuple[Any, ...]]

_json = functools.cache(usage_insert_json)


def insert_records(conn: sa.Connection, rows: Rows, months: Months) -> int:
    """Insert `record_row` tuples in this order, into months that are there; returns how many were new."""
    table = months.table([row[STARTED] for row in rows])
    if conn.dialect.name != "sqlite":
        if table is not None:
            return run_text(conn, _json(table), (rows_json(rows),))
        drawn = sorted([row[0] for row in select_text(conn, _NEXT, (len(rows),))])
        return sum(
            run_text(conn, _json(name, numbered=True), (rows_json(part, numbers),))
            for name, numbers, part in _by_month(drawn, rows)
        )
    last = _last_number(conn)
    if table is not None and _counts_on(conn, table, last):
        return _insert(conn, table, rows)
    numbers = range(last + 1, last + 1 + len(rows))
    return sum(_insert(conn, name, part, own) for name, own, part in _by_month(numbers, rows))


def insert_prepared(conn: sa.Connection, prepared: Prepared, months: Months) -> int | None:
    """Insert what was made ready; returns how many were new, None where each needs its number."""
    table = months.table(prepared.starts)
    if table is None:
        return None
    if conn.dialect.name != "sqlite":
        return run_text(conn, _json(table), (prepared.said,)) if prepared.said else None
    if not prepared.values or not _counts_on(conn, table, _last_number(conn)):
        return None
    return _run(conn, table, prepared.values, prepared.shape)


def _last_number(conn: sa.Connection) -> int:
    return int(select_text(conn, LAST_SEQ)[0][0])


def _counts_on(conn: sa.Connection, table: str, last: int) -> bool:
    """Whether SQLite numbers on by itself: where the table has the last one. A microsecond less for each record."""
    found = select_text(conn, f"SELECT max(ingest_seq) FROM {table}")[0][0]  # noqa: S608
    return bool((found or 0) == last)


def _by_month(numbers: Iterable[int], rows: Rows) -> list[tuple[str, list[int], list[tuple[Any, ...]]]]:
    """Each month's table, arrival numbers and rows: the numbers keep the order that the tables do not."""
    found: dict[str, tuple[list[int], list[tuple[Any, ...]]]] = {}
    for number, row in zip(numbers, rows, strict=True):
        own, part = found.setdefault(table_of(month_of(row[STARTED])), ([], []))
        own.append(number)
        part.append(row)
    return [(name, *parts) for name, parts in found.items()]


def _insert(conn: sa.Connection, table: str, rows: Rows, numbers: Sequence[int] = ()) -> int:
    """Insert rows of one month, with their arrival numbers where these are given; returns how many were new."""
    shape = shape_of(rows, NO_GROUPS)
    return _run(conn, table, values_of(rows, shape, numbers), shape, numbered=bool(numbers))


def _run(
    conn: sa.Connection, table: str, parts: Iterable[tuple[Any, ...]], shape: Shape, *, numbered: bool = False
) -> int:
    once, each = map(len, insert_places(shape))
    texts = {
        once + size * (each + numbered): usage_insert_sql(table, size, shape, numbered=numbered) for size in INSERT_ROWS
    }
    return sum(run_text(conn, texts[len(values)], values) for values in parts)
