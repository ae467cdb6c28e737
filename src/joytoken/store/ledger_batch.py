"""What a batch of settles does to the books: its entries, and what of it is there already."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from joytoken.domain.ledger import QUOTA_ISSUED, REVENUE, SHORTFALL, account_kind
from joytoken.domain.record import UsageRecord
from joytoken.store.batch import Batch, SettleRow, sum_charges
from joytoken.store.ledger_book import Standing
from joytoken.store.ledger_grants import burn_batch
from joytoken.store.schema import settle_conflict, usage_record

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


def charges_of(settles: Sequence[SettleRow], batch: Batch) -> dict[str, int]:
    """What a batch, or the part of it that is new, charges on each account."""
    if batch.charges and len(settles) == len(batch.settles):
        return {name: charged for name, charged in batch.charges.items() if charged}
    return sum_charges(settles)


def burn_mixed(conn: sa.Connection, tx_id: int, charges: dict[str, int], standings: dict[str, Standing]) -> None:
    """Burn grants where a wallet has several: a plain one's balance says all there is to say."""
    mixed = {name: charged for name, charged in charges.items() if standings[name].mixed}
    if mixed:
        burn_batch(conn, tx_id, mixed)


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


def sifted(conn: sa.Connection, settles: Sequence[SettleRow], returns: dict[str, int], at_us: int) -> list[SettleRow]:
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
