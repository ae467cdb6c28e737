"""One winner, and its answer for all the others."""

import threading

import pytest

from joytoken.store.idempotency import Existing, Idempotency
from joytoken.store.ledger import Ledger


@pytest.fixture
def table(database):
    return Idempotency(database)


def begin(table, key_id="k", idem="i", request="req-1", at_us=10, print_=b"f"):
    return table.begin(key_id, idem, print_, request, at_us, at_us + 100)


def test_the_life_of_an_entry(table):
    assert begin(table) is None
    assert begin(table, request="req-2") == Existing(b"f", "req-1", "under_way", 0, "", b"", "", 110)
    table.finish("k", "i", "req-1", 200, "application/json", b"{}", '{"x":"y"}')
    done = Existing(b"f", "req-1", "done", 200, "application/json", b"{}", '{"x":"y"}', 110)
    assert begin(table, request="req-3", print_=b"other") == done
    table.drop("k", "i", "req-1")
    assert begin(table, request="req-4") is None


def test_keys_do_not_share_entries(table):
    assert begin(table, "k", "i") is None
    assert begin(table, "k2", "i") is None
    assert begin(table, "k", "i2") is None


def test_an_expired_entry_is_as_none(table):
    begin(table, at_us=10)
    table.finish("k", "i", "req-1", 200, "t", b"old", "{}")
    assert begin(table, at_us=109) is not None
    assert begin(table, at_us=110, request="req-2") is None
    assert begin(table, at_us=111).state == "under_way"


def test_purge(table):
    for number in range(5):
        begin(table, idem=str(number), at_us=number * 10)
    assert table.purge(120) == 3
    assert table.purge(120) == 0
    assert begin(table, idem="4", at_us=50) is not None


def test_what_is_gone_is_not_finished(table):
    table.finish("k", "i", "req-1", 200, "t", b"", "{}")
    assert begin(table) is None


def test_of_sixteen_at_once_one_wins(table):
    gate = threading.Barrier(16)
    answers = []

    def race(number):
        gate.wait()
        answers.append((f"req-{number}", begin(table, request=f"req-{number}")))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [request for request, existing in answers if existing is None]
    assert len(winners) == 1
    assert {existing.request_id for _, existing in answers if existing is not None} == set(winners)
    assert len(answers) == 16


def test_what_an_ended_epoch_had_under_way_is_over(table, database):
    ledger = Ledger(database)
    epoch = ledger.register("host:0", "host", 1)
    table.begin("k", "i", b"f", "req-1", 10, 110, ("host:0", epoch))
    assert not begin(table).over
    assert ledger.claim("host:0") == (epoch, 0)
    assert not begin(table).over  # what it cost is being brought over
    ledger.finish("host:0", epoch)
    assert begin(table).over
    assert ledger.register("host:0", "host", 1) > epoch
    assert begin(table).over
    table.finish("k", "i", "req-1", 200, "t", b"", "{}")
    assert not begin(table).over


def test_only_the_request_that_has_the_key_ends_it(table):
    begin(table)
    table.drop("k", "i", "req-0")
    table.finish("k", "i", "req-0", 200, "t", b"", "{}")
    assert begin(table).state == "under_way"
