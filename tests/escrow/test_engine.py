"""Holds and settles against a real store."""

import asyncio

import msgspec
import pytest

from joytoken.escrow.engine import Closed, Short
from tests.escrow.making import (
    DAY,
    SMALL,
    WALLET,
    WEEK,
    WORKER,
    Accidents,
    a_record,
    an_escrow,
    crash,
    fund,
    row,
    settle,
    usage,
    wants,
)  # fmt: skip


@pytest.fixture
async def escrow(store, tmp_path):
    """With a wallet of 100,000."""
    fund(store.ledger, 100_000)
    made = await an_escrow(store.ledger, tmp_path)
    yield made
    await made.stop()
    assert store.ledger.verify().first_bad is None
    assert store.ledger.leases(WORKER, 1) == {}
    assert all(found.leased == 0 for found in store.ledger.accounts())


@pytest.mark.parametrize(
    ("balance", "amount", "cost", "charged", "shortfall", "released"),
    [
        (10_000, 1_000, 1_000, 1_000, 0, 0),
        (10_000, 1_000, 400, 400, 0, 600),
        (10_000, 1_000, 0, 0, 0, 1_000),
        (10_000, 1_000, 1_500, 1_500, 0, 0),  # over the hold, from the free lease
        (1_000, 1_000, 1_500, 1_000, 500, 0),  # over the hold, and nothing is left
        (10_000, 0, 0, 0, 0, 0),
    ],
)
async def test_what_a_settle_comes_to(store, tmp_path, balance, amount, cost, charged, shortfall, released):
    fund(store.ledger, balance)
    escrow = await an_escrow(store.ledger, tmp_path)
    hold = await escrow.hold(a_record(1), wants(), amount, 0)
    assert hold.open
    assert hold.record.hold == amount
    escrow.called(hold)
    outcome = settle(escrow, hold, cost)
    assert (outcome.charged, outcome.shortfall, outcome.released) == (charged, shortfall, released)
    assert not hold.open
    await escrow.stop()
    record = usage(store, hold.request_id)
    assert (record.cost, record.charged, record.shortfall) == (cost, charged, shortfall)
    assert record.charged_usd == charged * 2_000_000 // 10**9
    assert row(store.ledger).balance == balance - charged
    assert store.ledger.verify().first_bad is None


async def test_a_second_settle_changes_nothing(escrow, store):
    hold = await escrow.hold(a_record(1), wants(), 1_000, 0)
    first = settle(escrow, hold, 300)
    other = msgspec.structs.replace(hold.record, cost=900)
    assert escrow.settle(hold, other) is first
    assert escrow.release(hold, other) is first
    await escrow.flush_now()
    assert row(store.ledger).balance == 100_000 - 300


async def test_quotas_drain_with_the_wallet(escrow, store):
    hold = await escrow.hold(a_record(1), wants(5_000, 20_000), 2_000, 0)
    settle(escrow, hold, 1_500)
    await escrow.flush_now()
    assert [row(store.ledger, name).balance for name in (WALLET, DAY, WEEK)] == [98_500, 3_500, 18_500]
    with pytest.raises(Short) as short:
        await escrow.hold(a_record(2), wants(5_000, 20_000), 4_000, 0)
    assert (short.value.account, short.value.required, short.value.available) == (DAY, 4_000, 3_500)


async def test_ready_names_the_first_empty_account(escrow):
    assert await escrow.ready(wants(1_000, 1_000)) is None
    assert await escrow.ready((*wants(), msgspec.structs.replace(wants(5)[1], account="quota:k:D:x", limit=0))) == (
        "quota:k:D:x"
    )
    nobody = msgspec.structs.replace(wants()[0], account="wallet:nobody:standard")
    assert await escrow.ready((nobody, *wants())) == "wallet:nobody:standard"


async def test_money_for_ten_serves_exactly_ten_of_a_thousand_at_once(store, tmp_path):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    asked = [escrow.hold(a_record(n), wants(), 1_000, 0) for n in range(1_000)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    held = [answer for answer in answers if not isinstance(answer, Exception)]
    assert [hold.request_id for hold in held] == [f"req-{n:032x}" for n in range(10)]
    assert all(isinstance(answer, Short) for answer in answers[10:])
    for hold in held:
        settle(escrow, hold, 1_000)
    with pytest.raises(Short):
        await escrow.hold(a_record(5_000), wants(), 1, 0)
    await escrow.stop()
    assert row(store.ledger).balance == 0
    assert store.ledger.verify().first_bad is None


async def test_what_is_released_goes_to_who_waits_in_order(store, tmp_path):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, hold_wait_ms=5_000))
    served = []

    async def request(number):
        hold = await escrow.hold(a_record(number), wants(), 1_000, 0)
        served.append(number)
        await asyncio.sleep(0.001)
        settle(escrow, hold, 100)

    answers = await asyncio.gather(*[request(n) for n in range(110)], return_exceptions=True)
    refused = [n for n, answer in enumerate(answers) if isinstance(answer, Short)]
    assert served == sorted(served)
    # Each costs 100 of a hold of 1,000: they go on until less than one hold is left.
    assert len(served) == 91
    assert refused == list(range(91, 110))
    await escrow.stop()
    assert row(store.ledger).balance == 900
    assert store.ledger.verify().first_bad is None


async def test_a_big_request_is_not_starved_by_small_ones_behind_it(store, tmp_path):
    fund(store.ledger, 1_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, hold_wait_ms=5_000))
    first = [await escrow.hold(a_record(n), wants(), 500, 0) for n in range(2)]
    order = []

    async def request(number, amount):
        hold = await escrow.hold(a_record(number), wants(), amount, 0)
        order.append(number)
        escrow.release(hold, hold.record)

    big = asyncio.create_task(request(10, 1_000))
    await asyncio.sleep(0.01)
    small = [asyncio.create_task(request(20 + n, 100)) for n in range(5)]
    await asyncio.sleep(0.01)
    escrow.release(first[0], first[0].record)
    await asyncio.sleep(0.02)
    assert order == []  # 500 are free, but they are the big one's
    assert escrow.try_hold(a_record(30), wants(), 100, 0) is None  # also to who comes only now
    escrow.release(first[1], first[1].record)
    await asyncio.gather(big, *small)
    assert order == [10, 20, 21, 22, 23, 24]
    await escrow.stop()


async def test_who_waits_for_another_account_does_not_block_the_wallet(store, tmp_path):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, hold_wait_ms=5_000))
    held = await escrow.hold(a_record(1), wants(1_000), 1_000, 0)  # all of the day's quota
    waiting = asyncio.create_task(escrow.hold(a_record(2), wants(1_000), 1_000, 0))
    await asyncio.sleep(0.01)
    other = await escrow.hold(a_record(3), wants(), 1_000, 0)
    assert not waiting.done()
    escrow.release(held, held.record)
    escrow.release(await waiting, a_record(2))
    escrow.release(other, other.record)
    await escrow.stop()


@pytest.mark.parametrize("moment", ["waiting", "served"])
async def test_a_caller_that_hangs_up_leaves_no_hold(store, tmp_path, moment):
    fund(store.ledger, 1_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, hold_wait_ms=5_000))
    held = await escrow.hold(a_record(1), wants(), 1_000, 0)
    task = asyncio.create_task(escrow.hold(a_record(2), wants(), 1_000, 0))
    await asyncio.sleep(0.01)
    if moment == "served":
        escrow.release(held, held.record)
        task.cancel()
    else:
        task.cancel()
        escrow.release(held, held.record)
    with pytest.raises(asyncio.CancelledError):
        await task
    stats = escrow.stats()
    assert (stats.open_holds, stats.waiting, stats.held) == (0, 0, 0)
    await escrow.stop()
    assert row(store.ledger).leased == 0
    assert store.ledger.verify().first_bad is None


async def test_a_running_request_gets_more(store, tmp_path):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    hold = await escrow.hold(a_record(1), wants(3_000), 1_000, 0)
    assert await escrow.top_up(hold, 1_500) == 1_500
    assert hold.amount == hold.record.hold == 2_500
    assert await escrow.top_up(hold, 5_000) == 500  # what the quota has left
    assert settle(escrow, hold, 2_900).charged == 2_900
    assert await escrow.top_up(hold, 1) == 0
    await escrow.stop()
    assert row(store.ledger).balance == 7_100


async def test_a_stop_settles_what_is_open_as_a_recovery_would(store, tmp_path):
    fund(store.ledger, 10_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    holds = [await escrow.hold(a_record(n), wants(), 1_000, 70) for n in range(3)]
    escrow.called(holds[1])
    escrow.called(holds[2])
    escrow.progress(holds[2], 400)
    await escrow.stop()
    found = [usage(store, hold.request_id) for hold in holds]
    assert [(record.ending, record.charged) for record in found] == [("recovered", n) for n in (0, 70, 400)]
    assert store.ledger.leases(WORKER, 1) == {}
    with pytest.raises(Closed):
        escrow.try_hold(a_record(9), wants(), 1, 0)


async def test_leases_last_while_the_store_is_away(store, tmp_path):
    fund(store.ledger, 1_000_000)
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path)
    hold = await escrow.hold(a_record(1), wants(), 1_000, 0)
    ledger.away = True
    for number in range(2, 6):
        settle(escrow, escrow.try_hold(a_record(number), wants(), 1_000, 0), 500)
    settle(escrow, hold, 1_000)
    with pytest.raises(Closed):
        await escrow.hold(a_record(8), wants(), 500_000, 0)
    assert escrow.stats().open_holds == 0
    ledger.away = False
    await escrow.flush_now()
    assert row(store.ledger).balance == 997_000
    await escrow.stop()
    assert store.ledger.verify().first_bad is None


async def test_what_a_lost_answer_granted_is_found_again(store, tmp_path):
    fund(store.ledger, 100_000)
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path, msgspec.structs.replace(SMALL, heartbeat_ms=20))
    ledger.lose_grant = 1
    with pytest.raises(Closed):
        await escrow.hold(a_record(1), wants(), 1_000, 0)
    leased = row(store.ledger).leased
    assert leased > 0
    for _ in range(200):
        if escrow.stats().free:
            break
        await asyncio.sleep(0.01)
    assert escrow.stats().free == leased
    await escrow.stop()


async def test_one_slot_has_one_worker(escrow, store, tmp_path):
    with pytest.raises(Closed, match="already"):
        await an_escrow(store.ledger, tmp_path)


async def test_an_idle_lease_goes_back_and_is_forgotten(store, tmp_path):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, idle_ms=20))
    settle(escrow, await escrow.hold(a_record(1), wants(50_000), 1_000, 0), 10)
    for _ in range(300):
        if not escrow.stats().accounts:
            break
        await asyncio.sleep(0.01)
    assert escrow.stats().accounts == 0
    assert store.ledger.leases(WORKER, 1) == {}
    assert row(store.ledger).leased == 0
    await escrow.stop()


async def test_an_adjustment_gets_free_leases_back(store, tmp_path):
    fund(store.ledger, 10_000)
    slow = msgspec.structs.replace(SMALL, idle_ms=60_000, heartbeat_ms=20)
    escrow = await an_escrow(store.ledger, tmp_path, slow)
    hold = await escrow.hold(a_record(1), wants(), 500, 0)
    assert row(store.ledger).available < 9_000
    taken = await asyncio.to_thread(store.ledger.adjust, WALLET, -9_400, "correction", "k2", "test", 2)
    assert taken.balance_after == 600
    settle(escrow, hold, 500)
    await escrow.stop()
    assert row(store.ledger).balance == 100
    assert store.ledger.verify().first_bad is None


async def test_the_same_request_is_not_held_twice(escrow):
    hold = await escrow.hold(a_record(1), wants(), 1_000, 0)
    with pytest.raises(ValueError, match="open hold"):
        escrow.try_hold(a_record(1), wants(), 1_000, 0)
    escrow.release(hold, hold.record)


async def test_a_full_journal_refuses_holds_and_still_settles(store, tmp_path):
    fund(store.ledger, 10**9)
    ledger = Accidents(store.ledger)
    tiny = msgspec.structs.replace(SMALL, journal_segment_bytes=16 << 10)
    escrow = await an_escrow(ledger, tmp_path, tiny)
    first = await escrow.hold(a_record(0), wants(), 1_000_000, 0)
    escrow.release(first, first.record)
    ledger.away = True
    holds = []

    def hold_until_full():
        for number in range(1, 100):
            holds.append(escrow.try_hold(a_record(number), wants(), 1_000, 0))  # noqa: PERF401 - it ends by raising

    with pytest.raises(Closed, match="journal"):
        hold_until_full()
    assert len(holds) > 2
    for hold in holds:
        escrow.called(hold)
        hold.record.detail = b"x" * 5_000  # longer than any room that is kept
        settle(escrow, hold, 700)
    crash(escrow)
    ledger.away = False
    again = await an_escrow(ledger, tmp_path)
    await again.stop()
    assert all(usage(store, hold.request_id).charged == 700 for hold in holds)
    assert store.ledger.verify().first_bad is None


async def test_a_long_open_hold_survives_every_rotation(store, tmp_path):
    fund(store.ledger, 10**9)
    tiny = msgspec.structs.replace(SMALL, journal_segment_bytes=16 << 10)
    escrow = await an_escrow(store.ledger, tmp_path, tiny)
    old = await escrow.hold(a_record(0), wants(), 1_000_000, 50)
    escrow.called(old)
    escrow.progress(old, 777)
    for number in range(1, 400):
        settle(escrow, await escrow.hold(a_record(number), wants(), 1_000, 0), 10)
        if number % 8 == 0:
            await escrow.flush_now()
    crash(escrow)
    again = await an_escrow(store.ledger, tmp_path)
    await again.stop()
    found = usage(store, old.request_id)
    assert (found.ending, found.charged, found.hold) == ("recovered", 777, 1_000_000)
    report = store.ledger.verify()
    assert (report.first_bad, report.records) == (None, 400)
