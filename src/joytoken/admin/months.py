"""Months of usage records: which there are, and dropping old ones."""

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.times import SECOND_US, spell_optional
from joytoken.domain.errors import Conflict, InvalidRequest
from joytoken.store.usage_drop import NotSettled, WrongBooks
from joytoken.store.usage_months import MonthRow, month_of, span_of

_DAY_US = 86_400 * SECOND_US


class MonthsQuery(msgspec.Struct, kw_only=True):
    """All of them."""


class MonthDocument(msgspec.Struct, kw_only=True):
    """One month of UTC, by when its requests started. Of one that was dropped (`dropped`: when): what there was.

    `bytes`, with its indexes, is null where the database does not tell (SQLite); `first` and `last` are the times of
    its requests, null where it has none.
    """

    month: str
    requests: int
    bytes: int | None
    first: str | None
    last: str | None
    dropped: str | None


class MonthList(msgspec.Struct, kw_only=True):
    """Months, oldest first."""

    months: list[MonthDocument]


class MonthsDrop(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Drop the usage records of all months before this one, such as 2026-01."""

    before: str


class MonthDropped(msgspec.Struct, kw_only=True):
    """A month, and how many requests of it there were."""

    month: str
    requests: int


class MonthsDropped(msgspec.Struct, kw_only=True):
    """What was dropped, oldest first."""

    months: list[MonthDropped]


def list_months(desk: Desk, _: MonthsQuery) -> MonthList:
    """The months that there are, and those that were dropped."""
    return MonthList(months=[_document(row) for row in desk.store.usage.months()])


def drop_months(desk: Desk, request: MonthsDrop) -> MonthsDropped:
    """Drop months of usage records; their sums stay.

    Raises InvalidRequest, or Conflict at the first month whose books are wrong, or of which more may come.
    """
    now = desk.now_us()
    try:
        low, _ = span_of(request.before)
    except ValueError:
        raise InvalidRequest(f"{request.before!r} is not a month such as 2026-01", param="before") from None
    if low > now:
        raise InvalidRequest(f"{month_of(now)} is not over; at most all months before it are dropped", param="before")
    done = MonthsDropped(months=[])
    for row in desk.store.usage.months():
        if row.dropped_us is not None or row.month >= request.before:
            continue
        try:
            dropped = desk.store.usage.drop_month(row.month, desk.actor, now, desk.progress)
        except NotSettled as error:
            raise Conflict(str(error), "month_not_settled", param="before") from error
        except WrongBooks as error:
            raise Conflict(str(error), "wrong_books", param="before") from error
        if dropped is not None:
            one = MonthDropped(month=dropped.month, requests=dropped.records)
            desk.note("usage.drop", one.month, None, one)
            done.months.append(one)
    return done


def first_kept(now_us: int, keep_months: int) -> str:
    """The first month that is kept, of so many that are over, and the one that runs."""
    month = month_of(now_us)
    for _ in range(keep_months):
        month = month_of(span_of(month)[0] - _DAY_US)
    return month


def _document(row: MonthRow) -> MonthDocument:
    return MonthDocument(
        month=row.month,
        requests=row.records,
        bytes=row.bytes,
        first=spell_optional(row.first_us),
        last=spell_optional(row.last_us),
        dropped=spell_optional(row.dropped_us),
    )
