"""Statements of the hot paths: written with SQLAlchemy like all others, compiled once, and then the driver's.

SQLAlchemy looks at each execution anew, which takes several times as long as SQLite takes for a short statement, and
keeps the interpreter's lock meanwhile. A flush has a dozen of them. Here its compiler says once how a statement reads
on a database, and from then on text and values go to the driver as they are: so values are what the driver knows.
Failures are SQLAlchemy's all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
Values = Mapping[str, Any]
_LISTED_MAX = 1_024  # names for which a text is made per power of two, so that there are few texts
_NOTHING: Values = {}
_Text = tuple[str, Sequence[str] | None, dict[str, Any]]


class Statement:
    """One statement. `columns`: of an insert that does not name its values."""

    def __init__(self, said: sa.Select[Any] | sa.Insert | sa.Update | sa.Delete, columns: Sequence[str] = ()) -> None:
        self._said = said
        self._columns = list(columns) or None
        self._texts: dict[str, _Text] = {}

    def rows(self, conn: sa.Connection, values: Values = _NOTHING) -> list[tuple[Any, ...]]:
        """What it selects."""
        text, made = self._made(conn, values)
        return select_text(conn, text, made)

    def row(self, conn: sa.Connection, values: Values = _NOTHING) -> tuple[Any, ...] | None:
        """The first row of what it selects."""
        found = self.rows(conn, values)
        return found[0] if found else None

    def run(self, conn: sa.Connection, values: Values) -> int:
        """Change something; returns how many rows."""
        text, made = self._made(conn, values)
        return run_text(conn, text, made)

    def run_many(self, conn: sa.Connection, rows: Sequence[Values]) -> int:
        """Change something for each of these; returns how many rows in all."""
        text, names, given = self._text(conn)
        made = [_filled(names, given, row) for row in rows]

        def send(cursor: Any) -> int:
            cursor.executemany(text, made)
            return int(cursor.rowcount)

        return _sent(conn, text, send)

    def _made(self, conn: sa.Connection, values: Values) -> tuple[str, Any]:
        text, names, given = self._text(conn)
        return text, _filled(names, given, values)

    def _text(self, conn: sa.Connection) -> _Text:
        found = self._texts.get(conn.dialect.name)
        if found is None:
            found = self._texts[conn.dialect.name] = _compiled(self._said, conn.dialect, self._columns)
        return found


class Listing:
    """A statement about several names. `said` makes it, given what stands for each of them."""

    def __init__(self, said: Callable[[list[sa.BindParameter[str]]], sa.Select[Any] | sa.Delete]) -> None:
        self._said = said
        self._statements: dict[int, Statement] = {}

    def rows(self, conn: sa.Connection, names: Sequence[str], values: Values = _NOTHING) -> list[tuple[Any, ...]]:
        """What it selects; of no names, nothing."""
        return self._of(names).rows(conn, _named(names, values)) if names else []

    def run(self, conn: sa.Connection, names: Sequence[str], values: Values = _NOTHING) -> int:
        """Change something; returns how many rows."""
        return self._of(names).run(conn, _named(names, values)) if names else 0

    def _of(self, names: Sequence[str]) -> Statement:
        size = _size(len(names))
        found = self._statements.get(size)
        if found is None:
            found = self._statements[size] = Statement(self._said([_parameter(n) for n in range(size)]))
        return found


def open_cursor(conn: sa.Connection) -> Any:
    """A cursor of the driver's own, for one statement."""
    return conn.connection.cursor()


def run_text(conn: sa.Connection, text: str, values: Any = ()) -> int:
    """Give the driver a text; returns how many rows it changed."""

    def send(cursor: Any) -> int:
        cursor.execute(text, values)
        return int(cursor.rowcount)

    return _sent(conn, text, send)


def select_text(conn: sa.Connection, text: str, values: Any = ()) -> list[tuple[Any, ...]]:
    """Give the driver a text; returns the rows that it selects."""

    def send(cursor: Any) -> list[tuple[Any, ...]]:
        cursor.execute(text, values)
        return list(cursor.fetchall())

    return _sent(conn, text, send)


def _sent(conn: sa.Connection, text: str, send: Callable[[Any], T]) -> T:
    """What comes of a text; a failure of the driver, also where it gives no cursor, by SQLAlchemy's name."""
    cursor = None
    try:
        cursor = open_cursor(conn)
        return send(cursor)
    except _driver(conn).Error as failure:
        _raise(conn, cursor, text, failure)
    finally:
        if cursor is not None:
            cursor.close()


def _compiled(said: Any, dialect: sa.Dialect, columns: list[str] | None) -> _Text:
    compiled = said.compile(dialect=dialect, column_keys=columns)
    return str(compiled), compiled.positiontup if compiled.positional else None, compiled.params


def _filled(names: Sequence[str] | None, given: dict[str, Any], values: Values) -> Any:
    every = {**given, **values}
    return every if names is None else tuple([every[name] for name in names])


def _parameter(number: int) -> sa.BindParameter[str]:
    return sa.bindparam(f"name_{number}", type_=sa.String())


def _size(count: int) -> int:
    return count if count > _LISTED_MAX else 1 << (count - 1).bit_length()


def _named(names: Sequence[str], values: Values) -> dict[str, Any]:
    more = [names[-1]] * (_size(len(names)) - len(names))  # the last one again
    named: dict[str, Any] = {f"name_{number}": name for number, name in enumerate([*names, *more])}
    named.update(values)
    return named


def _driver(conn: sa.Connection) -> Any:
    return conn.dialect.loaded_dbapi


def _raise(conn: sa.Connection, cursor: Any, text: str, failure: Any) -> NoReturn:
    """Raise what SQLAlchemy would; a connection that is gone does not go back to the others."""
    gone = conn.dialect.is_disconnect(failure, conn.connection.dbapi_connection, cursor)
    if gone:
        conn.invalidate(failure)
    raise sa.exc.DBAPIError.instance(
        text,
        None,
        failure,
        _driver(conn).Error,
        hide_parameters=True,
        connection_invalidated=gone,
        dialect=conn.dialect,
    ) from failure
