"""Sums kept up to date: records are added to their buckets in the order of their arrival, each once.

How far that is stands in the database and is moved in the same transaction, so a roller that dies, or two at once, or
none for a day, change nothing about the sums: whoever asks adds the records that came since (`usage_cube`).
"""

import hashlib
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.store.engine import Database, retried
from joytoken.store.postgres import Turn
from joytoken.store.schema import usage_record
from joytoken.store.schema_rollup import ROLLED, ROLLUP_LABELS, usage_label
from joytoken.store.setting import put_value, value_of
from joytoken.store.usage_roll_sql import Texts, texts
from joytoken.store.usage_roll_tags import TAG_BOUNDS, TagBounds, add_tags

ROLL_RECORDS_MAX = 2_000  # in one transaction, which others wait for

_arrival = usage_record.c.ingest_seq
_encode = msgspec.msgpack.Encoder().encode


def rolled(conn: sa.Connection) -> int:
    """The arrival number up to which the tables of sums have every record."""
    return int(value_of(conn, ROLLED) or 0)


@retried
def roll(database: Database, records_max: int = ROLL_RECORDS_MAX, bounds: TagBounds = TAG_BOUNDS) -> int:
    """Add the records that came since to their sums, at most so many; returns how many there were."""
    with database.read() as conn:  # a look without a lock: mostly there is nothing
        if not _next(conn, rolled(conn), 1)[0]:
            return 0
    with database.write(durable=False, turn=Turn.ROLLUP) as conn:
        since = rolled(conn)
        count, upto = _next(conn, since, records_max)
        if count:
            said = texts(conn.dialect)
            for text in said.own:
                conn.exec_driver_sql(text)
            _add_labelled(conn, said, since, upto, count)
            conn.exec_driver_sql(said.beside, (since, upto))
            add_tags(conn, said, since, upto, bounds)
            for text in (said.latency, *said.latency_into):
                conn.exec_driver_sql(text, (since, upto) * 2 if text is said.latency else ())
            put_value(conn, ROLLED, str(upto))
        return count


def _next(conn: sa.Connection, since: int, records_max: int) -> tuple[int, int]:
    """How many records come next, at most so many, and the arrival number of the last."""
    part = sa.select(_arrival).where(_arrival > since).order_by(_arrival).limit(records_max).subquery()
    count, upto = conn.execute(sa.select(sa.func.count(), sa.func.max(part.c.ingest_seq)).select_from(part)).one()
    return int(count), int(upto or since)


def _add_labelled(conn: sa.Connection, said: Texts, since: int, upto: int, count: int) -> None:
    conn.exec_driver_sql(said.usage, (since, upto))
    if int(conn.exec_driver_sql(said.usage_count).scalar_one()) != count:
        # Some have labels of which there was no such combination before. They get their numbers, and it is done again.
        rows = conn.exec_driver_sql(said.unlabelled, (since, upto)).all()
        _number(conn, [tuple(row) for row in rows])
        conn.exec_driver_sql(said.usage_empty)
        conn.exec_driver_sql(said.usage, (since, upto))
    for text in said.usage_into:
        conn.exec_driver_sql(text)


def _number(conn: sa.Connection, combinations: list[tuple[Any, ...]]) -> None:
    by_digest = sorted((hashlib.blake2b(_encode(labels), digest_size=16).digest(), labels) for labels in combinations)
    rows = [{"digest": digest, **dict(zip(ROLLUP_LABELS, labels, strict=True))} for digest, labels in by_digest]
    if rows:
        conn.execute(sa.insert(usage_label), rows)
