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
    for name in ("usage_quarter", "usage_hour", "usage_day"):
        _sums(name, sa.Column("label", sa.BigInteger(), nullable=False))
    _sums("usage_end_user_day", sa.Column("end_user", _TEXT, nullable=False))
    ending = [sa.Column(part, _TEXT, nullable=False) for part in ("ending", "error_code")]
    _sums("usage_ending_day", *ending)


def _sums(name: str, *by: sa.Column[Any]) -> None:
    op.create_table(
        name,
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        *by,
        *[sa.Column(part, sa.BigInteger(), server_default="0", nullable=False) for part in _SUMS],
        sa.PrimaryKeyConstraint("bucket", *(column.name for column in by), name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )
