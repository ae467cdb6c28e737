"""SQL: what is no reading statement for any database is refused, and a session cannot write whatever its words."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vectors import joined, vectors

from joytoken_sdk.agent.tool import ToolExecutionContext
from joytoken_sdk.toolkit import SqlConfig, is_read_only_statement, sql_query
from joytoken_sdk.toolkit.sql_statement import check_read_only

CONTEXT = ToolExecutionContext(step=1, tool_call={}, messages=[])


@vectors("sql-statements")
def test_vectors_sql_statements(case: dict[str, Any]) -> None:
    statement = joined(case["input"])
    assert is_read_only_statement(statement) == (case["expect"] == "reading")
    try:
        check_read_only(statement)
        found = "reading"
    except ValueError as refused:
        found = {"the statement is too long": "long", "empty statement": "empty"}.get(str(refused), "other")
    assert found == case["expect"]


PIECES = ["$", "$a", ":", "::", "$a(", "/*", "*/", "'", "\\'", "[", "]]", "--", "e'", "(", "é", "\r", "$$", "$a$b"]


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_statement_of_any_signs_is_looked_at_in_one_go(piece: str) -> None:
    assert not is_read_only_statement(piece * (60_000 // len(piece.encode())) + " delete")


@pytest.mark.parametrize("text", ["/*", "'", "$", "$a", "[", "--", "e'", "/*!", "\\", "`", "explain (", "pragma a."])
def test_the_check_ends(text: str) -> None:
    assert not is_read_only_statement(text * 500)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "a.db", check_same_thread=False)
    connection.execute("CREATE TABLE t (n INTEGER, name, data BLOB)")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(1, "a", b"hi"), (2, None, b"\xff")])
    connection.commit()
    yield connection
    connection.close()


def ask(config: SqlConfig, statement: Any) -> Any:
    return sql_query(config).execute({"sql": statement}, CONTEXT)


def count(database: sqlite3.Connection) -> int:
    return database.execute("SELECT count(*) FROM t").fetchone()[0]


@pytest.mark.parametrize(
    "statement",
    [
        "select 1 --\r; delete from t",
        "select 1 /*! ' */ ; delete from t -- '",
        "select 1 as [a]] ' ] ; delete from t -- '",
        "select 1 as a$$, $$ [ # $$ ; commit; delete from t where x <> $$ ] $$ -- $$",
    ],
)
def test_a_second_statement_is_not_read_as_a_string(database: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        ask(SqlConfig(database), statement)


def test_what_reads_is_told_with_its_columns(database: sqlite3.Connection) -> None:
    told = ask(SqlConfig(database), "select n, name, data, 0.5 as half, 9e999 as much from t")
    assert told == {
        "columns": ["n", "name", "data", "half", "much"],
        "rows": [[1, "a", "hi", 0.5, "inf"], [2, None, "/w==", 0.5, "inf"]],
        "row_count": 2,
        "truncated": False,
    }


def test_what_is_told_is_bounded(database: sqlite3.Connection) -> None:
    many = "with recursive x(n) as (select 1 union all select n + 1 from x limit 300) select n from x"
    assert ask(SqlConfig(database), many)["row_count"] == 200
    whole = ask(SqlConfig(database, max_rows=300), many)
    assert (whole["row_count"], whole["truncated"]) == (300, False)
    large = ask(SqlConfig(database), "select n, printf('%.900000c', 'x') from t")
    assert (large["row_count"], large["truncated"]) == (1, True)


def test_what_writes_is_refused_or_carried_out(database: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="sql_query: only read-only statements are allowed"):
        ask(SqlConfig(database), "delete from t")
    assert count(database) == 2
    assert ask(SqlConfig(database, read_only=False), "delete from t where n = 1") == {
        "rows_affected": 1,
        "read_only": False,
    }
    assert count(database) == 1


def test_the_session_cannot_write_whatever_the_words_say(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second fence alone: the words are let through."""
    monkeypatch.setattr("joytoken_sdk.toolkit.sql_tool.check_read_only", lambda _statement: None)
    with pytest.raises(ValueError, match="readonly"):
        ask(SqlConfig(database), "delete from t")
    assert count(database) == 2
    database.execute("insert into t values (3, 'c', null)")  # it is as it was before
    database.commit()
    assert count(database) == 3


def test_a_statement_that_takes_too_long_is_given_up(database: sqlite3.Connection) -> None:
    endless = "with recursive x(n) as (select 1 union all select n + 1 from x) select count(*) from x"
    with pytest.raises(ValueError, match=r"sql_query: it took more than 0\.2 s"):
        ask(SqlConfig(database, timeout_s=0.2), endless)
    assert ask(SqlConfig(database), "select 1 as a")["rows"] == [[1]]


class Session:
    """A connection of PostgreSQL as a driver has it, in a transaction or committing by itself."""

    def __init__(self, *, autocommit: bool) -> None:
        self.asked: list[str] = []
        self.read_only = "off" if autocommit else "on"
        self.description: Any = None
        self.rowcount = -1
        self._rows: list[tuple[Any, ...]] = []

    def cursor(self) -> "Session":
        return self

    def close(self) -> None:
        pass

    def commit(self) -> None:
        self.asked.append("commit")

    def rollback(self) -> None:
        self.asked.append("rollback")

    def execute(self, statement: str) -> None:
        self.asked.append(statement)
        shown = statement.startswith("SHOW")
        self.description = [("a",)]
        self._rows = [(self.read_only,)] if shown else [(7,)]

    def fetchone(self) -> Any:
        return self._rows.pop() if self._rows else None


def test_a_transaction_that_cannot_write_holds_other_databases() -> None:
    session = Session(autocommit=False)
    assert ask(SqlConfig(session), "select 7 as a")["rows"] == [[7]]
    held = ["rollback", "SET TRANSACTION READ ONLY", "SHOW transaction_read_only"]
    assert session.asked == [*held, "select 7 as a", "rollback"]


def test_a_session_that_cannot_be_held_is_not_asked() -> None:
    session = Session(autocommit=True)
    with pytest.raises(ValueError, match="cannot be made read-only"):
        ask(SqlConfig(session), "select 7 as a")
    assert "select 7 as a" not in session.asked
