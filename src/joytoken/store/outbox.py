"""Events that others are told of, written by the transaction that they tell of: with it, or not at all.

The event of an account's falling has an id made of the transaction's number: the same fall is the same event.
"""

import hashlib
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from joytoken.domain.money import format_amount
from joytoken.store.schema_credit import webhook, webhook_delivery, webhook_event

LOW_BALANCE = "wallet.low_balance"
_names = sa.select(webhook.c.name).where(webhook.c.enabled).order_by(webhook.c.name)


def tell(conn: sa.Connection, event_id: str, kind: str, subject: str, data: dict[str, str], at_us: int) -> int:
    """Put an event into the outbox, once for each enabled webhook; returns for how many."""
    names = list(conn.execute(_names).scalars())
    if not names:
        return 0
    at = datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = msgspec.json.encode({"type": kind, "timestamp": at, "data": data}).decode()
    event = {"id": event_id, "kind": kind, "subject": subject, "body": body, "at_us": at_us}
    conn.execute(sa.insert(webhook_event), event)
    rows = [{"event_id": event_id, "webhook": name, "state": "pending", "next_us": at_us} for name in names]
    conn.execute(sa.insert(webhook_delivery), rows)
    return len(names)


def tell_low_balance(conn: sa.Connection, tx_id: int, account: str, balance: int, threshold: int, at_us: int) -> None:
    """Tell that a wallet's balance fell below its threshold."""
    owner, _, tier = account.partition(":")[2].rpartition(":")
    said = {
        "owner": owner,
        "tier": tier,
        "balance": format_amount(balance),
        "threshold": format_amount(threshold),
        "transaction": str(tx_id),
    }
    which = hashlib.blake2b(account.encode(), digest_size=6).hexdigest()  # an owner's name is no part of a header
    tell(conn, f"evt-{tx_id}-{which}", LOW_BALANCE, account, said, at_us)
