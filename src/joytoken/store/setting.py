"""Small values by name, and the configuration generation that tells workers to look again."""

import sqlalchemy as sa

from joytoken.store.engine import Database, retried
from joytoken.store.postgres import Turn
from joytoken.store.schema import GENERATION, setting


class Settings:
    """The rows of `setting`: operator's choices that live in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def generation(self) -> int:
        """The configuration generation: it rises by one with each change of keys, catalog or settings."""
        with self._database.read() as conn:
            return generation(conn)

    def get(self, name: str) -> str | None:
        """The setting's value, or None where it was never set."""
        with self._database.read() as conn:
            return value_of(conn, name)

    @retried
    def put(self, name: str, value: str) -> None:
        """Set a value; the generation rises where it was another one. Raises ValueError for the generation itself."""
        if name == GENERATION:
            raise ValueError("the generation is counted, not set")
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if value_of(conn, name) != value:
                put_value(conn, name, value)
                raise_generation(conn)


def generation(conn: sa.Connection) -> int:
    """The configuration generation; 0 before the first change."""
    return int(value_of(conn, GENERATION) or 0)


def raise_generation(conn: sa.Connection) -> int:
    """Count one change of the configuration, within the transaction that makes it; returns the new generation."""
    # The row is written before it is read: of two writers on PostgreSQL, the second waits here for the first.
    counted = sa.cast(sa.cast(setting.c.value, sa.BigInteger) + 1, sa.Text)
    update = sa.update(setting).where(setting.c.name == GENERATION).values(value=counted)
    if conn.execute(update).rowcount == 0:
        conn.execute(sa.insert(setting).values(name=GENERATION, value="1"))
    return generation(conn)


def value_of(conn: sa.Connection, name: str) -> str | None:
    """The setting's value, or None."""
    return conn.execute(sa.select(setting.c.value).where(setting.c.name == name)).scalar_one_or_none()


def put_value(conn: sa.Connection, name: str, value: str) -> None:
    """Write a value without counting a change."""
    update = sa.update(setting).where(setting.c.name == name).values(value=value)
    if conn.execute(update).rowcount == 0:
        conn.execute(sa.insert(setting).values(name=name, value=value))
