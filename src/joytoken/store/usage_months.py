"""Usage records by month: each month of UTC is a table, so that a month can be dropped whole.

On PostgreSQL these are the partitions of the table `usage_record`, on SQLite what the view `usage_record` puts
together: whoever reads does not see the difference. A record is written to its month's table, by when its request
started; so a request that is settled again meets its first record. `usage_blank` is what each of them is made like, and
stays empty. A month that was dropped is not made again: what comes for it cannot be told from what was there.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import sqlalchemy as sa

from joytoken.domain.ids import request_time_ms
from joytoken.store.engine import Database, retried
from joytoken.store.postgres import Turn
from joytoken.store.schema import usage_blank, usage_month
from joytoken.store.schema_columns import record_table
from joytoken.store.usage_dropped import dropped

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE: frozenset[str] = frozenset()
_columns = ", ".join(column.name for column in usage_blank.columns)


def month_of(time_us: int) -> str:
    """The month of UTC that holds a moment: ``2026-11``."""
    return f"{_EPOCH + timedelta(microseconds=time_us):%Y-%m}"


def span_of(month: str) -> tuple[int, int]:
    """The month's first microsecond, and the next one's. Raises ValueError for what is no month."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    if f"{first:%Y-%m}" != month:
        raise ValueError(f"{month!r} is not a month such as 2026-01")
    following = (first + timedelta(days=31)).replace(day=1)
    low, high = ((moment - _EPOCH) // timedelta(microseconds=1) for moment in (first, following))
    return low, high


def table_of(month: str) -> str:
    """The name of a month's table."""
    return f"usage_record_{month.replace('-', '')}"


def months(conn: sa.Connection) -> list[str]:
    """The months that have a table, oldest first."""
    query = sa.select(usage_month.c.month).where(usage_month.c.dropped_us.is_(None)).order_by(usage_month.c.month)
    return list(conn.execute(query).scalars())


def count_of(conn: sa.Connection, month: str) -> int:
    """How many records a month has."""
    return int(conn.exec_driver_sql(f"SELECT count(*) FROM {table_of(month)}").scalar_one())  # noqa: S608


class MonthRow(msgspec.Struct, frozen=True):
    """A month of UTC. Of one that was dropped: what it had."""

    month: str
    records: int
    bytes: int | None  # with its indexes, where the database tells it: SQLite does not
    first_us: int | None  # when the first of its requests started, and the last
    last_us: int | None
    dropped_us: int | None = None


def month_rows(conn: sa.Connection) -> list[MonthRow]:
    """Every month, oldest first."""
    had = {drop.month: drop for drop in dropped(conn)}
    rows = []
    for month, dropped_us in conn.execute(
        sa.select(usage_month.c.month, usage_month.c.dropped_us).order_by(usage_month.c.month)
    ):
        if dropped_us is not None:
            was = had[month]
            rows.append(MonthRow(month, was.records, None, was.first_us, was.last_us, dropped_us))
            continue
        table, size = table_of(month), None
        if conn.dialect.name != "sqlite":
            size = int(conn.exec_driver_sql(f"SELECT pg_total_relation_size('{table}')").scalar_one())
        span = conn.exec_driver_sql(f"SELECT min(started_us), max(started_us) FROM {table}").one()  # noqa: S608
        rows.append(MonthRow(month, count_of(conn, month), size, *span))
    return rows


def dropped_months(conn: sa.Connection) -> set[str]:
    """The months that were dropped. They stay so: no table is made for them again."""
    return set(conn.execute(sa.select(usage_month.c.month).where(usage_month.c.dropped_us.is_not(None))).scalars())


def dropped_month_of(conn: sa.Connection, request_id: str) -> str | None:
    """The month of a request, by the time that its id tells, where that month was dropped."""
    made_ms = request_time_ms(request_id)
    month = None if made_ms is None else month_of(made_ms * 1000)
    return month if month in dropped_months(conn) else None


class Months:
    """Sees to it that months have their tables; remembers those that have. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._dropped: set[str] = set()
        self._last = (0, 0, "")  # the span and the table of the month that was asked for last

    def see_to(self, starts: Sequence[int]) -> frozenset[str]:
        """Make the tables of the months that hold these moments, where they are not there, in an own transaction.

        Returns those of these months that were dropped, and are not made again.
        """
        low, high, _ = self._last
        if not starts or (low <= min(starts) and max(starts) < high):
            return _NONE
        wanted = {month_of(start) for start in starts}
        with self._lock:
            if wanted - self._known - self._dropped:
                self._dropped |= _make(self._database, sorted(wanted))
                self._known |= wanted - self._dropped
            gone = frozenset(wanted & self._dropped)
            if wanted - gone:
                newest = max(wanted - gone)
                self._last = (*span_of(newest), table_of(newest))
        return gone

    def forget(self) -> None:
        """Look again: another process may have dropped a month."""
        with self._lock:
            self._known = set()
            self._last = (0, 0, "")

    def table(self, starts: Sequence[int]) -> str | None:
        """The one table that these moments belong to; None where there are several."""
        low, high, table = self._last
        least, most = min(starts), max(starts)
        if low <= least and most < high:
            return table
        first = month_of(least)
        return table_of(first) if first == month_of(most) else None


def is_missing_table(failure: sa.exc.DBAPIError) -> bool:
    """Whether a statement failed because its table is not there."""
    state = getattr(failure.orig, "sqlstate", None)
    return state == "42P01" if state is not None else "no such table" in str(failure.orig)


@retried
def _make(database: Database, wanted: list[str]) -> set[str]:
    """Make what is not there; returns what was dropped."""
    with database.write(durable=False, turn=Turn.MONTHS) as conn:
        there, dropped = set(months(conn)), dropped_months(conn)
        new = [month for month in wanted if month not in there and month not in dropped]
        for month in new:
            make_month(conn, month)
            conn.execute(sa.insert(usage_month).values(month=month))
        if new and database.sqlite:
            make_view(conn)
        return dropped


def make_month(conn: sa.Connection, month: str) -> None:
    """Make the table of a month that `usage_month` has, or will have. On SQLite, `make_view` follows."""
    name, (low, high) = table_of(month), span_of(month)
    if conn.dialect.name == "sqlite":
        record_table(usage_blank, name).create(conn)
    else:
        conn.exec_driver_sql(f"CREATE TABLE {name} (LIKE usage_blank INCLUDING ALL)")
        # Readers go on meanwhile: this waits for no lock that they have.
        attach = f"ALTER TABLE usage_record ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})"
        conn.exec_driver_sql(attach)


def make_view(conn: sa.Connection) -> None:
    """Let SQLite's view show the months that there are."""
    tables = [table_of(month) for month in months(conn)] or [str(usage_blank.name)]
    parts = " UNION ALL ".join(f"SELECT {_columns} FROM {name}" for name in tables)  # noqa: S608
    conn.exec_driver_sql("DROP VIEW IF EXISTS usage_record")
    conn.exec_driver_sql(f"CREATE VIEW usage_record AS {parts}")


def drop_table(conn: sa.Connection, month: str, last_seq: int, now_us: int) -> None:
    """Drop a month's table. Its arrival numbers are not given again."""
    gone = sa.update(usage_month).where(usage_month.c.month == month)
    conn.execute(gone.values(dropped_us=now_us, last_seq=last_seq))
    drop = f"DROP TABLE {table_of(month)}"
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql(drop)
        return
    make_view(conn)
    # Some builds of SQLite overwrite what is deleted: the whole month would go through the log, and writers would wait.
    before = int(conn.exec_driver_sql("PRAGMA secure_delete").scalar_one())
    conn.exec_driver_sql("PRAGMA secure_delete = FAST")
    conn.exec_driver_sql(drop)
    conn.exec_driver_sql(f"PRAGMA secure_delete = {before}")


# What the last record's arrival number was, on SQLite, which has no sequences.
LAST_SEQ = """
    SELECT coalesce(max(n), 0) FROM (
        SELECT n FROM (SELECT ingest_seq AS n FROM usage_record ORDER BY ingest_seq DESC LIMIT 1)
        UNION ALL SELECT max(last_seq) FROM usage_month)
"""
