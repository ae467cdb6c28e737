"""What a batch of settles comes to: its sums and entries, its digest, and what of it is there already."""

import hashlib
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.ledger import QUOTA_ISSUED, REVENUE, SHORTFALL, account_kind
from joytoken.domain.record import UsageRecord
from joytoken.store.ledger_book import Standing
from joytoken.store.ledger_grants import burn_batch
from joytoken.store.ledger_types import Batch, SettleRow
from joytoken.store.schema import RECORD_COLUMNS, settle_conflict, usage_record

PLATFORM = (QUOTA_ISSUED, REVENUE, SHORTFALL)

_known = sa.select(usage_record.c.request_id, usage_record.c.cost, usage_record.c.charged).where(
    usage_record.c.request_id.in_(sa.bindparam("ids", expanding=True))
)


def usage_amounts(charges: dict[str, int], shortfall: int) -> dict[str, int]:
    """A batch's entries: wallets against revenue, quotas against what was issued, shortfall on the operator."""
    amounts = {name: -charged for name, charged in charges.items()}
    wallets = sum(charged for name, charged in charges.items() if account_kind(name) == "wallet")
    amounts[QUOTA_ISSUED] = sum(charges.values()) - wallets
    amounts[REVENUE] = wallets + shortfall
    amounts[SHORTFALL] = -shortfall
    return amounts


def charges_of(settles: list[SettleRow], batch: Batch) -> dict[str, int]:
    """What a batch, or the part of it that is new, charges on each account."""
    if batch.charges and len(settles) == len(batch.settles):
        return {name: charged for name, charged in batch.charges.items() if charged}
    return sum_charges(settles)


def sum_charges(settles: Iterable[SettleRow]) -> dict[str, int]:
    """What settles charge on each account."""
    sums: dict[tuple[str, ...], int] = {}
    for _, accounts, charged, _ in settles:
        sums[accounts] = sums.get(accounts, 0) + charged
    charges: dict[str, int] = {}
    for accounts, charged in sums.items():
        if charged:
            for name in accounts:
                charges[name] = charges.get(name, 0) + charged
    return charges


def burn_mixed(conn: sa.Connection, tx_id: int, charges: dict[str, int], standings: dict[str, Standing]) -> None:
    """Burn grants where a wallet has several: a plain one's balance says all there is to say."""
    mixed = {name: charged for name, charged in charges.items() if standings[name].mixed}
    if mixed:
        burn_batch(conn, tx_id, mixed)


# What a batch's digest covers of each record: whose it was, when, what was used, at which price, and what came of it.
PROVED = (
    "request_id", "started_us", "owner_id", "tier", "key_id", "model", "input_tokens", "output_tokens",
    "cached_input_tokens", "cache_write_tokens", "audio_input_tokens", "audio_output_tokens", "reasoning_tokens",
    "price_id", "usd_per_credit", "hold", "cost", "charged", "shortfall", "provider_cost_usd", "ending", "usage_source",
)  # fmt: skip
_proved = itemgetter(*[RECORD_COLUMNS.index(name) for name in PROVED])
_lines = msgspec.json.Encoder().encode_lines


def batch_reason(rows: Iterable[tuple[Any, ...]]) -> str:
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


def known_ids(conn: sa.Connection, request_ids: Iterable[str]) -> set[str]:
    """Which of these requests have a record already."""
    return {row[0] for row in conn.execute(_known, {"ids": list(request_ids)})}


def known_settles(conn: sa.Connection, settles: Iterable[SettleRow]) -> dict[str, tuple[int, int]]:
    """Cost and charge of those requests that have a record already."""
    ids = [record.request_id for _, _, _, record in settles]
    return {row[0]: (row[1], row[2]) for row in conn.execute(_known, {"ids": ids})}


def settle_conflict_row(record: UsageRecord, first: tuple[int, int | None], at_us: int) -> dict[str, str | int]:
    """The alarm of a second outcome that is not the first one."""
    outcomes = (first, (record.cost, record.charged))
    said = [msgspec.json.encode({"cost": cost, "charged": charged}).decode() for cost, charged in outcomes]
    return {"request_id": record.request_id, "first": said[0], "second": said[1], "at_us": at_us}


def sifted(conn: sa.Connection, settles: list[SettleRow], returns: dict[str, int], at_us: int) -> list[SettleRow]:
    """Drop settles of requests that are there already; the first outcome stands, and a different second is an alarm."""
    known = known_settles(conn, settles)
    fresh: dict[str, SettleRow] = {}
    for row in settles:
        _, accounts, charged, record = row
        first = known.get(record.request_id)
        if first is None and record.request_id in fresh:
            earlier = fresh[record.request_id][3]
            first = (earlier.cost, earlier.charged)
        if first is None:
            fresh[record.request_id] = row
            continue
        for name in accounts:  # this worker counted it as spent
            returns[name] = returns.get(name, 0) + charged
        if first != (record.cost, record.charged):
            conn.execute(sa.insert(settle_conflict), settle_conflict_row(record, first, at_us))
    return list(fresh.values())
