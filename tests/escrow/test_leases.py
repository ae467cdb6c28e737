"""How much is asked for, and who is before whom."""

import asyncio

from joytoken.escrow.leases import FIRST_LEASE_HOLDS, Lease, Waiter
from tests.escrow.making import a_record


def test_an_unknown_account_is_leased_for_a_few_holds():
    assert Lease("a", None).target(100, 2.0, 0.0) == 100 * FIRST_LEASE_HOLDS


def test_a_known_account_is_leased_for_two_seconds_of_its_spending():
    lease = Lease("a", None)
    lease.demand = 5_000
    lease.tick(0.5)
    assert lease.target(100, 2.0, 0.0) == 20_000
    assert lease.target(50_000, 2.0, 0.0) == 50_000
    lease.tick(0.5)
    assert lease.target(100, 2.0, 0.0) == 10_000


def test_a_recalled_account_is_leased_for_what_is_needed():
    lease = Lease("a", None)
    lease.rate, lease.strict_until = 1_000.0, 5.0
    assert lease.target(7, 2.0, 4.0) == 7
    assert lease.target(7, 2.0, 6.0) == 2_000


async def test_who_came_first_counts_before_who_came_later():
    lease = Lease("a", None)
    lease.free = 100
    loop = asyncio.get_running_loop()
    first, second, third = (Waiter(a_record(n), (lease,), 60 - n * 20, 0, loop.create_future(), 0.0) for n in range(3))
    assert (first.fits(), second.fits(), third.fits()) == (True, True, False)
    assert lease.queued == 120
    first.leave()
    assert (second.fits(), third.fits(), lease.queued) == (True, True, 60)
    assert list(lease.waiters) == [second, third]
    third.leave()
    assert lease.waiters[0] is second
    second.leave()
    assert lease.empty is False  # 100 are free
    assert not lease.waiters
