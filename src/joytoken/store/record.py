"""Usage records as rows: the hot insert's text, and both directions of the conversion.

Nothing here needs a database: a process that only reads a journal has rows, too.
"""

import functools
from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

import msgspec

from joytoken.domain.record import UsageRecord

RECORD_FIELDS: tuple[str, ...] = UsageRecord.__struct_fields__
RECORD_COLUMNS: tuple[str, ...] = (*RECORD_FIELDS, "worker", "epoch", "seq")  # what an insert names
RECORD_LIST = ", ".join(RECORD_FIELDS)
_STREAMED = RECORD_FIELDS.index("streamed")
STARTED = RECORD_FIELDS.index("started_us")  # in a `record_row`


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
NULLABLE = frozenset([field.name for field in msgspec.structs.fields(UsageRecord) if field.default is None])
_EMPTY = msgspec.structs.astuple(UsageRecord(""))
_NOTHING = tuple([(itemgetter(*group), itemgetter(*group)(_EMPTY)) for group in _GROUPS])


def empty_groups(rows: Sequence[tuple[Any, ...]]) -> tuple[int, ...]:
    """The numbers of the groups that these `record_row` tuples have nothing of."""
    return tuple([number for number, (get, nothing) in enumerate(_NOTHING) if all(map(nothing.__eq__, map(get, rows)))])


@functools.cache
def insert_places(without: tuple[int, ...]) -> tuple[int, ...]:
    """Which values of a `record_row` an insert takes that does without these groups."""
    out = {at for number in without for at in _GROUPS[number]}
    return tuple([at for at in range(len(RECORD_COLUMNS)) if at not in out])


@functools.cache
def usage_insert_sql(table: str, rows: int = 1, without: tuple[int, ...] = (), *, numbered: bool = False) -> str:
    """The insert of so many usage records into a month's table on SQLite, for `run_text`.

    Its parameters are the values at `insert_places(without)` of their `record_row` tuples, one after the other;
    `numbered`: each with its arrival number before it, which else is the one after the table's greatest. A record that
    is there already is left as it is; a caller that must know which were new asks for those ids first, in the same
    transaction.
    """
    names = [RECORD_COLUMNS[at] for at in insert_places(without)]
    if numbered:
        names.insert(0, "ingest_seq")
    row = f"({', '.join('?' * len(names))})"
    columns, values = ", ".join(names), ", ".join([row] * rows)
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
