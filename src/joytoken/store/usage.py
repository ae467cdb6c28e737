"""Usage records: found, followed, summed, carried out. Only the ledger writes them."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from joytoken.domain.record import UsageRecord
from joytoken.store.copy import Progress
from joytoken.store.engine import Database
from joytoken.store.postgres import unbounded
from joytoken.store.record import RECORD_FIELDS, record_of
from joytoken.store.schema import usage_record
from joytoken.store.schema_credit import refund
from joytoken.store.usage_drop import drop_month, take_retention
from joytoken.store.usage_dropped import Dropped
from joytoken.store.usage_latency import LatencyRow, latencies
from joytoken.store.usage_months import MonthRow, dropped_month_of, month_rows
from joytoken.store.usage_query import UsageQuery, conditions
from joytoken.store.usage_roll import ROLL_RECORDS_MAX, roll
from joytoken.store.usage_roll_tags import TAG_BOUNDS, TagBounds
from joytoken.store.usage_runs import RunSum, run_requests, run_sums
from joytoken.store.usage_summary import UsageRow, summarise

RUNS_MAX = 1_000  # runs in one answer
EXPORT_PAGE = 1_000  # records in one transaction of an export

# `UsageTable.list` takes the name of the type within its class.
RecordList = list[UsageRecord]
ArrivalList = list[tuple[int, UsageRecord]]
SummaryList = list[UsageRow]
RunSumList = list[RunSum]
LatencyList = list[LatencyRow]
MonthList = list[MonthRow]

_columns = [usage_record.c[name] for name in RECORD_FIELDS]
_started, _id, _arrival = usage_record.c.started_us, usage_record.c.request_id, usage_record.c.ingest_seq
_EVERYTHING = UsageQuery()


class UsageTable:
    """The table of usage records, for reading."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, request_id: str) -> UsageRecord | None:
        """The record of a request."""
        with self._database.read() as conn:
            row = conn.execute(sa.select(*_columns).where(_id == request_id)).one_or_none()
            return None if row is None else record_of(row)

    def list(
        self, query: UsageQuery = _EVERYTHING, *, limit: int = 100, before: tuple[int, str] | None = None
    ) -> RecordList:
        """At most `limit` records, newest first.

        `before` is the start and the request id of the last one of the page before: however many records arrive
        meanwhile, pages neither overlap nor leave out.
        """
        chosen = sa.select(*_columns).where(*conditions(query))
        if before is not None:
            chosen = chosen.where(_started <= before[0], sa.or_(_started < before[0], _id < before[1]))
        with self._database.read() as conn:
            return [record_of(row) for row in conn.execute(chosen.order_by(_started.desc(), _id.desc()).limit(limit))]

    def refunded(self, request_ids: Sequence[str]) -> dict[str, int]:
        """What was given back of these requests' charges, in nanocredits; requests without a refund are left out."""
        back = sa.func.sum(refund.c.amount)
        query = sa.select(refund.c.request_id, back).where(refund.c.request_id.in_(request_ids))
        with self._database.read() as conn:
            return {row[0]: int(row[1]) for row in conn.execute(query.group_by(refund.c.request_id))}

    def last_seq(self) -> int:
        """The number of the record that arrived last, where `since` begins to follow; 0 where there is none."""
        with self._database.read() as conn:
            return int(conn.execute(sa.select(_arrival).order_by(_arrival.desc()).limit(1)).scalar() or 0)

    def since(self, ingest_seq: int, limit: int = 100, query: UsageQuery = _EVERYTHING) -> ArrivalList:
        """At most `limit` records that arrived after this number, each with its own, in the order of arrival."""
        later = sa.select(_arrival, *_columns).where(_arrival > ingest_seq, *conditions(query))
        with self._database.read() as conn:
            return [(row[0], record_of(row[1:])) for row in conn.execute(later.order_by(_arrival).limit(limit))]

    def summary(self, query: UsageQuery, by: Sequence[str] = (), zone: str = "UTC") -> SummaryList:
        """Sums by dimensions (`usage_query.DIMENSIONS` and ``tag:NAME``), days and hours in a time zone.

        Without dimensions, one row of everything, or none. Raises InvalidRequest for an unknown dimension or zone.
        """
        with self._database.read() as conn:
            return summarise(conn, query, by, zone)

    def latency(self, query: UsageQuery, by: Sequence[str] = (), zone: str = "UTC") -> LatencyList:
        """How long requests took, by some of `usage_latency.LATENCY_DIMENSIONS`: counts by slots of time.

        Without dimensions, one row of everything, or none. Raises InvalidRequest for an unknown dimension or zone.
        """
        with self._database.read() as conn:
            return latencies(conn, query, by, zone)

    def runs(
        self, run_ids: Sequence[str], *, below: bool, owner: str | None = None, limit: int = RUNS_MAX
    ) -> RunSumList:
        """The sums of these runs, or of those right below them; of so many at most."""
        with self._database.read() as conn:
            return run_sums(conn, run_ids, below=below, owner=owner, limit=limit)

    def of_runs(self, run_ids: Sequence[str], *, owner: str, limit: int) -> RecordList:
        """The requests of these runs, oldest first, so many at most."""
        with self._database.read() as conn:
            return run_requests(conn, run_ids, owner=owner, limit=limit)

    def roll(self, records_max: int = ROLL_RECORDS_MAX, bounds: TagBounds = TAG_BOUNDS) -> int:
        """Bring the sums that are read here up to date with the next records, at most so many; returns how many."""
        return roll(self._database, records_max, bounds)

    def months(self) -> MonthList:
        """The months of UTC that have records, or had, oldest first."""
        with self._database.read() as conn:
            unbounded(conn)
            return month_rows(conn)

    def dropped_month(self, request_id: str) -> str | None:
        """The month of a request, by the time that its id tells, where that month was dropped."""
        with self._database.read() as conn:
            return dropped_month_of(conn, request_id)

    def drop_month(self, month: str, actor: str, now_us: int, progress: Progress) -> Dropped | None:
        """Drop a month that is over; the sums stay. As `usage_drop.drop_month`."""
        return drop_month(self._database, month, actor, now_us, progress)

    def take_retention(self, now_us: int, period_us: int) -> bool:
        """Whether nobody has seen to old months for so long. Then it is the caller who does, and nobody else."""
        return take_retention(self._database, now_us, period_us)

    def export(self, query: UsageQuery = _EVERYTHING) -> Iterator[UsageRecord]:
        """Every record that is there now, oldest first; what arrives meanwhile is left out.

        Reads in pages, each a transaction of its own: a slow reader holds nothing open.
        """
        chosen = sa.select(*_columns).where(_arrival <= self.last_seq(), *conditions(query))
        chosen = chosen.order_by(_started, _id).limit(EXPORT_PAGE)
        page = self._page(chosen)
        while page:
            yield from page
            last = page[-1]
            after = sa.or_(_started > last.started_us, _id > last.request_id)
            page = self._page(chosen.where(_started >= last.started_us, after)) if len(page) == EXPORT_PAGE else []

    def _page(self, chosen: sa.Select[Any]) -> RecordList:
        with self._database.read() as conn:
            return [record_of(row) for row in conn.execute(chosen)]
