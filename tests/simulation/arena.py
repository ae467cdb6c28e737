"""Where worlds run: one database for all of a process's seeds, emptied between them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from joytoken.store.open import open_store
from joytoken.store.schema import metadata
from joytoken.store.usage_months import months, table_of
from tests.simulation.machinery import FragileJournal, Stepper
from tests.simulation.world import Violation, World


class Arena:
    """A store whose commits cost little, and a folder for journals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = open_store(f"sqlite:///{folder / 'joytoken.db'}")
        with self.store.database.engine.connect() as conn:
            names = {row[0] for row in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")}
            self.kept = {
                table: conn.execute(sa.select(table)).mappings().all()
                for table in metadata.sorted_tables
                if table.name in names
            }
            conn.rollback()

    def play(self, seed: int) -> None:
        """Run one world; a failure tells the seed and the last steps. Raises Violation."""
        self._empty()
        journals = Path(tempfile.mkdtemp(dir=self.folder))
        world = World(seed, self.store, journals)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("joytoken.store.clock.wall_us", world.store_us)
            try:
                world.run()
            except Exception as failure:
                steps = "\n".join(world.history)
                raise Violation(f"seed {seed}: {failure!r}\nlast steps:\n{steps}") from failure
            finally:
                world.close()
                shutil.rmtree(journals)

    def _empty(self) -> None:
        with self.store.database.write(durable=False) as conn:
            for month in months(conn):
                conn.exec_driver_sql(f"DELETE FROM {table_of(month)}")
            for table in reversed(metadata.sorted_tables):
                if table.name != "usage_month" and table in self.kept and not self.kept[table]:
                    conn.execute(sa.delete(table))

    def close(self) -> None:
        self.store.close()


@contextmanager
def an_arena() -> Iterator[Arena]:
    """Make one, in memory where the system has a folder for that."""
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="joytoken-simulation-", dir=base))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("joytoken.escrow.life.Flusher", Stepper)
        patch.setattr("joytoken.escrow.life.Journal", FragileJournal)
        patch.setattr("joytoken.store.engine._set_synchronous", _unsynchronised)
        # Segments so small that they are full after a few requests.
        patch.setattr("joytoken.escrow.journal.SEGMENT_BYTES_MIN", 1 << 10)
        patch.setattr("joytoken.escrow.journal.SETTLE_GROWTH_BYTES", 96)
        arena = Arena(folder)
        try:
            yield arena
        finally:
            arena.close()
            shutil.rmtree(folder)


def _unsynchronised(conn: Any, _: str) -> None:
    if conn.info.get("synchronous") != "OFF":
        conn.connection.dbapi_connection.execute("PRAGMA synchronous = OFF").close()
        conn.info["synchronous"] = "OFF"
