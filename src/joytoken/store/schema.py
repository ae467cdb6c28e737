"""All tables, with one meaning on SQLite and PostgreSQL.

Amounts are nanocredits (or nano-dollars where the name ends in `_usd`), times unix microseconds (`_us`), both in 64-bit
columns. Columns that hold JSON text are called so here, since a database sees only text.
"""

import sqlalchemy as sa

from joytoken.store import schema_budget, schema_credit, schema_rollup  # noqa: F401 - their tables are part of all
from joytoken.store.schema_columns import SERIAL, TEXT, described, metadata, partial_index, record_table
from joytoken.store.schema_columns import big as _big
from joytoken.store.schema_columns import flag as _flag
from joytoken.store.schema_columns import text as _text

__all__ = ["metadata"]  # which has all tables once this module is imported
_Serial, _Text = SERIAL, TEXT

# ── Money ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

account = sa.Table(
    "account",
    metadata,
    sa.Column("id", _Text, primary_key=True),  # as `domain.ledger` names it
    _text("kind", None),
    _text("owner_id"),  # the wallet's owner; of a quota, the key; of a budget, its id; "" for the platform's
    _text("tier"),  # of a wallet
    _text("window"),  # of a quota or a budget
    _big("balance"),
    _big("leased"),
    _big("credit_limit"),
    sa.Column("quota_limit", sa.BigInteger),  # what a quota account was opened with, or last set to
    _big("version"),  # rises by one with each entry
    _big("recall_until_us"),  # until then, workers give the free parts of their leases back
    # Of a wallet: whether its grants differ, so that each flush burns them; the moment when one of them begins or ends.
    sa.Column("mixed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("due_us", sa.BigInteger),
    sa.Column("low_balance", sa.BigInteger),  # an event tells when the balance falls below it
    sa.CheckConstraint("kind IN ('wallet', 'quota', 'budget', 'platform')", name="kind"),
    sa.CheckConstraint("leased >= 0", name="leased"),
    # The platform's accounts are the other side of every movement, so one of them is always below zero.
    sa.CheckConstraint("kind = 'platform' OR balance + credit_limit >= 0", name="balance"),
    sa.CheckConstraint("kind = 'platform' OR leased <= balance + credit_limit", name="covered"),
    sa.CheckConstraint("kind <> 'platform' OR leased = 0", name="platform_leased"),
    # Asked with each flush, and nearly always empty.
    partial_index("ix_account_recall_until_us", "recall_until_us", where="recall_until_us > 0"),
    partial_index("ix_account_due_us", "due_us", where="due_us IS NOT NULL"),
)

worker = sa.Table(
    "worker",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    _big("epoch"),
    _text("state", None),
    _text("host"),
    _big("applied_seq"),
    _big("lease_deadline_us"),
    _big("heartbeat_us"),
    sa.CheckConstraint("state IN ('live', 'recovering', 'dead', 'abandoned')", name="state"),
)

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("account", _Text, sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("worker", _Text, sa.ForeignKey("worker.id"), primary_key=True),
    sa.Column("epoch", sa.BigInteger, primary_key=True),
    _big("outstanding"),
    sa.CheckConstraint("outstanding >= 0", name="outstanding"),
    sqlite_with_rowid=False,
)

ledger_tx = sa.Table(
    "ledger_tx",
    metadata,
    sa.Column("id", _Serial, primary_key=True),  # the order of the hash chain
    _text("kind", None),
    sa.Column("batch", _Text, unique=True),  # the flush that made it, so that it is applied once
    sa.Column("idempotency_key", _Text, unique=True),  # of what is done once
    _text("actor"),
    _text("reason"),
    _text("terms"),  # JSON of `ledger_types.Terms`, of what an operator did; "" elsewhere
    _big("at_us"),
    sa.Column("prev_hash", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)

ledger_entry = sa.Table(
    "ledger_entry",
    metadata,
    sa.Column("tx", _Serial, sa.ForeignKey("ledger_tx.id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("account", _Text, sa.ForeignKey("account.id"), nullable=False),
    _big("amount"),
    _big("balance_after"),
    _big("version"),
    sa.UniqueConstraint("account", "version"),  # contiguous versions, and the order of a statement
    sqlite_with_rowid=False,
)

# ── Usage ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

# The columns of `UsageRecord` in the order of its fields, after the order of arrival and before where it came from.
# Few indexes: each costs on the one insert that every request pays for.
# It is several: `usage_months`.
usage_record = sa.Table(
    "usage_record",
    described,
    sa.Column("ingest_seq", _Serial, primary_key=True),
    sa.Column("request_id", _Text, nullable=False, unique=True),
    _text("billing_id"),
    _text("correlation_id"),
    _big("started_us"),
    _big("finished_us"),
    _text("organisation"),
    _text("owner_id"),
    _text("key_id"),
    _text("project"),
    _text("application"),
    _text("environment"),
    _text("task"),
    _text("end_user"),
    _text("tags"),  # JSON object of strings, or ""
    _text("endpoint"),
    _flag("streamed"),
    _text("model_requested"),
    _text("model"),
    _text("deployment"),
    _text("provider"),
    _text("provider_request_id"),
    _text("tier"),
    sa.Column("input_tokens", sa.BigInteger),
    sa.Column("output_tokens", sa.BigInteger),
    sa.Column("cached_input_tokens", sa.BigInteger),
    sa.Column("cache_write_tokens", sa.BigInteger),
    sa.Column("audio_input_tokens", sa.BigInteger),
    sa.Column("audio_output_tokens", sa.BigInteger),
    sa.Column("reasoning_tokens", sa.BigInteger),
    _text("price_id"),
    _big("usd_per_credit"),
    _big("hold"),
    _big("cost"),
    _big("charged"),
    _big("shortfall"),
    sa.Column("provider_cost_usd", sa.BigInteger),
    sa.Column("charged_usd", sa.BigInteger),
    sa.Column("margin_usd", sa.BigInteger),
    _text("ending", None),
    _text("usage_source", None),
    sa.Column("http_status", sa.Integer, nullable=False),
    _text("error_code"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("routing_ms", sa.Double, nullable=False),
    sa.Column("first_token_ms", sa.Double),
    sa.Column("stream_ms", sa.Double),
    sa.Column("total_ms", sa.Double, nullable=False),
    sa.Column("detail", sa.LargeBinary, nullable=False),  # JSON of `Detail`
    _text("run_id"),
    _text("parent_run_id"),
    _text("worker"),
    _big("epoch"),
    _big("seq"),  # in the journal of that worker and epoch
    sa.CheckConstraint("charged >= 0 AND shortfall >= 0 AND cost = charged + shortfall", name="cost"),
    sa.Index("ix_usage_record_started_us", "started_us"),
    sa.Index("ix_usage_record_key_id_started_us", "key_id", "started_us"),
    # Most callers send no id of their own, and then pay for no index entry.
    partial_index("ix_usage_record_correlation_id", "correlation_id", where="correlation_id <> ''"),
    # So do those that belong to no run.
    partial_index("ix_usage_record_run_id", "run_id", where="run_id <> ''"),
    partial_index("ix_usage_record_parent_run_id", "parent_run_id", where="parent_run_id <> ''"),
)

# What each month's table is made like. It stays empty, and is there for migrations to change.
usage_blank = record_table(usage_record, "usage_blank", metadata)
usage_month = sa.Table(
    "usage_month",
    metadata,
    sa.Column("month", _Text, primary_key=True),  # 2026-11, in UTC
    _big("last_seq"),  # of a month that was dropped: the greatest arrival number in it
    sa.Column("dropped_us", sa.BigInteger),
)

# A second, different outcome of a settled request. An alarm when not empty.
settle_conflict = sa.Table(
    "settle_conflict",
    metadata,
    sa.Column("id", _Serial, primary_key=True),
    _text("request_id", None),
    _text("first", None),  # JSON
    _text("second", None),  # JSON
    _big("at_us"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("key_id", _Text, primary_key=True),
    sa.Column("idempotency_key", _Text, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),  # of the request's body
    _text("request_id", None),
    _text("state", None),
    sa.Column("status", sa.Integer, nullable=False, server_default="0"),
    _text("content_type"),
    sa.Column("body", sa.LargeBinary),
    _text("headers"),  # JSON object
    _text("worker"),  # who has it under way, in which epoch
    _big("epoch"),
    _big("created_us"),
    sa.Column("expires_us", sa.BigInteger, nullable=False, index=True),  # what is due is found without a scan
    sa.CheckConstraint("state IN ('under_way', 'done')", name="state"),
)

# ── Keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("key_id", _Text, primary_key=True),
    _text("name"),
    _text("owner_id"),
    _text("organisation"),
    _text("project"),
    _text("application"),
    _text("environment"),
    _text("task"),
    _text("policy"),  # JSON of `Policy`
    _text("status", None),
    _big("created_us"),
    sa.Column("expires_us", sa.BigInteger),
    _big("generation"),
    sa.CheckConstraint("status IN ('active', 'revoked')", name="status"),
)

key_secret = sa.Table(
    "key_secret",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("key_id", _Text, sa.ForeignKey("keys.key_id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),  # the order in which a key's secrets were made
    _text("hint"),
    _big("created_us"),
    sa.Column("expires_us", sa.BigInteger),
)

admin_secret = sa.Table(
    "admin_secret",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    _text("hint"),
    _big("created_us"),
    _text("name"),
    sa.Column("revoked_us", sa.BigInteger),
)

# ── Catalog ───────────────────────────────────────────────────────────────────────────────────────────────────────────

# Prices by content: a row is written once and never changed, so that any bill can be computed again.
price_book = sa.Table(
    "price_book",
    metadata,
    sa.Column("price_id", _Text, primary_key=True),
    _text("rates", None),  # JSON of `Price` without its id
    _big("created_us"),
)

# Which price a model had from when on.
model_price = sa.Table(
    "model_price",
    metadata,
    sa.Column("model", _Text, primary_key=True),
    sa.Column("from_us", sa.BigInteger, primary_key=True),
    sa.Column("price_id", _Text, sa.ForeignKey("price_book.price_id"), nullable=False),
)

provider = sa.Table(
    "provider",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    _text("kind", None),
    _text("base_url"),
    sa.Column("api_key_env", _Text),
    sa.Column("sealed_key", sa.LargeBinary),
    _flag("enabled"),
    _text("on_disconnect", None),
    sa.Column("ca_file", _Text),
)

model = sa.Table(
    "model",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("price_id", _Text, sa.ForeignKey("price_book.price_id"), nullable=False),
    _text("document", None),  # JSON of `Model` without its price and deployments
)

deployment = sa.Table(
    "deployment",
    metadata,
    sa.Column("deployment_id", _Text, primary_key=True),
    sa.Column("model", _Text, sa.ForeignKey("model.name"), nullable=False),
    sa.Column("provider", _Text, sa.ForeignKey("provider.name"), nullable=False),
    _text("upstream_model", None),
    sa.Column("weight", sa.Integer, nullable=False),
    _flag("enabled"),
    sa.Column("position", sa.Integer, nullable=False),  # within its model
)

# What a credit of a tier is worth in nano-dollars, from when on.
tier_rate = sa.Table(
    "tier_rate",
    metadata,
    sa.Column("tier", _Text, primary_key=True),
    sa.Column("from_us", sa.BigInteger, primary_key=True),
    _big("usd_per_credit", None),
)

# ── The house's own ───────────────────────────────────────────────────────────────────────────────────────────────────

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", _Serial, primary_key=True),
    _big("at_us"),
    _text("actor", None),
    _text("action", None),
    _text("subject"),
    _text("before"),  # JSON, or ""
    _text("after"),  # JSON, or ""
)

# Small values by name; the row `generation` counts changes of keys, catalog and settings.
setting = sa.Table(
    "setting",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    _text("value", None),
)
GENERATION = "generation"

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("id", _Serial, primary_key=True),
    _big("at_us"),
    _text("kind", None),
    _text("subject"),
    _text("detail"),  # JSON, or ""
    sa.Column("closed_us", sa.BigInteger),
)
