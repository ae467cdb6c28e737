"""What the first schema has for operators' credits: called by its revision."""

import sqlalchemy as sa
from alembic import op

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # compared by bytes, as on SQLite
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, _TEXT, server_default=default, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _partial_index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(op.f(name), table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def create_grants() -> None:
    """Grants, what moved in them, and refunds."""
    _partial_index("ix_account_due_us", "account", "due_us", "due_us IS NOT NULL")
    op.create_table(
        "credit_grant",
        sa.Column("id", _SERIAL, nullable=False),
        _text("account", None),
        sa.Column("tx", _SERIAL, nullable=False),
        _text("category", None),
        sa.Column("priority", sa.Integer(), nullable=False),
        _big("amount"),
        _big("remaining"),
        _big("effective_us"),
        sa.Column("entered_us", sa.BigInteger(), nullable=True),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("voided_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("category IN ('paid', 'promo')", name=op.f("ck_credit_grant_category")),
        sa.CheckConstraint("remaining >= 0 AND remaining <= amount", name=op.f("ck_credit_grant_remaining")),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name=op.f("fk_credit_grant_account")),
        sa.ForeignKeyConstraint(["tx"], ["ledger_tx.id"], name=op.f("fk_credit_grant_tx")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_grant")),
    )
    op.create_index(op.f("ix_credit_grant_account"), "credit_grant", ["account"])
    op.create_index(op.f("ix_credit_grant_tx"), "credit_grant", ["tx"])
    _partial_index("ix_credit_grant_open", "credit_grant", "account", "remaining > 0")
    op.create_table(
        "grant_entry",
        sa.Column("tx", _SERIAL, nullable=False),
        sa.Column("grant_id", _SERIAL, nullable=False),
        _big("amount"),
        sa.ForeignKeyConstraint(["grant_id"], ["credit_grant.id"], name=op.f("fk_grant_entry_grant_id")),
        sa.ForeignKeyConstraint(["tx"], ["ledger_tx.id"], name=op.f("fk_grant_entry_tx")),
        sa.PrimaryKeyConstraint("tx", "grant_id", name=op.f("pk_grant_entry")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "refund",
        sa.Column("tx", _SERIAL, nullable=False),
        _text("request_id", None),
        _text("account", None),
        _big("amount"),
        _big("at_us"),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name=op.f("fk_refund_account")),
        sa.ForeignKeyConstraint(["tx"], ["ledger_tx.id"], name=op.f("fk_refund_tx")),
        sa.PrimaryKeyConstraint("tx", name=op.f("pk_refund")),
    )
    op.create_index(op.f("ix_refund_request_id"), "refund", ["request_id"])


def create_events() -> None:
    """Webhooks, and the outbox of events."""
    op.create_table(
        "webhook",
        _text("name", None),
        _text("url", None),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        _big("created_us"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhook")),
    )
    op.create_table(
        "webhook_event",
        _text("id", None),
        _text("kind", None),
        _text("subject"),
        _text("body", None),
        _big("at_us"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
    )
    op.create_index(op.f("ix_webhook_event_at_us"), "webhook_event", ["at_us"])
    op.create_table(
        "webhook_delivery",
        _text("event_id", None),
        _text("webhook", None),
        _text("state", None),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _big("next_us"),
        sa.Column("status", sa.Integer(), server_default="0", nullable=False),
        _text("error"),
        _big("done_us"),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'given_up')", name=op.f("ck_webhook_delivery_state")),
        sa.ForeignKeyConstraint(["event_id"], ["webhook_event.id"], name=op.f("fk_webhook_delivery_event_id")),
        sa.PrimaryKeyConstraint("event_id", "webhook", name=op.f("pk_webhook_delivery")),
    )
    _partial_index("ix_webhook_delivery_next_us", "webhook_delivery", "next_us", "state = 'pending'")
