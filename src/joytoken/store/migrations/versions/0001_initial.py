"""The first schema."""

import sqlalchemy as sa
from alembic import op

from joytoken.store.migrations.budgets import create_budgets
from joytoken.store.migrations.credit import create_events, create_grants
from joytoken.store.migrations.rollup import create_rollups
from joytoken.store.migrations.usage import create_months, create_usage_indexes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # compared by bytes, as on SQLite


def upgrade() -> None:
    _money()
    _ledger()
    create_grants()
    _usage()
    create_usage_indexes()
    create_months()
    create_rollups()
    _requests()
    _keys()
    create_budgets()
    _catalog()
    _house()
    create_events()


def _money() -> None:
    op.create_table(
        "account",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("owner_id", _TEXT, server_default="", nullable=False),
        sa.Column("tier", _TEXT, server_default="", nullable=False),
        sa.Column("window", _TEXT, server_default="", nullable=False),
        sa.Column("balance", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("leased", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("credit_limit", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quota_limit", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("recall_until_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("mixed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.Column("low_balance", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind <> 'platform' OR leased = 0", name=op.f("ck_account_platform_leased")),
        sa.CheckConstraint("kind = 'platform' OR balance + credit_limit >= 0", name=op.f("ck_account_balance")),
        sa.CheckConstraint("kind = 'platform' OR leased <= balance + credit_limit", name=op.f("ck_account_covered")),
        sa.CheckConstraint("kind IN ('wallet', 'quota', 'budget', 'platform')", name=op.f("ck_account_kind")),
        sa.CheckConstraint("leased >= 0", name=op.f("ck_account_leased")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
    )
    op.create_index(
        op.f("ix_account_recall_until_us"),
        "account",
        ["recall_until_us"],
        sqlite_where=sa.text("recall_until_us > 0"),
        postgresql_where=sa.text("recall_until_us > 0"),
    )
    op.create_table(
        "worker",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("host", _TEXT, server_default="", nullable=False),
        sa.Column("applied_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_deadline_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("heartbeat_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("state IN ('live', 'recovering', 'dead', 'abandoned')", name=op.f("ck_worker_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_table(
        "lease",
        sa.Column("account", _TEXT, nullable=False),
        sa.Column("worker", _TEXT, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("outstanding", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("outstanding >= 0", name=op.f("ck_lease_outstanding")),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name=op.f("fk_lease_account")),
        sa.ForeignKeyConstraint(["worker"], ["worker.id"], name=op.f("fk_lease_worker")),
        sa.PrimaryKeyConstraint("account", "worker", "epoch", name=op.f("pk_lease")),
        sqlite_with_rowid=False,
    )


def _ledger() -> None:
    op.create_table(
        "ledger_tx",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("batch", _TEXT, nullable=True),
        sa.Column("idempotency_key", _TEXT, nullable=True),
        sa.Column("actor", _TEXT, server_default="", nullable=False),
        sa.Column("reason", _TEXT, server_default="", nullable=False),
        sa.Column("terms", _TEXT, server_default="", nullable=False),
        sa.Column("at_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_tx")),
        sa.UniqueConstraint("batch", name=op.f("uq_ledger_tx_batch")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_ledger_tx_idempotency_key")),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("tx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("account", _TEXT, nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("balance_after", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name=op.f("fk_ledger_entry_account")),
        sa.ForeignKeyConstraint(["tx"], ["ledger_tx.id"], name=op.f("fk_ledger_entry_tx")),
        sa.PrimaryKeyConstraint("tx", "seq", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("account", "version", name=op.f("uq_ledger_entry_account_version")),
        sqlite_with_rowid=False,
    )


def _usage() -> None:
    op.create_table(
        "usage_blank",
        sa.Column("ingest_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("billing_id", _TEXT, server_default="", nullable=False),
        sa.Column("correlation_id", _TEXT, server_default="", nullable=False),
        sa.Column("started_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("finished_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("organisation", _TEXT, server_default="", nullable=False),
        sa.Column("owner_id", _TEXT, server_default="", nullable=False),
        sa.Column("key_id", _TEXT, server_default="", nullable=False),
        sa.Column("project", _TEXT, server_default="", nullable=False),
        sa.Column("application", _TEXT, server_default="", nullable=False),
        sa.Column("environment", _TEXT, server_default="", nullable=False),
        sa.Column("task", _TEXT, server_default="", nullable=False),
        sa.Column("end_user", _TEXT, server_default="", nullable=False),
        sa.Column("tags", _TEXT, server_default="", nullable=False),
        sa.Column("endpoint", _TEXT, server_default="", nullable=False),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        sa.Column("model_requested", _TEXT, server_default="", nullable=False),
        sa.Column("model", _TEXT, server_default="", nullable=False),
        sa.Column("deployment", _TEXT, server_default="", nullable=False),
        sa.Column("provider", _TEXT, server_default="", nullable=False),
        sa.Column("provider_request_id", _TEXT, server_default="", nullable=False),
        sa.Column("tier", _TEXT, server_default="", nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("audio_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("audio_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("price_id", _TEXT, server_default="", nullable=False),
        sa.Column("usd_per_credit", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("hold", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("charged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("shortfall", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("provider_cost_usd", sa.BigInteger(), nullable=True),
        sa.Column("charged_usd", sa.BigInteger(), nullable=True),
        sa.Column("margin_usd", sa.BigInteger(), nullable=True),
        sa.Column("ending", _TEXT, nullable=False),
        sa.Column("usage_source", _TEXT, nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=False),
        sa.Column("error_code", _TEXT, server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("routing_ms", sa.Double(), nullable=False),
        sa.Column("first_token_ms", sa.Double(), nullable=True),
        sa.Column("stream_ms", sa.Double(), nullable=True),
        sa.Column("total_ms", sa.Double(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("run_id", _TEXT, server_default="", nullable=False),
        sa.Column("parent_run_id", _TEXT, server_default="", nullable=False),
        sa.Column("worker", _TEXT, server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "charged >= 0 AND shortfall >= 0 AND cost = charged + shortfall", name=op.f("ck_usage_blank_cost")
        ),
        sa.PrimaryKeyConstraint("ingest_seq", name=op.f("pk_usage_blank")),
        sa.UniqueConstraint("request_id", name=op.f("uq_usage_blank_request_id")),
    )


def _requests() -> None:
    op.create_table(
        "settle_conflict",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("first", _TEXT, nullable=False),
        sa.Column("second", _TEXT, nullable=False),
        sa.Column("at_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settle_conflict")),
    )
    op.create_table(
        "idempotency",
        sa.Column("key_id", _TEXT, nullable=False),
        sa.Column("idempotency_key", _TEXT, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("status", sa.Integer(), server_default="0", nullable=False),
        sa.Column("content_type", _TEXT, server_default="", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("headers", _TEXT, server_default="", nullable=False),
        sa.Column("worker", _TEXT, server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('under_way', 'done')", name=op.f("ck_idempotency_state")),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_expires_us"), "idempotency", ["expires_us"])


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("key_id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, server_default="", nullable=False),
        sa.Column("owner_id", _TEXT, server_default="", nullable=False),
        sa.Column("organisation", _TEXT, server_default="", nullable=False),
        sa.Column("project", _TEXT, server_default="", nullable=False),
        sa.Column("application", _TEXT, server_default="", nullable=False),
        sa.Column("environment", _TEXT, server_default="", nullable=False),
        sa.Column("task", _TEXT, server_default="", nullable=False),
        sa.Column("policy", _TEXT, server_default="", nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("created_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("status IN ('active', 'revoked')", name=op.f("ck_keys_status")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_keys")),
    )
    op.create_table(
        "key_secret",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", _TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hint", _TEXT, server_default="", nullable=False),
        sa.Column("created_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name=op.f("fk_key_secret_key_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_key_secret")),
    )
    op.create_index(op.f("ix_key_secret_key_id"), "key_secret", ["key_id"])
    op.create_table(
        "admin_secret",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("hint", _TEXT, server_default="", nullable=False),
        sa.Column("created_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("name", _TEXT, server_default="", nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_admin_secret")),
    )


def _catalog() -> None:
    op.create_table(
        "price_book",
        sa.Column("price_id", _TEXT, nullable=False),
        sa.Column("rates", _TEXT, nullable=False),
        sa.Column("created_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("price_id", name=op.f("pk_price_book")),
    )
    op.create_table(
        "model_price",
        sa.Column("model", _TEXT, nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("price_id", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["price_id"], ["price_book.price_id"], name=op.f("fk_model_price_price_id")),
        sa.PrimaryKeyConstraint("model", "from_us", name=op.f("pk_model_price")),
    )
    op.create_table(
        "provider",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("base_url", _TEXT, server_default="", nullable=False),
        sa.Column("api_key_env", _TEXT, nullable=True),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("on_disconnect", _TEXT, nullable=False),
        sa.Column("ca_file", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_provider")),
    )
    op.create_table(
        "model",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("price_id", _TEXT, nullable=False),
        sa.Column("document", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["price_id"], ["price_book.price_id"], name=op.f("fk_model_price_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_model")),
    )
    op.create_table(
        "deployment",
        sa.Column("deployment_id", _TEXT, nullable=False),
        sa.Column("model", _TEXT, nullable=False),
        sa.Column("provider", _TEXT, nullable=False),
        sa.Column("upstream_model", _TEXT, nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["model.name"], name=op.f("fk_deployment_model")),
        sa.ForeignKeyConstraint(["provider"], ["provider.name"], name=op.f("fk_deployment_provider")),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_deployment")),
    )
    op.create_table(
        "tier_rate",
        sa.Column("tier", _TEXT, nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("usd_per_credit", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tier", "from_us", name=op.f("pk_tier_rate")),
    )


def _house() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("action", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, server_default="", nullable=False),
        sa.Column("before", _TEXT, server_default="", nullable=False),
        sa.Column("after", _TEXT, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "setting",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("value", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, server_default="", nullable=False),
        sa.Column("detail", _TEXT, server_default="", nullable=False),
        sa.Column("closed_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
