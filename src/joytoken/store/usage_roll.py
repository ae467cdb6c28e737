"""Sums kept up to date: records are added to their buckets in the order of their arrival, each once.

How far that is stands in the database and is moved in the same transaction, so a roller that dies, or two at once, or
none for a day, change nothing about the sums: whoever asks adds the records that came since (`usage_cube`).
"""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.store.engine import Database, retried
from joytoken.store.postgres import Turn
from joytoken.store.schema import metadata, usage_record
from joytoken.store.schema_rollup import (
    BESIDE,
    ROLLED,
    ROLLUP_LABELS,
    ROLLUP_SUMS,
    usage_day,
    usage_hour,
    usage_label,
    usage_quarter,
)
from joytoken.store.setting import put_value, value_of
from joytoken.store.usage_query import QUARTER_US, record_sum

HOUR_QUARTERS, DAY_QUARTERS = 4, 96
ROLL_RECORDS_MAX = 1_000  # in one transaction, which others wait for

_arrival = usage_record.c.ingest_seq
_labels = [usage_record.c[name] for name in ROLLUP_LABELS]
_record_sums = [record_sum(name).label(name) for name in ROLLUP_SUMS]
_encode = msgspec.msgpack.Encoder().encode
_quarter = (usage_record.c.started_us // sa.literal_column(str(QUARTER_US))).label("quarter")
_Sums = dict[tuple[Any, ...], list[int]]  # by the bucket's key


def rolled(conn: sa.Connection) -> int:
    """The arrival number up to which the tables of sums have every record."""
    return int(value_of(conn, ROLLED) or 0)


@retried
def roll(database: Database, records_max: int = ROLL_RECORDS_MAX) -> int:
    """Add the records that came since to their sums, at most so many; returns how many there were."""
    with database.read() as conn:  # a look without a lock: mostly there is nothing
        if _upto(conn, rolled(conn), 1) is None:
            return 0
    with database.write(durable=False, turn=Turn.ROLLUP) as conn:
        since = rolled(conn)
        upto = _upto(conn, since, records_max)
        if upto is None:
            return 0
        chosen = sa.and_(_arrival > since, _arrival <= upto)
        count = _add_labelled(conn, chosen)
        for table in BESIDE:
            _add_beside(conn, table, chosen)
        put_value(conn, ROLLED, str(upto))
        return count


def _upto(conn: sa.Connection, since: int, records_max: int) -> int | None:
    part = sa.select(_arrival).where(_arrival > since).order_by(_arrival).limit(records_max).subquery()
    found = conn.execute(sa.select(sa.func.max(part.c.ingest_seq))).scalar_one()
    return None if found is None else int(found)


def _add_labelled(conn: sa.Connection, chosen: sa.ColumnElement[bool]) -> int:
    quarter: sa.ColumnElement[Any] = sa.literal_column("quarter")
    names: list[sa.ColumnElement[Any]] = [sa.literal_column(name) for name in ROLLUP_LABELS]
    rows = conn.execute(sa.select(*_labels, _quarter, *_record_sums).where(chosen).group_by(*names, quarter)).all()
    count = len(ROLLUP_LABELS)
    ids = _label_ids(conn, {tuple(row[:count]) for row in rows})
    quarters: _Sums = {}
    hours: _Sums = {}
    days: _Sums = {}
    for row in rows:
        label, at = ids[tuple(row[:count])], int(row[count])
        sums = [int(value) for value in row[count + 1 :]]  # PostgreSQL sums into decimals
        _fold(quarters, (at, label), sums)
        _fold(hours, (at // HOUR_QUARTERS, label), sums)
        _fold(days, (at // DAY_QUARTERS, label), sums)
    for table, found in ((usage_quarter, quarters), (usage_hour, hours), (usage_day, days)):
        _save(conn, table, found)
    return sum(sums[0] for sums in quarters.values())


def _add_beside(conn: sa.Connection, table: sa.Table, chosen: sa.ColumnElement[bool]) -> None:
    by = [usage_record.c[column.name] for column in table.primary_key.columns if column.name != "bucket"]
    day = (usage_record.c.started_us // sa.literal_column(str(DAY_QUARTERS * QUARTER_US))).label("day")
    rows = conn.execute(sa.select(day, *by, *_record_sums).where(chosen).group_by(sa.literal_column("day"), *by))
    found: _Sums = {}
    for row in rows:
        _fold(found, (int(row[0]), *row[1 : 1 + len(by)]), [int(value) for value in row[1 + len(by) :]])
    _save(conn, table, found)


def _fold(into: _Sums, key: tuple[Any, ...], sums: list[int]) -> None:
    there = into.get(key)
    if there is None:
        into[key] = sums
    else:
        into[key] = [a + b for a, b in zip(there, sums, strict=True)]


def _label_ids(conn: sa.Connection, wanted: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """The numbers of these combinations of labels; those that are new get one."""
    by_digest = {_digest(labels): labels for labels in wanted}
    query = sa.select(usage_label.c.digest, usage_label.c.id).where(
        usage_label.c.digest.in_(sa.bindparam("digests", expanding=True))
    )
    found = _known(conn, query, list(by_digest))
    new = [(digest, labels) for digest, labels in sorted(by_digest.items()) if digest not in found]
    if new:
        rows = [{"digest": digest, **dict(zip(ROLLUP_LABELS, labels, strict=True))} for digest, labels in new]
        conn.execute(sa.insert(usage_label), rows)
        found |= _known(conn, query, [digest for digest, _ in new])
    return {labels: found[digest] for digest, labels in by_digest.items()}


def _known(conn: sa.Connection, query: sa.Select[Any], digests: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for start in range(0, len(digests), 500):
        for digest, number in conn.execute(query, {"digests": digests[start : start + 500]}):
            found[bytes(digest)] = int(number)
    return found


def _digest(labels: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(_encode(labels), digest_size=16).digest()


def _save(conn: sa.Connection, table: sa.Table, found: _Sums) -> None:
    """Add sums to their buckets, in the order of their keys: unordered, two writers would wait for each other."""
    rows = [(*key, *sums) for key, sums in sorted(found.items())]
    if rows:
        mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
        conn.exec_driver_sql(_upsert(str(table.name), mark), rows)


@functools.cache
def _upsert(name: str, mark: str) -> str:
    """The text itself: at this many rows, what is done for each of them before the driver has it costs the most."""
    table = metadata.tables[name]
    columns = ", ".join(column.name for column in table.columns)
    keys = ", ".join(column.name for column in table.primary_key.columns)
    added = ", ".join(f"{part} = {name}.{part} + excluded.{part}" for part in ROLLUP_SUMS)
    marks = ", ".join([mark] * len(table.columns))
    return f"INSERT INTO {name} ({columns}) VALUES ({marks}) ON CONFLICT ({keys}) DO UPDATE SET {added}"  # noqa: S608
