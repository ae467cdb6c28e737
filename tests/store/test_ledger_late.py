"""Epochs that were given up, and what is brought of them later."""

import json

import pytest

from joytoken.domain.ledger import SHORTFALL
from joytoken.store.incident import Incidents
from joytoken.store.ledger import Batch, Ledger, WorkerFenced
from tests.store.test_ledger import DAY, W, a_settle, a_worker, row, top_up


@pytest.fixture
def ledger(database):
    return Ledger(database)


@pytest.fixture
def lost(ledger):
    """A worker that was given up with 500 of 1,000 leased, and 100 of that brought before."""
    top_up(ledger)
    epoch = a_worker(ledger)
    ledger.flush("h:0", epoch, Batch(2, [a_settle(2)], {}, 7))
    assert ledger.abandon("h:0", epoch, ledger.workers()[0].deadline_us).returned == {W: 400}
    assert (row(ledger).balance, row(ledger).leased) == (900, 0)
    return epoch


def test_a_late_batch_is_applied_once(ledger, lost, database):
    batch = Batch(5, [a_settle(2), a_settle(4), a_settle(5)], {}, 8)  # the first is there already
    for _ in range(3):
        assert ledger.flush_late("h:0", lost, batch).applied_seq == 5
    assert (row(ledger).balance, ledger.state("h:0")) == (700, (lost, "abandoned", 5))
    told = json.loads(Incidents(database).list()[0].detail)
    assert (told["late_records"], told["late_charged"], told["late_shortfall"]) == (2, 200, 0)
    report = ledger.verify()
    assert (report.first_bad, report.records) == (None, 3)


def test_what_an_account_cannot_carry_is_a_shortfall(ledger, lost):
    """Leases of others count as spent."""
    a_worker(ledger, "h:1")  # leases 500 of the 900
    ledger.flush_late("h:0", lost, Batch(6, [a_settle(4, 370), a_settle(5), a_settle(6)], {}, 8))
    assert (row(ledger).balance, row(ledger).available) == (500, 0)
    assert row(ledger, SHORTFALL).balance == -170
    report = ledger.verify()
    assert (report.first_bad, report.records) == (None, 4)


def test_a_second_outcome_is_an_alarm_and_moves_nothing(ledger, lost, database):
    ledger.flush_late("h:0", lost, Batch(4, [a_settle(4, 100)], {}, 8))
    ledger.flush_late("h:0", lost, Batch(5, [a_settle(4, 150)], {}, 8))
    assert row(ledger).balance == 800
    assert "I3" in ledger.verify().first_bad


def test_only_an_epoch_that_has_ended_is_late(ledger):
    top_up(ledger)
    epoch = a_worker(ledger)
    for claimed in (False, True):
        if claimed:
            ledger.claim("h:0")
        with pytest.raises(WorkerFenced):
            ledger.flush_late("h:0", epoch, Batch(2, [a_settle(2)], {}, 7))
    with pytest.raises(WorkerFenced):
        ledger.flush_late("h:0", epoch + 1, Batch(2, [a_settle(2)], {}, 7))
    ledger.finish("h:0", epoch)
    ledger.register("h:0", "h", 1)
    assert ledger.flush_late("h:0", epoch, Batch(2, [a_settle(2)], {}, 7)).applied_seq == 2
    assert ledger.state("h:0") == (epoch + 1, "live", 0)
    assert row(ledger).balance == 900
    assert ledger.verify().first_bad is None


def test_accounts_that_are_not_there_carry_nothing(ledger, lost):
    ledger.flush_late("h:0", lost, Batch(4, [a_settle(4, 100, accounts=(W, DAY))], {}, 8))
    assert row(ledger).balance == 900
