"""The tables of what operators do with credits: grants, refunds, and the events that tell others of them."""

import sqlalchemy as sa

from joytoken.store.schema_columns import SERIAL, TEXT, metadata, partial_index
from joytoken.store.schema_columns import big as _big
from joytoken.store.schema_columns import flag as _flag
from joytoken.store.schema_columns import text as _text

_Serial, _Text = SERIAL, TEXT

# What a wallet's balance is made of. Of a wallet that is not `mixed`, `remaining` is as of its last transaction that
# was not usage: what was charged since is burned with the next one.
credit_grant = sa.Table(
    "credit_grant",
    metadata,
    sa.Column("id", _Serial, primary_key=True),
    sa.Column("account", _Text, sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("tx", _Serial, sa.ForeignKey("ledger_tx.id"), nullable=False, index=True),  # which made it
    _text("category", None),
    sa.Column("priority", sa.Integer, nullable=False),  # the lowest is burned first
    _big("amount"),
    _big("remaining"),
    _big("effective_us"),
    sa.Column("entered_us", sa.BigInteger),  # when it came into the balance; null until it is effective
    sa.Column("expires_us", sa.BigInteger),
    sa.Column("voided_us", sa.BigInteger),
    sa.CheckConstraint("category IN ('paid', 'promo')", name="category"),
    sa.CheckConstraint("remaining >= 0 AND remaining <= amount", name="remaining"),
    partial_index("ix_credit_grant_open", "account", where="remaining > 0"),
)

# What each transaction moved in each grant: a grant's `remaining` is their sum.
grant_entry = sa.Table(
    "grant_entry",
    metadata,
    sa.Column("tx", _Serial, sa.ForeignKey("ledger_tx.id"), primary_key=True),
    sa.Column("grant_id", _Serial, sa.ForeignKey("credit_grant.id"), primary_key=True),
    _big("amount"),
    sqlite_with_rowid=False,
)

# What was given back of a request's charge.
refund = sa.Table(
    "refund",
    metadata,
    sa.Column("tx", _Serial, sa.ForeignKey("ledger_tx.id"), primary_key=True),
    sa.Column("request_id", _Text, nullable=False, index=True),
    sa.Column("account", _Text, sa.ForeignKey("account.id"), nullable=False),
    _big("amount"),
    _big("at_us"),
    sa.CheckConstraint("amount > 0", name="amount"),
)

# ── Events ────────────────────────────────────────────────────────────────────────────────────────────────────────────

webhook = sa.Table(
    "webhook",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    _text("url", None),
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
    _flag("enabled"),
    _big("created_us"),
)

webhook_event = sa.Table(
    "webhook_event",
    metadata,
    sa.Column("id", _Text, primary_key=True),  # receivers tell repetitions by it
    _text("kind", None),
    _text("subject"),
    _text("body", None),  # the JSON that is sent, byte for byte
    _big("at_us"),
    sa.Index("ix_webhook_event_at_us", "at_us"),
)

# The outbox: an event for each webhook that there was, until it is delivered or given up.
webhook_delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column("event_id", _Text, sa.ForeignKey("webhook_event.id"), primary_key=True),
    sa.Column("webhook", _Text, primary_key=True),
    _text("state", None),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _big("next_us"),  # of a pending one: not before; while a worker has it, when others may
    sa.Column("status", sa.Integer, nullable=False, server_default="0"),  # the receiver's, 0 where none came
    _text("error"),
    _big("done_us"),
    sa.CheckConstraint("state IN ('pending', 'delivered', 'given_up')", name="state"),
    partial_index("ix_webhook_delivery_next_us", "next_us", where="state = 'pending'"),
)
