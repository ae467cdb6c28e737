"""What operators and workers do to the ledger, one transaction at a time."""

import threading
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.errors import Conflict
from joytoken.domain.ledger import FUNDING, QUOTA_ISSUED, REVENUE, SHORTFALL, Want
from joytoken.store.batch import prepare, sum_charges
from joytoken.store.engine import StoreError
from joytoken.store.ledger import Batch, Ledger, WorkerFenced
from joytoken.store.ledger_types import Unprepared
from joytoken.store.ledger_workers import _share
from joytoken.store.record import record_row
from joytoken.store.usage import UsageTable
from tests.store.making import record

W = "wallet:owner:standard"
DAY = "quota:key-1:D:2026-11-22"


@pytest.fixture
def ledger(database):
    made = Ledger(database)
    yield made
    assert made.verify().first_bad is None


def top_up(ledger, amount=1_000, key="k", account=W):
    return ledger.top_up(account, amount, "r", key, "root", 5)


def row(ledger, account=W):
    return next(found for found in ledger.accounts(account) if found.account == account)


def a_settle(seq, charged=100, shortfall=0, accounts=(W,), number=None):
    return (seq, accounts, charged, record(seq if number is None else number, charged=charged, shortfall=shortfall))


HALF = ((Want(W), 500, 500),)


def a_worker(ledger, name="h:0", wants=HALF):
    epoch = ledger.register(name, "h", 1)
    ledger.grant(name, epoch, list(wants), 1)
    return epoch


def test_a_top_up_opens_the_wallet_and_has_another_side(ledger):
    made = top_up(ledger)
    assert (made.kind, made.account, made.amount, made.balance_after) == ("topup", W, 1_000, 1_000)
    found = row(ledger)
    assert (found.owner_id, found.tier, found.balance, found.available) == ("owner", "standard", 1_000, 1_000)
    assert row(ledger, FUNDING).balance == -1_000


def test_the_same_key_gives_the_same_answer(ledger):
    assert top_up(ledger) == top_up(ledger)
    assert row(ledger).balance == 1_000


@pytest.mark.parametrize(
    ("kind", "account", "amount"),
    [("top_up", W, 1_001), ("top_up", "wallet:other:standard", 1_000), ("adjust", W, 1_000)],
)
def test_the_same_key_for_something_else_is_a_conflict(ledger, kind, account, amount):
    top_up(ledger)
    with pytest.raises(Conflict) as conflict:
        getattr(ledger, kind)(account, amount, "r", "k", "root", 6)
    assert conflict.value.code == "idempotency_key_reused"
    assert row(ledger).balance == 1_000


@pytest.mark.parametrize(
    ("kind", "account", "amount", "key"),
    [
        ("top_up", W, 0, "k"),
        ("top_up", W, -1, "k"),
        ("adjust", W, 0, "k"),
        ("top_up", W, 1, ""),
        ("top_up", "quota:k:D:1", 1, "k"),
        ("adjust", "platform:revenue", 1, "k"),
    ],
)
def test_what_makes_no_sense_is_refused(ledger, kind, account, amount, key):
    with pytest.raises(ValueError):
        getattr(ledger, kind)(account, amount, "r", key, "root", 6)
    assert ledger.accounts() == []


def test_an_adjustment_takes_what_is_there_and_no_more(ledger):
    top_up(ledger)
    assert ledger.adjust(W, -400, "r", "a1", "root", 6).balance_after == 600
    with pytest.raises(Conflict) as conflict:
        ledger.adjust(W, -601, "r", "a2", "root", 6)
    assert conflict.value.details == {"available": "0.0000006", "leased": "0"}
    assert ledger.adjust(W, 5, "r", "a3", "root", 6).balance_after == 605


def test_an_adjustment_waits_for_leases_and_names_what_is_available(database):
    clock = [0.0]
    ledger = Ledger(database, clock=lambda: clock[0], pause=lambda s: clock.__setitem__(0, clock[0] + s))
    top_up(ledger)
    epoch = a_worker(ledger)
    with pytest.raises(Conflict) as conflict:
        ledger.adjust(W, -600, "r", "a", "root", 6)
    assert conflict.value.details == {"available": "0.0000005", "leased": "0.0000005"}
    assert 1.0 <= clock[0] < 1.1
    assert ledger.flush("h:0", epoch, Batch(0, [], {}, time.time_ns() // 1000)).recalls == ()  # withdrawn


def test_an_adjustment_is_heard_by_workers_and_goes_on_when_they_give_back(ledger):
    top_up(ledger)
    epoch = a_worker(ledger)
    done = []
    thread = threading.Thread(target=lambda: done.append(ledger.adjust(W, -900, "r", "a", "root", 6)))
    thread.start()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if ledger.flush("h:0", epoch, Batch(0, [], {}, time.time_ns() // 1000)).recalls == (W,):
            break
        time.sleep(0.005)
    ledger.flush("h:0", epoch, Batch(1, [], {W: 500}, 1))
    thread.join()
    assert done[0].balance_after == 100
    assert ledger.leases("h:0", epoch) == {}


def test_a_statement_reads_backwards_in_pages(ledger):
    for n in range(5):
        top_up(ledger, 10 + n, f"k{n}")
    first = ledger.statement(W, limit=2)
    assert [(line.amount, line.balance_after) for line in first] == [(14, 60), (13, 46)]
    rest = ledger.statement(W, before=first[-1].version)
    assert [line.amount for line in rest] == [12, 11, 10]


@pytest.mark.parametrize(
    ("available", "need", "target", "share"),
    [
        (1_000, 10, 100, 100),  # plenty: the good size
        (399, 10, 100, 90),  # under four times that: a quarter, in whole needs
        (30, 10, 100, 10),  # a quarter is less than the need: the need
        (10, 10, 100, 10),
        (9, 10, 100, 9),  # not even that: what there is
        (0, 10, 100, 0),
        (-5, 10, 100, 0),
        (1_000, 300, 300, 300),
        (400, 0, 0, 0),
        (100, 0, 100, 0),  # scarce, and nobody waits for it
        (400, 0, 100, 100),
        (100, 50, 50, 50),  # strict: exactly the need
    ],
)
def test_the_size_of_a_lease(available, need, target, share):
    assert _share(available, need, target) == share


@given(st.integers(-5, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_lease_is_never_more_than_there_is_and_meets_the_need_where_it_can(available, need, target):
    share = _share(available, need, max(need, target))
    assert 0 <= share <= max(available, 0)
    assert share >= min(need, max(available, 0))


def test_grants_open_quotas_and_keep_the_order_of_the_wants(ledger):
    top_up(ledger)
    epoch = ledger.register("h:0", "h", 1)
    wants = [(Want(W), 100, 100), (Want("wallet:nobody:premium"), 5, 5), (Want(DAY, 300), 100, 100)]
    granted = ledger.grant("h:0", epoch, wants, 1)
    assert [(g.account, g.amount, g.available) for g in granted] == [
        (W, 100, 900),
        ("wallet:nobody:premium", 0, 0),
        (DAY, 100, 200),
    ]
    assert row(ledger, DAY).quota_limit == 300
    assert row(ledger, QUOTA_ISSUED).balance == -300
    assert ledger.leases("h:0", epoch) == {W: 100, DAY: 100}


def test_another_workers_lease_is_told_and_recalled(ledger):
    top_up(ledger)
    epoch = a_worker(ledger)
    other = ledger.register("h:1", "h", 1)
    granted = ledger.grant("h:1", other, [(Want(W), 700, 700)], 10)
    assert (granted[0].amount, granted[0].available, granted[0].elsewhere) == (500, 0, 500)
    assert ledger.flush("h:0", epoch, Batch(0, [], {}, 20)).recalls == (W,)


def test_a_flush_charges_returns_and_remembers(ledger, database):
    top_up(ledger)
    epoch = a_worker(ledger, wants=((Want(W), 500, 500), (Want(DAY, 400), 300, 300)))
    settles = [a_settle(2, 100, 0, (W, DAY)), a_settle(5, 50, 25, (W, DAY)), a_settle(9, 0, 0, (W,))]
    assert ledger.flush("h:0", epoch, Batch(9, settles, {W: 200}, 7)).applied_seq == 9
    assert (row(ledger).balance, row(ledger).leased) == (850, 150)
    assert (row(ledger, DAY).balance, row(ledger, DAY).leased) == (250, 150)
    assert (row(ledger, REVENUE).balance, row(ledger, SHORTFALL).balance) == (175, -25)
    assert row(ledger, QUOTA_ISSUED).balance == -250
    assert ledger.state("h:0") == (1, "live", 9)
    assert [line.kind for line in ledger.statement(W)] == ["usage", "topup"]


def test_a_flush_again_changes_nothing(ledger):
    top_up(ledger)
    epoch = a_worker(ledger)
    batch = Batch(9, [a_settle(2), a_settle(5)], {W: 100}, 7)
    for _ in range(3):
        assert ledger.flush("h:0", epoch, batch).applied_seq == 9
    assert (row(ledger).balance, row(ledger).leased) == (800, 200)


def test_a_batch_that_was_applied_in_part_goes_on_from_the_watermark(ledger):
    top_up(ledger)
    epoch = a_worker(ledger)
    ledger.flush("h:0", epoch, Batch(2, [a_settle(2)], {}, 7))
    ledger.flush("h:0", epoch, Batch(5, [a_settle(2), a_settle(5)], {}, 7))
    assert row(ledger).balance == 800


@pytest.mark.parametrize("change", ["epoch", "claimed", "dead", "unknown"])
def test_the_fence(ledger, change):
    top_up(ledger)
    epoch = a_worker(ledger)
    name = "h:0"
    if change == "epoch":
        epoch += 1
    elif change == "claimed":
        ledger.claim(name)
    elif change == "dead":
        ledger.finish(name, epoch)
    else:
        name = "h:9"
    with pytest.raises(WorkerFenced):
        ledger.flush(name, epoch, Batch(2, [a_settle(2)], {}, 7))
    with pytest.raises(WorkerFenced):
        ledger.grant(name, epoch, [(Want(W), 1, 1)], 7)
    assert row(ledger).balance == 1_000


def test_only_a_recovery_flushes_a_claimed_epoch(ledger):
    top_up(ledger)
    epoch = a_worker(ledger)
    with pytest.raises(WorkerFenced):
        ledger.flush("h:0", epoch, Batch(2, [a_settle(2)], {}, 7), recovering=True)
    assert ledger.claim("h:0") == (1, 0)
    assert ledger.claim("h:0") == (1, 0)
    ledger.flush("h:0", epoch, Batch(2, [a_settle(2)], {}, 7), recovering=True)
    assert ledger.claim("h:0") == (1, 2)
    ledger.finish("h:0", epoch)
    ledger.finish("h:0", epoch)
    assert ledger.claim("h:0") is None
    assert (row(ledger).balance, row(ledger).leased) == (900, 0)


def test_an_epoch_begins_only_after_the_last_one_ended(ledger):
    assert ledger.state("h:0") is None
    assert ledger.register("h:0", "h", 1) == 1
    with pytest.raises(StoreError, match="recover"):
        ledger.register("h:0", "h", 1)
    ledger.finish("h:0", 1)
    assert ledger.register("h:0", "h", 1) == 2
    assert ledger.state("h:0") == (2, "live", 0)
    with pytest.raises(WorkerFenced):
        ledger.finish("h:0", 1)


def test_a_request_that_was_settled_before_is_not_charged_again(database):
    ledger = Ledger(database)
    top_up(ledger)
    epoch = a_worker(ledger)
    ledger.flush("h:0", epoch, Batch(2, [a_settle(2, number=1)], {}, 7))
    same, different, fresh = a_settle(3, number=1), a_settle(4, 70, number=1), a_settle(5, 30)
    ledger.flush("h:0", epoch, Batch(5, [same, different, fresh, a_settle(5, 30)], {}, 7))
    assert (row(ledger).balance, row(ledger).leased) == (870, 500 - 100 - 100 - 70 - 30 - 30)
    report = ledger.verify()
    assert [check.name[:2] for check in report.checks if not check.ok] == ["I3"]
    assert "settled twice" in report.first_bad


def test_a_batch_beyond_its_lease_is_refused_whole(ledger):
    top_up(ledger)
    epoch = a_worker(ledger)
    with pytest.raises(Exception, match=r"(?i)check|lease"):
        ledger.flush("h:0", epoch, Batch(2, [a_settle(2, 501)], {}, 7))
    with pytest.raises(StoreError, match="lease"):
        ledger.flush("h:0", epoch, Batch(2, [a_settle(2, 0, accounts=(W,))], {FUNDING: 0}, 7))
    assert (row(ledger).balance, row(ledger).leased) == (1_000, 500)


@pytest.mark.parametrize(
    ("limit", "leased", "spent", "new", "balance"),
    [
        (1_000, 0, 0, 1_500, 1_500),
        (1_000, 0, 0, 400, 400),
        (1_000, 500, 200, 600, 400),  # 200 of 600 are spent
        (1_000, 500, 200, 100, 300),  # 300 are still leased
        (1_000, 0, 0, 0, 0),
    ],
)
def test_a_new_limit_moves_an_open_window(ledger, limit, leased, spent, new, balance):
    top_up(ledger, 10_000)
    want = max(leased, 1)
    epoch = a_worker(ledger, wants=((Want(W), want, want), (Want(DAY, limit), want, want)))
    returned = {} if leased else {DAY: 1, W: 1}
    settles = [a_settle(2, spent, 0, (W, DAY))] if spent else []
    ledger.flush("h:0", epoch, Batch(3, settles, returned, 7))
    assert ledger.set_quota_limit("key-1", "D:2026-11-22", new)
    assert (row(ledger, DAY).balance, row(ledger, DAY).quota_limit) == (balance, new)
    ledger.finish("h:0", epoch)
    assert ledger.set_quota_limit("key-1", "D:2026-11-22", new)
    assert row(ledger, DAY).balance == max(new - spent, 0)


def test_a_window_that_is_not_open_has_no_limit_to_move(ledger):
    assert not ledger.set_quota_limit("key-1", "D:2026-11-22", 5)


def test_accounts_are_found_by_prefix(ledger):
    for n, name in enumerate((W, "wallet:owner:premium", "wallet:ownera:standard")):
        top_up(ledger, 1, f"k{n}", name)
    assert [found.account for found in ledger.accounts("wallet:owner:")] == ["wallet:owner:premium", W]
    assert len(ledger.accounts()) == 4


def test_an_owner_may_have_a_colon(ledger):
    top_up(ledger, account="wallet:a:b:premium")
    assert (row(ledger, "wallet:a:b:premium").owner_id, row(ledger, "wallet:a:b:premium").tier) == ("a:b", "premium")


def made_ready(ledger, epoch, *settles):
    """A batch of which only what an insert needs is known."""
    prepared = prepare([record_row(found, "h:0", epoch, seq) for seq, _, _, found in settles], sqlite=ledger.sqlite)
    return Batch(settles[-1][0], (), {}, 7, charges=sum_charges(settles), prepared=prepared)


def test_a_batch_that_was_made_ready_is_written_as_it_is(ledger, database):
    top_up(ledger)
    epoch = a_worker(ledger)
    ledger.claim("h:0")
    settles = [a_settle(seq, charged=seq, shortfall=seq % 2) for seq in range(1, 9)]
    batch = made_ready(ledger, epoch, *settles)
    for _ in range(2):
        assert ledger.flush("h:0", epoch, batch, recovering=True).applied_seq == 8
    assert row(ledger).balance == 1_000 - 36
    assert row(ledger, SHORTFALL).balance == -4
    usage = UsageTable(database)
    assert [usage.get(found.request_id) for _, _, _, found in settles] == [found for _, _, _, found in settles]


@pytest.mark.parametrize("why", ["two months", "a known request", "beyond the watermark"])
def test_what_cannot_be_written_as_it_is_ready_asks_for_the_settles(ledger, database, why):
    top_up(ledger)
    epoch = a_worker(ledger)
    one, other = a_settle(1), a_settle(2)
    if why == "two months":
        other[3].started_us = one[3].started_us + 40 * 86_400_000_000
    else:
        ledger.flush("h:0", epoch, Batch(1, [a_settle(1, number=1 if why == "a known request" else 9)], {}, 6))
    if why == "a known request":
        one = a_settle(2, number=1)
        other = a_settle(3)
    ledger.claim("h:0")
    before = row(ledger)
    batch = made_ready(ledger, epoch, one, other)
    with pytest.raises(Unprepared):
        ledger.flush("h:0", epoch, batch, recovering=True)
    assert row(ledger) == before
    with_settles = msgspec.structs.replace(batch, settles=[one, other])
    assert ledger.flush("h:0", epoch, with_settles, recovering=True).applied_seq == batch.upto
    assert UsageTable(database).get(other[3].request_id) == other[3]
    assert row(ledger).balance == 1_000 - 200
