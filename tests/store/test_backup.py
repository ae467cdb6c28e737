"""A backup is whole, of one moment, and comes back; what is damaged or in use is left alone."""

import sqlite3
from pathlib import Path

import pytest

from joytoken.domain.ledger import Want
from joytoken.store import backup as backup_module
from joytoken.store.backup import Damaged, InUse, back_up, checksum_file, restore
from joytoken.store.copy import NotEmpty
from joytoken.store.engine import Database, SchemaMismatch
from joytoken.store.ledger import Batch, Ledger
from joytoken.store.open import Store
from tests.store.making import NOON_US, record

W = "wallet:owner:standard"


def silent(*_):
    pass


@pytest.fixture
def filled(database):
    ledger = Ledger(database)
    ledger.top_up(W, 10_000, "r", "k1", "root", 1)
    epoch = ledger.register("h:0", "h", 1)
    ledger.grant("h:0", epoch, [(Want(W), 5_000, 5_000)], 1)
    flush(ledger, epoch, 1, 5)
    return database


def flush(ledger, epoch, first, last):
    rows = [(seq, (W,), 10, record(seq, charged=10, shortfall=0)) for seq in range(first, last + 1)]
    ledger.flush("h:0", epoch, Batch(last, rows, {}, 1))


def state_of(url):
    database = Database(url)
    try:
        store = Store(database)
        assert store.ledger.verify().ok
        (wallet,) = store.ledger.accounts(W)
        return wallet.balance, wallet.leased, len(list(store.usage.export()))
    finally:
        database.close()


def test_a_backup_is_one_file_with_its_checksum(filled, tmp_path):
    file = tmp_path / "kept" / "a.db"
    file.parent.mkdir()
    made = back_up(filled, file, silent, NOON_US)
    assert file.stat().st_mode & 0o777 == 0o600
    assert (made.records, made.bytes) == (5, file.stat().st_size)
    assert checksum_file(file).read_text() == f"{made.sha256}  a.db\n"
    assert sorted(path.name for path in file.parent.iterdir()) == ["a.db", "a.db.sha256"]
    with pytest.raises(NotEmpty):
        back_up(filled, file, silent, NOON_US)
    back_up(filled, file, silent, NOON_US, force=True)


def test_it_comes_back_as_it_was_and_no_worker_goes_on(filled, url, tmp_path):
    file = tmp_path / "a.db"
    back_up(filled, file, silent, NOON_US)
    flush(Ledger(filled), 1, 6, 9)  # after the backup
    filled.close()
    with pytest.raises(NotEmpty):
        restore(file, url, silent, NOON_US)
    assert state_of(url)[2] == 9
    done = restore(file, url, silent, NOON_US, force=True)
    assert (done.records, done.accounts) == (5, 5)
    assert state_of(url) == (9_950, 0, 5)
    after = Database(url)
    assert Ledger(after).state("h:0")[:2] == (NOON_US, "dead") or Ledger(after).state("h:0")[0] > NOON_US
    assert Ledger(after).claim("h:0") is None
    after.close()
    if url.startswith("sqlite"):
        assert done.ended == 1
        assert state_of(f"sqlite:///{done.kept}")[2] == 9


def test_a_backup_restores_into_the_other_kind_too(sqlite_url, postgres_url, tmp_path):
    there, back = Database(sqlite_url), tmp_path / "b.db"
    Ledger(there).top_up(W, 77, "r", "k1", "root", 1)
    back_up(there, back, silent, NOON_US)
    there.close()
    restore(back, postgres_url, silent, NOON_US)
    assert state_of(postgres_url) == (77, 0, 0)


def test_a_backup_of_a_live_database_is_one_moment(sqlite_url, tmp_path, monkeypatch):
    """Others write while its pages are copied a few at a time: all of a flush is in it or nothing, and it ends."""
    monkeypatch.setattr(backup_module, "_PAGES", 4)
    database, other = Database(sqlite_url), Database(sqlite_url)
    ledger = Ledger(other)
    ledger.top_up(W, 10**9, "r", "k1", "root", 1)
    epoch = ledger.register("h:0", "h", 1)
    ledger.grant("h:0", epoch, [(Want(W), 10**8, 10**8)], 1)
    steps = []

    def written(_done, _total, what):
        if what == "pages":
            steps.append(what)
            at = 20 * len(steps)
            flush(ledger, epoch, at - 19, at)

    made = back_up(database, tmp_path / "a.db", written, NOON_US)
    assert len(steps) > 10
    assert made.records == 0
    database.close()
    other.close()


def test_what_is_in_use_is_not_replaced(sqlite_url, tmp_path):
    database = Database(sqlite_url)
    Ledger(database).top_up(W, 77, "r", "k1", "root", 1)
    back_up(database, tmp_path / "a.db", silent, NOON_US)
    with database.read() as conn:
        conn.exec_driver_sql("SELECT 1")
    with pytest.raises(InUse, match="open"):  # an idle connection is enough
        restore(tmp_path / "a.db", sqlite_url, silent, NOON_US, force=True)
    database.close()
    assert restore(tmp_path / "a.db", sqlite_url, silent, NOON_US, force=True).kept
    assert state_of(sqlite_url) == (77, 0, 0)


def test_a_running_worker_of_postgres_is_heard(postgres_url, tmp_path):
    database = Database(postgres_url)
    Ledger(database).register("h:0", "h", NOON_US - 1)
    back_up(database, tmp_path / "a.db", silent, NOON_US)
    database.close()
    with pytest.raises(InUse, match="h:0"):
        restore(tmp_path / "a.db", postgres_url, silent, NOON_US, force=True)
    restore(tmp_path / "a.db", postgres_url, silent, NOON_US + 60_000_000, force=True)


@pytest.mark.parametrize("damage", ["byte", "short", "text", "books", "newer"])
def test_a_damaged_backup_changes_nothing(sqlite_url, tmp_path, damage):
    database = Database(sqlite_url)
    Ledger(database).top_up(W, 77, "r", "k1", "root", 1)
    file = tmp_path / "a.db"
    back_up(database, file, silent, NOON_US)
    database.close()
    if damage in {"books", "newer"}:
        with sqlite3.connect(file) as raw:
            wrong = "UPDATE account SET balance = 78 WHERE kind = 'wallet'"
            raw.execute(wrong if damage == "books" else "UPDATE alembic_version SET version_num = '9999'")
        raw.close()
    else:
        data = file.read_bytes()
        changed = {"byte": data[:5000] + b"!" + data[5001:], "short": data[:-4096], "text": b"no database"}
        file.write_bytes(changed[damage])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(Damaged, match="checksum"):
        restore(file, sqlite_url, silent, NOON_US, force=True)
    checksum_file(file).unlink()
    before.remove("a.db.sha256")
    if damage != "byte":  # one byte of free space contradicts nothing
        with pytest.raises(SchemaMismatch if damage == "newer" else Damaged):
            restore(file, sqlite_url, silent, NOON_US, force=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert state_of(sqlite_url) == (77, 0, 0)


def test_a_broken_database_is_replaced_and_kept(sqlite_url, tmp_path):
    database = Database(sqlite_url)
    Ledger(database).top_up(W, 77, "r", "k1", "root", 1)
    back_up(database, tmp_path / "a.db", silent, NOON_US)
    database.close()
    path = tmp_path / "joytoken.db"
    path.write_bytes(b"rubbish" * 1000)
    path.with_name("joytoken.db-wal").write_bytes(b"rubbish")
    done = restore(tmp_path / "a.db", sqlite_url, silent, NOON_US, force=True)
    assert state_of(sqlite_url) == (77, 0, 0)
    assert done.kept is not None
    assert Path(done.kept).read_bytes().startswith(b"rubbish")


def test_a_restore_into_a_new_place(sqlite_url, tmp_path):
    database = Database(sqlite_url)
    back_up(database, tmp_path / "a.db", silent, NOON_US)
    database.close()
    new = tmp_path / "new" / "joytoken.db"
    assert restore(tmp_path / "a.db", f"sqlite:///{new}", silent, NOON_US).kept is None
    Database(f"sqlite:///{new}").close()
