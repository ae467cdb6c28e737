"""Runs in a SQLite database."""

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

from joytoken_sdk.agent.state import RunState, encode_run_state, parse_run_state

_TABLE = (
    "CREATE TABLE IF NOT EXISTS joytoken_run (run_id TEXT PRIMARY KEY, state TEXT NOT NULL, updated_at TEXT NOT NULL)"
)
_UPSERT = (
    "INSERT INTO joytoken_run (run_id, state, updated_at) VALUES (?, ?, ?) "
    "ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at"
)


class SqliteRunStore:
    """Keeps runs in the table `joytoken_run` of a SQLite database, which it makes where it is not there.

    It takes the path of a database, which it opens, or an open connection. One that an `AsyncAgent` uses has to be
    opened with `check_same_thread=False`, as the store does itself.
    """

    def __init__(self, database: str | Path | sqlite3.Connection) -> None:
        self._own = not isinstance(database, sqlite3.Connection)
        self._database = (
            database if isinstance(database, sqlite3.Connection) else sqlite3.connect(database, check_same_thread=False)
        )
        self._one_at_a_time = threading.Lock()
        with self._one_at_a_time, self._database:
            self._database.execute(_TABLE)

    def save(self, state: RunState) -> None:
        values = (state["run"]["id"], encode_run_state(state), datetime.now(UTC).isoformat(timespec="milliseconds"))
        with self._one_at_a_time, self._database:
            self._database.execute(_UPSERT, values)

    def load(self, run_id: str) -> RunState | None:
        with self._one_at_a_time:
            row = self._database.execute("SELECT state FROM joytoken_run WHERE run_id = ?", (run_id,)).fetchone()
        return None if row is None else parse_run_state(row[0])

    def close(self) -> None:
        """Close the database, where the store opened it."""
        if self._own:
            self._database.close()
