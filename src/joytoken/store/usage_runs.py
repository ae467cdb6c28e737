"""Usage by run: sums, and the requests themselves."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from joytoken.domain.record import UsageRecord
from joytoken.store.record import RECORD_FIELDS, record_of
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


def run_sums(
    conn: sa.Connection, run_ids: Sequence[str], *, below: bool, owner: str | None, limit: int
) -> list[RunSum]:
    """The sums of these runs, or of those right below them; of so many at most."""
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
    rows = conn.execute(query.group_by(u.owner_id, u.run_id).order_by(u.owner_id, u.run_id).limit(limit))
    return [RunSum(row[0], row[1], row[2], *(int(value) for value in row[3:])) for row in rows]


def run_requests(conn: sa.Connection, run_ids: Sequence[str], *, owner: str, limit: int) -> list[UsageRecord]:
    """The requests of these runs, oldest first, so many at most."""
    u = usage_record.c
    query = sa.select(*[u[name] for name in RECORD_FIELDS]).where(
        u.run_id.in_(run_ids), u.run_id != _NONE, u.owner_id == owner
    )
    return [record_of(row) for row in conn.execute(query.order_by(u.started_us, u.request_id).limit(limit))]
