"""A store that breaks at the worst moment: within a flush, for a while, or because its disk is full."""

import errno
import os
import sqlite3
import threading

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from joytoken.escrow.engine import Closed
from joytoken.store.engine import StoreUnavailable
from joytoken.store.ledger import Batch
from joytoken.store.open import open_store
from tests.escrow.making import DAY, SMALL, WALLET, a_record, an_escrow, fund, row, settle, usage, wants
from tests.escrow.test_life import eventually
from tests.postgres import PostgresServer
from tests.statements import hear

STATEMENTS_MAX = 60


class Breaker:
    """Breaks a connection right before its n-th statement; a commit counts as one."""

    def __init__(self, store, url, monkeypatch):
        self.left = 0
        self.sqlite = store.database.sqlite
        self.url = url
        hear(monkeypatch, store.database.engine, lambda conn, _: self.count(conn))
        sa.event.listen(store.database.engine, "commit", self.count)

    def count(self, conn):
        self.left -= 1
        if self.left:
            return
        if self.sqlite:
            broken = sqlite3.OperationalError("disk I/O error")
            broken.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise sa.exc.OperationalError("", {}, broken)
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (conn.connection.dbapi_connection.info.backend_pid,))


@pytest.fixture
def breaker(store, store_url, monkeypatch):
    return Breaker(store, store_url, monkeypatch)


def test_a_flush_that_breaks_at_any_statement_is_whole_or_nothing(store, breaker):
    fund(store.ledger, 10**6)
    epoch = store.ledger.register("w:0", "w", 1)
    store.ledger.grant("w:0", epoch, [(want, 0, 100_000) for want in wants(500_000)], 1)
    broken = 0
    for number in range(1, STATEMENTS_MAX):
        before = row(store.ledger), row(store.ledger, DAY), store.ledger.state("w:0")
        cost = a_record(number, cost=30, charged=20, shortfall=10, ending="completed")
        batch = Batch(number, [(number, (WALLET, DAY), 20, cost)], {WALLET: 5, DAY: 5}, 7)
        breaker.left = number
        try:
            store.ledger.flush("w:0", epoch, batch)
        except StoreUnavailable:
            broken += 1
            breaker.left = 0
            assert (row(store.ledger), row(store.ledger, DAY), store.ledger.state("w:0")) == before
            store.ledger.flush("w:0", epoch, batch)
        breaker.left = 0
        store.ledger.flush("w:0", epoch, batch)  # the answer was lost
        assert store.ledger.state("w:0")[2] == number
        if broken < number:
            break
    assert broken >= 13
    assert row(store.ledger).balance == 10**6 - 20 * number
    assert store.ledger.leases("w:0", epoch) == dict.fromkeys((WALLET, DAY), 100_000 - 25 * number)
    store.ledger.finish("w:0", epoch)
    report = store.ledger.verify()
    assert (report.first_bad, report.records) == (None, number)


async def test_settles_wait_for_a_disk_that_is_full(sqlite_url, tmp_path):
    store = open_store(sqlite_url)
    fund(store.ledger, 10**6)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, journal_segment_bytes=1 << 20))
    holds = [await escrow.hold(a_record(number), wants(), 1_000, 0) for number in range(40)]
    full = [True]

    def begin(conn):
        conn.exec_driver_sql(f"PRAGMA max_page_count = {1 if full[0] else 1 << 30}")  # 1: as many as there are

    sa.event.listen(store.database.engine, "begin", begin)
    for hold in holds:
        hold.record.detail = b"x" * 8_000
        settle(escrow, hold, 400)
    await eventually(lambda: escrow.stats().flush_failures >= 3)
    late = escrow.try_hold(a_record(99), wants(), 1_000, 0)  # its lease is good yet
    settle(escrow, late, 400)
    assert usage(store, late.request_id) is None
    full[0] = False
    await escrow.flush_now()
    await escrow.stop()
    assert row(store.ledger).balance == 10**6 - 41 * 400
    report = store.ledger.verify()
    assert (report.first_bad, report.records) == (None, 41)
    store.close()


async def test_a_disk_without_room_for_the_journal_is_said_so(store, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("joytoken.escrow.journal.os.posix_fallocate", refuse)
        with pytest.raises(Closed, match=r"needs 131072 bytes in .*: No space left"):
            await an_escrow(store.ledger, tmp_path)
    escrow = await an_escrow(store.ledger, tmp_path)
    assert escrow.stats().state == "open"
    await escrow.stop()


async def test_a_server_that_is_stopped_for_longer_than_the_deadline(tmp_path):
    """Leases go on, then admission stops; when the server is back, everything reaches it, and admission goes on."""
    server = PostgresServer()
    try:
        store = open_store(server.create())
        fund(store.ledger, 10**6)
        short = msgspec.structs.replace(SMALL, lease_deadline_ms=1_500, heartbeat_ms=50, retry_ms_max=50)
        escrow = await an_escrow(store.ledger, tmp_path, short)
        holds = [await escrow.hold(a_record(number), wants(), 1_000, 0) for number in range(5)]
        server.stop()
        settle(escrow, holds[0], 400)
        during = escrow.try_hold(a_record(50), wants(), 1_000, 0)
        assert during is not None
        await eventually(lambda: escrow.stats().state != "open")
        with pytest.raises(Closed, match="too long"):
            escrow.try_hold(a_record(51), wants(), 1_000, 0)
        for hold in [during, *holds[1:]]:
            settle(escrow, hold, 400)
        await_start = threading.Thread(target=server.start)
        await_start.start()
        await eventually(lambda: escrow.stats().state == "open")
        await_start.join()
        settle(escrow, await escrow.hold(a_record(52), wants(), 1_000, 0), 400)
        await escrow.stop()
        assert row(store.ledger).balance == 10**6 - 7 * 400
        report = store.ledger.verify()
        assert (report.first_bad, report.records) == (None, 7)
        store.close()
    finally:
        server.close()
