"""The one insert that every request pays for: usage records into the tables of their months, many in one statement."""

import functools
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

from joytoken.store.record import (
    STARTED,
    empty_groups,
    insert_places,
    rows_json,
    usage_insert_json,
    usage_insert_sql,
)
from joytoken.store.statement import run_text, select_text
from joytoken.store.usage_months import LAST_SEQ, Months, month_of, table_of

_INSERT_ROWS = (256, 64, 16, 4, 1)  # records in one statement: few texts, so that each stays prepared
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
    last = int(select_text(conn, LAST_SEQ)[0][0])
    # Where the table has the last one, SQLite numbers on by itself, which costs a microsecond less for each record.
    if table is not None and select_text(conn, f"SELECT max(ingest_seq) FROM {table}")[0][0] == last:  # noqa: S608
        return _insert(conn, table, rows)
    numbers = range(last + 1, last + 1 + len(rows))
    return sum(_insert(conn, name, part, own) for name, own, part in _by_month(numbers, rows))


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
    columns = list(zip(*rows, strict=True))
    without = empty_groups(columns)
    wanted = [columns[at] for at in insert_places(without)]
    if numbers:
        wanted.insert(0, tuple(numbers))
    values = list(chain.from_iterable(zip(*wanted, strict=True)))
    new, at, width = 0, 0, len(wanted)
    for size in _INSERT_ROWS:
        while len(rows) - at >= size:
            text = usage_insert_sql(table, size, without, numbered=bool(numbers))
            part = tuple(values[at * width : (at + size) * width])
            new += run_text(conn, text, part)
            at += size
    return new
