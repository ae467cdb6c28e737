"""From a URL to a store: what is made, what is brought up to date, what is refused."""

import shutil

import pytest
import sqlalchemy as sa

from joytoken.store import version
from joytoken.store.engine import Database, SchemaMismatch, StoreUnavailable
from joytoken.store.open import open_store
from joytoken.store.schema import setting
from joytoken.store.version import schema_state
from tests.store import making


def change(url, *statements):
    database = Database(url)
    with database.write(durable=True) as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)
    database.close()


def test_a_new_store_is_whole(new_url):
    url = new_url
    store = open_store(url)
    store.keys.add(making.key())
    store.put_setting("theme", "dark")
    assert store.generation() == 2
    store.close()
    again = open_store(url)
    assert again.keys.get("key-1").name == "first"
    assert (again.setting("theme"), again.setting("none"), again.generation()) == ("dark", None, 2)
    assert again.catalog.snapshot().generation == 2
    assert again.usage.last_seq() == 0
    assert again.audit.list() == []
    assert again.idempotency.purge(0) == 0
    assert again.ledger.accounts("wallet:") == []
    again.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer JoyToken"),
        ("DROP TABLE alembic_version", "not JoyToken's"),
    ],
)
@pytest.mark.parametrize("migrate", [False, True])
def test_what_is_refused_and_left_as_it_is(sqlite_url, tmp_path, statement, words, migrate):
    url = sqlite_url
    change(url, statement)
    path = tmp_path / "joytoken.db"
    shutil.copyfile(path, tmp_path / "before.db")
    with pytest.raises(SchemaMismatch, match=words):
        open_store(url, migrate=migrate)
    assert path.read_bytes() == (tmp_path / "before.db").read_bytes()


@pytest.fixture
def older(url, tmp_path, monkeypatch):
    """A database of the newest schema, and code that knows one revision more."""
    from joytoken.store import migrate

    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder)
    (folder / "versions" / "next.py").write_text(
        f'from alembic import op\n\nrevision = "next"\ndown_revision = "{version.HEAD}"\n\n\n'
        "def upgrade() -> None:\n    op.execute(\"INSERT INTO setting VALUES ('migrated', 'yes')\")\n"
    )
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    monkeypatch.setattr(version, "REVISIONS", (*version.REVISIONS, "next"))
    monkeypatch.setattr(version, "HEAD", "next")
    return url


def test_an_older_schema_waits_for_the_word(older):
    with pytest.raises(SchemaMismatch, match="joytoken db upgrade"):
        open_store(older)
    database = Database(older)
    with database.read() as conn:
        assert schema_state(conn) == "older"
        assert conn.execute(sa.select(setting)).all() == []
    database.close()


def test_an_older_schema_is_brought_up_to_date(older):
    store = open_store(older, migrate=True)
    assert store.setting("migrated") == "yes"
    store.close()
    open_store(older).close()


def test_a_failed_migration_leaves_the_database_as_it_was(older, tmp_path):
    step = tmp_path / "migrations" / "versions" / "next.py"
    step.write_text(step.read_text() + '    op.execute("INSERT INTO nowhere VALUES (1)")\n')
    with pytest.raises((sa.exc.OperationalError, sa.exc.ProgrammingError)):
        open_store(older, migrate=True)
    database = Database(older)
    with database.read() as conn:
        assert schema_state(conn) == "older"
        assert conn.execute(sa.select(setting)).all() == []
    database.close()


def test_no_folder_no_store(tmp_path):
    with pytest.raises(StoreUnavailable):
        open_store(f"sqlite:///{tmp_path}/nowhere/joytoken.db")
