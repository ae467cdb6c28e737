"""The tables of sums of the first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # compared by bytes, as on SQLite

_LABELS = (
    "organisation", "owner_id", "key_id", "project", "application", "environment", "task", "endpoint", "model",
    "deployment", "provider", "tier",
)  # fmt: skip
_SUMS = (
    "requests", "errors", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens",
    "audio_input_tokens", "audio_output_tokens", "reasoning_tokens", "cost", "charged", "shortfall", "charged_usd",
    "provider_cost_usd", "margin_usd", "uncosted", "first_token_us", "first_tokens",
)  # fmt: skip


def create_rollups() -> None:
    """Sums of usage by quarter-hour, hour and day, and how far they reach."""
    op.create_table(
        "usage_label",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        *[sa.Column(name, _TEXT, server_default="", nullable=False) for name in _LABELS],
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_label")),
        sa.UniqueConstraint("digest", name=op.f("uq_usage_label_digest")),
    )
    op.create_index(op.f("ix_usage_label_key_id_model"), "usage_label", ["key_id", "model"])
    for name in ("usage_quarter", "usage_hour", "usage_day"):
        _sums(name, _bucket(), sa.Column("label", sa.BigInteger(), nullable=False))
    _sums("usage_end_user_day", _bucket(), _text("end_user"))
    _sums("usage_ending_day", _bucket(), _text("ending"), _text("error_code"))
    for name in ("usage_tag_hour", "usage_tag_day"):
        _sums(name, _text("tag"), _bucket(), _text("value"))
    op.create_table(
        "usage_tag",
        _bucket(),
        _text("tag"),
        sa.Column("summed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "tag", name=op.f("pk_usage_tag")),
        sqlite_with_rowid=False,
    )
    for name in ("usage_latency_hour", "usage_latency_day"):
        slot = sa.Column("slot", sa.Integer(), nullable=False)
        _sums(name, _bucket(), _text("provider"), _text("model"), slot, sums=("requests", "errors", "first_tokens"))


def _bucket() -> sa.Column[Any]:
    return sa.Column("bucket", sa.BigInteger(), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=False)


def _sums(name: str, *by: sa.Column[Any], sums: tuple[str, ...] = _SUMS) -> None:
    op.create_table(
        name,
        *by,
        *[sa.Column(part, sa.BigInteger(), server_default="0", nullable=False) for part in sums],
        sa.PrimaryKeyConstraint(*(column.name for column in by), name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )
