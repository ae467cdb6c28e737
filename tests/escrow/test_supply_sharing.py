"""Several workers and little money: all of it is spent, though none of them has all of it."""

import asyncio

import msgspec
import pytest

from joytoken.escrow.terms import EscrowSettings, Short
from tests.escrow.making import WALLET, a_record, an_escrow, fund, row, settle, usage, wants

HOLD = 1_000
WORKERS, CALLERS = 4, 80
# Who waits has the patience that a busy machine needs; what is asked for and given back is the same with less.
SETTINGS = EscrowSettings(
    flush_ms=5, recall_ms=20, idle_ms=200, hold_wait_ms=5_000, dry_ms=20, journal_segment_bytes=256 << 10
)


@pytest.mark.parametrize(("money", "limit", "served"), [(10.0, 5.0, 5), (5.0, 10.0, 5), (7.5, 6.9, 6)])
async def test_every_hold_that_can_be_paid_for_is_made(store, tmp_path, money, limit, served):
    fund(store.ledger, int(money * HOLD))
    escrows = [await an_escrow(store.ledger, tmp_path / str(n), SETTINGS, worker=f"host:{n}") for n in range(WORKERS)]
    made = []

    async def call(number):
        escrow, asked = escrows[number % WORKERS], wants(int(limit * HOLD))
        for want in asked:
            if await escrow.ready((want,)) is not None:
                return
        try:
            hold = await escrow.hold(a_record(number), asked, HOLD, 0)
        except Short:
            return
        made.append(number)
        settle(escrow, hold, HOLD)

    await asyncio.gather(*[call(number) for number in range(CALLERS)])
    for escrow in escrows:
        await escrow.stop()
    assert len(made) == served
    assert row(store.ledger).balance == int(money * HOLD) - served * HOLD
    assert row(store.ledger).leased == 0
    assert all(usage(store, a_record(number).request_id).charged == HOLD for number in made)
    assert row(store.ledger).account == WALLET


async def test_what_lies_idle_at_one_worker_is_there_for_another_at_once(store, tmp_path):
    """The first has leased more than it needs and nobody waits there: it hears who does."""
    fund(store.ledger, 4 * HOLD)
    one, other = [await an_escrow(store.ledger, tmp_path / str(n), SETTINGS, worker=f"host:{n}") for n in range(2)]
    first = await one.hold(a_record(0), wants(), HOLD, 0)
    holds = await asyncio.gather(*[other.hold(a_record(n), wants(), HOLD, 0) for n in (1, 2, 3)])
    for escrow, hold in ((one, first), *((other, hold) for hold in holds)):
        settle(escrow, hold, HOLD)
    for escrow in (one, other):
        await escrow.stop()
    assert row(store.ledger).balance == 0


async def test_who_needs_money_is_heard_between_flushes(store, tmp_path):
    """A worker with free leases asks who else needs them, and brings nothing to the store for that."""
    fund(store.ledger, 400 * HOLD)
    slow = msgspec.structs.replace(SETTINGS, flush_ms=60_000, heartbeat_ms=60_000, idle_ms=60_000)
    one = await an_escrow(store.ledger, tmp_path / "0", slow, worker="host:0")
    other = await an_escrow(store.ledger, tmp_path / "1", SETTINGS, worker="host:1")
    settle(one, await one.hold(a_record(0), wants(), HOLD, 0), HOLD)
    await asyncio.sleep(10 * SETTINGS.recall_ms / 1000)
    assert (one.stats().flushes, row(store.ledger).balance) == (0, 400 * HOLD)
    free = one.stats().free
    assert free
    hold = await other.hold(a_record(1), wants(), 400 * HOLD - HOLD - free // 2, 0)
    assert one.stats().free < free
    settle(other, hold, HOLD)
    for escrow in (one, other):
        await escrow.stop()
    assert row(store.ledger).balance == 398 * HOLD
