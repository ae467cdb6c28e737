"""What is PostgreSQL's own: bounded waits, dead connections, transactions that met."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from joytoken.domain.ledger import Want
from joytoken.escrow.terms import EscrowSettings
from joytoken.store.engine import Database, StoreUnavailable, retried
from joytoken.store.ledger import Batch, Ledger
from joytoken.store.open import open_store
from joytoken.store.postgres import IDLE_MS, Turn, unbounded
from joytoken.store.schema import account, setting
from joytoken.store.usage import UsageTable
from joytoken.store.usage_query import UsageQuery
from tests.postgres import PostgresServer
from tests.store.making import record

W = "wallet:owner:standard"


@pytest.fixture
def database(postgres_url):
    found = Database(postgres_url)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lock_timeout", "5s"),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("synchronous_commit", "on"),
        ("application_name", "joytoken"),
    ],
)
def test_every_wait_is_bounded(database, name, value):
    for block in (database.read(), database.write(durable=False)):
        with block as conn:
            assert conn.exec_driver_sql(f"SHOW {name}").scalar() == value


def test_a_proof_may_pause_for_longer(database):
    with database.read() as conn:
        unbounded(conn)
        assert conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "1min"
        assert conn.exec_driver_sql("SHOW statement_timeout").scalar() == "0"


def test_who_stands_still_in_a_transaction_loses_it_before_the_others_lose_their_leases(postgres_url, monkeypatch):
    assert EscrowSettings().lease_deadline_ms > 2 * IDLE_MS
    monkeypatch.setattr("joytoken.store.postgres.IDLE_MS", 200)
    still, other = Database(postgres_url), Database(postgres_url)

    def stand_still():
        with still.write(durable=False, turn=Turn.LEDGER) as conn:
            # As a flush does, several rows at once: a pipeline's end would not be timed by the server.
            rows = [{"of": f"name-{n}", "now": "x"} for n in range(3)]
            changed = sa.update(setting).where(setting.c.name == sa.bindparam("of")).values(value=sa.bindparam("now"))
            assert conn.execute(changed, rows).rowcount == 0
            with other.write(durable=False, turn=Turn.LEDGER) as free:
                assert free.exec_driver_sql("SELECT 1").scalar() == 1
            conn.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreUnavailable, match="idle-in-transaction timeout"):
        stand_still()
    still.close()
    other.close()


def test_a_commit_outlives_the_server_whatever_the_server_thinks(database, postgres_url):
    lax = Database(postgres_url + "&options=-c%20synchronous_commit%3Doff")
    with lax.read() as conn:
        assert conn.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    lax.close()


def test_a_lock_that_is_not_given_up_is_an_outage(database, postgres_url):
    impatient = Database(postgres_url, busy_ms=50)
    with database.write(durable=False) as conn:
        conn.exec_driver_sql("LOCK TABLE setting")
        with pytest.raises(StoreUnavailable, match="lock timeout"), impatient.write(durable=False) as other:
            other.execute(sa.insert(setting).values(name="a", value="b"))
    impatient.close()


def test_a_reader_cannot_write(database):
    with pytest.raises(StoreUnavailable, match="read-only"), database.read() as conn:
        conn.execute(sa.insert(setting).values(name="a", value="b"))


def test_a_deadlock_is_run_again(database):
    names = ["platform:a", "platform:b"]
    with database.write(durable=False) as conn:
        conn.execute(sa.insert(account), [{"id": name, "kind": "platform"} for name in names])
    met = threading.Barrier(2)
    runs = []

    @retried
    def change(order, seen):
        with database.write(durable=False) as conn:
            seen.append(order)
            runs.append(order)
            for name in order:
                raised = sa.update(account).where(account.c.id == name).values(balance=account.c.balance + 1)
                conn.execute(raised)
                if len(seen) == 1 and name == order[0]:
                    met.wait(20)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(change, [names, names[::-1]], [[], []]))
    assert len(runs) == 3
    with database.read() as conn:
        assert conn.execute(sa.select(account.c.balance)).scalars().all() == [2, 2]


def test_first_movements_of_an_empty_ledger_at_once(database):
    ledger = Ledger(database)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: ledger.top_up(W, 100, "r", f"k{n % 4}", "root", n % 4), range(16)))
    assert len({tx.tx_id for tx in made}) == 4
    assert ledger.verify().ok
    assert next(row.balance for row in ledger.accounts(W)) == 400


def test_eight_workers_on_one_wallet(database):
    ledger = Ledger(database)
    ledger.top_up(W, 10_000, "r", "k", "root", 1)
    day = "quota:key-1:D:2026-11-22"

    def work(number):
        name = f"h:{number}"
        epoch = ledger.register(name, "h", 1)
        for seq in range(1, 21):
            (wallet, quota) = ledger.grant(name, epoch, [(Want(W), 10, 10), (Want(day, 1_000), 10, 10)], 1)
            charged = min(wallet.amount, quota.amount)
            back = {W: wallet.amount - charged, day: quota.amount - charged}
            back = {name: amount for name, amount in back.items() if amount}
            made = record(number * 100 + seq, charged=charged, shortfall=0)
            settles = [(seq, (W, day), charged, made)] if charged else []
            ledger.flush(name, epoch, Batch(seq, settles, back, 1))
        ledger.finish(name, epoch)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert ledger.verify().ok
    balances = {row.account: (row.balance, row.leased) for row in ledger.accounts()}
    assert (balances[day], balances[W]) == ((0, 0), (9_000, 0))


def test_a_nul_character_does_not_stop_a_batch(database):
    ledger = Ledger(database)
    ledger.top_up(W, 1_000, "r", "k", "root", 1)
    epoch = ledger.register("h:0", "h", 1)
    ledger.grant("h:0", epoch, [(Want(W), 500, 500)], 1)
    made = record(1, charged=400, end_user="a\0b", tags='{"team":"a\\u0000b"}')
    ledger.flush("h:0", epoch, Batch(1, [(1, (W,), 400, made)], {}, 1))
    usage = UsageTable(database)
    assert usage.get(made.request_id).end_user == "a\ufffdb"
    assert [row.keys for row in usage.summary(UsageQuery(), ["tag:team"])] == [("",)]


def test_an_outage_has_its_name_and_ends():
    server = PostgresServer()
    try:
        url = server.create()
        store = open_store(url)
        store.put_setting("a", "1")
        server.stop()
        with pytest.raises(StoreUnavailable):
            store.setting("a")
        with pytest.raises(StoreUnavailable):
            store.put_setting("a", "2")
        server.start()
        assert store.setting("a") == "1"
        store.put_setting("a", "3")
        assert store.setting("a") == "3"
        store.close()
    finally:
        server.close()
