"""Sums of usage by run."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from joytoken.store.schema import usage_record
from joytoken.store.usage_query import SUCCEEDED

_NONE: sa.ColumnElement[str] = sa.literal_column("''")  # said literally: the indexes cover only rows that have a run


class RunSum(msgspec.Struct, frozen=True):
    """What was recorded of one run. Amounts in nanocredits, times in unix microseconds."""

    owner: str
    run_id: str
    parent_run_id: str
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    charged: int = 0
    started_us: int | None = None
    finished_us: int | None = None


def run_sums(conn: sa.Connection, run_ids: Sequence[str], *, below: bool, owner: str | None) -> list[RunSum]:
    """The sums of these runs, or of those right below them."""
    u = usage_record.c
    column = u.parent_run_id if below else u.run_id
    failed = sa.case((u.ending.in_(SUCCEEDED), 0), else_=1)
    query = sa.select(
        u.owner_id,
        u.run_id,
        sa.func.max(u.parent_run_id),
        sa.func.count(),
        sa.func.sum(failed),
        sa.func.coalesce(sa.func.sum(u.input_tokens), 0),
        sa.func.coalesce(sa.func.sum(u.output_tokens), 0),
        sa.func.sum(u.charged),
        sa.func.min(u.started_us),
        sa.func.max(u.finished_us),
    ).where(column.in_(run_ids), column != _NONE)
    if owner is not None:
        query = query.where(u.owner_id == owner)
    rows = conn.execute(query.group_by(u.owner_id, u.run_id).order_by(u.owner_id, u.run_id))
    return [RunSum(row[0], row[1], row[2], *(int(value) for value in row[3:])) for row in rows]
