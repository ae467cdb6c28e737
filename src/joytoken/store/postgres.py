"""PostgreSQL: its connections, which of its failures pass, and the turns that SQLite's one writer gives for free.

Writers run at READ COMMITTED and lock what they change; readers see one moment (REPEATABLE READ, read-only). Nothing
waits without bound: locks, statements, idle transactions and silent connections all have their limit.
"""

import importlib
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from joytoken.store.statement import run_text

STATEMENT_MS = 30_000  # the longest statement; a migration and a proof have no bound
# The longest pause within a transaction. A process that stands still in one keeps everybody else from its locks, and
# they must not lose their leases' deadline by that.
IDLE_MS = 10_000
LONG_IDLE_MS = 60_000  # … of a migration, a proof, a copy
CONNECT_S = 5
RECYCLE_S = 1_800  # connections older than this are made anew, so that a moved server is found
# A peer that is gone without a word is noticed after about 25 s, or 10 s where something was sent to it.
_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_BRIEFLY_MS = 200  # for a lock that keeps everybody out
_LOCKS = 0x4A6F7954  # the first number of this project's advisory locks
_PASSING_CLASSES = ("08", "25", "40", "53", "55", "57", "58")  # away, a standby, conflicts, full, locked, stopped, disk
_AGAIN = {"40001", "40P01", "23505"}  # cannot be serialised, deadlock, somebody inserted it first


class Turn(IntEnum):
    """What only one transaction at a time does; it lasts to the transaction's end."""

    LEDGER = 1  # append to the hash chain
    CONFIGURATION = 2  # change keys, catalog or settings
    MIGRATION = 3
    ROLLUP = 4  # carry usage records into their sums
    MONTHS = 5  # make and drop the months of usage records


def take_turn(conn: sa.Connection, turn: Turn) -> None:
    """Wait for a turn, which lasts to the end of the transaction. SQLite has one writer anyway: nothing to do."""
    if conn.dialect.name != "sqlite":
        run_text(conn, f"SELECT pg_advisory_xact_lock({_LOCKS}, {int(turn)})")


def unbounded(conn: sa.Connection) -> None:
    """Let the statements of this transaction take as long as they take."""
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        conn.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {LONG_IDLE_MS}")


def lock_briefly(conn: sa.Connection) -> None:
    """Let the rest of this transaction wait for a lock only so long that nobody who waits behind it is held up."""
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql(f"SET LOCAL lock_timeout = {_BRIEFLY_MS}")


def _one_by_one() -> Any:
    """A cursor that sends the rows of an `executemany` one after the other.

    Psycopg would send them as a pipeline, behind whose end another message goes to the server. That one ends the pause
    that the server has begun to time: a process that stands still from there on keeps its locks for ever.
    """
    psycopg = importlib.import_module("psycopg")

    class OneByOne(psycopg.Cursor):  # type: ignore[misc, name-defined]
        _sum = -1

        def execute(self, *args: Any, **more: Any) -> Any:
            self._sum = -1
            return super().execute(*args, **more)

        def executemany(self, query: Any, params_seq: Iterable[Any]) -> None:
            count = 0
            for params in params_seq:
                super().execute(query, params)
                count += super().rowcount
            self._sum = count

        @property
        def rowcount(self) -> int:
            return int(self._sum if self._sum >= 0 else super().rowcount)

    return OneByOne


def postgres_engine(url: sa.URL, busy_ms: int, options: dict[str, Any]) -> sa.Engine:
    """An engine for a ``postgresql://`` URL: psycopg 3, bounded waits, dead connections replaced."""
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_S, "application_name": "joytoken", **_KEEPALIVE}
    # What the URL says itself goes first.
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={**arguments, "cursor_factory": _one_by_one()},
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_recycle=RECYCLE_S,
        **options,
    )

    def connected(raw: Any, _: object) -> None:
        with raw.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),"
                " set_config('idle_in_transaction_session_timeout', %s, false),"
                # An acknowledged batch leaves the journal, so a commit must outlive the server's crash.
                " CASE WHEN current_setting('synchronous_commit') = 'off'"
                " THEN set_config('synchronous_commit', 'on', false) END",
                (str(busy_ms), str(STATEMENT_MS), str(IDLE_MS)),
            )
        raw.commit()

    sa.event.listen(engine, "connect", connected)
    return engine


def passing(failure: DBAPIError) -> bool:
    """Whether the same call may succeed later."""
    state = getattr(failure.orig, "sqlstate", None)
    if state is None:
        return failure.connection_invalidated or isinstance(failure, sa.exc.OperationalError)
    return str(state)[:2] in _PASSING_CLASSES


def to_be_retried(failure: BaseException | None) -> bool:
    """Whether the whole transaction should be run again at once: it met another one, and nothing of it is left."""
    orig = failure.orig if isinstance(failure, DBAPIError) else None
    return getattr(orig, "sqlstate", None) in _AGAIN
