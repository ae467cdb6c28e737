"""The one insert that every request pays for: usage records into the tables of their months, many in one statement."""

import functools
from collections.abc import Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

from joytoken.store.record import STARTED, rows_json, usage_insert_json, usage_insert_sql
from joytoken.store.usage_months import LAST_SEQ, Months, month_of, table_of

_INSERT_ROWS = (256, 64, 16, 4, 1)  # records in one statement: few texts, so that each stays prepared
_NEXT = "SELECT nextval('usage_blank_ingest_seq_seq') FROM generate_series(1, %s)"
Rows = Sequence[tuple[Any, ...]]

_sqlite = functools.cache(usage_insert_sql)
_json = functools.cache(usage_insert_json)


def insert_records(conn: sa.Connection, rows: Rows, months: Months) -> int:
    """Insert `record_row` tuples in this order, into months that are there; returns how many were new."""
    table = months.table([row[STARTED] for row in rows])
    if conn.dialect.name != "sqlite":
        if table is not None:
            return conn.exec_driver_sql(_json(table), (rows_json(rows),)).rowcount
        numbers = sorted(conn.exec_driver_sql(_NEXT, (len(rows),)).scalars())
        return sum(
            conn.exec_driver_sql(_json(name, numbered=True), (_numbered_json(part),)).rowcount
            for name, part in _by_month(zip(numbers, rows, strict=True)).items()
        )
    last = int(conn.exec_driver_sql(LAST_SEQ).scalar_one())
    # Where the table has the last one, SQLite numbers on by itself, which costs a microsecond less for each record.
    if table is not None and conn.exec_driver_sql(f"SELECT max(ingest_seq) FROM {table}").scalar_one() == last:  # noqa: S608
        return _insert(conn, table, rows)
    return sum(_insert(conn, name, part, numbered=True) for name, part in _by_month(enumerate(rows, last + 1)).items())


def _numbered_json(numbered: Rows) -> str:
    return rows_json([row[1:] for row in numbered], [row[0] for row in numbered])


def _by_month(numbered: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Rows with their numbers, by table: the numbers keep the order that the tables do not."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for number, row in numbered:
        found.setdefault(table_of(month_of(row[STARTED])), []).append((number, *row))
    return found


def _insert(conn: sa.Connection, table: str, rows: Rows, *, numbered: bool = False) -> int:
    new = at = 0
    for size in _INSERT_ROWS:
        while len(rows) - at >= size:
            flat = tuple(chain.from_iterable(rows[at : at + size]))
            new += conn.exec_driver_sql(_sqlite(table, size, numbered=numbered), flat).rowcount
            at += size
    return new
