"""A database carried over is the same one, to the last digit; its old journals are of no use to it."""

import pytest

from joytoken.domain.ledger import Want
from joytoken.store.copy import NotEmpty, copy, end_epochs, running, unended
from joytoken.store.engine import Database
from joytoken.store.ledger import Batch, Ledger, WorkerFenced
from joytoken.store.open import Store
from tests.store.making import record

W = "wallet:owner:standard"
NOW_US = 1_795_348_800_000_000


def silent(*_):
    pass


@pytest.fixture(params=["sqlite to postgres", "postgres to sqlite", "sqlite to sqlite", "postgres to postgres"])
def pair(request, tmp_path, migrated_file):
    """Two empty databases with all tables."""
    made, servers = [], []
    for number, kind in enumerate(request.param.split(" to ")):
        if kind == "sqlite":
            path = tmp_path / f"{number}.db"
            path.write_bytes(migrated_file.read_bytes())
            made.append(Database(f"sqlite:///{path}"))
        else:
            server = request.getfixturevalue("postgres")
            url = server.create(request.getfixturevalue("migrated_name"))
            servers.append((server, url))
            made.append(Database(url))
    yield made
    for database in made:
        database.close()
    for server, url in servers:
        server.drop(url)


def fill(database, count=7):
    """Money, records with odd texts, and a worker that has not ended."""
    ledger = Ledger(database)
    ledger.top_up(W, 10_000, "für später", "k1", "root", 1)
    epoch = ledger.register("h:0", "h", 1)
    ledger.grant("h:0", epoch, [(Want(W), 2_000, 2_000)], 1)
    rows = [
        (seq, (W,), 100, record(seq, charged=100, shortfall=seq % 2, end_user="a\tb\\N\n", total_ms=0.1 + seq))
        for seq in range(1, count + 1)
    ]
    ledger.flush("h:0", epoch, Batch(count, rows, {}, NOW_US))
    Store(database).put_setting("theme", "dark")
    return epoch


def test_everything_arrives_and_the_books_hold(pair):
    source, target = pair
    fill(source)
    told = []
    copied = copy(source, target, lambda *step: told.append(step), replace=False, now_us=NOW_US)
    rows = {table.name: table.rows for table in copied}
    assert (rows["usage_record"], rows["account"], rows["lease"], rows["setting"]) == (7, 5, 1, 2)
    assert told[-1][:2] == (2 * sum(rows.values()),) * 2
    store = Store(target)
    assert store.ledger.verify().ok
    assert list(store.usage.export()) == list(Store(source).usage.export())
    assert store.ledger.statement(W) == Store(source).ledger.statement(W)


def test_it_goes_on_where_it_was(pair):
    """Numbers that the database gives by itself go on, and the hash chain too."""
    source, target = pair
    fill(source)
    copy(source, target, silent, replace=False, now_us=NOW_US)
    ledger = Ledger(target)
    ledger.top_up(W, 5, "r", "k2", "root", 2)
    epoch = ledger.register("h:0", "h", 3)
    ledger.grant("h:0", epoch, [(Want(W), 500, 500)], 3)
    ledger.flush("h:0", epoch, Batch(1, [(1, (W,), 10, record(50, charged=10, shortfall=0))], {}, 3))
    Store(target).audit.add("root", "a", "s", "", "", 4)
    assert Store(target).usage.last_seq() == 8
    assert ledger.verify().ok


def test_a_worker_of_the_source_is_nobody_in_the_target(pair):
    source, target = pair
    epoch = fill(source)
    copy(source, target, silent, replace=False, now_us=NOW_US)
    ledger = Ledger(target)
    with pytest.raises(WorkerFenced):
        ledger.flush("h:0", epoch, Batch(9, [(9, (W,), 1, record(9, charged=1, shortfall=0))], {}, 1))
    assert ledger.claim("h:0") is None
    assert ledger.state("h:0")[:2] == (NOW_US, "dead")
    (wallet,) = ledger.accounts(W)
    assert (wallet.balance, wallet.leased) == (9_300, 0)


def test_what_has_rows_is_not_written_to_unless_it_is_said(pair):
    source, target = pair
    fill(source)
    Ledger(target).top_up("wallet:other:standard", 1, "r", "k", "root", 1)
    with pytest.raises(NotEmpty, match="account"):
        copy(source, target, silent, replace=False, now_us=NOW_US)
    assert [row.account for row in Ledger(target).accounts("wallet:")] == ["wallet:other:standard"]
    copy(source, target, silent, replace=True, now_us=NOW_US)
    assert [row.account for row in Ledger(target).accounts("wallet:")] == [W]


def test_a_copy_that_breaks_off_leaves_nothing(pair):
    source, target = pair
    fill(source)

    def stop(_done, _total, what):
        if what == "usage_record":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, target, stop, replace=False, now_us=NOW_US)
    assert Ledger(target).accounts() == []


def test_a_nul_character_becomes_one_that_postgres_has(sqlite_url, postgres_url):
    source, target = Database(sqlite_url), Database(postgres_url)
    Store(source).put_setting("odd", "a\0b")
    copy(source, target, silent, replace=False, now_us=NOW_US)
    assert Store(target).setting("odd") == "a\ufffdb"
    source.close()
    target.close()


def test_epochs_never_fall(database):
    fill(database)
    with database.read() as conn:
        assert unended(conn) == ["h:0"]
    for expected in (NOW_US, NOW_US + 1, NOW_US + 2):
        with database.write(durable=False) as conn:
            end_epochs(conn, NOW_US)
        ledger = Ledger(database)
        assert ledger.state("h:0") == (expected, "dead", 7)
        assert ledger.verify().ok
    with database.read() as conn:
        assert unended(conn) == []


def test_who_runs_is_known_by_its_heartbeat(database):
    fill(database)
    with database.read() as conn:
        assert running(conn, NOW_US + 14_000_000) == ["h:0"]
        assert running(conn, NOW_US + 16_000_000) == []
