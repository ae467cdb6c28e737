"""Statements that go to the driver as text: they say and fail as SQLAlchemy's own do."""

import pytest
import sqlalchemy as sa

from joytoken.store.engine import StoreUnavailable
from joytoken.store.schema import setting
from joytoken.store.statement import Listing, Statement, run_text, select_text

add = Statement(sa.insert(setting), ("name", "value"))
change = Statement(sa.update(setting).where(setting.c.name == sa.bindparam("of")).values(value=sa.bindparam("to")))
find = Statement(sa.select(setting.c.value).where(setting.c.name == sa.bindparam("of")))
find_each = Listing(lambda names: sa.select(setting.c.name).where(setting.c.name.in_(names)).order_by(setting.c.name))
drop_each = Listing(
    lambda names: sa.delete(setting).where(setting.c.name.in_(names), setting.c.value == sa.bindparam("having"))
)
NAMES = [f"name-{number:04}" for number in range(1_500)]


@pytest.fixture
def filled(database):
    with database.write(durable=False) as conn:
        assert add.run_many(conn, [{"name": name, "value": "100 %"} for name in NAMES]) == len(NAMES)
    return database


def test_one_row_is_found_and_changed(filled):
    with filled.write(durable=False) as conn:
        assert change.run(conn, {"of": NAMES[0], "to": "it's \\ %s ? :x"}) == 1
        assert change.run(conn, {"of": "none", "to": ""}) == 0
        assert change.run_many(conn, [{"of": name, "to": "x"} for name in (NAMES[1], "none", NAMES[2])]) == 2
    with filled.read() as conn:
        assert find.row(conn, {"of": NAMES[0]}) == ("it's \\ %s ? :x",)
        assert find.row(conn, {"of": "none"}) is None
        assert [find.rows(conn, {"of": name}) for name in NAMES[1:4]] == [[("x",)], [("x",)], [("100 %",)]]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 9, 1_024, 1_025, 1_500])
def test_each_of_several_names_is_found_once(filled, count):
    with filled.write(durable=False) as conn:
        assert find_each.rows(conn, NAMES[:count]) == [(name,) for name in NAMES[:count]]
        assert drop_each.run(conn, NAMES[:count], {"having": "other"}) == 0
        assert drop_each.run(conn, NAMES[:count], {"having": "100 %"}) == count
        assert find_each.rows(conn, NAMES) == [(name,) for name in NAMES[count:]]


def test_what_the_database_refuses_is_a_failure_by_sqlalchemys_name(filled):
    twice = {"name": NAMES[0], "value": "again"}
    for insert in (lambda conn: add.run(conn, twice), lambda conn: add.run_many(conn, [twice])):
        with pytest.raises(sa.exc.IntegrityError) as failure, filled.write(durable=False) as conn:
            insert(conn)
        assert "again" not in str(failure.value)
    for send in (run_text, select_text):
        with pytest.raises(sa.exc.DBAPIError), filled.write(durable=False) as conn:
            send(conn, "SELECT nothing FROM nowhere")
    with filled.read() as conn:
        assert find.row(conn, {"of": NAMES[0]}) == ("100 %",)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_connection_that_is_gone_is_not_used_again(filled, url):
    pids = []

    def ask_behind_its_end(conn):
        ((pid,),) = select_text(conn, "SELECT pg_backend_pid()")
        pids.append(pid)
        with filled.read() as other:
            select_text(other, f"SELECT pg_terminate_backend({pid}, 5000)")
        change.run(conn, {"of": NAMES[0], "to": "lost"})

    with pytest.raises(StoreUnavailable), filled.write(durable=False) as conn:
        ask_behind_its_end(conn)
    with filled.write(durable=False) as conn:
        assert select_text(conn, "SELECT pg_backend_pid()") != [(pids[0],)]
        assert find.row(conn, {"of": NAMES[0]}) == ("100 %",)
