"""The part of the proof that reads each usage record: all are there, once, and as they were brought."""

import functools
import hashlib
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.store.batch import PROVED
from joytoken.store.schema import ledger_tx, settle_conflict, usage_record
from joytoken.store.usage_dropped import Lacking, dropped

Finding = str | None  # the first bad row
_Record = Any  # worker, epoch, number in the journal, and what the batch's digest covers
_PART_ROWS = 10_000
_BATCH = re.compile(r".*/[0-9]+/[0-9]+")
_u = usage_record.c


def _text(name: str) -> sa.ColumnElement[str]:
    column = _u[name]
    is_text = isinstance(column.type, sa.Text)
    text = sa.literal('"').concat(column).concat('"') if is_text else sa.cast(column, sa.Text)
    return sa.func.coalesce(text, "null") if column.nullable else text


# The database writes the line: of so many columns fetched, Python would make millions of strings of its own.
_inside = functools.reduce(lambda line, name: line.concat(",").concat(_text(name)), PROVED[1:], _text(PROVED[0]))
_said = sa.literal("[").concat(_inside).concat("]\n")
_columns = (_u.worker, _u.epoch, _u.seq, _said)
_flushes = (
    sa.select(ledger_tx.c.id, ledger_tx.c.batch, ledger_tx.c.reason)
    .where(ledger_tx.c.kind == "usage")
    .order_by(ledger_tx.c.id)
)


class Batch(msgspec.Struct):
    """What a flush brought, as far as it is there. `bad`: why it is not what the ledger says."""

    tx: int
    epoch: str  # worker/epoch
    count: int  # that it brought
    records: list[_Record]
    bad: Finding


def batches(conn: sa.Connection, *more: sa.ColumnElement[Any]) -> Iterator[Batch]:
    """Each flush with its records: worker, epoch, number in the journal, what the digest covers, and `more` columns.

    Records that belong to none come last, as a batch that brought none.
    """
    records = _stream(conn, sa.select(*_columns, *more).order_by(_u.ingest_seq))
    lacking = Lacking(dropped(conn))
    for flush in _stream(conn, _flushes):
        count, _, digest = str(flush.reason).partition(" records ")
        if not count.isdecimal() or _BATCH.fullmatch(str(flush.batch)) is None:
            yield Batch(flush.id, "", 0, [], f"transaction {flush.id}: it does not say what it brought")
            return
        gone, of_rest = lacking.of(flush.id, int(count))
        found = list(islice(records, int(count) - gone))
        bad = _brought(str(flush.batch), int(count) - gone, digest if of_rest is None else of_rest, found)
        yield Batch(flush.id, str(flush.batch).rpartition("/")[0], int(count), found, bad)
    extra = next(records, None)
    if extra is not None:
        yield Batch(0, "", 0, [extra], f"usage record {_id(extra)} belongs to no flush")


def once(conn: sa.Connection) -> Finding:
    """Each flush brought so many records of this content; the records are there, in that order, and no others.

    Those of months that were dropped are known to the ledger, and are not looked for.
    """
    for batch in batches(conn):
        if batch.bad is not None:
            return batch.bad
    row = conn.execute(sa.select(settle_conflict.c.request_id).limit(1)).first()
    return None if row is None else f"request {row[0]} was settled twice, differently"


def _brought(flush: str, count: int, digest: str, found: list[_Record]) -> Finding:
    name, epoch_text, upto_text = flush.rsplit("/", 2)
    epoch, upto = int(epoch_text), int(upto_text)
    for record in found:
        if record[2] > upto or record[1] != epoch or record[0] != name:
            return f"flush {flush} lacks a record before {_id(record)}"
    if len(found) < count:
        return f"flush {flush} brought {count} records, {len(found)} are there"
    if not count:
        return None
    return None if digest_of(found) == digest else f"flush {flush}: a record is not the one that was brought"


def digest_of(records: list[_Record]) -> str:
    """The digest of the content of a batch, or of what is left of it."""
    return hashlib.blake2b("".join([row[3] for row in records]).encode(), digest_size=16).hexdigest()


def _stream(conn: sa.Connection, query: sa.Select[Any]) -> Iterator[Any]:
    with conn.execute(query.execution_options(yield_per=_PART_ROWS)) as result:  # a cursor on PostgreSQL's side
        yield from chain.from_iterable(result.partitions())


def _id(record: _Record) -> str:
    return str(record[3]).split('"', 2)[1]
