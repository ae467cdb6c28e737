"""A month of usage records dropped whole, and remembered by the ledger, so that its books can still be proved.

The transaction that does it has no entries; its terms say how much there was of whom, and which batches lack how many
of their records since. So the hash chain covers it, and the proof takes nothing else as an excuse.
"""

import time

import msgspec
import sqlalchemy as sa

from joytoken.store.clock import now_us as store_now_us
from joytoken.store.copy import Progress
from joytoken.store.engine import Database, StoreError, StoreUnavailable, retried
from joytoken.store.ledger_book import lock_chain, post
from joytoken.store.ledger_late import ABANDONED
from joytoken.store.postgres import Turn, lock_briefly, take_turn, unbounded
from joytoken.store.schema import incident, usage_record, worker
from joytoken.store.schema_credit import refund
from joytoken.store.setting import put_value, value_of
from joytoken.store.usage_dropped import Dropped, MonthSum
from joytoken.store.usage_months import drop_table, months, span_of, table_of
from joytoken.store.usage_roll import roll, rolled
from joytoken.store.verify_records import batches, digest_of

SETTLE_US = 86_400_000_000  # so long after its end, a month's requests may still be running
_ATTEMPTS_MAX, _PAUSE_S = 30, 1.0  # at a moment when nobody reads
_RETAINED = "usage.retained_us"  # the setting with the time when somebody last saw to old months
_u = usage_record.c
_silent = sa.select(worker.c.id, worker.c.host).where(
    sa.or_(
        worker.c.state == "recovering",
        sa.and_(worker.c.state == "live", worker.c.lease_deadline_us < store_now_us()),
    )
)
_given_up = sa.select(incident.c.subject).where(incident.c.kind == ABANDONED, incident.c.closed_us.is_(None))


class WrongBooks(StoreError):
    """The month's records are not what was brought: what could show how that came about is not dropped."""


class NotSettled(StoreError):
    """More of the month's records may come: they could neither be charged nor told from what was there."""


def drop_month(database: Database, month: str, actor: str, now_us: int, progress: Progress) -> Dropped | None:
    """Drop a month that is over; None where somebody else has.

    Raises NotSettled, WrongBooks where its records cannot be proved, and StoreUnavailable where records of it arrived
    meanwhile, or somebody reads all the time: it may be tried again.
    """
    if span_of(month)[1] + SETTLE_US > now_us:
        raise NotSettled(f"{month} has been over for less than a day, and its requests may still be running")
    while roll(database):  # the sums stay
        progress(0, 1, "sums")
    found = _look(database, month, progress)
    if found is None:
        return None
    for _ in range(_ATTEMPTS_MAX):
        try:
            return found if _drop(database, found, actor, now_us) else None
        except StoreUnavailable as failure:
            if database.sqlite:
                raise
            away = failure
        time.sleep(_PAUSE_S)
    raise away


@retried
def _look(database: Database, month: str, progress: Progress) -> Dropped | None:
    """What is in a month; None where it is not there. PostgreSQL may end who reads it while another one drops it."""
    with database.read() as conn:
        unbounded(conn)
        return _survey(conn, month, progress) if month in months(conn) else None


def settled(conn: sa.Connection) -> None:
    """Raises NotSettled where a worker's journal has not been brought: what it has may be of any month."""
    row = conn.execute(_silent.order_by(worker.c.id).limit(1)).first()
    if row is not None:
        said = "has not brought what its journal has; start joytoken serve there again, or wait until it is given up"
        raise NotSettled(f"worker {row.id} of {row.host} {said}")


def _survey(conn: sa.Connection, month: str, progress: Progress) -> Dropped:
    """What is in a month, by wallet and by batch; each of its batches is proved on the way."""
    settled(conn)
    low, high = span_of(month)
    inside = sa.and_(_u.started_us >= low, _u.started_us < high)
    columns = "count(*), coalesce(max(ingest_seq), 0), min(started_us), max(started_us)"
    stands = conn.exec_driver_sql(f"SELECT {columns} FROM {table_of(month)}").one()  # noqa: S608
    count, last_seq, first_us, last_us = stands
    given_up = set(conn.execute(_given_up).scalars())
    whole: list[tuple[int, int]] = []
    parts: list[tuple[int, int, str]] = []
    seen, joined = 0, False
    for batch in batches(conn, inside):
        of_month = sum(1 for row in batch.records if row[4])
        seen += of_month
        if of_month and batch.bad is not None:
            raise WrongBooks(f"{month} is not dropped: {batch.bad}")
        if of_month and batch.epoch in given_up:
            said = "was given up; its journal may still come back. Where its disk is gone: joytoken incidents close ID"
            raise NotSettled(f"worker {batch.epoch}, which has records of {month}, {said}")
        if of_month and of_month == batch.count:
            whole[-1:] = [(whole[-1][0], batch.tx)] if joined else [*whole[-1:], (batch.tx, batch.tx)]
        elif of_month:
            parts.append((batch.tx, of_month, digest_of([row for row in batch.records if not row[4]])))
        joined = bool(of_month) and of_month == batch.count
        progress(seen, count, f"records of {month}")
    if seen != count:
        raise WrongBooks(f"{month} is not dropped: {count} records are in its table, and {seen} were brought")
    summed = [sa.func.sum(_u[name]) for name in ("cost", "charged", "shortfall")]
    wallets = conn.execute(
        sa.select(_u.owner_id, _u.tier, *summed).where(inside).group_by(_u.owner_id, _u.tier).order_by(_u.owner_id)
    )
    sums = [MonthSum(row[0], row[1], *(int(value) for value in row[2:])) for row in wallets]
    return Dropped(month, count, last_seq, first_us, last_us, sums, whole, parts)


@retried
def _drop(database: Database, found: Dropped, actor: str, now_us: int) -> bool:
    """Drop it; False where it is not there any more.

    On PostgreSQL the table of all months is locked against everybody for a moment. What is asked for last waits only
    so long that neither a flush nor a reader behind it is held up, and then it is all undone and tried again: so it
    never waits for somebody who waits for it.
    """
    with database.write(durable=True, turn=Turn.MONTHS) as conn:
        take_turn(conn, Turn.ROLLUP)
        lock_chain(conn)
        if found.month not in months(conn):
            return False
        settled(conn)
        last = conn.exec_driver_sql(f"SELECT max(ingest_seq) FROM {table_of(found.month)}").scalar_one()  # noqa: S608
        if (last or 0) != found.last_seq or rolled(conn) < found.last_seq:
            raise NotSettled(f"records of {found.month} have just arrived; try again")
        terms = msgspec.json.encode(msgspec.structs.replace(found, refunded=_refunded(conn, found.month))).decode()
        reason = f"{found.records} requests of {found.month}"
        post(conn, "drop", {}, {}, at_us=now_us, actor=actor, reason=reason, terms=terms)
        lock_briefly(conn)
        drop_table(conn, found.month, found.last_seq, now_us)
        return True


def take_retention(database: Database, now_us: int, period_us: int) -> bool:
    """Whether nobody has seen to old months for so long. Then it is the caller who does, and nobody else."""

    def due(conn: sa.Connection) -> bool:
        return not 0 <= now_us - int(value_of(conn, _RETAINED) or 0) < period_us

    with database.read() as conn:
        if not due(conn):
            return False
    with database.write(durable=False, turn=Turn.MONTHS) as conn:
        mine = due(conn)
        if mine:
            put_value(conn, _RETAINED, str(now_us))
        return mine


def _refunded(conn: sa.Connection, month: str) -> list[tuple[str, int]]:
    """The month's requests of which something was given back, and their charges: so refunds can still be proved."""
    low, high = span_of(month)
    query = sa.select(_u.request_id, _u.charged).where(
        _u.started_us >= low, _u.started_us < high, _u.request_id.in_(sa.select(refund.c.request_id))
    )
    return [(row[0], row[1]) for row in conn.execute(query.order_by(_u.request_id))]
