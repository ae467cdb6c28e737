"""Several workers on one budget, on both databases: never more than its limit, also while that changes."""

import asyncio

import pytest

from joytoken.domain.budget import Budget
from joytoken.domain.ledger import Want
from joytoken.escrow.engine import Escrow, EscrowSettings, Short
from tests.escrow.making import WALLET, a_record, fund, row, settle

ACCOUNT = "budget:bud-1:M:2026-11"
AMOUNT, COST = 100, 60
SETTINGS = EscrowSettings(
    flush_ms=2, idle_ms=20, dry_ms=5, hold_wait_ms=100, journal_segment_bytes=256 << 10, stop_wait_ms=3_000
)


@pytest.fixture
async def workers(store, tmp_path):
    made = [Escrow(store.ledger, worker=f"h:{n}", journal_dir=tmp_path, settings=SETTINGS) for n in range(3)]
    for escrow in made:
        await escrow.start()
    yield made
    for escrow in made:
        await escrow.stop()
    assert store.ledger.verify().first_bad is None


async def spend(escrow, numbers, limit):
    """Hold and settle one after the other; gives how many were let through."""
    served = 0
    for number in numbers:
        try:
            hold = await escrow.hold(a_record(number), (Want(WALLET), Want(ACCOUNT, limit)), AMOUNT, 0)
        except Short:
            continue
        await asyncio.sleep(0)
        settle(escrow, hold, COST)
        served += 1
    return served


async def test_three_workers_share_a_budget(store, workers):
    fund(store.ledger, 10**6)
    tasks = [spend(escrow, range(n * 100, n * 100 + 15), 1_000) for n, escrow in enumerate(workers)]
    served = sum(await asyncio.gather(*tasks))
    for escrow in workers:
        await escrow.flush_now()
    assert served * COST == store.ledger.window_sums(ACCOUNT).spent <= 1_000
    assert served >= 10  # what is released is spent again
    assert row(store.ledger).balance == 10**6 - served * COST


async def test_a_limit_that_is_cut_while_three_workers_spend(store, workers):
    """Nothing is spent beyond the new limit but what was spent, or held, when it came."""
    budget = Budget(budget_id="bud-1", name="b", limit=20_000, window="month")
    store.budgets.add(budget)
    fund(store.ledger, 10**6)
    before = [spend(escrow, range(n * 1_000, n * 1_000 + 30), budget.limit) for n, escrow in enumerate(workers)]
    await asyncio.gather(*before)
    for escrow in workers:
        await escrow.flush_now()
    spent = store.ledger.window_sums(ACCOUNT).spent
    assert spent == 90 * COST
    cut = spent + 500
    await asyncio.to_thread(store.ledger.set_budget_limit, ACCOUNT, cut)
    after = [spend(escrow, range(n * 1_000 + 500, n * 1_000 + 520), budget.limit) for n, escrow in enumerate(workers)]
    served = sum(await asyncio.gather(*after))
    for escrow in workers:
        await escrow.flush_now()
    assert store.ledger.window_sums(ACCOUNT).spent == spent + served * COST <= cut
    assert served >= 500 // AMOUNT
