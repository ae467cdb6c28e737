"""The part of the proof that reads what an account's row says beside its balance: by it money is lent, and ends."""

from typing import Any

import sqlalchemy as sa

from joytoken.domain.ledger import PRIORITY
from joytoken.store.ledger_book import account_words
from joytoken.store.schema import account
from joytoken.store.schema_credit import credit_grant

Finding = str | None  # the first bad row
_a, _g = account.c, credit_grant.c
_rows = (
    sa.select(_a.id, _a.kind, _a.owner_id, _a.tier, _a.window, _a.credit_limit, _a.quota_limit)
    .order_by(_a.id)
    .execution_options(yield_per=1_000)
)
_special = sa.or_(
    _g.category != "paid", _g.priority != PRIORITY["paid"], _g.expires_us.is_not(None), _g.voided_us.is_not(None)
)
_due = sa.case(
    (_g.voided_us.is_not(None), _g.voided_us), (_g.entered_us.is_(None), _g.effective_us), else_=_g.expires_us
)


def named(conn: sa.Connection) -> Finding:
    """Each account is of the kind, owner, tier and window that its name says, and none was given credit by anybody.

    A wallet's grants end when they should: it knows of the first moment at which one begins or ends, or of an earlier
    one that has no meaning any more, and that they differ where they do.
    """
    with conn.execute(_rows) as result:  # a cursor on PostgreSQL's side
        for row in result:
            said = _contradicted(row)
            if said is not None:
                return f"account {row.id}: {said}"
    bad = conn.execute(_ends.limit(1)).first()
    if bad is None:
        return None
    return f"account {bad.id}: mixed {int(bad.mixed)}, due {bad.due_us}; its grants say {bad.special}, {bad.due}"


def _contradicted(row: Any) -> Finding:
    if (row.kind, row.owner_id, row.tier, row.window) != account_words(row.id):
        return f"its row says {' '.join(filter(None, row[1:5]))}"
    if row.credit_limit:
        return f"it may fall to {-row.credit_limit}, and nobody allowed that"
    if row.quota_limit is not None and row.kind not in ("quota", "budget"):
        return f"a limit of {row.quota_limit} stands on it, and it can have none"
    return None


def _left() -> Any:
    special = sa.func.max(sa.case((sa.and_(_g.entered_us.is_not(None), _special), 1), else_=0))
    columns = (_g.account, special.label("special"), sa.func.min(_due).label("due"))
    return sa.select(*columns).where(_g.remaining > 0).group_by(_g.account).subquery()


_grants = _left()
_ends = (
    sa.select(_a.id, _a.mixed, _a.due_us, _grants.c.special, _grants.c.due)
    .join(_grants, _grants.c.account == _a.id)
    .where(
        sa.or_(
            sa.and_(_grants.c.special == 1, sa.not_(_a.mixed)),
            sa.and_(_grants.c.due.is_not(None), sa.or_(_a.due_us.is_(None), _a.due_us > _grants.c.due)),
        )
    )
    .order_by(_a.id)
)
