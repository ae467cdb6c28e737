"""A whole database carried into another one, of either kind: every row, counted and compared afterwards."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.store.engine import Database, StoreError
from joytoken.store.postgres import unbounded
from joytoken.store.schema import account, lease, metadata, usage_blank, usage_month, usage_record, worker
from joytoken.store.usage_months import drop_table, make_month, make_view, month_of, months, table_of

PART_ROWS = 5_000
ALIVE_US = 15_000_000  # a worker that was heard of within this time is running: three of its heartbeats

Progress = Callable[[int, int, str], None]
_TABLES = (*[table for table in metadata.sorted_tables if table is not usage_blank], usage_record)
_encode = msgspec.msgpack.Encoder().encode


class TableCopy(msgspec.Struct, frozen=True):
    """One table as it arrived: its rows, and a digest (BLAKE2b) of all of them in the order of their primary key."""

    name: str
    rows: int
    digest: str


class NotEmpty(StoreError):
    """The database that was to be written to has something in it."""


def copy(source: Database, target: Database, progress: Progress, *, replace: bool, now_us: int) -> list[TableCopy]:
    """Carry one moment of `source` into `target`, which has the same schema: in one transaction, all of it or nothing.

    `replace`: empty the target first. Every worker's epoch is ended there, as `end_epochs` says. Raises NotEmpty, and
    StoreError where what arrived is not what was sent.
    """
    with source.read() as reading, target.write(durable=True) as writing:
        unbounded(reading)
        unbounded(writing)
        if replace:
            empty(writing)
        elif (found := first_filled(writing)) is not None:
            raise NotEmpty(f"the database to copy into is not empty: its table {found} has rows")
        total = 2 * sum(_count(reading, table) for table in _TABLES)
        seen = _Seen(total, progress)
        copied = []
        for table in _TABLES:
            if table is usage_record:
                _make_months(writing)
            digest = _Digest()
            _insert(writing, table, digest.of(seen.of(table, _parts(reading, table, plain=not target.sqlite))))
            arrived = _Digest()
            for _ in arrived.of(seen.of(table, _parts(writing, table))):
                pass
            if arrived != digest:
                raise StoreError(
                    f"table {table.name}: {digest.rows} rows were sent, and {arrived.rows} or others arrived"
                )
            copied.append(TableCopy(str(table.name), digest.rows, digest.hex()))
        if not target.sqlite:
            _set_sequences(writing)
        end_epochs(writing, now_us)
    return copied


def end_epochs(conn: sa.Connection, now_us: int) -> int:
    """End the epoch of every worker and give back what was leased to them; returns how many had not ended.

    For a database that goes on from an earlier moment than its journals. Those are of no use to it: their numbers
    count from another life. The new epochs begin at the time in microseconds, which is above any that was counted one
    by one, so that no journal that lies anywhere, nor one that a second restore leaves behind, passes for theirs.
    """
    open_ones = conn.execute(sa.select(sa.func.count()).where(worker.c.state != "dead")).scalar_one()
    conn.execute(sa.delete(lease))
    conn.execute(sa.update(account).where(account.c.leased != 0).values(leased=0, recall_until_us=0))
    ended = sa.case((worker.c.epoch >= now_us, worker.c.epoch + 1), else_=now_us)
    conn.execute(sa.update(worker).values(state="dead", epoch=ended))
    return int(open_ones)


def unended(conn: sa.Connection) -> list[str]:
    """The workers whose epoch has not ended: running ones, and those whose journal is still to be settled."""
    return list(conn.execute(sa.select(worker.c.id).where(worker.c.state != "dead").order_by(worker.c.id)).scalars())


def running(conn: sa.Connection, now_us: int) -> list[str]:
    """The workers that were heard of just now."""
    heard = sa.and_(worker.c.state.in_(("live", "recovering")), worker.c.heartbeat_us > now_us - ALIVE_US)
    return list(conn.execute(sa.select(worker.c.id).where(heard).order_by(worker.c.id)).scalars())


def first_filled(conn: sa.Connection) -> str | None:
    """The first table with a row in it; None where the database is empty."""
    for table in _TABLES:
        if conn.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            return table.name
    return None


def empty(conn: sa.Connection) -> None:
    """Take every row out of every table."""
    for month in months(conn):
        drop_table(conn, month, 0, 0)
    if conn.dialect.name == "sqlite":
        for table in reversed(metadata.sorted_tables):
            conn.execute(sa.delete(table))
    else:
        conn.exec_driver_sql(f"TRUNCATE {', '.join(_quoted(table.name) for table in metadata.sorted_tables)}")


class _Digest:
    """Counts and hashes rows as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def of(self, parts: Iterator[Sequence[tuple[Any, ...]]]) -> Iterator[Sequence[tuple[Any, ...]]]:
        for part in parts:
            self.rows += len(part)
            self._hash.update(b"".join([_encode(row) for row in part]))
            yield part

    def hex(self) -> str:
        return self._hash.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Digest) and (self.rows, self.hex()) == (other.rows, other.hex())

    __hash__ = None  # type: ignore[assignment]  # it changes


class _Seen:
    """Tells how many rows have passed."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def of(self, table: sa.Table, parts: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for part in parts:
            yield part
            self._done += len(part)
            self._progress(self._done, self._total, table.name)


def _count(conn: sa.Connection, table: sa.Table) -> int:
    return int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _parts(conn: sa.Connection, table: sa.Table, *, plain: bool = False) -> Iterator[Sequence[tuple[Any, ...]]]:
    """All rows by primary key, in parts. `plain`: without NUL characters, which PostgreSQL's texts cannot have."""
    query = sa.select(table).order_by(*table.primary_key.columns)
    with conn.execute(query.execution_options(yield_per=PART_ROWS)) as result:
        for part in result.partitions():
            rows = [tuple(row) for row in part]
            yield [tuple(map(_plain, row)) for row in rows] if plain else rows


def _plain(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if type(value) is str and "\0" in value else value


def _insert(conn: sa.Connection, table: sa.Table, parts: Iterator[Sequence[tuple[Any, ...]]]) -> None:
    raw: Any = conn.connection.dbapi_connection
    columns = ", ".join(_quoted(column.name) for column in table.columns)
    if conn.dialect.name == "sqlite":
        marks = ", ".join("?" * len(table.columns))
        for part in parts:
            for name, rows in _by_table(table, part).items():
                raw.executemany(f"INSERT INTO {_quoted(name)} ({columns}) VALUES ({marks})", rows)  # noqa: S608
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY {_quoted(table.name)} ({columns}) FROM STDIN") as carried:
        for part in parts:
            for row in part:
                carried.write_row(row)


def _by_table(table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> dict[str, Sequence[tuple[Any, ...]]]:
    """Rows by the table that they are written to: on SQLite, what all months are together is a view."""
    if table is not usage_record:
        return {str(table.name): rows}
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(table_of(month_of(row[_STARTED])), []).append(row)
    return dict(found)


def _make_months(conn: sa.Connection) -> None:
    for month in months(conn):
        make_month(conn, month)
    if conn.dialect.name == "sqlite":
        make_view(conn)


def _set_sequences(conn: sa.Connection) -> None:
    """Let the numbers that PostgreSQL gives go on after those that were carried over."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        named = sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))
        sequence = conn.execute(named).scalar_one()
        last = conn.execute(sa.select(sa.func.max(column))).scalar_one()
        if table is usage_blank:
            known = sa.select(usage_record.c.ingest_seq.label("n")).union_all(sa.select(usage_month.c.last_seq))
            last = conn.execute(sa.select(sa.func.max(known.subquery().c.n))).scalar_one()
        if sequence is not None:
            conn.execute(sa.select(sa.func.setval(sequence, last or 1, last is not None)))


_STARTED = list(usage_record.columns.keys()).index("started_us")


def _quoted(name: str) -> str:
    return f'"{name}"'
