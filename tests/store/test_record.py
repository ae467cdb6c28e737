"""Records go into the table and come out of it unchanged."""

import msgspec
import pytest

from joytoken.domain.record import UsageRecord
from joytoken.store.record import RECORD_LIST, record_of, record_row, usage_insert_sql
from joytoken.store.schema import RECORD_COLUMNS
from tests.store import making


def test_the_row_is_in_the_order_of_the_columns():
    made = making.record(3)
    row = record_row(made, "w1", 4, 5)
    assert dict(zip(RECORD_COLUMNS, row, strict=True)) == msgspec.structs.asdict(made) | {
        "worker": "w1",
        "epoch": 4,
        "seq": 5,
    }


@pytest.mark.parametrize("made", [making.record(1), making.record(2, streamed=False), UsageRecord("req-bare")])
def test_a_record_comes_back_as_it_went(database, made):
    making.fill(database, [made])
    with database.read() as conn:
        rows = conn.exec_driver_sql(f"SELECT {RECORD_LIST} FROM usage_record").all()
    assert [record_of(row) for row in rows] == [made]
    assert record_of(rows[0]).streamed is made.streamed


def test_the_first_record_of_a_request_stays(database):
    making.fill(database, [making.record(1)])
    making.fill(database, [making.record(1, model="other"), making.record(2)])
    with database.read() as conn:
        found = conn.exec_driver_sql("SELECT model, ingest_seq FROM usage_record ORDER BY ingest_seq").all()
    assert [row[0] for row in found] == ["m", "m"]


def test_the_insert_has_a_mark_for_each_value_and_its_number():
    assert usage_insert_sql("usage_record_202611", 3).count("?") == 3 * len(RECORD_COLUMNS)
    assert usage_insert_sql("usage_record_202611", 3, numbered=True).count("?") == 3 * (len(RECORD_COLUMNS) + 1)
