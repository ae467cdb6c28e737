"""Bring a database to this code's schema. Imports Alembic: load this module only when there is something to do."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from joytoken.store.engine import Database
from joytoken.store.postgres import Turn, unbounded

MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config() -> Config:
    """Alembic's configuration: where the revisions are. The connection is put into its `attributes`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def upgrade_database(database: Database) -> None:
    """Apply all revisions that the database lacks, in one durable transaction: all of them or none."""
    config = alembic_config()
    with database.write(durable=True, turn=Turn.MIGRATION) as conn:
        unbounded(conn)
        config.attributes["connection"] = conn
        command.upgrade(config, "head")


def upgrade(url: str) -> None:
    """Bring the database at this URL to the newest schema; an empty one gets all tables. Raises StoreUnavailable."""
    database = Database(url)
    try:
        upgrade_database(database)
    finally:
        database.close()
