"""Which usage records count, and by what they can be grouped: the words of a question, and their SQL."""

from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.errors import InvalidRequest
from joytoken.store.schema import usage_record
from joytoken.store.schema_budget import run as runs

QUARTER_US = 900_000_000  # every time zone's days and hours begin on a quarter of an hour
TAG = "tag:"
SUCCEEDED = ("completed", "completed_counted")  # every other ending counts as an error
# Dimensions by name, and the column of each.
COLUMNS: dict[str, sa.Column[Any]] = {
    "model": usage_record.c.model,
    "deployment": usage_record.c.deployment,
    "provider": usage_record.c.provider,
    "tier": usage_record.c.tier,
    "key": usage_record.c.key_id,
    "owner": usage_record.c.owner_id,
    "organisation": usage_record.c.organisation,
    "project": usage_record.c.project,
    "application": usage_record.c.application,
    "environment": usage_record.c.environment,
    "task": usage_record.c.task,
    "end_user": usage_record.c.end_user,
    "run": usage_record.c.run_id,
    "endpoint": usage_record.c.endpoint,
    "ending": usage_record.c.ending,
    "error": usage_record.c.error_code,
}
WORKFLOW = "workflow"  # a dimension that stands with the run
TIMES = ("day", "hour")
DIMENSIONS = (*COLUMNS, WORKFLOW, *TIMES)  # and `tag:` with any name


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A filter on usage records; None means any. `since_us <= start < until_us`, in unix microseconds."""

    key_id: str | None = None
    model: str | None = None
    provider: str | None = None
    tier: str | None = None
    project: str | None = None
    application: str | None = None
    environment: str | None = None
    task: str | None = None
    end_user: str | None = None
    ending: str | None = None
    correlation_id: str | None = None
    run_id: str | None = None
    workflow: str | None = None
    since_us: int | None = None
    until_us: int | None = None


_EQUAL = tuple(name for name in UsageQuery.__struct_fields__ if not name.endswith("_us"))


def filters(query: UsageQuery) -> dict[str, str]:
    """What a record's columns, and the workflow of its run, must be equal to."""
    values = {name: getattr(query, name) for name in _EQUAL}
    return {name: value for name, value in values.items() if value is not None}


def conditions(query: UsageQuery) -> list[sa.ColumnElement[bool]]:
    """The query as conditions, all of which hold."""
    found: list[sa.ColumnElement[bool]] = [_filtered(name) == value for name, value in filters(query).items()]
    if query.correlation_id:
        # Said literally, since the index covers only rows of which this is known.
        found.append(usage_record.c.correlation_id != sa.literal_column("''"))
    if query.run_id or query.workflow:
        found.append(usage_record.c.run_id != sa.literal_column("''"))
    if query.workflow:  # of any owner: found by an index, and judged by `workflow_of_run`
        found.append(usage_record.c.run_id.in_(sa.select(runs.c.run_id).where(runs.c.workflow == query.workflow)))
    if query.since_us is not None:
        found.append(usage_record.c.started_us >= query.since_us)
    if query.until_us is not None:
        found.append(usage_record.c.started_us < query.until_us)
    return found


def _filtered(name: str) -> sa.ColumnElement[Any]:
    return workflow_of_run() if name == WORKFLOW else usage_record.c[name]


def workflow_of_run() -> sa.ColumnElement[str]:
    """The workflow of a record's run, "" where it has none: a look-up by the run's name, for records that have one."""
    mine = (runs.c.owner == usage_record.c.owner_id) & (runs.c.run_id == usage_record.c.run_id)
    found = sa.select(runs.c.workflow).where(mine).correlate(usage_record).scalar_subquery()
    return sa.func.coalesce(found, sa.literal_column("''"))


def unindexed(query: UsageQuery) -> list[sa.ColumnElement[bool]]:
    """The same, said so that no index is used for them: of few records, found by another one, those that count."""
    started = usage_record.c.started_us + sa.literal_column("0")
    found: list[sa.ColumnElement[bool]] = [
        _filtered(name).concat(sa.literal_column("''")) == value for name, value in filters(query).items()
    ]
    if query.since_us is not None:
        found.append(started >= query.since_us)
    if query.until_us is not None:
        found.append(started < query.until_us)
    return found


def record_value(name: str) -> sa.ColumnElement[Any]:
    """What one usage record adds to one of `schema_rollup.ROLLUP_SUMS`; never NULL."""
    columns = usage_record.c
    if name == "requests":
        return sa.literal_column("1")
    if name == "errors":
        return sa.case((columns.ending.in_(SUCCEEDED), 0), else_=1)
    if name == "uncosted":
        return sa.case((columns.provider_cost_usd.is_(None), 1), else_=0)
    if name == "first_tokens":
        return sa.case((columns.first_token_ms.is_(None), 0), else_=1)
    if name == "first_token_us":
        # Whole microseconds: a sum of floats would depend on the order of the rows.
        return sa.func.coalesce(sa.cast(sa.func.round(columns.first_token_ms * 1000), sa.BigInteger), 0)
    column = columns[name]
    return sa.func.coalesce(column, 0) if column.nullable else column


def record_sum(name: str) -> sa.ColumnElement[Any]:
    """One of `schema_rollup.ROLLUP_SUMS` over usage records: 0 where there are none."""
    return sa.func.count() if name == "requests" else sa.func.coalesce(sa.func.sum(record_value(name)), 0)


def dimension(name: str, dialect: str) -> sa.ColumnElement[Any]:
    """The expression of a dimension that is not a time. Raises InvalidRequest for an unknown one."""
    if name in COLUMNS:
        return COLUMNS[name]
    if name == WORKFLOW:
        return workflow_of_run()
    if name.startswith(TAG) and len(name) > len(TAG):
        return tag_value(name.removeprefix(TAG), dialect)
    raise InvalidRequest(f"usage cannot be grouped by {name!r}", "unknown_dimension", param="by")


def tag_value(name: str, dialect: str) -> sa.ColumnElement[str]:
    """A caller's tag by its name, "" where a record has none."""
    document = tag_document(dialect)
    if dialect == "postgresql":
        found: sa.ColumnElement[Any] = sa.cast(document, sa.JSON).op("->>", return_type=sa.Text())(name)
    else:
        # A path (json_extract) has no way to name a tag with a quotation mark in it; the table of members has.
        members = sa.func.json_each(document).table_valued("key", "value")
        value = sa.select(sa.cast(members.c.value, sa.Text)).where(members.c.key == name).limit(1)
        found = value.correlate(usage_record).scalar_subquery()
    return sa.func.coalesce(found, "")


def tag_document(dialect: str) -> sa.ColumnElement[Any]:
    """A record's tags where they are a JSON object that either database can read, else NULL.

    A NUL character in them fails PostgreSQL where it takes any member out, and is in no text of its own.
    """
    tags = usage_record.c.tags
    if dialect == "postgresql":
        return sa.case((tags.like("{%}") & tags.not_like(r"%\\u0000%"), tags))
    nul = sa.func.instr(tags, r"\u0000") > 0
    return sa.case((tags.like("{%") & ~nul & (sa.func.json_valid(tags) == 1), tags))
