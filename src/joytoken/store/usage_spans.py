"""Spans of time in buckets: which buckets of which size make up a span, where a zone's days and hours begin in them.

Pure arithmetic of quarters of an hour, and the SQL that says the same.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from joytoken.store.usage_query import QUARTER_US, TIMES

Span = tuple[int, int]  # from, and up to but without
HOUR_QUARTERS, DAY_QUARTERS = 4, 96
_SECOND_US = 1_000_000
_LISTED_MAX = 2_000
_FAR = 1 << 40  # more than any local day's or hour's number


class Shift(msgspec.Struct, frozen=True):
    """From this quarter on, a zone's clocks are so many quarters ahead of UTC."""

    since: int
    ahead: int


class Plan(msgspec.Struct, frozen=True):
    """How a question over some time is answered from buckets."""

    unit: int  # the quarters of a local day or hour, where these are asked for
    shifts: list[Shift]
    made: list[tuple[int, list[Span]]]  # by the quarters of a bucket: which of them
    covered: list[Span]  # the quarters that they cover together, in order


def plan(
    sizes: Sequence[int], span: Span, by: Sequence[str], zone: ZoneInfo, without: Sequence[Span] = ()
) -> Plan | None:
    """The largest buckets that lie in a span of quarters, each within one local day or hour; None where there is none.

    `sizes`: of the buckets that there are, in quarters. `without`: parts of the span that are not to be used.
    """
    first, last = span
    unit = HOUR_QUARTERS if "hour" in by else DAY_QUARTERS if set(by) & set(TIMES) else 0
    shifts = _shifts(zone, first, last)
    made: list[tuple[int, list[Span]]] = []
    left = _less(span, without)
    for size in sorted(sizes, reverse=True):
        if unit and size > 1 and not _whole(size, unit, shifts):
            continue
        cuts = set(_cut(size, unit, shifts, first, last)) if unit else set()
        spans, left = _split(left, size, cuts)
        if spans:
            made.append((size, sorted(spans)))
    taken = _joined(sorted((low * size, high * size) for size, spans in made for low, high in spans))
    return Plan(unit, shifts, made, taken) if taken else None


def _less(span: Span, without: Sequence[Span]) -> list[Span]:
    """A span without some parts of it, which are in order."""
    found: list[Span] = []
    at, last = span
    for low, high in without:
        if at < low:
            found.append((at, min(low, last)))
        at = max(at, high)
    return [*found, (at, last)] if at < last else found


def _shifts(zone: ZoneInfo, first: int, last: int) -> list[Shift]:
    """How far the zone's clocks are ahead, from the first quarter on; one more for each time they are set."""

    def ahead(quarter: int) -> int:
        moment = datetime.fromtimestamp(quarter * (QUARTER_US // _SECOND_US), zone)
        offset = moment.utcoffset()
        return 0 if offset is None else int(offset.total_seconds() * _SECOND_US // QUARTER_US)

    found = [Shift(first, ahead(first))]
    at = first
    while at < last:
        following = min(at + DAY_QUARTERS, last)
        if ahead(following) != found[-1].ahead:
            low, high = at, following
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if ahead(middle) == found[-1].ahead else (low, middle)
            found.append(Shift(high, ahead(high)))
        at = following
    return found


def up(value: int, size: int) -> int:
    return -(-value // size)


def _whole(size: int, unit: int, shifts: list[Shift]) -> bool:
    """Whether most buckets of a size lie within one local unit."""
    if size > unit:
        return False
    if size < unit:
        return True
    return all(shift.ahead % size == 0 for shift in shifts)


def _cut(size: int, unit: int, shifts: list[Shift], first: int, last: int) -> Iterator[int]:
    """The buckets within which a local unit begins, or clocks are set."""
    for number, shift in enumerate(shifts):
        end = shifts[number + 1].since if number + 1 < len(shifts) else last
        if shift.since % size and shift.since > first:
            yield shift.since // size
        if shift.ahead % size:
            at = up(shift.since + shift.ahead, unit) * unit - shift.ahead
            while at < end:
                yield at // size
                at += unit


def _split(left: list[Span], size: int, cuts: set[int]) -> tuple[list[Span], list[Span]]:
    """The buckets that lie wholly within these spans and are not cut; and what remains, in quarters."""
    spans: list[Span] = []
    rest: list[Span] = []
    for low, high in left:
        begin, end = up(low, size), high // size
        if begin >= end:
            rest.append((low, high))
            continue
        if low < begin * size:
            rest.append((low, begin * size))
        at = begin
        for cut in sorted(cut for cut in cuts if begin <= cut < end):
            if at < cut:
                spans.append((at, cut))
            rest.append((cut * size, (cut + 1) * size))
            at = cut + 1
        if at < end:
            spans.append((at, end))
        if end * size < high:
            rest.append((end * size, high))
    return spans, rest


def _joined(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for low, high in spans:
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def within(bucket: sa.ColumnElement[int], spans: list[Span]) -> sa.ColumnElement[bool]:
    """Said so that the index of buckets is used: SQLite looks through the table for a list of spans."""
    if len(spans) > 1 and sum(high - low for low, high in spans) <= _LISTED_MAX:
        return bucket.in_([at for low, high in spans for at in range(low, high)])
    said = sa.or_(*[sa.and_(bucket >= low, bucket < high) for low, high in spans])
    return said if len(spans) == 1 else sa.and_(bucket >= spans[0][0], bucket < spans[-1][1], said)


def local(bucket: sa.ColumnElement[int], size: int, unit: int, shifts: list[Shift]) -> sa.ColumnElement[Any]:
    """The number of the local day or hour of a bucket; another one each time that clocks were set."""

    def numbered(index: int) -> sa.ColumnElement[Any]:
        ahead = bucket * number(size) + number(shifts[index].ahead)
        return ahead // number(unit) + number(index * _FAR)

    if len(shifts) == 1:
        return numbered(0)
    until = [
        (bucket * number(size) < number(shifts[index + 1].since), numbered(index)) for index in range(len(shifts) - 1)
    ]
    return sa.case(*until, else_=numbered(len(shifts) - 1))


def number(value: int) -> sa.ColumnElement[int]:
    """A number as itself: PostgreSQL takes two groups with a parameter each for different ones."""
    return sa.literal_column(f"({value})", sa.BigInteger)
