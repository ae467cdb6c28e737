"""Refunds by the dimensions of usage: how they are found. What they sum to is tested where refunds are made."""

import pytest

from joytoken.store.usage_query import UsageQuery
from joytoken.store.usage_refunds import refunds_query
from tests.store import making

NOON = making.NOON_US


@pytest.mark.parametrize("by", [(), ("model", "day"), ("key", "tag:team")])
def test_a_months_requests_are_not_read_for_the_few_that_have_a_refund(database, by):
    """Each question asks for refunds, too: read by time or key, a month's requests took longer than all its sums."""
    making.fill(database, [making.record(1)])
    query = UsageQuery(key_id="k1", since_us=NOON, until_us=NOON + 30 * 86_400_000_000)
    with database.read() as conn:
        statement = refunds_query(query, by, conn.dialect.name)
        text = str(statement.compile(conn, compile_kwargs={"literal_binds": True}))
        if database.sqlite:
            plan = " ".join(str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
        else:
            plan = " ".join(row[0] for row in conn.exec_driver_sql("EXPLAIN " + text.replace("%", "%%")))
    assert "ix_usage_record" not in plan
    if database.sqlite:  # PostgreSQL decides by how many there are, and here there is none
        assert "USING INDEX sqlite_autoindex_usage_record_202611_1 (request_id=?)" in plan
