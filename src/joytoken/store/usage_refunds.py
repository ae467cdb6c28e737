"""What was given back of charges, by the dimensions of usage. Only requests with a refund are looked at."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from joytoken.store.schema import usage_record
from joytoken.store.schema_credit import refund
from joytoken.store.usage_query import QUARTER_US, TIMES, UsageQuery, conditions, dimension


def refunds_by(conn: sa.Connection, query: UsageQuery, by: Sequence[str]) -> Iterator[tuple[int, Iterator[str], int]]:
    """Each group's quarter of an hour (0 where not grouped by time), its other dimensions in order, and the sum."""
    timed = any(name in TIMES for name in by)
    plain = [name for name in by if name not in TIMES]
    groups: list[sa.Label[Any]] = [dimension(name, conn.dialect.name).label(f"d{n}") for n, name in enumerate(plain)]
    if timed:
        groups.append(usage_record.c.started_us.op("/")(QUARTER_US).label("quarter"))
    select = sa.select(*groups, sa.func.coalesce(sa.func.sum(refund.c.amount), 0))
    select = select.join_from(refund, usage_record, usage_record.c.request_id == refund.c.request_id)
    select = select.where(*conditions(query))
    if groups:
        select = select.group_by(*(sa.literal_column(group.name) for group in groups))
    for row in conn.execute(select):
        yield (row[len(plain)] if timed else 0), iter(row[: len(plain)]), int(row[-1])
