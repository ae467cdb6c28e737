"""The tables of budgets and runs, and of how many of them callers opened in a day."""

import sqlalchemy as sa

from joytoken.store.schema_columns import TEXT, big, metadata, partial_index, text

budget = sa.Table(
    "budget",
    metadata,
    sa.Column("budget_id", TEXT, primary_key=True),
    sa.Column("name", TEXT, nullable=False, unique=True),
    big("limit_amount", None),  # nanocredits in one window
    text("window", None),
    text("zone", None),
    text("status", None),
    text("owner"),  # whom it covers; "" covers any
    text("key"),
    text("project"),
    text("application"),
    text("environment"),
    text("end_user"),
    text("run"),
    text("each"),  # the dimensions that have an amount for each value, with commas between
    big("created_us"),
    sa.CheckConstraint("limit_amount >= 0", name="limit"),
    sa.CheckConstraint("status IN ('active', 'paused')", name="status"),
    sa.CheckConstraint("\"window\" IN ('day', 'week', 'month', 'total')", name="window"),
)

# A run as its first request placed it. Its place, its budget and its workflow never change.
run = sa.Table(
    "run",
    metadata,
    sa.Column("owner", TEXT, primary_key=True),
    sa.Column("run_id", TEXT, primary_key=True),
    text("parent_run_id"),
    sa.Column("budget", sa.BigInteger),  # nanocredits that its caller allowed it, or none
    big("created_us"),
    text("workflow"),  # what it is a run of
    # The requests of a workflow are found through its runs, and so no request pays for a column of its own.
    partial_index("ix_run_workflow", "workflow", where="workflow <> ''"),
)

# How many accounts of one budget for each value, or runs, callers of one owner opened in a day: it is bounded.
opened = sa.Table(
    "opened",
    metadata,
    sa.Column("subject", TEXT, primary_key=True),
    big("day"),  # since 1970, in UTC
    big("count"),
)
