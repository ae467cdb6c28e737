"""The part of the proof that reads each usage record: all are there, once, and as they were brought."""

import hashlib
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa

from joytoken.store.schema import ledger_tx, settle_conflict, usage_record

Finding = str | None  # the first bad row
_Record = Any  # worker, epoch, number in the journal, and what the batch's digest covers
_PART_ROWS = 10_000
_BATCH = re.compile(r".*/[0-9]+/[0-9]+")
_u = usage_record.c


def _text(column: sa.Column[Any]) -> sa.ColumnElement[str]:
    return sa.cast(column, sa.Text)


# The database writes the line: of ten columns fetched, Python would make a million tuples and strings of its own.
_said = (
    _u.request_id.concat(" ").concat(_u.owner_id).concat(" ").concat(_u.tier).concat(" ").concat(_u.key_id)
    .concat(" ").concat(_text(_u.cost)).concat(" ").concat(_text(_u.charged)).concat(" ").concat(_text(_u.shortfall))
)  # fmt: skip
_records = sa.select(_u.worker, _u.epoch, _u.seq, _said).order_by(_u.ingest_seq)
_flushes = (
    sa.select(ledger_tx.c.id, ledger_tx.c.batch, ledger_tx.c.reason)
    .where(ledger_tx.c.kind == "usage")
    .order_by(ledger_tx.c.id)
)


def once(conn: sa.Connection) -> Finding:
    """Each flush brought so many records of this content; the records are there, in that order, and no others."""
    records = _stream(conn, _records)
    for flush in _stream(conn, _flushes):
        bad = _brought(flush, records)
        if bad is not None:
            return bad
    extra = next(records, None)
    if extra is not None:
        return f"usage record {_id(extra)} belongs to no flush"
    row = conn.execute(sa.select(settle_conflict.c.request_id).limit(1)).first()
    return None if row is None else f"request {row[0]} was settled twice, differently"


def _brought(flush: Any, records: Iterator[_Record]) -> Finding:
    count, _, digest = str(flush.reason).partition(" records ")
    if not count.isdecimal() or _BATCH.fullmatch(str(flush.batch)) is None:
        return f"transaction {flush.id}: it does not say what it brought"
    name, epoch_text, upto_text = str(flush.batch).rsplit("/", 2)
    epoch, upto = int(epoch_text), int(upto_text)
    found = list(islice(records, int(count)))
    for record in found:
        if record[2] > upto or record[1] != epoch or record[0] != name:
            return f"flush {flush.batch} lacks a record before {_id(record)}"
    if len(found) < int(count):
        return f"flush {flush.batch} brought {count} records, {len(found)} are there"
    said = hashlib.blake2b("\n".join([row[3] for row in found]).encode(), digest_size=16)
    return None if said.hexdigest() == digest else f"flush {flush.batch}: a record is not the one that was brought"


def _stream(conn: sa.Connection, query: sa.Select[Any]) -> Iterator[Any]:
    with conn.execute(query.execution_options(yield_per=_PART_ROWS)) as result:  # a cursor on PostgreSQL's side
        yield from chain.from_iterable(result.partitions())


def _id(record: _Record) -> str:
    return str(record[3]).partition(" ")[0]
