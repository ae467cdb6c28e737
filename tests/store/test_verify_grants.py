"""Every way to cheat with grants, refunds and transfers is found, by name."""

import pytest

from joytoken.domain.ledger import GrantTerms
from joytoken.store.engine import Database
from joytoken.store.ledger import Ledger
from tests.store.test_verify import look, tamper
from tests.store.wallets import DAY_US, OTHER, W, Worker, promo

PLAIN_WALLET = "wallet:plain:standard"


@pytest.fixture
def filled(url):
    """A mixed wallet and a plain one, with everything that an operator can do to them."""
    database = Database(url)
    ledger = Ledger(database)
    ledger.top_up(W, 1_000, "r", "k1", "root", 1)  # grant 1
    ledger.top_up(W, 500, "r", "k2", "root", 1, terms=promo(DAY_US))  # grant 2
    ledger.top_up(W, 300, "r", "k3", "root", 1, terms=GrantTerms("promo", 7))  # grant 3
    ledger.top_up(W, 70, "r", "k4", "root", 1, effective_us=9 * DAY_US)  # grant 4, waiting
    ledger.top_up(PLAIN_WALLET, 900, "r", "k5", "root", 1)  # grant 5
    worker = Worker(ledger)
    first, _ = worker.use(310, 40)
    worker.use(100, account=PLAIN_WALLET)
    ledger.refund(first, 110, "r", "k6", "root", 2)  # transaction 8
    ledger.transfer(W, OTHER, 20, 20, "r", "k7", "root", 2)
    ledger.sweep(DAY_US)  # transaction 10
    worker.use(5, at_us=DAY_US)
    ledger.top_up(OTHER, 30, "r", "k8", "root", DAY_US)
    ledger.void(ledger.grants(OTHER)[-1].id, "r", "k9", "root", DAY_US)
    database.close()
    return url


def test_an_honest_database_holds(filled):
    assert look(filled).first_bad is None


@pytest.mark.parametrize(
    ("statement", "failing", "said"),
    [
        ("UPDATE credit_grant SET remaining = remaining - 1 WHERE id = 1", "I11 I12", W),
        ("UPDATE credit_grant SET remaining = remaining - 1 WHERE id = 5", "I11 I12", PLAIN_WALLET),
        ("UPDATE credit_grant SET remaining = remaining - 1 WHERE id = 4", "I11 I12", "platform:pending"),
        ("UPDATE credit_grant SET amount = amount + 1 WHERE id = 1", "I6 I12", W),
        ("UPDATE credit_grant SET category = 'paid' WHERE id = 3", "I12", "transaction 3"),
        ("UPDATE credit_grant SET priority = 1000 WHERE id = 3", "I12", "transaction 3"),
        ("UPDATE credit_grant SET expires_us = NULL WHERE id = 2", "I12", "transaction 2"),
        ("UPDATE credit_grant SET effective_us = 0 WHERE id = 4", "I12 I14", "transaction 4"),
        ("UPDATE credit_grant SET entered_us = 1 WHERE id = 4", "I6 I11", W),
        (f"UPDATE credit_grant SET account = '{OTHER}' WHERE id = 1", "I6 I11 I12", OTHER),
        ("UPDATE credit_grant SET tx = 3 WHERE id = 2", "I12", "transaction 2"),
        ("DELETE FROM credit_grant WHERE id = 4", "I11 I12", "platform:pending"),
        ("UPDATE account SET mixed = NOT mixed WHERE kind = 'wallet'", "I11 I14", PLAIN_WALLET),
        ("UPDATE grant_entry SET amount = amount - 1 WHERE tx = 10", "I6 I12", W),
        ("DELETE FROM grant_entry WHERE tx = 6", "I12", "grant 2"),
        ("UPDATE credit_grant SET voided_us = 5 WHERE id = 1", "I12 I14", "grant 1"),
        ("UPDATE credit_grant SET voided_us = voided_us + 1 WHERE voided_us IS NOT NULL", "I12", "transaction"),
        ("UPDATE credit_grant SET voided_us = NULL", "I12", "transaction"),
        (f"UPDATE account SET due_us = NULL WHERE id = '{W}'", "I14", W),
        (f"UPDATE account SET due_us = due_us + 1 WHERE id = '{W}'", "I14", W),
        ("UPDATE refund SET at_us = at_us + 1", "I13", "transaction 8"),
        ("UPDATE ledger_tx SET terms = '{' WHERE id = 8", "I10 I12 I13", "transaction 8"),
        ("UPDATE refund SET amount = amount + 1", "I6 I13", W),
        ("UPDATE refund SET request_id = 'req-none'", "I13", "req-none"),
        ("DELETE FROM refund", "I6 I13", W),
        ("UPDATE ledger_tx SET terms = replace(terms, 'promo', 'paid') WHERE id = 3", "I10 I12", "transaction 3"),
        ("UPDATE ledger_tx SET terms = '{' WHERE id = 3", "I10 I12", "transaction 3"),
        ("UPDATE ledger_tx SET kind = 'adjust' WHERE id = 10", "I10", "transaction 10"),
        ("UPDATE ledger_entry SET amount = 119 WHERE tx = 8 AND amount = 110", "I5 I6 I10", W),
    ],
)
def test_tampering_is_found(filled, statement, failing, said):
    tamper(filled, statement)
    report = look(filled)
    found = " ".join(dict.fromkeys(check.name.split()[0] for check in report.checks if not check.ok))
    bad = "; ".join(check.detail for check in report.checks if not check.ok)
    assert (found, said in bad) == (failing, True), bad


def test_credits_burned_before_they_end_leave_right_books(url):
    """That they end is an act without an entry: there is nothing left of them, and nothing to burn batch by batch."""
    database = Database(url)
    ledger = Ledger(database)
    ledger.top_up(W, 40, "r", "k1", "root", 1, terms=promo(DAY_US))
    worker = Worker(ledger)
    worker.use(34)
    worker.use(6)
    ledger.sweep(DAY_US)
    assert ledger.verify().first_bad is None
    database.close()
