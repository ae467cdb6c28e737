"""Hearing every statement of an engine, whichever way it goes to the driver."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from joytoken.store import statement

Heard = Callable[[sa.Connection, str], None]


class _Cursor:
    """The driver's cursor, which tells of each statement before it is sent."""

    def __init__(self, conn: sa.Connection, cursor: Any, heard: Heard) -> None:
        self._conn, self._cursor, self._heard = conn, cursor, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, text: str, values: Any) -> None:
        self._heard(self._conn, text)
        self._cursor.execute(text, values)

    def executemany(self, text: str, rows: Any) -> None:
        self._heard(self._conn, text)
        self._cursor.executemany(text, rows)


def hear(monkeypatch: pytest.MonkeyPatch, engine: sa.Engine, heard: Heard) -> None:
    """Tell of each statement of an engine before it is sent; what is raised then comes out of the statement."""
    open_cursor = statement.open_cursor

    def opened(conn: sa.Connection) -> Any:
        cursor = open_cursor(conn)
        return _Cursor(conn, cursor, heard) if conn.engine is engine else cursor

    monkeypatch.setattr(statement, "open_cursor", opened)
    sa.event.listen(engine, "before_cursor_execute", lambda conn, cursor, text, *_: heard(conn, text))
