"""Records, wants and a ledger with accidents, for the tests of money."""

from joytoken.domain.ledger import Want, quota_account, wallet_account
from joytoken.domain.record import UsageRecord
from joytoken.escrow.engine import Escrow, EscrowSettings
from joytoken.store.engine import StoreUnavailable

WALLET = wallet_account("ann", "standard")
DAY = quota_account("key-a", "D:2026-11-22")
WEEK = quota_account("key-a", "W:2026-W47")
WORKER = "host:0"
SMALL = EscrowSettings(flush_ms=5, journal_segment_bytes=64 << 10, stop_wait_ms=3_000, slot_wait_ms=100)


def wants(daily=None, weekly=None):
    """The wallet, and the quotas where a limit is given."""
    made = [Want(WALLET)]
    if daily is not None:
        made.append(Want(DAY, daily))
    if weekly is not None:
        made.append(Want(WEEK, weekly))
    return tuple(made)


def a_record(number, cost=0, **values):
    return UsageRecord(
        request_id=f"req-{number:032x}",
        owner_id="ann",
        tier="standard",
        key_id="key-a",
        started_us=1_000 + number,
        usd_per_credit=2_000_000,
        cost=cost,
        **values,
    )


def settle(escrow, hold, cost, ending="completed"):
    hold.record.cost = cost
    hold.record.ending = ending
    return escrow.settle(hold, hold.record)


def fund(ledger, amount, key="first", account=WALLET):
    return ledger.top_up(account, amount, "for the test", key, "test", 1)


def row(ledger, account=WALLET):
    return next(found for found in ledger.accounts(account) if found.account == account)


def usage(store, request_id):
    return store.usage.get(request_id)


class Accidents:
    """A ledger whose answers get lost, or that cannot be reached, when it is told to."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.away = False
        self.lose_flush = 0
        self.lose_grant = 0
        self.flushes = []

    def __getattr__(self, name):
        if self.away:
            raise StoreUnavailable("away")
        return getattr(self.ledger, name)

    def flush(self, worker, epoch, batch, *, recovering=False):
        if self.away:
            raise StoreUnavailable("away")
        answer = self.ledger.flush(worker, epoch, batch, recovering=recovering)
        self.flushes.append(batch)
        if self.lose_flush:
            self.lose_flush -= 1
            raise StoreUnavailable("the answer was lost")
        return answer

    def grant(self, worker, epoch, asked, at_us=0):
        if self.away:
            raise StoreUnavailable("away")
        answer = self.ledger.grant(worker, epoch, asked, at_us)
        if self.lose_grant:
            self.lose_grant -= 1
            raise StoreUnavailable("the answer was lost")
        return answer


async def an_escrow(ledger, folder, settings=SMALL, worker=WORKER, **clocks):
    escrow = Escrow(ledger, worker=worker, journal_dir=folder, settings=settings, **clocks)
    await escrow.start()
    return escrow


def crash(escrow):
    """End an escrow as kill -9 would: nothing more is written, and the lock is free. Call from any thread."""
    escrow._quieten()
    escrow._flusher.fence()
    assert escrow._flusher.join(10)
    escrow._journal.close()
    escrow._slot.free()
