"""The tables refuse what must never be, and their columns are the record's fields."""

import re
import subprocess
import sys

import pytest
import sqlalchemy as sa

from joytoken.domain.ledger import PLATFORM_ACCOUNTS, wallet_account
from joytoken.domain.record import UsageRecord
from joytoken.store import schema
from joytoken.store.record import NULLABLE, RECORD_COLUMNS
from joytoken.store.usage_months import table_of
from tests.store import making


def test_a_usage_record_is_a_row_field_by_field():
    columns = tuple(schema.usage_record.columns.keys())
    assert columns == ("ingest_seq", *UsageRecord.__struct_fields__, "worker", "epoch", "seq")
    assert columns[1:] == RECORD_COLUMNS
    nullable = {name for name, column in schema.usage_record.c.items() if column.nullable}
    assert nullable == NULLABLE


def test_every_constraint_has_a_name():
    for table in schema.metadata.sorted_tables:
        assert all(constraint.name for constraint in table.constraints), table.name


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("wallet", {"balance": -1}),
        ("wallet", {"balance": 5, "leased": 6}),
        ("wallet", {"balance": -6, "credit_limit": 5}),
        ("wallet", {"balance": 5, "leased": -1}),
        ("quota", {"balance": -1}),
        ("platform", {"balance": 5, "leased": 1}),
        ("purse", {}),
    ],
)
def test_no_account_is_overspent(database, kind, values):
    with pytest.raises(sa.exc.IntegrityError), database.write(durable=False) as conn:
        conn.execute(sa.insert(schema.account).values(id="a", kind=kind, **values))


def test_accounts_that_may_be(database):
    rows = [
        {"id": wallet_account("default", "standard"), "kind": "wallet", "balance": -5, "leased": 0, "credit_limit": 5},
        {"id": PLATFORM_ACCOUNTS[0], "kind": "platform", "balance": -(2**62), "leased": 0, "credit_limit": 0},
        {"id": "quota:k:D:2026-11-22", "kind": "quota", "balance": 7, "leased": 7, "credit_limit": 0},
    ]
    with database.write(durable=False) as conn:
        conn.execute(sa.insert(schema.account), rows)


@pytest.mark.parametrize(
    "changes", [{"charged": -1, "shortfall": 1}, {"shortfall": -1}, {"cost": 7, "charged": 1, "shortfall": 1}]
)
def test_a_cost_is_what_was_charged_and_what_fell_short(database, changes):
    with pytest.raises(sa.exc.IntegrityError):
        making.fill(database, [making.record(**changes)])


def test_a_lease_belongs_to_an_account_and_a_worker(database):
    with pytest.raises(sa.exc.IntegrityError), database.write(durable=False) as conn:
        conn.execute(sa.insert(schema.lease).values(account="none", worker="none", epoch=1))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("request_id = 'a'", "MONTH_request_id_key|sqlite_autoindex_MONTH_1"),
        ("started_us > 5 ORDER BY started_us DESC", "MONTH_started_us"),
        ("key_id = 'k' AND started_us > 5", "MONTH_key_id_started_us"),
        ("correlation_id = 'c' AND correlation_id <> ''", "MONTH_correlation_id"),
        ("ingest_seq > 7 ORDER BY ingest_seq", "MONTH USING INTEGER PRIMARY KEY|MONTH_pkey|SCAN MONTH"),
        ("run_id = 'r' AND run_id <> ''", "MONTH_run_id"),
        ("parent_run_id IN ('r', 's') AND parent_run_id <> ''", "MONTH_parent_run_id"),
    ],
)
def test_the_usual_questions_have_an_index_in_each_month(database, query, index):
    making.fill(database, [making.record(1), making.record(2, started_us=making.NOON_US + 20 * 86_400_000_000)])
    query = f"SELECT * FROM usage_record WHERE {query}"
    with database.read() as conn:
        if database.sqlite:
            plan = " ".join(str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
        else:
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")  # the tables are nearly empty
            plan = " ".join(row[0] for row in conn.exec_driver_sql(f"EXPLAIN {query}"))
    for month in ("usage_record_202611", "usage_record_202612"):
        assert any(name.replace("MONTH", month) in plan for name in index.split("|")), plan


def test_a_months_indexes_have_the_rows_that_they_are_for(database):
    """As those of the table that each month's is made like."""
    making.fill(database, [making.record(0)])
    month = table_of("2026-11")
    catalog = (
        f"SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '{month}'"
        if database.sqlite
        else f"SELECT indexdef FROM pg_indexes WHERE tablename = '{month}'"
    )
    with database.read() as conn:
        partial = [said for (said,) in conn.exec_driver_sql(catalog) if " WHERE " in (said or "")]
    for name in ("correlation_id", "run_id", "parent_run_id"):
        assert [re.search(rf"\({name}\) WHERE \(?{name} <> ''", said) for said in partial].count(None) == 2, partial


def test_sqlite_needs_nothing_of_postgresql():
    program = "import sys, joytoken.store.open; sys.exit('sqlalchemy.dialects.postgresql' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
