"""Leases that come and go while the store is slow."""

import asyncio
import threading

import msgspec

from joytoken.domain.ledger import Want, wallet_account
from tests.escrow.making import SMALL, WALLET, WORKER, a_record, an_escrow, fund, row, settle, wants


class Slow:
    """A ledger whose flushes wait for a gate."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.gate = threading.Event()
        self.gate.set()
        self.waits = threading.Event()

    def __getattr__(self, name):
        return getattr(self.ledger, name)

    def flush(self, *args, **options):
        if not self.gate.is_set():
            self.waits.set()
        assert self.gate.wait(30)
        return self.ledger.flush(*args, **options)


async def test_an_empty_lease_is_dropped_once_however_slow_the_store_is(store, tmp_path):
    """Ticks go on while the first message that it is empty is under way; a second one would name a row that is gone."""
    fund(store.ledger, 1_000)
    other = (Want(wallet_account("ann", "premium")),)
    fund(store.ledger, 1_000, "other", other[0].account)
    slow = Slow(store.ledger)
    escrow = await an_escrow(slow, tmp_path, msgspec.structs.replace(SMALL, idle_ms=10_000_000, heartbeat_ms=60_000))
    settle(escrow, await escrow.hold(a_record(1), wants(), 1_000, 0), 1_000)
    await escrow.flush_now()
    assert store.ledger.leases(WORKER, 1) == {WALLET: 0}
    slow.gate.clear()
    escrow._tick()  # it was used
    for _ in range(3):
        escrow._tick()
        await asyncio.to_thread(slow.waits.wait, 30)
    slow.gate.set()
    settle(escrow, await escrow.hold(a_record(2), other, 1_000, 0), 1_000)
    await escrow.flush_now()
    assert escrow.stats().flush_failures == 0
    assert row(store.ledger).balance == 0
    await escrow.stop()
    assert store.ledger.leases(WORKER, 1) == {}


async def test_what_was_given_back_is_counted_at_the_store(store, tmp_path):
    """A refusal names the account that has the least: what has something again at the store is not that one."""
    fund(store.ledger, 8_000)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, idle_ms=10_000_000))
    settle(escrow, await escrow.hold(a_record(1), wants(), 1_000, 0), 1_000)
    await escrow.flush_now()
    lease = escrow._leases[WALLET]
    assert lease.free > 0
    escrow.recalled([WALLET])
    await escrow.flush_now()
    assert (lease.free, lease.returning, lease.left()[0]) == (0, 0, 7_000)
    await escrow.stop()
