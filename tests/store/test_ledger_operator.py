"""Grants: in which order they are burned, how they begin and end, and that the balance is theirs."""

import threading

import pytest
import sqlalchemy as sa

from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.ledger import EXPIRY, FUNDING, PENDING, PROMO, GrantTerms
from joytoken.store.audit import Audit
from joytoken.store.engine import Database
from joytoken.store.ledger import Ledger
from joytoken.store.schema_credit import credit_grant, grant_entry
from tests.statements import hear
from tests.store.wallets import DAY_US, OTHER, PREMIUM, W, Worker, left, promo, row

_REMAINING = sa.select(credit_grant.c.remaining).order_by(credit_grant.c.id)


@pytest.fixture
def ledger(database):
    made = Ledger(database)
    yield made
    assert made.verify().first_bad is None


def top_up(ledger, amount, key, account=W, at_us=5, **more):
    return ledger.top_up(account, amount, "r", key, "root", at_us, **more)


def test_a_top_up_makes_a_grant_paid_for_and_without_an_end(ledger):
    made = top_up(ledger, 1_000, "a")
    (grant,) = ledger.grants(W)
    assert made.grants == (grant.id,)
    assert (grant.category, grant.priority, grant.amount, grant.remaining) == ("paid", 100, 1_000, 1_000)
    assert (grant.expires_us, grant.voided_us, grant.entered_us) == (None, None, 5)


def test_grants_burn_by_priority_then_expiry_then_age(ledger):
    top_up(ledger, 10, "paid")
    top_up(ledger, 20, "late", terms=promo(9 * DAY_US))
    top_up(ledger, 30, "soon", terms=promo(2 * DAY_US))
    top_up(ledger, 40, "open", terms=promo())
    top_up(ledger, 5, "first", terms=promo(priority=1))
    worker, seen = Worker(ledger), []
    for charged in (5, 30, 20, 40, 10):
        worker.use(charged)
        seen.append(left(ledger))
    assert seen == [
        [("paid", 10), ("promo", 20), ("promo", 30), ("promo", 40)],
        [("paid", 10), ("promo", 20), ("promo", 40)],
        [("paid", 10), ("promo", 40)],
        [("paid", 10)],
        [],
    ]


def test_a_plain_wallet_costs_a_batch_nothing_and_is_burned_with_the_next_act(ledger, database, monkeypatch):
    top_up(ledger, 100, "a")
    top_up(ledger, 50, "b")
    said = []

    hear(monkeypatch, database.engine, lambda _, statement: said.append(statement))
    Worker(ledger).use(110)
    assert [statement for statement in said if "account" in statement]
    assert not [statement for statement in said if "grant" in statement]
    with database.read() as conn:
        assert conn.execute(_REMAINING).scalars().all() == [100, 50]
    assert left(ledger) == [("paid", 40)]
    top_up(ledger, 1, "c")
    with database.read() as conn:
        assert conn.execute(_REMAINING).scalars().all() == [0, 40, 1]


def test_a_mixed_wallet_is_burned_with_each_batch(ledger, database):
    top_up(ledger, 100, "a")
    top_up(ledger, 50, "b", terms=promo())
    Worker(ledger).use(20, 40)
    with database.read() as conn:
        assert conn.execute(_REMAINING).scalars().all() == [90, 0]
        assert conn.execute(sa.select(sa.func.count()).select_from(grant_entry)).scalar_one() == 4


def test_the_other_side_tells_what_was_sold_and_what_was_given(ledger):
    top_up(ledger, 100, "a")
    top_up(ledger, 50, "b", terms=promo())
    assert (row(ledger, FUNDING).balance, row(ledger, PROMO).balance, row(ledger).balance) == (-100, -50, 150)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 11},
        {"terms": promo()},
        {"terms": GrantTerms("paid", 99)},
        {"terms": GrantTerms("paid", 100, 7 * DAY_US)},
        {"effective_us": DAY_US},
        {"account": OTHER},
    ],
)
def test_the_same_key_on_other_terms_is_a_conflict(ledger, other):
    first = top_up(ledger, 10, "k")
    assert top_up(ledger, 10, "k", at_us=9) == first
    with pytest.raises(Conflict) as conflict:
        top_up(ledger, **({"amount": 10, "key": "k"} | other))
    assert conflict.value.code == "idempotency_key_reused"
    assert row(ledger).balance == 10


def test_more_than_the_books_can_hold_is_refused(ledger):
    """Of all wallets together: what was sold stands on one account."""
    top_up(ledger, 2**63 - 10, "much")
    for account in (W, OTHER):
        with pytest.raises(Conflict) as conflict:
            top_up(ledger, 10, "more", account)
        assert (conflict.value.code, conflict.value.param) == ("books_full", "amount")
    assert row(ledger, OTHER) is None
    top_up(ledger, 9, "rest")


def test_what_expired_leaves_the_wallet_with_the_sweep(ledger):
    top_up(ledger, 100, "a")
    top_up(ledger, 50, "b", terms=promo(DAY_US))
    Worker(ledger).use(20)
    assert ledger.sweep(DAY_US - 1) == 0
    assert ledger.sweep(DAY_US) == 1
    assert (row(ledger).balance, row(ledger, EXPIRY).balance) == (100, 30)
    assert ledger.sweep(DAY_US) == 0
    assert [(line.kind, line.amount) for line in ledger.statement(W, 1)] == [("expire", -30)]


def test_what_expired_is_not_lent(ledger):
    top_up(ledger, 50, "b", terms=promo(DAY_US))
    worker = Worker(ledger)
    assert worker.lease(10, at_us=DAY_US - 1) == 10
    assert worker.lease(10, at_us=DAY_US) == 0
    assert row(ledger).balance == 10  # in use
    worker.charge(4, back=6, at_us=DAY_US + 1)
    assert ledger.sweep(DAY_US + 2) == 1
    assert (row(ledger).balance, row(ledger, EXPIRY).balance) == (0, 46)


def test_what_is_leased_is_in_use_and_expires_when_it_comes_back(ledger):
    top_up(ledger, 100, "a")
    top_up(ledger, 50, "b", terms=promo(DAY_US))
    worker = Worker(ledger)
    assert worker.lease(120) == 120
    ledger.sweep(DAY_US)
    assert row(ledger).balance == 120
    worker.charge(15, back=105, at_us=DAY_US + 5)
    assert left(ledger) == [("paid", 100), ("promo", 5)]
    ledger.sweep(DAY_US + 6)
    assert left(ledger) == [("paid", 100)]
    assert row(ledger).balance == 100


def test_a_grant_is_not_spendable_before_it_is_effective(ledger):
    top_up(ledger, 10, "a")
    top_up(ledger, 50, "b", effective_us=DAY_US)
    assert (row(ledger).balance, row(ledger, PENDING).balance) == (10, 50)
    worker = Worker(ledger)
    assert worker.lease(20) == 10
    assert worker.lease(20, at_us=DAY_US) == 20
    assert (row(ledger).balance, row(ledger, PENDING).balance) == (60, 0)


def test_a_grant_that_is_effective_late_has_expired_by_then(ledger):
    top_up(ledger, 50, "b", effective_us=DAY_US, terms=promo(2 * DAY_US))
    ledger.sweep(3 * DAY_US)
    assert (row(ledger).balance, row(ledger, EXPIRY).balance) == (0, 50)
    with pytest.raises(ValueError, match="expires before"):
        top_up(ledger, 50, "c", effective_us=2 * DAY_US, terms=promo(DAY_US))


def test_a_grant_is_voided_and_what_is_in_use_follows(ledger):
    top_up(ledger, 100, "a")
    made = top_up(ledger, 50, "b", terms=promo())
    worker = Worker(ledger)
    worker.lease(120)
    voided = ledger.void(made.grants[0], "fraud", "v", "root", 7)
    assert (voided.kind, voided.amount, voided.balance_after) == ("void", -30, 120)
    assert ledger.void(made.grants[0], "fraud", "v", "root", 8) == voided
    worker.charge(5, back=115)
    ledger.sweep(9)
    assert left(ledger) == [("paid", 100)]
    assert row(ledger, PROMO).balance == -5
    with pytest.raises(Conflict) as conflict:
        ledger.void(made.grants[0], "fraud", "v2", "root", 10)
    assert conflict.value.code == "grant_over"


def test_a_waiting_grant_can_be_voided(ledger):
    made = top_up(ledger, 50, "b", effective_us=DAY_US)
    assert ledger.void(made.grants[0], "r", "v", "root", 7).amount == -50
    assert (row(ledger).balance, row(ledger, PENDING).balance, row(ledger, FUNDING).balance) == (0, 0, 0)
    assert ledger.sweep(DAY_US) == 0
    with pytest.raises(NotFound):
        ledger.void(99, "r", "v2", "root", 7)


def test_two_that_sweep_at_once_do_no_more_than_one(url):
    databases = [Database(url) for _ in range(3)]
    ledgers = [Ledger(database) for database in databases]
    for n in range(5):
        top_up(ledgers[0], 10, f"k{n}", f"wallet:o{n}:standard", terms=promo(DAY_US))
    threads = [threading.Thread(target=ledger.sweep, args=(DAY_US,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert row(ledgers[0], EXPIRY).balance == 50
    assert ledgers[0].verify().first_bad is None
    for database in databases:
        database.close()


# ── Transfers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_transfer_moves_credits_that_stay_of_their_kind(ledger):
    top_up(ledger, 100, "a")
    top_up(ledger, 30, "b", terms=promo(DAY_US))
    moved = ledger.transfer(W, OTHER, 50, 50, "r", "t", "root", 6)
    assert (moved.amount, moved.balance_after, moved.other) == (-50, 80, OTHER)
    assert (left(ledger), left(ledger, OTHER)) == ([("paid", 80)], [("promo", 30), ("paid", 20)])
    assert ledger.transfer(W, OTHER, 50, 50, "r", "t", "root", 9) == moved
    ledger.sweep(DAY_US)
    assert row(ledger, OTHER).balance == 20
    with pytest.raises(Conflict) as conflict:
        ledger.transfer(W, OTHER, 51, 51, "r", "t", "root", 9)
    assert conflict.value.code == "idempotency_key_reused"


def test_a_transfer_between_tiers_says_what_arrives(ledger):
    top_up(ledger, 7, "a")
    top_up(ledger, 3, "b", terms=promo())
    ledger.transfer(W, PREMIUM, 10, 4, "r", "t", "root", 6)
    assert left(ledger, PREMIUM) == [("promo", 1), ("paid", 3)]
    assert row(ledger, "platform:conversion").balance == 6


def test_a_transfer_takes_what_is_free(ledger):
    top_up(ledger, 10, "a")
    Worker(ledger).lease(6)
    ledger._clock = iter((0.0, 5.0)).__next__
    with pytest.raises(Conflict) as conflict:
        ledger.transfer(W, OTHER, 5, 5, "r", "t", "root", 6)
    assert conflict.value.code == "insufficient_balance"
    for wrong in ((W, W, 1, 1), (W, OTHER, 0, 0), (W, "platform:revenue", 1, 1)):
        with pytest.raises(ValueError):
            ledger.transfer(*wrong, "r", "t2", "root", 6)


# ── Refunds ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refund_gives_back_a_part_and_then_the_rest_and_no_more(ledger):
    top_up(ledger, 100, "a")
    (request,) = Worker(ledger).use(30)
    first = ledger.refund(request, 10, "slow", "r1", "root", 6)
    assert (first.kind, first.amount, first.balance_after, first.other) == ("refund", 10, 80, request)
    assert ledger.refund(request, 10, "slow", "r1", "root", 7) == first
    assert ledger.refund(request, None, "wrong", "r2", "root", 8).amount == 20
    for amount in (None, 1):
        with pytest.raises(Conflict) as conflict:
            ledger.refund(request, amount, "more", "r3", "root", 9)
        assert conflict.value.code == "refund_exceeds_charge"
    assert (row(ledger).balance, row(ledger, "platform:refund").balance) == (100, -30)
    assert row(ledger, "platform:revenue").balance == 30
    with pytest.raises(NotFound):
        ledger.refund("req-none", None, "r", "r4", "root", 9)
    with pytest.raises(Conflict):
        ledger.refund(request, 11, "slow", "r1", "root", 7)


def test_a_refund_comes_back_as_what_it_was_paid_with(ledger):
    top_up(ledger, 100, "a")
    top_up(ledger, 50, "b", terms=promo())
    worker = Worker(ledger)
    worker.use(10)
    one, two, three = worker.use(15, 30, 20)  # 40 of promo left: 15, then 25 of two
    ledger.refund(two, 10, "r", "r1", "root", 6)
    assert [(g.category, g.amount) for g in ledger.grants(W)[2:]] == [("paid", 5), ("promo", 5)]
    ledger.refund(two, None, "r", "r2", "root", 6)
    ledger.refund(one, None, "r", "r3", "root", 6)
    ledger.refund(three, None, "r", "r4", "root", 6)
    assert [(g.category, g.amount) for g in ledger.grants(W)[4:]] == [("promo", 20), ("promo", 15), ("paid", 20)]
    assert row(ledger).balance == 140


def test_a_refund_is_found_among_batches_whose_numbers_grow(ledger):
    top_up(ledger, 10_000, "a", terms=promo())
    top_up(ledger, 10_000, "b")
    worker, other = Worker(ledger), Worker(ledger, "h:1")
    requests = []
    for n in range(16):
        requests += worker.use(n + 1, 1)
        requests += other.use(100)
    for n, request in enumerate(requests):
        ledger.refund(request, None, "r", f"r{n}", "root", 6)
    back = [(g.category, g.amount) for g in ledger.grants(W)[2:]]
    assert sum(amount for _, amount in back) == 16 * 17 // 2 + 16 + 1_600
    assert {category for category, _ in back} == {"promo"}


def test_what_comes_back_lives_as_long_as_it_had_left(ledger):
    top_up(ledger, 50, "b", terms=promo(10 * DAY_US))
    worker = Worker(ledger)
    (early,) = worker.use(10, at_us=3 * DAY_US)
    (late,) = worker.use(10, at_us=10 * DAY_US - 5)
    ledger.refund(early, None, "r", "r1", "root", 20 * DAY_US)
    ledger.refund(late, None, "r", "r2", "root", 20 * DAY_US)
    assert [g.expires_us for g in ledger.grants(W)[1:]] == [27 * DAY_US, 21 * DAY_US]


# ── Corrections ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_corrections_make_and_burn_grants(ledger):
    top_up(ledger, 10, "a", terms=promo())
    ledger.adjust(W, 5, "r", "c1", "root", 6)
    ledger.adjust(W, -12, "r", "c2", "root", 6)
    assert left(ledger) == [("paid", 3)]


def test_every_act_leaves_one_entry_in_the_audit_log(ledger, database):
    top_up(ledger, 100, "a")
    top_up(ledger, 100, "a")
    (request,) = Worker(ledger).use(30)
    ledger.refund(request, None, "r", "b", "root", 6)
    ledger.transfer(W, OTHER, 5, 5, "r", "c", "root", 6)
    ledger.void(1, "r", "d", "root", 6)
    entries = Audit(database).list()
    assert [(entry.action, entry.actor) for entry in reversed(entries)] == [
        ("wallet.top_up", "root"),
        ("request.refund", "root"),
        ("wallet.transfer", "root"),
        ("grant.void", "root"),
    ]
    assert '"amount":"0.000000005"' not in entries[0].after
    assert request in entries[2].after
