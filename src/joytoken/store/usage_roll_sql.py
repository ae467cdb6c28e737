"""The statements by which records are carried into their sums: the database adds, and no row of theirs comes here.

Records go into tables of the transaction's own first, each record once, and from there into buckets of each size: what
came at one time mostly belongs to few of them. SQLite takes each row as it comes and adds it to the one that is there,
which is faster than its sorting; PostgreSQL does not change a row twice in one statement, and gets them as groups.
"""

import functools
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.latency import EDGES_MS
from joytoken.store.schema import metadata
from joytoken.store.schema_rollup import LATENCY_SUMS, ROLLUP_LABELS, ROLLUP_SUMS
from joytoken.store.usage_query import QUARTER_US, record_value, tag_document
from joytoken.store.usage_spans import DAY_QUARTERS, HOUR_QUARTERS

DAY_HOURS = 24
_HOUR_US, _DAY_US = HOUR_QUARTERS * QUARTER_US, DAY_QUARTERS * QUARTER_US
_USAGE = ("bucket", "label", "ending", "error_code")  # the keys of the transaction's own tables
_TAG = ("tag", "bucket", "value")
_LATENCY = ("bucket", "provider", "model", "slot")
_NUMBERS = {"bucket", "label", "slot"}


class Texts(msgspec.Struct, frozen=True):
    """SQL for one kind of database. Where `since` and `upto` are asked for, in this order, so often as there are."""

    own: tuple[str, ...]  # make the transaction's own tables, or empty them
    usage: str  # since, upto: records with their labels, by quarters
    usage_count: str
    usage_empty: str
    unlabelled: str  # since, upto: combinations of labels that have no number yet
    usage_into: tuple[str, ...]
    beside: str  # since, upto
    tags: str  # since, upto: by hours
    tags_into: tuple[str, ...]
    latency: str  # since, upto, since, upto: by hours
    latency_into: tuple[str, ...]


@functools.lru_cache(maxsize=8)
def texts(dialect: sa.Dialect) -> Texts:
    """The statements in a database's own words."""
    sqlite = dialect.name == "sqlite"
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    chosen = f"usage_record.ingest_seq > {mark} AND usage_record.ingest_seq <= {mark}"

    def said(expression: sa.ColumnElement[Any]) -> str:
        return str(expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))

    def add(
        into: str, keys: Sequence[str], by: Sequence[str], sums: Sequence[str], of: Sequence[str], rest: str
    ) -> str:
        own = into.startswith("own_")
        values = of if sqlite else [f"SUM({value})" for value in of]
        found = f"INSERT INTO {into} ({', '.join((*keys, *sums))}) SELECT {', '.join((*by, *values))} FROM {rest}"  # noqa: S608
        if not sqlite:
            found += f" GROUP BY {', '.join(str(n + 1) for n in range(len(keys)))}"
        if sqlite or not own:
            added = ", ".join(f"{part} = {into}.{part} + excluded.{part}" for part in sums)
            found += f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}"
        return found

    def further(table: str, own: str, sums: Sequence[str], size: int) -> str:
        keys = [column.name for column in metadata.tables[table].primary_key.columns]
        by = [f"bucket / {size}" if name == "bucket" and size > 1 else name for name in keys]
        return add(table, keys, by, sums, sums, f"{own} WHERE true")

    values = [said(record_value(name)) for name in ROLLUP_SUMS]
    same = " AND ".join(f"usage_label.{name} = usage_record.{name}" for name in ROLLUP_LABELS)
    labelled = [f"started_us / {QUARTER_US}", "usage_label.id", "ending", "error_code"]
    columns = ", ".join(f"usage_record.{name}" for name in ROLLUP_LABELS)
    unlabelled = f"SELECT DISTINCT {columns} FROM usage_record WHERE {chosen}"  # noqa: S608
    unlabelled += f" AND NOT EXISTS (SELECT 1 FROM usage_label WHERE {same})"  # noqa: S608
    members, document = ("json_each", "") if sqlite else ("json_each_text", "::json")
    member = "CAST(member.value AS TEXT)"
    tagged = f"usage_record CROSS JOIN {members}(({said(tag_document(dialect.name))}){document}) AS member"
    tagged += f" WHERE {chosen} AND usage_record.tags <> '' AND member.key <> '' AND {member} <> ''"
    return Texts(
        own=_own(sqlite=sqlite),
        # SQLite joins them in this order, and finds each record's labels by their index.
        usage=add("own_usage", _USAGE, labelled, ROLLUP_SUMS, values,
                  f"usage_record CROSS JOIN usage_label WHERE {chosen} AND {same}"),
        usage_count="SELECT COALESCE(SUM(requests), 0) FROM own_usage",
        usage_empty="DELETE FROM own_usage",
        unlabelled=unlabelled,
        usage_into=(
            further("usage_quarter", "own_usage", ROLLUP_SUMS, 1),
            further("usage_hour", "own_usage", ROLLUP_SUMS, HOUR_QUARTERS),
            further("usage_day", "own_usage", ROLLUP_SUMS, DAY_QUARTERS),
            further("usage_ending_day", "own_usage", ROLLUP_SUMS, DAY_QUARTERS),
        ),
        beside=add("usage_end_user_day", ("bucket", "end_user"), (f"started_us / {_DAY_US}", "end_user"), ROLLUP_SUMS,
                   values, f"usage_record WHERE {chosen}"),
        tags=add("own_tag", _TAG, ("member.key", f"started_us / {_HOUR_US}", member), ROLLUP_SUMS, values, tagged),
        tags_into=(
            further("usage_tag_hour", "own_tag", ROLLUP_SUMS, 1),
            further("usage_tag_day", "own_tag", ROLLUP_SUMS, DAY_HOURS),
        ),
        latency=add("own_latency", _LATENCY, _LATENCY, LATENCY_SUMS, LATENCY_SUMS,
                    f"({_latencies(dialect, chosen)}) AS part WHERE true"),
        latency_into=(
            further("usage_latency_hour", "own_latency", LATENCY_SUMS, 1),
            further("usage_latency_day", "own_latency", LATENCY_SUMS, DAY_HOURS),
        ),
    )  # fmt: skip


def _own(*, sqlite: bool) -> tuple[str, ...]:
    found: list[str] = []
    for name, keys, sums in (
        ("own_usage", _USAGE, ROLLUP_SUMS),
        ("own_tag", _TAG, ROLLUP_SUMS),
        ("own_latency", _LATENCY, LATENCY_SUMS),
    ):
        text = "TEXT" if sqlite else 'TEXT COLLATE "C"'
        columns = [f"{key} {'BIGINT' if key in _NUMBERS else text} NOT NULL" for key in keys]
        columns += [f"{part} BIGINT NOT NULL" for part in sums]
        if sqlite:  # they stay with the connection
            columns.append(f"PRIMARY KEY ({', '.join(keys)})")
            found.append(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({', '.join(columns)}) WITHOUT ROWID")
            found.append(f"DELETE FROM {name}")  # noqa: S608
        else:
            found.append(f"CREATE TEMP TABLE {name} ({', '.join(columns)}) ON COMMIT DROP")
    return tuple(found)


def _latencies(dialect: sa.Dialect, chosen: str) -> str:
    """Records as rows of slots by hours: one for the whole time, and one for the first token where there was one."""
    errors = record_value("errors").compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    by = f"started_us / {_HOUR_US} AS bucket, provider, model"
    return (
        f"SELECT {by}, {slot_sql('total_ms')} AS slot, 1 AS requests, {errors} AS errors, 0 AS first_tokens"  # noqa: S608
        f" FROM usage_record WHERE {chosen}"
        f" UNION ALL SELECT {by}, {slot_sql('first_token_ms')}, 0, 0, 1"
        f" FROM usage_record WHERE {chosen} AND first_token_ms IS NOT NULL"
    )


@functools.cache
def slot_sql(column: str) -> str:
    """The slot of a time, as `domain.latency.slot_of` has it."""

    def between(low: int, high: int) -> str:
        if low == high:
            return str(low)
        middle = (low + high) // 2
        least, rest = between(low, middle), between(middle + 1, high)
        return f"CASE WHEN {column} < {EDGES_MS[middle]!r} THEN {least} ELSE {rest} END"

    return between(0, len(EDGES_MS))
