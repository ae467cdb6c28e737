"""What was given back of charges, by the dimensions of usage. Only requests with a refund are looked at."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from joytoken.store.schema import usage_record
from joytoken.store.schema_credit import refund
from joytoken.store.usage_query import QUARTER_US, TIMES, UsageQuery, dimension, unindexed


def refunds_by(conn: sa.Connection, query: UsageQuery, by: Sequence[str]) -> Iterator[tuple[int, Iterator[str], int]]:
    """Each refund's quarter of an hour (0 where not grouped by time), its other dimensions in order, and its amount."""
    plain = sum(name not in TIMES for name in by)
    timed = plain < len(by)
    for row in conn.execute(refunds_query(query, by, conn.dialect.name)):
        yield (row[plain] if timed else 0), iter(row[:plain]), int(row[-1])


def refunds_query(query: UsageQuery, by: Sequence[str], dialect: str) -> sa.Select[Any]:
    """The statement: from the refunds to their requests, never through the requests of the time that is asked for."""
    columns = [dimension(name, dialect).label(f"d{n}") for n, name in enumerate(by) if name not in TIMES]
    if set(by) & set(TIMES):
        columns.append(usage_record.c.started_us.op("/")(QUARTER_US).label("quarter"))
    # Said so that the refunds' index is not used, and the requests' is.
    theirs = usage_record.c.request_id == refund.c.request_id.concat(sa.literal_column("''"))
    return sa.select(*columns, refund.c.amount).join_from(usage_record, refund, theirs).where(*unindexed(query))
