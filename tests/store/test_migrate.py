"""Migrating gives exactly the tables of the schema, and what tells the version without Alembic tells the same."""

import re
import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from joytoken.store.engine import Database
from joytoken.store.migrate import alembic_config, upgrade, upgrade_database
from joytoken.store.schema import metadata, usage_record
from joytoken.store.version import HEAD, REVISIONS, is_current


def test_the_revisions_are_alembics():
    scripts = ScriptDirectory.from_config(alembic_config())
    assert scripts.get_heads() == [HEAD]
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(REVISIONS)


def test_an_empty_database_becomes_the_schema(new_url):
    url = new_url
    upgrade(url)
    database = Database(url)
    with database.read() as conn:
        assert is_current(conn)
        # What all months are together is a table on PostgreSQL alone.
        options = {"include_name": lambda name, kind, _: kind != "table" or name != "usage_record"}
        assert not compare_metadata(MigrationContext.configure(conn, opts=options), metadata)
        for name in ("usage_record", "usage_blank"):
            columns = [column["name"] for column in sa.inspect(conn).get_columns(name)]
            assert columns == list(usage_record.columns.keys()), name
    database.close()


def ddl(path):
    """Every table and index as a set of lines: what Alembic's comparison does not look at, checks above all."""
    with sqlite3.connect(path) as conn:
        rows = conn.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version' AND type <> 'view'"
        )
        found = {
            name: {re.sub(r'[\s"]+', " ", line).strip(" ,") for line in re.split(r",? *\n", sql)} for name, sql in rows
        }
    conn.close()
    return found


def test_checks_and_indexes_are_the_schemas_too(tmp_path):
    upgrade(f"sqlite:///{tmp_path}/migrated.db")
    made = Database(f"sqlite:///{tmp_path}/made.db")
    with made.write(durable=False) as conn:
        metadata.create_all(conn)
    made.close()
    assert ddl(tmp_path / "migrated.db") == ddl(tmp_path / "made.db")


def test_a_current_database_is_left_alone(database):
    with database.write(durable=False) as conn:
        conn.exec_driver_sql("INSERT INTO setting VALUES ('theme', 'dark')")
    upgrade_database(database)
    with database.read() as conn:
        assert conn.exec_driver_sql("SELECT value FROM setting").scalar() == "dark"


def test_two_starts_at_once_migrate_once(new_url):
    program = "import sys; from joytoken.store.open import open_store; open_store(sys.argv[1]).close()"
    starts = [subprocess.Popen([sys.executable, "-c", program, new_url], stderr=subprocess.PIPE) for _ in range(2)]
    assert [(start.communicate(timeout=60)[1], start.returncode) for start in starts] == [(b"", 0)] * 2


@pytest.mark.parametrize("module", ["joytoken.store.open", "joytoken.store.version", "joytoken.store.usage"])
def test_alembic_is_not_loaded_without_need(module):
    program = f"import sys, {module}; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
