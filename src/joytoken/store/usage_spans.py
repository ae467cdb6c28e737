"""Spans of time in buckets: which buckets of which size make up a span, where a zone's days and hours begin in them.

Pure arithmetic of quarters of an hour, and the SQL that says the same.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from joytoken.store.usage_query import QUARTER_US

Span = tuple[int, int]  # from, and up to but without
Moves = dict[int, list[tuple[int, int]]] | None
HOUR_QUARTERS, DAY_QUARTERS = 4, 96
_SECOND_US = 1_000_000
_LISTED_MAX = 2_000
_NOON = DAY_QUARTERS // 2
_FAR = 1 << 40  # more than any local day's or hour's number


class Shift(msgspec.Struct, frozen=True):
    """From this quarter on, a zone's clocks are so many quarters ahead of UTC."""

    since: int
    ahead: int


class Part(msgspec.Struct, frozen=True):
    """Buckets of one size that are summed, and whose they are.

    A bucket counts for the local day or hour of the moment that is `middle` quarters after its beginning. Where there
    are `moves`, it lies between a midnight of UTC and the beginning of a local day: by that midnight, they have a
    quarter of each day that what lies there is added to (1), or taken from (-1).

    A part of quarters where there are no such buckets is read from the records.
    """

    size: int  # quarters
    spans: list[Span]
    middle: int = 0
    moves: Moves = None


class Plan(msgspec.Struct, frozen=True):
    """How a question over some time is answered from buckets."""

    unit: int  # the quarters of a local day or hour, where these are asked for
    shifts: list[Shift]
    parts: list[Part]
    covered: list[Span]  # the quarters that they cover together, in order


def plan(
    sizes: Sequence[int], span: Span, by: Sequence[str], zone: ZoneInfo, without: Sequence[Span] = ()
) -> Plan | None:
    """The largest buckets that make up a span of quarters; None where there is none.

    `sizes`: of the buckets that there are, in quarters. `without`: parts of the span that are not to be used.
    """
    first, last = span
    unit = HOUR_QUARTERS if "hour" in by else DAY_QUARTERS if "day" in by else 0
    shifts = _shifts(zone, first, last)
    if unit == DAY_QUARTERS and not without and not all(shift.ahead % unit == 0 for shift in shifts):
        found = _moved(sizes, span, shifts)
        if found is not None:
            return found
    parts: list[Part] = []
    left = _less(span, without)
    for size in sorted(sizes, reverse=True):
        if unit and size > 1 and not _whole(size, unit, shifts):
            continue
        cuts = set(_cut(size, unit, shifts, first, last)) if unit else set()
        spans, left = _split(left, size, cuts)
        if spans:
            parts.append(Part(size, sorted(spans)))
    return _planned(unit, shifts, parts, [])


def _planned(unit: int, shifts: list[Shift], parts: list[Part], inner: list[Span]) -> Plan | None:
    taken = [(low * part.size, high * part.size) for part in parts for low, high in part.spans]
    covered = _joined(sorted([*taken, *inner]))
    return Plan(unit, shifts, parts, covered) if covered else None


def _moved(sizes: Sequence[int], span: Span, shifts: list[Shift]) -> Plan | None:
    """Local days from days of UTC: a few hours around each midnight are moved from one to the other.

    For a zone two hours off, that is a twelfth of its hours. What no bucket is small enough for is a part of quarters.
    The first and last day, which are not whole, are made up from what lies in them. None where there are not both days
    and smaller buckets, or clocks jump over days.
    """
    edges = _midnights(shifts, span)
    smaller = sorted((size for size in sizes if size < DAY_QUARTERS), reverse=True)
    # The midnight of UTC that is nearest: each of its days counts for the local day that its noon is in.
    nearest = [up(edge - _NOON, DAY_QUARTERS) * DAY_QUARTERS for edge in edges]
    if DAY_QUARTERS not in sizes or not smaller or len(set(nearest)) < max(len(edges), 2):
        return None
    days = (nearest[0] // DAY_QUARTERS, nearest[-1] // DAY_QUARTERS)
    parts = [Part(DAY_QUARTERS, [days], _NOON)]
    moves: dict[int, list[tuple[int, int]]] = {}
    for number, (edge, midnight) in enumerate(zip(edges, nearest, strict=True)):
        sign = 1 if midnight > edge else -1
        after = [(edge, sign)] if number + 1 < len(edges) else []
        moves[midnight] = [*after, (edge - 1, -sign)] if number else after
    between = [(min(pair), max(pair)) for pair in zip(edges, nearest, strict=True) if pair[0] != pair[1]]
    outer = [one for one in ((span[0], edges[0]), (edges[-1], span[1])) if one[0] < one[1]]
    for size in smaller:
        spans, between = _split(between, size, set())
        if spans:
            parts.append(Part(size, sorted(spans), 0, moves))
    if between:
        parts.append(Part(1, sorted(between), 0, moves))
    rest: list[Part] = []
    for size in (DAY_QUARTERS, *smaller):
        spans, outer = _split(outer, size, set())
        if spans:
            rest.append(Part(size, sorted(spans)))
    around = _planned(DAY_QUARTERS, shifts, rest, [(edges[0], edges[-1])])
    return None if around is None else msgspec.structs.replace(around, parts=[*parts, *rest])


def _midnights(shifts: list[Shift], span: Span) -> list[int]:
    """The quarters of a span with which a local day begins."""
    found: set[int] = set()
    for number, shift in enumerate(shifts):
        end = shifts[number + 1].since if number + 1 < len(shifts) else span[1] + 1
        at = up(shift.since + shift.ahead, DAY_QUARTERS) * DAY_QUARTERS - shift.ahead
        found.update(range(at, end, DAY_QUARTERS))
        if number:
            before = (shift.since - 1 + shifts[number - 1].ahead) // DAY_QUARTERS
            if before != (shift.since + shift.ahead) // DAY_QUARTERS:
                found.add(shift.since)
    return sorted(found)


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


def group_of(bucket: sa.ColumnElement[int], part: Part, unit: int, shifts: list[Shift]) -> sa.ColumnElement[Any]:
    """What tells the buckets of one local day or hour from others: its number; another one each time clocks were set.

    For buckets that are moved, the midnight.
    """
    if part.moves is not None:
        return midnight(bucket * number(part.size))
    at = bucket * number(part.size) + number(part.middle)

    def numbered(index: int) -> sa.ColumnElement[Any]:
        return (at + number(shifts[index].ahead)) // number(unit) + number(index * _FAR)

    if len(shifts) == 1:
        return numbered(0)
    until = [(at < number(shifts[index + 1].since), numbered(index)) for index in range(len(shifts) - 1)]
    return sa.case(*until, else_=numbered(len(shifts) - 1))


def quarter_of(bucket: sa.ColumnElement[int], part: Part) -> sa.ColumnElement[Any]:
    """A quarter of the local day or hour of a group of buckets; of such as are moved, the midnight."""
    if part.moves is not None:
        return sa.func.min(midnight(bucket * number(part.size)))
    return sa.func.min(bucket) * part.size + part.middle


def midnight(quarter: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """The midnight of UTC that is nearest to a quarter, as a quarter."""
    return (quarter + number(_NOON)) // number(DAY_QUARTERS) * number(DAY_QUARTERS)


def receivers(moves: Moves, quarter: int) -> Sequence[tuple[int, int]]:
    """The quarters whose groups a row's sums are added to (1) or taken from (-1)."""
    return ((quarter, 1),) if moves is None else moves.get(quarter, ())


def number(value: int) -> sa.ColumnElement[int]:
    """A number as itself: PostgreSQL takes two groups with a parameter each for different ones."""
    return sa.literal_column(f"({value})", sa.BigInteger)
