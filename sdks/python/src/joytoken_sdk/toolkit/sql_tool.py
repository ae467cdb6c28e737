"""A tool that asks a database."""

import base64
import contextlib
import functools
import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.json_value import JsonObject
from joytoken_sdk.toolkit.argument import object_schema, text_argument
from joytoken_sdk.toolkit.sql_statement import NotReadOnly, check_read_only

DEFAULT_SQL_MAX_ROWS = 200
"""How many rows of a result are told."""

DEFAULT_SQL_TIMEOUT_S = 30.0
"""How long a statement may take, in seconds."""

_RESULT_BYTES_MAX = 1 << 20


class SqlCursor(Protocol):
    """A cursor of DB-API 2.0."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None: ...

    @property
    def rowcount(self) -> int: ...

    def execute(self, operation: str, /) -> Any: ...

    def fetchone(self) -> Any: ...

    def close(self) -> Any: ...


class SqlConnection(Protocol):
    """A connection of DB-API 2.0, such as one of `sqlite3` or `psycopg`."""

    def cursor(self) -> Any: ...

    def commit(self) -> Any: ...

    def rollback(self) -> Any: ...


ReadOnlySession: TypeAlias = Callable[[Any], contextlib.AbstractContextManager[None]]
"""Takes a connection and makes its session read-only for as long as it is entered."""


@dataclass(frozen=True, slots=True)
class SqlConfig:
    """What `sql_query` may do on a connection, which nothing else should use meanwhile."""

    connection: SqlConnection
    """For `sqlite3` opened with `check_same_thread=False`: tools may run in threads."""
    read_only: bool = True
    """Refuses statements that write: by their words, and by a session that cannot write. It does not keep a statement
    from calling functions of the database: give the tool a database user of few rights."""
    max_rows: int = DEFAULT_SQL_MAX_ROWS
    timeout_s: float = DEFAULT_SQL_TIMEOUT_S
    """Bounds a statement where the connection has `interrupt`, as `sqlite3` has it, or `cancel`, as `psycopg`."""
    read_only_session: ReadOnlySession | None = None
    """How the session is made read-only, where the database is neither SQLite nor PostgreSQL."""


def sql_query(config: SqlConfig) -> AgentTool:
    """Return a tool that runs one SQL statement.

    One that reads gives `columns`, `rows` (lists of values), `row_count` and `truncated`; one that writes gives
    `rows_affected`.
    """
    only = " that only reads" if config.read_only else ""
    return AgentTool(
        name="sql_query",
        description=f"Run one SQL statement{only}.",
        parameters=object_schema({"sql": "The statement."}, ["sql"]),
        execute=functools.partial(_execute, config, threading.Lock()),
    )


def _execute(config: SqlConfig, one_at_a_time: threading.Lock, given: Any, _: ToolExecutionContext) -> JsonObject:
    try:
        statement = text_argument(given, "sql")
        writes = _may_write(config, statement)
        with one_at_a_time, _interrupted_late(config):
            return _write(config, statement) if writes else _read(config, statement)
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        raise ValueError(f"sql_query: {error}") from None


@contextlib.contextmanager
def _interrupted_late(config: SqlConfig) -> Generator[None, None, None]:
    """Have the database give a statement up that takes too long."""
    interrupt = getattr(config.connection, "interrupt", None) or getattr(config.connection, "cancel", None)
    late = threading.Event()

    def give_up() -> None:
        late.set()
        if interrupt is not None:
            interrupt()

    timer = threading.Timer(config.timeout_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise TimeoutError(f"it took more than {config.timeout_s:g} s") from error
        raise
    finally:
        timer.cancel()
        timer.join()


def _may_write(config: SqlConfig, statement: str) -> bool:
    try:
        check_read_only(statement)
    except NotReadOnly:
        if config.read_only:
            raise
        return True
    return False


def _write(config: SqlConfig, statement: str) -> JsonObject:
    connection = config.connection
    with contextlib.closing(cast("SqlCursor", connection.cursor())) as cursor:
        try:
            cursor.execute(statement)
            affected = cursor.rowcount
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
    return {"rows_affected": affected if affected >= 0 else None, "read_only": False}


def _read(config: SqlConfig, statement: str) -> JsonObject:
    """Run a statement in a session that cannot write, where that is asked for, and take back whatever it did."""
    connection = config.connection
    session = _session_of(config)(connection) if config.read_only else contextlib.nullcontext()
    with session, contextlib.closing(cast("SqlCursor", connection.cursor())) as cursor:
        try:
            cursor.execute(statement)
            return _collected(cursor, config.max_rows)
        finally:
            connection.rollback()


def _session_of(config: SqlConfig) -> ReadOnlySession:
    if config.read_only_session is not None:
        return config.read_only_session
    return _held_sqlite if isinstance(config.connection, sqlite3.Connection) else _held_transaction


@contextlib.contextmanager
def _held_sqlite(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Make a session of SQLite read-only, and put it back."""
    connection.rollback()  # an open transaction of somebody else would be mixed up with this one
    (before,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = ON")
    try:
        (now,) = connection.execute("PRAGMA query_only").fetchone()
        if now != 1:
            raise ValueError("the session cannot be made read-only")
        yield
    finally:
        if not before:
            connection.execute("PRAGMA query_only = OFF")


@contextlib.contextmanager
def _held_transaction(connection: SqlConnection) -> Generator[None, None, None]:
    """Hold a statement in a transaction of PostgreSQL that cannot write."""
    connection.rollback()
    with contextlib.closing(cast("SqlCursor", connection.cursor())) as cursor:
        try:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute("SHOW transaction_read_only")
            held = list(cursor.fetchone() or ())
        except Exception as error:
            connection.rollback()
            raise ValueError(f"the session cannot be made read-only: {error}") from error
    if held != ["on"]:
        raise ValueError("the session cannot be made read-only: its connection commits by itself")
    yield


def _collected(cursor: SqlCursor, max_rows: int) -> JsonObject:
    columns = [str(column[0]) for column in cursor.description or ()]
    rows: list[list[Any]] = []
    size, truncated = 0, False
    while columns and (row := cursor.fetchone()) is not None:
        values = [_plain(value) for value in row]
        size += sum(len(value) if isinstance(value, str) else 8 for value in values)
        truncated = len(rows) == max_rows or size > _RESULT_BYTES_MAX
        if truncated:
            break
        rows.append(values)
    return {"columns": columns, "rows": rows, "row_count": len(rows), "truncated": truncated}


def _plain(value: object) -> Any:
    """Return a database's value as JSON has it."""
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(cast("bytes", value))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return base64.b64encode(data).decode()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no infinity
    shown = getattr(value, "isoformat", None)
    return str(value) if shown is None else shown()
