"""Usage records as rows: the hot insert's text, and both directions of the conversion.

Nothing here needs a database: a process that only reads a journal has rows, too.
"""

import functools
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from joytoken.domain.record import EMPTY_FIELDS, UsageRecord

RECORD_FIELDS: tuple[str, ...] = UsageRecord.__struct_fields__
RECORD_COLUMNS: tuple[str, ...] = (*RECORD_FIELDS, "worker", "epoch", "seq")  # what an insert names
RECORD_LIST = ", ".join(RECORD_FIELDS)
_STREAMED = RECORD_FIELDS.index("streamed")
# In a `record_row`.
STARTED, CHARGED = RECORD_FIELDS.index("started_us"), RECORD_FIELDS.index("charged")


# What most batches have nothing of. Where a whole batch has none of a group, its columns are not named and take their
# defaults: half of an insert's cost is handing values over. Groups and not columns: few texts, so each stays prepared.
GROUPS = (
    ("correlation_id", "application", "environment", "task", "end_user", "tags", "provider_request_id"),
    ("cached_input_tokens", "cache_write_tokens", "audio_input_tokens", "audio_output_tokens", "reasoning_tokens"),
    ("shortfall", "error_code"),
    ("provider_cost_usd", "margin_usd"),
    ("first_token_ms", "stream_ms"),
    ("run_id", "parent_run_id"),
)
_GROUPS = tuple([tuple([RECORD_COLUMNS.index(name) for name in group]) for group in GROUPS])
# Columns of which each record has its own value, whatever else records have in common.
_OWN = frozenset([RECORD_COLUMNS.index(name) for name in ("request_id", "billing_id", "seq")])
NULLABLE = frozenset([field.name for field in msgspec.structs.fields(UsageRecord) if field.default is None])


class Shape(NamedTuple):
    """What an insert does not say of each of its records."""

    without: tuple[int, ...] = ()  # groups that none of them has anything of, and that are not named
    common: tuple[int, ...] = ()  # columns in which all of them have the same, given once


FULL = Shape()
NO_GROUPS = Shape(tuple(range(len(GROUPS))))
LEAST = Shape(NO_GROUPS.without, tuple([at for at in range(len(RECORD_COLUMNS)) if at not in _OWN]))


def shape_of(rows: Sequence[tuple[Any, ...]], within: Shape = LEAST) -> Shape:
    """The shape that these `record_row` tuples have.

    `within`: no more than it is looked for. Who gives that of the records before gets a few shapes in all, so that
    there are few texts and each stays prepared; and that it is still the same is soon seen.
    """
    get, empty = _not_said(within)
    if get is not None:
        first = get(rows[0])
        if first[: len(empty)] == empty and list(map(get, rows)).count(first) == len(rows):
            return within
    columns = list(zip(*rows, strict=True))
    without = [n for n in within.without if all(_alike(columns[at], EMPTY_FIELDS[at]) for at in _GROUPS[n])]
    return Shape(tuple(without), tuple([at for at in within.common if _alike(columns[at], columns[at][0])]))


@functools.cache
def _not_said(shape: Shape) -> tuple[Callable[[Any], Any] | None, tuple[Any, ...]]:
    """What takes the values that a shape is about of a row, and what the first of them are."""
    out = [at for number in shape.without for at in _GROUPS[number]]
    places = [*out, *insert_places(shape)[0]]
    return itemgetter(*places) if len(places) > 1 else None, tuple([EMPTY_FIELDS[at] for at in out])


def _alike(column: tuple[Any, ...], value: Any) -> bool:
    return column.count(value) == len(column)


@functools.cache
def insert_places(shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which values of `record_row` tuples an insert of this shape takes: of the first of them, and of each."""
    out = {at for number in shape.without for at in _GROUPS[number]}
    once = tuple([at for at in shape.common if at not in out])
    return once, tuple([at for at in range(len(RECORD_COLUMNS)) if at not in out and at not in once])


@functools.cache
def usage_insert_sql(table: str, rows: int = 1, shape: Shape = FULL, *, numbered: bool = False) -> str:
    """The insert of so many usage records into a month's table on SQLite, for `run_text`.

    Its parameters are the values at `insert_places(shape)` of their `record_row` tuples: those of the first, and then
    one record's after the other's. `numbered`: each with its arrival number before them, which else is the one after
    the table's greatest. A record that is there already is left as it is; a caller that must know which were new asks
    for those ids first, in the same transaction.
    """
    once, each = insert_places(shape)
    own = ["ingest_seq"] * numbered + [RECORD_COLUMNS[at] for at in each]
    row = f"({', '.join([*[f'?{number}' for number in range(1, len(once) + 1)], *'?' * len(own)])})"
    columns = ", ".join([*[RECORD_COLUMNS[at] for at in once], *own])
    values = ", ".join([row] * rows)
    return f"INSERT INTO {table} ({columns}) VALUES {values} ON CONFLICT (request_id) DO NOTHING"  # noqa: S608


def record_row(record: UsageRecord, worker: str, epoch: int, seq: int) -> tuple[Any, ...]:
    """A record as the parameters of `usage_insert_sql`: its fields, then the worker, epoch and journal number."""
    return (*msgspec.structs.astuple(record), worker, epoch, seq)


def usage_insert_json(table: str, *, numbered: bool = False) -> str:
    """The same for PostgreSQL: one parameter instead of 54 for each record, and one text that stays prepared.

    The rows keep their order. `numbered`: they bring their arrival numbers, which else come from a sequence.
    """
    columns = ", ".join(("ingest_seq", *RECORD_COLUMNS) if numbered else RECORD_COLUMNS)
    return (
        f"INSERT INTO {table} ({columns}) SELECT {columns} "  # noqa: S608
        "FROM json_populate_recordset(NULL::usage_blank, %s::json) ON CONFLICT (request_id) DO NOTHING"
    )


# A row as an object, encoded by its fields; null is what a missing one is.
_Row = msgspec.defstruct(
    "_Row", [(name, Any, None) for name in (*RECORD_COLUMNS, "ingest_seq")], omit_defaults=True, gc=False
)
_DETAIL = RECORD_COLUMNS.index("detail")
_NUL = "\\u0000"  # as JSON has it


def rows_json(rows: Sequence[tuple[Any, ...]], numbers: Sequence[int] = ()) -> str:
    """`record_row` tuples, with their arrival numbers where these are given, as the parameter of `usage_insert_json`.

    Its texts have no NUL character, and no batch may ever be refused for one: it becomes U+FFFD.
    """
    said = _objects(rows, numbers)
    if _NUL in said:  # or a backslash before such letters, which does no harm
        said = _objects([tuple(map(_without_nul, row)) for row in rows], numbers)
    return said


def _objects(rows: Sequence[tuple[Any, ...]], numbers: Sequence[int]) -> str:
    numbered = zip(rows, numbers or repeat(None, len(rows)), strict=True)
    made = [_Row(*r[:_DETAIL], "\\x" + r[_DETAIL].hex(), *r[_DETAIL + 1 :], number) for r, number in numbered]
    return msgspec.json.encode(made).decode()


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if type(value) is str else value


def record_of(row: Sequence[Any]) -> UsageRecord:
    """The record of a row that was selected by `RECORD_LIST`."""
    record = UsageRecord(*row)
    record.streamed = bool(row[_STREAMED])  # SQLite knows no booleans
    return record
