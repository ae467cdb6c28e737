"""Records go into the table and come out of it unchanged."""

import msgspec
import pytest

from joytoken.domain.record import UsageRecord
from joytoken.store.record import (
    FULL,
    GROUPS,
    LEAST,
    NO_GROUPS,
    RECORD_COLUMNS,
    RECORD_LIST,
    Shape,
    insert_places,
    record_of,
    record_row,
    shape_of,
    usage_insert_sql,
)
from tests.store import making


def test_the_row_is_in_the_order_of_the_columns():
    made = making.record(3)
    row = record_row(made, "w1", 4, 5)
    assert dict(zip(RECORD_COLUMNS, row, strict=True)) == msgspec.structs.asdict(made) | {
        "worker": "w1",
        "epoch": 4,
        "seq": 5,
    }


def bare(number, **fields):
    """A record that has nothing of any group but these fields."""
    return UsageRecord(f"req-{number:032x}", started_us=making.record(1).started_us, **fields)


@pytest.mark.parametrize("group", range(len(GROUPS)))
@pytest.mark.parametrize("count", [1, 5, 300])
def test_one_record_that_has_something_of_a_group_brings_its_columns(database, group, count):
    """Also a nought where nothing would be null."""
    for field in GROUPS[group]:
        kind = str(UsageRecord.__annotations__[field])
        value = 0 if "None" in kind else 1 if kind.endswith("int'>") else "x"
        more = {"cost": 1} if field == "shortfall" else {}
        made = [bare(number) for number in range(count - 1)] + [bare(count, **{field: value}, **more)]
        rows = [record_row(one, "w", 1, 1) for one in made]
        for within in (NO_GROUPS, LEAST):
            without = shape_of(rows, within).without
            assert group not in without
            assert len(without) == len(GROUPS) - 1


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
    assert usage_insert_sql("usage_record_202611", 3, NO_GROUPS).count("?") == 3 * len(insert_places(NO_GROUPS)[1])


def test_what_all_records_have_the_same_is_given_once():
    rows = [record_row(bare(number, key_id="k", model="m", cost=number % 2), "w", 1, number) for number in range(9)]
    shape = shape_of(rows)
    once, each = insert_places(shape)
    assert {RECORD_COLUMNS[at] for at in each} == {"request_id", "billing_id", "cost", "seq"}
    assert {"key_id", "model", "worker", "epoch"} < {RECORD_COLUMNS[at] for at in once}
    text = usage_insert_sql("usage_record_202611", 2, shape)
    assert text.count(f"?{len(once)}, ?, ?, ?, ?)") == 2
    assert shape_of(rows[:1], shape) == shape


@pytest.mark.parametrize(
    ("field", "value"), [("key_id", "other"), ("tags", "{}"), ("cached_input_tokens", 0), ("http_status", 200)]
)
@pytest.mark.parametrize("at", [0, 4, 8])
def test_a_shape_is_only_ever_narrowed(field, value, at):
    made = [bare(number, key_id="k") for number in range(9)]
    rows = [record_row(one, "w", 1, number) for number, one in enumerate(made)]
    before = shape_of(rows)
    made[at] = msgspec.structs.replace(made[at], **{field: value})
    other = [record_row(one, "w", 1, number) for number, one in enumerate(made)]
    after = shape_of(other, before)
    where = RECORD_COLUMNS.index(field)
    assert where not in insert_places(after)[0]
    assert where in insert_places(after)[1]
    assert shape_of(rows, after) == after, "the records before have it too"
    assert set(after.without) <= set(before.without)
    assert set(after.common) < set(before.common)
    assert shape_of(rows, FULL) == FULL
    assert shape_of(rows, Shape((), (where,))) == Shape((), (where,))


def test_batches_of_records_with_and_without_each_group_come_back(database):
    full = [making.record(number) for number in range(300, 700)]
    mixed = [making.record(number) if number % 7 else bare(number) for number in range(700, 1000)]
    for batch in ([bare(number) for number in range(300)], full, mixed):
        making.fill(database, batch)
    with database.read() as conn:
        rows = conn.exec_driver_sql(f"SELECT {RECORD_LIST} FROM usage_record ORDER BY ingest_seq").all()
    assert [record_of(row) for row in rows] == [bare(number) for number in range(300)] + full + mixed
