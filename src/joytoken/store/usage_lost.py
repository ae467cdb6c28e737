"""Settles that come for a month that was dropped: they are refused, and told to the operator.

Whether such a request had its record, and was charged, is not known any more; so it is not charged, now or again.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from joytoken.store.batch import SettleRow
from joytoken.store.clock import now_us
from joytoken.store.schema import incident
from joytoken.store.usage_months import month_of

MONTH_DROPPED = "month_dropped"  # an incident's kind
Lost = frozenset[str]  # months that were dropped


class LostSettle(msgspec.Struct, frozen=True):
    """What would have been recorded and charged. Amounts in nanocredits."""

    request_id: str
    month: str
    owner_id: str
    tier: str
    cost: int
    charged: int


def refuse_lost(
    conn: sa.Connection, settles: Sequence[SettleRow], lost: Lost, epoch: str, returns: dict[str, int]
) -> list[SettleRow]:
    """The settles of other months. For the rest an incident is filed, and what they were charged added to `returns`."""
    kept: list[SettleRow] = []
    refused: list[LostSettle] = []
    for row in settles:
        _, accounts, charged, record = row
        month = month_of(record.started_us)
        if month not in lost:
            kept.append(row)
            continue
        for name in accounts:
            returns[name] = returns.get(name, 0) + charged
        refused.append(LostSettle(record.request_id, month, record.owner_id, record.tier, record.cost, record.charged))
    if refused:
        detail = msgspec.json.encode(refused).decode()
        told = {"kind": MONTH_DROPPED, "subject": epoch, "detail": detail}
        same = sa.select(incident.c.id).where(*[incident.c[name] == value for name, value in told.items()])
        if conn.execute(same.limit(1)).first() is None:  # a journal may be brought twice
            conn.execute(sa.insert(incident).values(at_us=now_us(), **told))
    return kept
