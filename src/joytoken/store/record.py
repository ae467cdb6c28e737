"""Usage records as rows: the hot insert's text, and both directions of the conversion."""

from collections.abc import Sequence
from typing import Any

import msgspec

from joytoken.domain.record import UsageRecord
from joytoken.store.schema import RECORD_COLUMNS, RECORD_FIELDS

RECORD_LIST = ", ".join(RECORD_FIELDS)
_STREAMED = RECORD_FIELDS.index("streamed")


def usage_insert_sql(paramstyle: str = "qmark", rows: int = 1) -> str:
    """The insert of so many usage records, for `exec_driver_sql` with their `record_row` tuples one after the other.

    `paramstyle` is the dialect's: ``conn.dialect.paramstyle``. A record that is there already is left as it is; a
    caller that must know which were new asks for those ids first, in the same transaction.
    """
    mark = {"qmark": "?", "format": "%s", "pyformat": "%s"}[paramstyle]
    row = f"({', '.join([mark] * len(RECORD_COLUMNS))})"
    columns, values = ", ".join(RECORD_COLUMNS), ", ".join([row] * rows)
    return f"INSERT INTO usage_record ({columns}) VALUES {values} ON CONFLICT (request_id) DO NOTHING"  # noqa: S608


def record_row(record: UsageRecord, worker: str, epoch: int, seq: int) -> tuple[Any, ...]:
    """A record as the parameters of `usage_insert_sql`: its fields, then the worker, epoch and journal number."""
    return (*msgspec.structs.astuple(record), worker, epoch, seq)


# One parameter instead of 54 for each record, and one text that stays prepared. The rows keep their order.
USAGE_INSERT_JSON = (
    f"INSERT INTO usage_record ({', '.join(RECORD_COLUMNS)}) SELECT {', '.join(RECORD_COLUMNS)} "  # noqa: S608
    "FROM json_populate_recordset(NULL::usage_record, %s::json) ON CONFLICT (request_id) DO NOTHING"
)


def rows_json(rows: Sequence[tuple[Any, ...]]) -> str:
    """`record_row` tuples as the parameter of `USAGE_INSERT_JSON`, for PostgreSQL.

    Its texts have no NUL character, and no batch may ever be refused for one: it becomes U+FFFD.
    """
    return msgspec.json.encode([dict(zip(RECORD_COLUMNS, map(_plain, row), strict=True)) for row in rows]).decode()


def _plain(value: Any) -> Any:
    if type(value) is str:
        return value.replace("\0", "\ufffd")
    return "\\x" + value.hex() if type(value) is bytes else value


def record_of(row: Sequence[Any]) -> UsageRecord:
    """The record of a row that was selected by `RECORD_LIST`."""
    record = UsageRecord(*row)
    record.streamed = bool(row[_STREAMED])  # SQLite knows no booleans
    return record
