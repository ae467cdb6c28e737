"""What was given back of charges, by the dimensions of usage. Only requests with a refund are looked at."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from joytoken.store.schema import usage_record
from joytoken.store.schema_credit import refund
from joytoken.store.usage_query import QUARTER_US, TIMES, UsageQuery, dimension, unindexed

_id = usage_record.c.request_id


def refunds_by(conn: sa.Connection, query: UsageQuery, by: Sequence[str]) -> Iterator[tuple[int, Iterator[str], int]]:
    """Of each refunded request: its quarter (0 where not grouped by time), other dimensions in order, and the sum."""
    plain = sum(name not in TIMES for name in by)
    timed = plain < len(by)
    for row in conn.execute(refunds_query(query, by, conn.dialect.name)):
        yield (row[plain] if timed else 0), iter(row[:plain]), int(row[-1])


def refunds_query(query: UsageQuery, by: Sequence[str], dialect: str) -> sa.Select[Any]:
    """The statement: from the refunds to their requests, never through the requests of the time that is asked for.

    Neither summed nor joined: SQLite would first put the records of all months together.
    """
    columns = [dimension(name, dialect).label(f"d{n}") for n, name in enumerate(by) if name not in TIMES]
    if set(by) & set(TIMES):
        columns.append(usage_record.c.started_us.op("/")(QUARTER_US).label("quarter"))
    back = sa.select(sa.func.sum(refund.c.amount)).where(refund.c.request_id == _id).scalar_subquery()
    return sa.select(*columns, back).where(_id.in_(sa.select(refund.c.request_id)), *unindexed(query))
