"""What a worker brings to the store at once: settles, and what they come to.

Nothing here needs a database: a process that only reads a journal makes batches ready, too.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

from joytoken.domain.record import UsageRecord
from joytoken.store.record import LEAST, RECORD_COLUMNS, STARTED, Shape, insert_places, rows_json, shape_of

LEASE_US = 30_000_000  # how long a worker's leases are good without a word from it, where nothing else was said
INSERT_ROWS = (256, 64, 16, 4, 1)  # records in one statement on SQLite: few texts, so that each stays prepared

# Journal number, accounts, charged on each of them, the closed record.
SettleRow = tuple[int, tuple[str, ...], int, UsageRecord]
Row = tuple[Any, ...]  # a `record_row`


class Prepared(msgspec.Struct, array_like=True, gc=False):
    """The settles of a batch as an insert wants them, made where there was time for it."""

    count: int
    first_seq: int
    starts: tuple[int, int]  # when the first of the requests began, and the last
    shortfall: int
    reason: str
    shape: Shape  # on SQLite: of the insert
    values: tuple[tuple[Any, ...], ...]  # on SQLite: the values of each statement
    said: str  # on PostgreSQL: the records


class Batch(msgspec.Struct, frozen=True):
    """What a worker brings to the store at once. Frozen until acknowledged: the same again changes nothing."""

    upto: int  # the journal's number that this batch reaches; the store's watermark afterwards
    settles: Sequence[SettleRow]  # ascending by number; none where they are only `prepared`
    returns: dict[str, int]  # free parts of leases
    at_us: int
    lease_us: int = LEASE_US  # for so long the worker's leases are good without another word from it
    charges: dict[str, int] = {}  # charged on each account that the settles name, where the sender summed that already
    prepared: Prepared | None = None  # the settles once more, where the sender made them ready


def sum_charges(settles: Iterable[SettleRow]) -> dict[str, int]:
    """What settles charge on each account."""
    sums: dict[tuple[str, ...], int] = {}
    for _, accounts, charged, _ in settles:
        sums[accounts] = sums.get(accounts, 0) + charged
    return charge_each(sums)


def charge_each(sums: dict[tuple[str, ...], int]) -> dict[str, int]:
    """What is charged on each account, of sums that are each charged on several."""
    charges: dict[str, int] = {}
    for accounts, charged in sums.items():
        if charged:
            for name in accounts:
                charges[name] = charges.get(name, 0) + charged
    return charges


# What a batch's digest covers of each record: whose it was, when, what was used, at which price, and what came of it.
PROVED = (
    "request_id", "started_us", "owner_id", "tier", "key_id", "model", "input_tokens", "output_tokens",
    "cached_input_tokens", "cache_write_tokens", "audio_input_tokens", "audio_output_tokens", "reasoning_tokens",
    "price_id", "usd_per_credit", "hold", "cost", "charged", "shortfall", "provider_cost_usd", "ending", "usage_source",
)  # fmt: skip
_proved = itemgetter(*[RECORD_COLUMNS.index(name) for name in PROVED])
_lines = msgspec.json.Encoder().encode_lines


def batch_reason(rows: Iterable[Row]) -> str:
    """How many `record_row` tuples a batch has, and a digest of them: so the hash chain covers each record too.

    The digest is of a line for each: its values as JSON has them, but texts as they are, so that a database writes
    the same line without knowing what JSON escapes.
    """
    proved = list(map(_proved, rows))
    said = _lines(proved)
    if b"\\" in said:  # something was escaped
        said = "".join([f"[{','.join(map(_said, values))}]\n" for values in proved]).encode()
    return f"{len(proved)} records {hashlib.blake2b(said, digest_size=16).hexdigest()}"


def _said(value: Any) -> str:
    if value is None:
        return "null"
    return f'"{value}"' if type(value) is str else str(value)


_SEQ = RECORD_COLUMNS.index("seq")
_started, _shortfall = itemgetter(STARTED), itemgetter(RECORD_COLUMNS.index("shortfall"))


def prepare(rows: Sequence[Row], *, sqlite: bool, within: Shape = LEAST) -> Prepared:
    """Make `record_row` tuples ready for the one database or the other. `within`: the shape of those before."""
    starts = list(map(_started, rows))
    shape = shape_of(rows, within) if sqlite else within
    return Prepared(
        count=len(rows),
        first_seq=rows[0][_SEQ],
        starts=(min(starts), max(starts)),
        shortfall=sum(map(_shortfall, rows)),
        reason=batch_reason(rows),
        shape=shape,
        values=values_of(rows, shape) if sqlite else (),
        said="" if sqlite else rows_json(rows),
    )


def values_of(rows: Sequence[Row], shape: Shape, numbers: Sequence[int] = ()) -> tuple[Row, ...]:
    """`record_row` tuples as the values of statements on SQLite, each for one of `INSERT_ROWS`.

    `numbers`: arrival numbers, where these are given.
    """
    once, each = insert_places(shape)
    first, wanted = [rows[0][at] for at in once], itemgetter(*each)
    parts, at = [], 0
    for size in INSERT_ROWS:
        while len(rows) - at >= size:
            part = map(wanted, rows[at : at + size])
            if numbers:
                part = map(_numbered, numbers[at : at + size], part)
            parts.append((*first, *chain.from_iterable(part)))
            at += size
    return tuple(parts)


def _numbered(number: int, values: Row) -> Row:
    return number, *values
