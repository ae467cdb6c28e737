"""What the first schema has for budgets and runs: called by its revision."""

import sqlalchemy as sa
from alembic import op

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # compared by bytes, as on SQLite


def create_budgets() -> None:
    """Budgets, runs, and how many of them callers opened in a day."""
    op.create_table(
        "budget",
        sa.Column("budget_id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("limit_amount", sa.BigInteger(), nullable=False),
        sa.Column("window", _TEXT, nullable=False),
        sa.Column("zone", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("owner", _TEXT, server_default="", nullable=False),
        sa.Column("key", _TEXT, server_default="", nullable=False),
        sa.Column("project", _TEXT, server_default="", nullable=False),
        sa.Column("application", _TEXT, server_default="", nullable=False),
        sa.Column("environment", _TEXT, server_default="", nullable=False),
        sa.Column("end_user", _TEXT, server_default="", nullable=False),
        sa.Column("run", _TEXT, server_default="", nullable=False),
        sa.Column("each", _TEXT, server_default="", nullable=False),
        sa.Column("created_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("\"window\" IN ('day', 'week', 'month', 'total')", name=op.f("ck_budget_window")),
        sa.CheckConstraint("limit_amount >= 0", name=op.f("ck_budget_limit")),
        sa.CheckConstraint("status IN ('active', 'paused')", name=op.f("ck_budget_status")),
        sa.PrimaryKeyConstraint("budget_id", name=op.f("pk_budget")),
        sa.UniqueConstraint("name", name=op.f("uq_budget_name")),
    )
    op.create_table(
        "run",
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("run_id", _TEXT, nullable=False),
        sa.Column("parent_run_id", _TEXT, server_default="", nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("workflow", _TEXT, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("owner", "run_id", name=op.f("pk_run")),
    )
    op.create_index(
        op.f("ix_run_workflow"),
        "run",
        ["workflow"],
        sqlite_where=sa.text("workflow <> ''"),
        postgresql_where=sa.text("workflow <> ''"),
    )
    op.create_table(
        "opened",
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("day", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_opened")),
    )
