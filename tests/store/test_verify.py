"""Every way to cheat is found, by name."""

import re

import pytest
import sqlalchemy as sa

from joytoken.domain.ledger import Want
from joytoken.store.batch import PROVED
from joytoken.store.engine import Database
from joytoken.store.ledger import Batch, Ledger
from joytoken.store.schema import usage_record
from tests.store.making import record

W = "wallet:owner:standard"
DAY = "quota:key-1:D:2026-11-22"
BUDGET = "budget:bud-1:M:2026-11"

ANOTHER = """
    INSERT INTO usage_record (ingest_seq, request_id, started_us, ending, usage_source, streamed, http_status, attempts,
        routing_ms, total_ms, detail, worker, epoch, seq)
    VALUES (99, 'req-x', 1795348800000000, 'empty', 'none', 0, 200, 1, 0, 0, '', 'h:0', 1, 3)
"""


@pytest.fixture
def filled(url):
    """A little of everything: a top-up, a correction, quotas, a budget, shortfalls, a live worker, an ended one."""
    database = Database(url)
    ledger = Ledger(database)
    ledger.top_up(W, 10_000, "r", "k1", "root", 1)
    ledger.adjust(W, -1_000, "r", "k2", "root", 1)
    for name in ("h:0", "h:1"):
        epoch = ledger.register(name, "h", 1)
        ledger.grant(name, epoch, [(Want(W), 2_000, 2_000), (Want(DAY, 8_000), 1_500, 1_500)], 1)
        for seq in range(2, 12, 3):
            number = seq + (100 if name == "h:1" else 0)
            made = record(number, charged=100, shortfall=seq % 2)
            ledger.flush(name, epoch, Batch(seq, [(seq, (W, DAY), 100, made)], {}, 1))
    ledger.grant("h:1", 1, [(Want(BUDGET, 700), 100, 100)], 1)
    ledger.finish("h:1", 1)
    database.close()
    return url


def look(url):
    database = Database(url)
    try:
        return Ledger(database).verify()
    finally:
        database.close()


def tamper(url, statement):
    """Run a statement as one who owns the database and is held by none of its constraints."""
    database = Database(url)
    # What all months are together is a view on SQLite.
    statement = re.sub(r"\b(UPDATE|INTO|FROM) usage_record\b", r"\1 usage_record_202611", statement)
    with database.engine.connect() as conn:
        raw = conn.connection.dbapi_connection
        if database.sqlite:
            raw.execute("PRAGMA foreign_keys = OFF")
            raw.execute("PRAGMA ignore_check_constraints = ON")
        else:
            raw.autocommit = True
            found = (
                "SELECT conrelid::regclass, conname FROM pg_constraint"
                " WHERE contype IN ('c', 'f') AND conrelid <> 0 AND coninhcount = 0"
            )
            for table, name in raw.execute(found).fetchall():
                raw.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
            for mine, theirs in (("x'00'", "'\\x00'"), ("'none', 0, 200", "'none', false, 200")):
                statement = statement.replace(mine, theirs)
        assert raw.execute(statement).rowcount > 0
    database.close()


def test_an_honest_database_holds(filled):
    report = look(filled)
    assert report.ok
    names = [check.name.split()[0] for check in report.checks]
    assert names == ["I15", *(f"I{n}" for n in range(1, 7)), *(f"I{n}" for n in range(6, 15))]
    assert (report.records, report.accounts) == (8, 8)


def test_it_tells_how_far_it_is(filled):
    database = Database(filled)
    told = []
    report = Ledger(database).verify(lambda *step: told.append(step))
    database.close()
    assert told == [(n, len(report.checks), check.name) for n, check in enumerate(report.checks)]


def test_an_empty_database_holds(url):
    assert look(url).ok


@pytest.mark.parametrize(
    ("statement", "failing", "said"),
    [
        (f"UPDATE account SET balance = balance + 1 WHERE id = '{W}'", "I5 I6", W),
        ("UPDATE account SET balance = balance - 1 WHERE id = 'platform:revenue'", "I5", "platform:revenue"),
        (f"UPDATE account SET balance = 1 WHERE id = '{W}'", "I1 I5 I6", W),
        (f"UPDATE account SET version = version + 1 WHERE id = '{W}'", "I5", W),
        (f"UPDATE account SET leased = leased + 1 WHERE id = '{W}'", "I2", W),
        (f"UPDATE account SET leased = -1 WHERE id = '{W}'", "I1 I2", W),
        ("UPDATE lease SET outstanding = outstanding - 1", "I2", DAY),
        ("DELETE FROM lease", "I2", DAY),
        (f"INSERT INTO lease VALUES ('{W}', 'h:1', 1, 0)", "I8", "h:1"),
        ("UPDATE worker SET state = 'dead'", "I8", "h:0"),
        ("DELETE FROM usage_record WHERE request_id LIKE '%05'", "I3 I6", "h:0/1/5"),
        ("DELETE FROM usage_record WHERE ingest_seq = 8", "I3 I6", "h:1/1/11"),
        ("UPDATE usage_record SET charged = charged - 1, cost = cost - 1 WHERE ingest_seq = 3", "I3 I6", "h:0/1/8"),
        ("UPDATE usage_record SET shortfall = shortfall + 1 WHERE ingest_seq = 3", "I3 I4 I6", "h:0/1/8"),
        ("UPDATE usage_record SET charged = charged - 1, shortfall = shortfall + 1 WHERE ingest_seq = 3", "I3 I6", ""),
        ("UPDATE usage_record SET key_id = 'other' WHERE ingest_seq = 3", "I3", "h:0/1/8"),
        ("UPDATE usage_record SET owner_id = 'other' WHERE ingest_seq = 3", "I3 I6", "h:0/1/8"),
        ("UPDATE usage_record SET seq = 99 WHERE ingest_seq = 4", "I3 I7", "h:0/1/11"),
        ("UPDATE worker SET applied_seq = 5 WHERE id = 'h:0'", "I7", "req-"),
        (ANOTHER, "I3", "req-x"),
        ("UPDATE ledger_entry SET amount = amount + 1 WHERE tx = 4 AND seq = 1", "I5 I6 I10", ""),
        ("UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE tx = 4 AND seq = 1", "I5 I10", ""),
        ("UPDATE ledger_tx SET reason = 'r2' WHERE id = 2", "I10", "transaction 2"),
        ("UPDATE ledger_tx SET actor = 'eve' WHERE id = 1", "I10", "transaction 1"),
        ("UPDATE ledger_tx SET at_us = 2 WHERE id = 5", "I10", "transaction 5"),
        ("UPDATE ledger_tx SET hash = x'00' WHERE id = 3", "I10", "transaction 3"),
        ("UPDATE ledger_tx SET prev_hash = x'00' WHERE id = 3", "I10", "transaction 3"),
        ("DELETE FROM ledger_entry WHERE tx = 5", "I5 I6 I10", ""),
        ("DELETE FROM ledger_tx WHERE id = 2", "I6 I10", W),
        ("UPDATE ledger_tx SET id = 99 WHERE id = 2", "I6 I10", W),
        ("UPDATE account SET quota_limit = quota_limit + 1 WHERE quota_limit > 0", "I9", BUDGET),
        (f"UPDATE account SET quota_limit = NULL WHERE id = '{DAY}'", "I9", DAY),
        (f"UPDATE account SET quota_limit = quota_limit + 1 WHERE id = '{BUDGET}'", "I9", BUDGET),
        (f"UPDATE account SET kind = 'platform' WHERE id = '{W}'", "I10 I14", W),
        (f"UPDATE account SET owner_id = 'other' WHERE id = '{W}'", "I14", W),
        (f"UPDATE account SET tier = 'economy' WHERE id = '{W}'", "I14", W),
        (f"UPDATE account SET \"window\" = 'D:2026-11-23' WHERE id = '{DAY}'", "I14", DAY),
        (f"UPDATE account SET credit_limit = 1000000 WHERE id = '{W}'", "I14", W),
        (f"UPDATE account SET quota_limit = 1 WHERE id = '{W}'", "I14", W),
        (f"UPDATE account SET mixed = true WHERE id = '{W}'", "I11", W),
        ("UPDATE ledger_tx SET batch = 'h:0/1/x' WHERE batch = 'h:0/1/5'", "I3 I10", "transaction"),
        ("UPDATE ledger_tx SET reason = 'r' WHERE batch = 'h:0/1/5'", "I3 I10", "transaction"),
        ("INSERT INTO settle_conflict (request_id, first, second) VALUES ('req-y', '', '')", "I3", "req-y"),
    ],
)
def test_tampering_is_found(filled, statement, failing, said):
    tamper(filled, statement)
    report = look(filled)
    found = " ".join(dict.fromkeys(check.name.split()[0] for check in report.checks if not check.ok))
    assert found == failing
    assert said in report.first_bad


@pytest.mark.parametrize("name", PROVED)
def test_what_the_digest_of_a_batch_covers_cannot_be_changed(filled, name):
    value = "'x'" if isinstance(usage_record.c[name].type, sa.Text) else f"coalesce({name}, 0) + 1"
    tamper(filled, f"UPDATE usage_record SET {name} = {value} WHERE ingest_seq = 3")
    assert "I3" in [check.name.split()[0] for check in look(filled).checks if not check.ok]


def test_it_holds_on_a_live_system(filled):
    """One view: a flush that commits while the proof runs is either wholly in it or not at all."""
    database = Database(filled)
    ledger = Ledger(database)
    original = Ledger(Database(filled))
    for seq in range(20, 40):
        with database.read() as conn:
            conn.exec_driver_sql("SELECT count(*) FROM account").scalar()
            original.flush("h:0", 1, Batch(seq, [(seq, (W,), 10, record(seq, charged=10, shortfall=0))], {}, 1))
            assert ledger.verify().ok
    original._db.close()
    database.close()
