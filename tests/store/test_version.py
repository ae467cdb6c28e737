"""How a database's schema stands to the code's."""

import pytest

from joytoken.store import version
from joytoken.store.engine import Database


@pytest.mark.parametrize(
    ("statements", "state"),
    [
        ([], "current"),
        (["UPDATE alembic_version SET version_num = '9999'"], "newer"),
        (["INSERT INTO alembic_version VALUES ('9999')"], "newer"),
        (["DROP TABLE alembic_version"], "foreign"),
        (["DELETE FROM alembic_version"], "foreign"),
    ],
)
def test_the_state_of_a_schema(database, statements, state):
    with database.write(durable=False) as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)
    with database.read() as conn:
        assert version.schema_state(conn) == state
        assert version.is_current(conn) is (state == "current")


def test_an_empty_database(new_url):
    database = Database(new_url)
    with database.read() as conn:
        assert version.schema_state(conn) == "empty"
    database.close()


def test_a_revision_that_is_known_and_not_the_newest(database, monkeypatch):
    monkeypatch.setattr(version, "REVISIONS", (*version.REVISIONS, "next"))
    monkeypatch.setattr(version, "HEAD", "next")
    with database.read() as conn:
        assert version.schema_state(conn) == "older"
