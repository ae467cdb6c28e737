"""By which grants a request was paid, so that a refund goes back to credits of the same kind.

A batch is burned as one sum, in the burn order; its requests follow each other in the order of the journal. So a
request's charge is a stretch of that sum, and what was burned there is known to the nanocredit.
"""

from typing import Any

import sqlalchemy as sa

from joytoken.domain.errors import NotFound, no_request
from joytoken.domain.ledger import PLAIN, GrantTerms
from joytoken.store.ledger_grants import Grant, burn_order
from joytoken.store.schema import ledger_tx, usage_record
from joytoken.store.schema_credit import credit_grant, grant_entry, refund
from joytoken.store.usage_months import dropped_month_of

LEAST_LIFE_US = 86_400_000_000  # what comes back with an end lives for a day at least

_batch = ledger_tx.c.batch
_record = sa.select(
    *(usage_record.c[n] for n in ("owner_id", "tier", "charged", "worker", "epoch", "seq", "ingest_seq", "started_us"))
).where(usage_record.c.request_id == sa.bindparam("of"))
_refunded = sa.select(sa.func.coalesce(sa.func.sum(refund.c.amount), 0)).where(
    refund.c.request_id == sa.bindparam("of")
)

# A part of a charge: on what terms it was paid, how much, and how long its grant had to live then.
Paid = tuple[GrantTerms, int, int | None]


def charged_record(conn: sa.Connection, request_id: str) -> Any:
    """What is needed of a usage record; None where there is none."""
    return conn.execute(_record, {"of": request_id}).first()


def not_there(conn: sa.Connection, request_id: str) -> NotFound:
    """The error of a request without a record."""
    return no_request(request_id, dropped_month_of(conn, request_id), "id")


def refunded_so_far(conn: sa.Connection, request_id: str) -> int:
    """What was given back of a request's charge."""
    return int(conn.execute(_refunded, {"of": request_id}).scalar_one())


def paid_by(conn: sa.Connection, record: Any) -> list[Paid]:
    """What a request was paid with, in the order of the burning."""
    own = f"{record.worker}/{record.epoch}/"
    mine = f"{own}{record.seq}"
    digits = sa.func.length(_batch)
    of_worker = sa.select(ledger_tx.c.id, _batch).where(_batch >= own, _batch < own[:-1] + "0")
    reached = sa.or_(digits > len(mine), sa.and_(digits == len(mine), _batch >= mine))
    tx = conn.execute(of_worker.where(reached).order_by(digits, _batch).limit(1)).first()
    if tx is None:
        return [(PLAIN, record.charged, None)]
    account = f"wallet:{record.owner_id}:{record.tier}"
    columns = [credit_grant.c[name] for name in Grant.__struct_fields__]
    burned = (
        sa.select(grant_entry.c.amount, *columns)
        .join(credit_grant, credit_grant.c.id == grant_entry.c.grant_id)
        .where(grant_entry.c.tx == tx.id, credit_grant.c.account == account)
    )
    taken = sorted(((Grant(*row[1:]), -row[0]) for row in conn.execute(burned)), key=lambda item: burn_order(item[0]))
    if not taken:
        return [(PLAIN, record.charged, None)]
    before = of_worker.where(sa.not_(reached)).order_by(digits.desc(), _batch.desc()).limit(1)
    last = conn.execute(before).first()
    since = int(last.batch.rpartition("/")[2]) if last is not None else 0
    u = usage_record.c
    earlier = sa.select(sa.func.coalesce(sa.func.sum(u.charged), 0)).where(
        u.ingest_seq < record.ingest_seq, u.ingest_seq >= record.ingest_seq - (record.seq - since),
        u.worker == record.worker, u.epoch == record.epoch, u.seq > since,
        u.owner_id == record.owner_id, u.tier == record.tier,
    )  # fmt: skip
    start = int(conn.execute(earlier).scalar_one())
    parts = [
        (grant.terms, part, None if grant.expires_us is None else grant.expires_us - record.started_us)
        for grant, part in taken
    ]  # fmt: skip
    found = _stretch(parts, start, start + record.charged)
    rest = record.charged - sum(part for _, part, _ in found)
    return [*found, (PLAIN, rest, None)] if rest else found


def given_back(paid: list[Paid], already: int, amount: int, at_us: int) -> list[tuple[GrantTerms, int]]:
    """What the next refund brings: the last that was spent comes back first, with the life that it had left."""
    back: list[tuple[GrantTerms, int]] = []
    for terms, part, life_us in _stretch(paid[::-1], already, already + amount):
        until = None if life_us is None else at_us + max(life_us, LEAST_LIFE_US)
        brought = GrantTerms(terms.category, terms.priority, until)
        if back and back[-1][0] == brought:
            back[-1] = (brought, back[-1][1] + part)
        else:
            back.append((brought, part))
    return back


def _stretch(parts: list[Paid], start: int, end: int) -> list[Paid]:
    found, at = [], 0
    for terms, part, life_us in parts:
        inside = min(at + part, end) - max(at, start)
        if inside > 0:
            found.append((terms, inside, life_us))
        at += part
    return found
