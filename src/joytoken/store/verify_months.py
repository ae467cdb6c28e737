"""The part of the proof that looks at whole months of usage records: each is there, or was dropped by the ledger."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.store.schema import usage_month
from joytoken.store.usage_dropped import dropped
from joytoken.store.usage_months import months, table_of

Finding = str | None  # the first bad row
_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'usage_record_[0-9]*'"
_POSTGRESQL = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = 'usage_record'::regclass"
)
_WALLETS = "SELECT owner_id, tier, sum(charged), sum(cost), sum(shortfall) FROM {} GROUP BY owner_id, tier"


def every_month(conn: sa.Connection) -> Finding:
    """Each month has its table, unless a transaction says that it was dropped; and there is no other table."""
    there = set(conn.exec_driver_sql(_SQLITE if conn.dialect.name == "sqlite" else _POSTGRESQL).scalars())
    try:
        said = {drop.month for drop in dropped(conn)}
    except msgspec.MsgspecError:
        return "a transaction that dropped a month: its terms cannot be read"
    for month, dropped_us in conn.execute(
        sa.select(usage_month.c.month, usage_month.c.dropped_us).order_by(usage_month.c.month)
    ):
        if dropped_us is None and table_of(month) not in there:
            return f"month {month}: its table is not there, and no transaction dropped it"
        if (dropped_us is not None) != (month in said):
            return f"month {month}: whether it was dropped is not what the transactions say"
        there.discard(table_of(month) if dropped_us is None else "")
        said.discard(month)
    if said:
        return f"month {min(said)}: a transaction dropped it, and it is not among the months"
    return f"table {min(there)}: it is no month's" if there else None


def sums_by_wallet(conn: sa.Connection) -> Iterator[tuple[str, str, int, int, int]]:
    """Owner, tier, charged, cost and shortfall: of each month's records, and as the ledger says it of dropped months.

    A wallet comes as often as there are months with records of it.
    """
    there: Iterator[Any] = chain.from_iterable(
        conn.exec_driver_sql(_WALLETS.format(table_of(month))) for month in months(conn)
    )
    for owner, tier, *sums in there:
        charged, cost, short = (int(value) for value in sums)
        yield owner, tier, charged, cost, short
    for drop in dropped(conn):
        for part in drop.sums:
            yield part.owner_id, part.tier, part.charged, part.cost, part.shortfall
