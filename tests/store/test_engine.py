"""Transactions from any thread, and failures by name."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from joytoken.store.engine import Database, StoreUnavailable
from joytoken.store.schema import setting

ON_SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@pytest.fixture
def other(sqlite_url):
    """A connection of another process, as far as locks are concerned."""
    found = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    yield found
    found.close()


def count(conn):
    return conn.execute(sa.select(sa.func.count()).select_from(setting)).scalar_one()


@ON_SQLITE
@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 5000), ("synchronous", 1)]
)
def test_pragmas(database, pragma, value):
    with database.read() as conn:
        assert conn.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


@ON_SQLITE
def test_durable_writes_sync_and_others_do_not(database):
    found = []
    for durable in (True, False, False, True, False):
        with database.write(durable=durable) as conn:
            found.append(conn.exec_driver_sql("PRAGMA synchronous").scalar())
    assert found == [2, 1, 1, 2, 1]


def test_a_failed_block_leaves_nothing(database):
    def fail():
        with database.write(durable=False) as conn:
            conn.execute(sa.insert(setting).values(name="a", value="b"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as conn:
        assert count(conn) == 0


def test_a_reader_sees_one_moment(database):
    with database.read() as reader:
        assert count(reader) == 0
        with database.write(durable=False) as conn:
            conn.execute(sa.insert(setting).values(name="a", value="b"))
        assert count(reader) == 0
    with database.read() as reader:
        assert count(reader) == 1


def test_no_update_is_lost_among_eight_threads(database):
    with database.write(durable=False) as conn:
        conn.execute(sa.insert(setting).values(name="n", value="0"))

    def work(_):
        for _ in range(25):
            with database.write(durable=False) as conn:
                value = int(conn.execute(sa.select(setting.c.value).with_for_update()).scalar_one())
                conn.execute(sa.update(setting).values(value=str(value + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with database.read() as conn:
        assert conn.execute(sa.select(setting.c.value)).scalar_one() == "200"


def test_a_new_file_may_be_opened_by_several_at_once(tmp_path):
    """SQLite refuses one in twenty of these, where nothing is done about it."""
    failures = []
    for number in range(60):
        together = threading.Barrier(4)

        def opened(url=f"sqlite:///{tmp_path}/{number}.db", together=together):
            database = Database(url)
            together.wait()
            try:
                with database.read():
                    pass
            except StoreUnavailable as failure:
                failures.append(failure)
            database.close()

        threads = [threading.Thread(target=opened) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


@ON_SQLITE
def test_a_locked_database_is_waited_for(database, other):
    other.execute("BEGIN IMMEDIATE")
    waiting = threading.Event()

    def write():
        waiting.set()
        with database.write(durable=False) as conn:
            conn.execute(sa.insert(setting).values(name="a", value="b"))

    writer = threading.Thread(target=write)
    writer.start()
    waiting.wait()
    writer.join(0.1)
    assert writer.is_alive()
    other.execute("COMMIT")
    writer.join()
    with database.read() as conn:
        assert count(conn) == 1


@ON_SQLITE
def test_a_database_that_stays_locked_is_said_to_be(url, other):
    database = Database(url, busy_ms=50)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"), database.write(durable=False):
        pass
    with database.read() as conn:  # readers go on
        assert count(conn) == 0
    other.execute("ROLLBACK")
    with database.write(durable=False) as conn:
        conn.execute(sa.insert(setting).values(name="a", value="b"))
    database.close()


@ON_SQLITE
def test_a_writer_of_this_process_that_does_not_end(url):
    database = Database(url, busy_ms=50)
    failures = []

    def write():
        try:
            with database.write(durable=False):
                pass
        except StoreUnavailable as failure:
            failures.append(str(failure))

    with database.write(durable=False):
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
    database.close()
    assert len(failures) == 1
    assert "locked" in failures[0]


def test_a_folder_that_is_not_there(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/nowhere/joytoken.db")
    with pytest.raises(StoreUnavailable, match="unable to open"), database.read():
        pass
    database.close()


def test_a_mistake_is_no_outage(database):
    with pytest.raises((sa.exc.OperationalError, sa.exc.ProgrammingError)), database.read() as conn:
        conn.exec_driver_sql("SELECT * FROM nowhere")
    with pytest.raises(sa.exc.IntegrityError), database.write(durable=False) as conn:
        conn.execute(sa.insert(setting), [{"name": "a", "value": "b"}] * 2)


def copying():
    return [thread for thread in threading.enumerate() if thread.name == "joytoken-checkpoint"]


@ON_SQLITE
def test_what_is_written_is_copied_from_the_log_meanwhile(database, sqlite_url):
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    before = path.stat().st_size
    with database.copied_meanwhile():
        assert copying()
        with database.write(durable=False, bulk=True) as conn:
            conn.execute(sa.insert(setting).values(name="a", value="x" * 1_000_000))
        for _ in range(500):
            if path.stat().st_size > before + 500_000:
                break
            time.sleep(0.02)
        else:
            pytest.fail("nothing was copied")
        with database.write(durable=False, bulk=True) as conn:
            conn.execute(sa.insert(setting).values(name="b", value="x" * 1_000_000))
    for thread in copying():
        thread.join(10)
    assert path.stat().st_size > before + 1_500_000, "what came last was not copied"


@ON_SQLITE
def test_closing_waits_for_the_copying(database):
    with database.copied_meanwhile():
        assert copying()
    database.close()
    assert not copying()


def test_a_failure_beside_the_copying_is_a_failure(database):
    with pytest.raises(ZeroDivisionError), database.copied_meanwhile():
        raise ZeroDivisionError
    database.close()
    assert not copying()


@ON_SQLITE
def test_who_cannot_copy_leaves_it_to_the_next_commit(database, monkeypatch):
    def broken():
        raise sa.exc.TimeoutError("all connections are in use")

    monkeypatch.setattr(database.engine, "raw_connection", broken)
    with database.copied_meanwhile():
        pass
    database.close()
    assert not copying()
