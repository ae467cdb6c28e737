"""The proof of grants, refunds and limits: a balance is what came in less what went, grant by grant.

Each check reads the small tables of operators' acts, and of the flushes only sums that the database makes.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.ledger import PENDING
from joytoken.store.ledger_types import Terms
from joytoken.store.schema import account, ledger_entry, ledger_tx, usage_record
from joytoken.store.schema_credit import credit_grant, grant_entry, refund
from joytoken.store.usage_dropped import dropped

Finding = str | None  # the first bad row
_decode_terms = msgspec.json.Decoder(Terms).decode
_e, _g, _t = ledger_entry.c, credit_grant.c, ledger_tx.c
_zero = sa.literal(0)
_LIMITED = ("quota", "budget")


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(column), 0)


def flows(conn: sa.Connection) -> Finding:
    """Opening (nothing) + top-ups + refunds +- corrections - expiries - charged = balance, of each wallet.

    Each sum is compared with what it comes from: top-ups with grants, refunds with refunds, expiries with what was
    taken from grants. What was charged is compared with the usage records by a check of its own.
    """
    entered: dict[str, dict[str, int]] = {}
    of_wallets = sa.and_(_e.account > "wallet:", _e.account < "wallet;")  # what limits issue is beyond any sum
    by_kind = sa.select(_e.account, _t.kind, _sum(_e.amount)).join(ledger_tx, _t.id == _e.tx).where(of_wallets)
    for name, kind, amount in conn.execute(by_kind.group_by(_e.account, _t.kind)):
        entered.setdefault(name, {})[kind] = int(amount)
    made = sa.select(_g.account, _sum(_g.amount)).join(ledger_tx, _t.id == _g.tx)
    topped = made.where(_t.kind == "topup", _g.entered_us.is_not(None)).group_by(_g.account)
    refunded = sa.select(refund.c.account, _sum(refund.c.amount)).group_by(refund.c.account)
    moved = sa.select(_g.account, _sum(grant_entry.c.amount)).join(credit_grant, _g.id == grant_entry.c.grant_id)
    expired = moved.join(ledger_tx, _t.id == grant_entry.c.tx).where(_t.kind == "expire").group_by(_g.account)
    for kind, word, query in (
        ("topup", "top-ups", topped), ("refund", "refunds", refunded), ("expire", "expiries", expired)
    ):  # fmt: skip
        proven = {row[0]: int(row[1]) for row in conn.execute(query)}
        wallets = {name for name in entered if name.startswith("wallet:")}
        for name in sorted(wallets | set(proven)):
            said = entered.get(name, {}).get(kind, 0)
            if said != proven.get(name, 0):
                return f"account {name}: {word} entered {said}, there were {proven.get(name, 0)}"
    rows = conn.execute(sa.select(account.c.id, account.c.balance).where(account.c.kind == "wallet"))
    for name, balance in sorted((row[0], row[1]) for row in rows):
        total = sum(entered.get(name, {}).values())
        if total != balance:
            return f"account {name}: balance {balance}, what came in less what went is {total}"
    return None


def left_in_grants(conn: sa.Connection) -> Finding:
    """What remains of a wallet's grants is its balance: now where each batch burns them, else as of when they moved.

    That is the wallet's last act, or the last batch that burned: an act without an entry may be what ended burning.
    """
    held = (
        sa.select(_g.account, _sum(_g.remaining).label("left"))
        .where(_g.remaining > 0, _g.entered_us.is_not(None))
        .group_by(_g.account)
        .subquery()
    )
    acted = sa.select(_e.account, _e.tx).join(ledger_tx, _t.id == _e.tx).where(_t.kind != "usage")
    moved = sa.select(_g.account, grant_entry.c.tx).join(grant_entry, _g.id == grant_entry.c.grant_id)
    both = acted.union_all(moved).subquery()
    last = sa.select(both.c.account, sa.func.max(both.c.tx).label("tx")).group_by(both.c.account).subquery()
    then = (
        sa.select(_e.balance_after)
        .where(_e.account == account.c.id, _e.tx <= last.c.tx)
        .order_by(_e.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        sa.select(
            account.c.id,
            account.c.balance,
            account.c.mixed,
            sa.func.coalesce(held.c.left, 0),
            sa.func.coalesce(then, 0),
        )
        .outerjoin(held, held.c.account == account.c.id)
        .outerjoin(last, last.c.account == account.c.id)
        .where(account.c.kind == "wallet")
        .order_by(account.c.id)
    )
    for name, balance, mixed, remaining, balance_then in conn.execute(query):
        due = max(balance if mixed else balance_then, 0)
        if int(remaining) != due:
            return f"account {name}: its grants have {remaining} left, and it has {due}"
    waiting = conn.execute(sa.select(_sum(_g.remaining)).where(_g.entered_us.is_(None))).scalar_one()
    held_back = conn.execute(sa.select(account.c.balance).where(account.c.id == PENDING)).scalar_one_or_none() or 0
    return None if int(waiting) == held_back else f"account {PENDING}: {held_back}, waiting grants have {waiting}"


def grants(conn: sa.Connection) -> Finding:
    """Each grant has left what its entries sum to, and is on the terms that its transaction has."""
    moved = (
        sa.select(grant_entry.c.grant_id, _sum(grant_entry.c.amount).label("left"))
        .group_by(grant_entry.c.grant_id)
        .subquery()
    )
    left = sa.func.coalesce(moved.c.left, 0)
    query = (
        sa.select(_g.id, _g.remaining, left).outerjoin(moved, moved.c.grant_id == _g.id).where(_g.remaining != left)
    )  # fmt: skip
    bad = conn.execute(query.order_by(_g.id).limit(1)).first()
    if bad is not None:
        return f"grant {bad[0]}: {bad[1]} left, its entries sum to {bad[2]}"
    orphan = sa.select(grant_entry.c.grant_id).outerjoin(credit_grant, _g.id == grant_entry.c.grant_id)
    strange = conn.execute(orphan.where(_g.id.is_(None)).limit(1)).first()
    if strange is not None:
        return f"grant {strange[0]}: entries without it"
    there: dict[int, list[tuple[str, str, int, int, int, int | None]]] = {}
    columns = (_g.tx, _g.account, _g.category, _g.priority, _g.amount, _g.effective_us, _g.expires_us)
    for row in conn.execute(sa.select(*columns).order_by(_g.tx, _g.id)):
        there.setdefault(row[0], []).append(tuple(row)[1:])
    voided = {row[0]: row[1] for row in conn.execute(sa.select(_g.id, _g.voided_us).where(_g.voided_us.is_not(None)))}
    said = sa.select(_t.id, _t.at_us, _t.terms).where(_t.terms != "").order_by(_t.id)
    for tx_id, at_us, written in conn.execute(said):
        terms = _terms(written)
        if terms is None:
            return f"transaction {tx_id}: its terms cannot be read"
        if list(terms.grants) != there.pop(tx_id, []):
            return f"transaction {tx_id}: the grants that it made are not there as it made them"
        what, _, number = terms.asked.partition(" ")
        if what == "void" and (not number.isdecimal() or voided.pop(int(number), None) != at_us):
            return f"transaction {tx_id}: grant {number} was not voided by it"
    if there:
        return f"transaction {min(there)}: it made no grant, and one names it"
    return f"grant {min(voided)}: no transaction voided it" if voided else None


def _terms(written: str | None) -> Terms | None:
    try:
        return _decode_terms(written) if written else Terms()
    except msgspec.MsgspecError:
        return None


def refunds(conn: sa.Connection) -> Finding:
    """No request got more back than it was charged, and each refund is the transaction that it names."""
    total = sa.select(refund.c.request_id, _sum(refund.c.amount).label("back")).group_by(refund.c.request_id).subquery()
    # Looked for one by one: for a join, SQLite would first put the records of all months together.
    record = sa.select(usage_record.c.charged).where(usage_record.c.request_id == total.c.request_id)
    charged = sa.func.coalesce(record.scalar_subquery(), 0)
    gone = {name: charge for month in dropped(conn) for name, charge in month.refunded}  # the ledger says it of those
    query = sa.select(total.c.request_id, total.c.back, charged).where(total.c.back > charged)
    for request_id, back, charge in conn.execute(query.order_by(total.c.request_id)):
        if back > gone.get(request_id, charge):
            return f"request {request_id}: {back} given back, {gone.get(request_id, charge)} charged"
    pairs = (
        sa.select(
            refund.c.tx, refund.c.request_id, refund.c.amount, refund.c.account, refund.c.at_us == _t.at_us, _t.terms
        )
        .outerjoin(ledger_tx, sa.and_(_t.id == refund.c.tx, _t.kind == "refund"))
        .order_by(refund.c.tx)
    )
    for tx_id, request_id, amount, name, then, written in conn.execute(pairs):
        said = _terms(written)
        if not then or said is None or (said.other, said.amount, said.account) != (request_id, amount, name):
            return f"transaction {tx_id}: not the refund of {request_id}"
    alone = sa.select(_t.id).outerjoin(refund, refund.c.tx == _t.id).where(_t.kind == "refund", refund.c.tx.is_(None))
    lost = conn.execute(alone.order_by(_t.id).limit(1)).first()
    return None if lost is None else f"transaction {lost[0]}: a refund of no request"


def quotas(conn: sa.Connection) -> Finding:
    """Each window of a limit or a budget was charged at most what was issued, and has no limit beyond that."""
    used = sa.func.sum(sa.case((_t.kind == "usage", -_e.amount), else_=_zero))
    issued = sa.func.sum(sa.case((_t.kind == "usage", _zero), else_=_e.amount))
    sums = (
        sa.select(_e.account, used.label("used"), issued.label("issued"))
        .join(ledger_tx, _t.id == _e.tx)
        .join(account, account.c.id == _e.account)
        .where(account.c.kind.in_(_LIMITED))
        .group_by(_e.account)
        .subquery()
    )
    spent, given = sa.func.coalesce(sums.c.used, 0), sa.func.coalesce(sums.c.issued, 0)
    limit = sa.func.coalesce(account.c.quota_limit, -1)
    query = (
        sa.select(account.c.id, spent, given, limit)
        .outerjoin(sums, sums.c.account == account.c.id)
        .where(account.c.kind.in_(_LIMITED), sa.or_(spent > given, limit > given, limit < 0))
        .order_by(account.c.id)
    )
    row = conn.execute(query.limit(1)).first()
    return None if row is None else f"account {row[0]}: charged {row[1]} of {row[2]} issued, its limit is {row[3]}"
