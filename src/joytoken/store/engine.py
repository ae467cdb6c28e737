"""The engine: connections, transactions, and failures by a name that callers can act on.

StoreError
 ├─ StoreUnavailable   locked past the patience, away, full: the same call may succeed later
 └─ SchemaMismatch     the database's schema is not the one that this code was written for
"""

import functools
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from joytoken.store.clock import lend_clock
from joytoken.store.postgres import Turn, passing, postgres_engine, take_turn, to_be_retried
from joytoken.store.statement import run_text

P = ParamSpec("P")
T = TypeVar("T")
BUSY_MS = 5_000  # how long a writer waits for another one
CONNECTIONS_MAX = 16
ATTEMPTS_MAX = 5  # of a transaction that met another one
_PAUSE_S = 0.01
_WRITE = "joytoken_write"
_COPY_S = 1.0  # between two of the copies that are made beside much writing: what changes often is copied once
_PAGES, _BULK_PAGES = 1_000, 32_000  # of SQLite's log, of 4 KiB each, that are copied into the file at once
_DEFAULTS: dict[str, str | int] = {"synchronous": "NORMAL", "wal_autocheckpoint": _PAGES}
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}


# Of a value that is not exactly a number, a text or a bytearray, the driver asks for each protocol that it might have,
# and of a record's 54 values a dozen are such: named here, the insert of a record costs 9 µs instead of 12.
sqlite3.register_adapter(type(None), cast("Callable[[None], None]", {}.get))
sqlite3.register_adapter(bytes, bytearray)
sqlite3.register_adapter(bool, int)


class StoreError(RuntimeError):
    """The store did not do what was asked of it."""


class StoreUnavailable(StoreError):
    """The database is locked, away or full. Nothing was changed; the call may be made again."""


class SchemaMismatch(StoreError):
    """The database's schema is not the one that this code was written for."""


class Database:
    """Transactions on one database, usable from any thread.

    On SQLite, writers of this process queue up on a lock before they ask the file's: the file's own waiting is by
    sleeping and polling, and unfair.
    """

    def __init__(self, url: str, *, busy_ms: int = BUSY_MS) -> None:
        self.engine = _engine(url, busy_ms)
        self.sqlite = self.engine.dialect.name == "sqlite"
        self._readers = (
            self.engine
            if self.sqlite
            else self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )
        self._busy_s = busy_ms / 1000
        self._writer = threading.Lock()
        self._copying: list[threading.Thread] = []

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view of the database. Raises StoreUnavailable."""
        with _named_failures(), self._readers.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def write(self, *, durable: bool, turn: Turn | None = None, bulk: bool = False) -> Iterator[sa.Connection]:
        """One transaction, committed at the end of the block and undone by any exception. Raises StoreUnavailable.

        `durable`: a commit survives a power cut. Otherwise it survives the process; SQLite then syncs at its
        checkpoints alone. On PostgreSQL every commit is synchronous. `turn`: wait until no other transaction has it.
        `bulk`: one of many in a row; SQLite then makes a checkpoint, with its syncs, of 32 times as much; or beside
        them, within `copied_meanwhile`.
        """
        with _named_failures(), self._turn(), self.engine.connect() as conn:
            if self.sqlite:
                _set_synchronous(conn, "FULL" if durable else "NORMAL")
                _set_pragma(conn, "wal_autocheckpoint", _BULK_PAGES if bulk else _PAGES)
            with begin_write(conn):
                if turn is not None:
                    take_turn(conn, turn)
                yield conn

    @contextmanager
    def copied_meanwhile(self) -> Iterator[None]:
        """While the block writes much, let another thread copy it from SQLite's log into the file, and wait for disks.

        Neither keeps the other from its work, nor needs the interpreter for it. Elsewhere, servers do that. The block's
        end does not wait for the last copy, `close` does.
        """
        if not self.sqlite:
            yield
            return
        ended = threading.Event()
        copying = threading.Thread(target=self._copy, args=(ended,), name="joytoken-checkpoint", daemon=True)
        copying.start()
        self._copying = [thread for thread in self._copying if thread.is_alive()] + [copying]
        try:
            yield
        finally:
            ended.set()

    def _copy(self, ended: threading.Event) -> None:
        try:
            with closing(self.engine.raw_connection()) as raw:
                last = False
                while not last:
                    last = ended.wait(_COPY_S)
                    raw.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (sqlite3.Error, sa.exc.SQLAlchemyError):
            return  # whoever commits does it then

    def close(self) -> None:
        """Close all connections."""
        for thread in self._copying:
            thread.join()
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.sqlite:
            yield
            return
        if not self._writer.acquire(timeout=self._busy_s):
            raise StoreUnavailable(f"the database stayed locked for {self._busy_s:g} s by another writer here")
        try:
            yield
        finally:
            self._writer.release()


def retried(method: Callable[P, T]) -> Callable[P, T]:
    """Run a method that is one transaction again where it met another transaction: a deadlock, a row both inserted.

    Nothing of the failed run is left, and the next one sees what the other did. SQLite's writers never meet.
    """

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS_MAX):
            try:
                return method(*args, **kwargs)
            except (StoreUnavailable, sa.exc.IntegrityError) as failure:
                met = failure.__cause__ if isinstance(failure, StoreUnavailable) else failure
                if not to_be_retried(met):
                    raise
            time.sleep(random.uniform(0, _PAUSE_S * attempt))  # noqa: S311 - so that two do not meet again
        return method(*args, **kwargs)

    return run


def begin_write(conn: sa.Connection) -> sa.RootTransaction:
    """Begin a transaction that writes, as a context manager that commits.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE): a transaction that reads first and asks for the lock
    afterwards fails without waiting when another writer came between.
    """
    conn.execution_options(**{_WRITE: True})
    return conn.begin()


def _engine(url: str, busy_ms: int) -> sa.Engine:
    parsed = sa.make_url(url)
    options: dict[str, Any] = {"pool_size": CONNECTIONS_MAX, "max_overflow": 0, "pool_timeout": max(busy_ms / 1000, 1)}
    if parsed.get_backend_name() == "postgresql":
        if find_spec("psycopg") is None:
            raise StoreError("a PostgreSQL database needs the extra: pip install 'joytoken[postgres]'")
        return postgres_engine(parsed, busy_ms, options)
    engine = sa.create_engine(parsed, connect_args={"timeout": busy_ms / 1000}, **options)

    def connected(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # transactions begin where this module says, not where the driver guesses
        raw.execute(f"PRAGMA busy_timeout = {busy_ms}").close()
        _keep_log(raw, busy_ms)
        for pragma in (
            "synchronous = NORMAL",
            "foreign_keys = ON",
            "journal_size_limit = 67108864",  # bytes; a WAL file swollen by a long reader shrinks again
        ):
            raw.execute(f"PRAGMA {pragma}").close()
        lend_clock(raw)

    def begin(conn: sa.Connection) -> None:
        run_text(conn, "BEGIN IMMEDIATE" if conn.get_execution_options().get(_WRITE) else "BEGIN")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begin)
    return engine


def _keep_log(raw: sqlite3.Connection, busy_ms: int) -> None:
    """Let a database have its write-ahead log.

    Of two that do this at once to a new file, SQLite refuses one without waiting: each has what the other waits for.
    """
    until = time.monotonic() + busy_ms / 1000
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as failure:
            if failure.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(_PAUSE_S)


def _set_synchronous(conn: sa.Connection, level: str) -> None:
    _set_pragma(conn, "synchronous", level)


def _set_pragma(conn: sa.Connection, name: str, value: str | int) -> None:
    # Remembered per connection: only the first transaction of its kind pays for the statement.
    if conn.info.get(name, _DEFAULTS[name]) != value:
        raw = conn.connection.dbapi_connection
        if raw is not None:
            raw.cursor().execute(f"PRAGMA {name} = {value}").close()
            conn.info[name] = value


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as failure:
        raise StoreUnavailable(f"all {CONNECTIONS_MAX} connections to the database are in use") from failure
    except DBAPIError as failure:
        if _passing(failure):
            raise StoreUnavailable(f"the database cannot be used now: {failure.orig}") from failure
        raise


def _passing(failure: DBAPIError) -> bool:
    code = getattr(failure.orig, "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) in _PASSING
    return passing(failure)
