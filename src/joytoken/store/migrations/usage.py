"""What the first schema has for the months of usage records: called by its revision."""

import sqlalchemy as sa
from alembic import op

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # compared by bytes, as on SQLite


def create_usage_indexes() -> None:
    """What is looked for in each month."""
    op.create_index(
        op.f("ix_usage_blank_correlation_id"),
        "usage_blank",
        ["correlation_id"],
        sqlite_where=sa.text("correlation_id <> ''"),
        postgresql_where=sa.text("correlation_id <> ''"),
    )
    op.create_index(op.f("ix_usage_blank_key_id_started_us"), "usage_blank", ["key_id", "started_us"])
    op.create_index(op.f("ix_usage_blank_started_us"), "usage_blank", ["started_us"])
    for column in ("run_id", "parent_run_id"):
        op.create_index(
            op.f(f"ix_usage_blank_{column}"),
            "usage_blank",
            [column],
            sqlite_where=sa.text(f"{column} <> ''"),
            postgresql_where=sa.text(f"{column} <> ''"),
        )


def create_months() -> None:
    """The months that there are; each of them is made when its first record comes (`store.usage_months`)."""
    op.create_table(
        "usage_month",
        sa.Column("month", _TEXT, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dropped_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_usage_month")),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIEW usage_record AS SELECT * FROM usage_blank")
    else:
        like = "LIKE usage_blank INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
        op.execute(f"CREATE TABLE usage_record ({like}) PARTITION BY RANGE (started_us)")
