"""Wallets with grants of every kind, and requests that were charged to them."""

from joytoken.domain.ledger import GrantTerms, Want
from joytoken.store.ledger import Batch
from tests.store.making import record

W = "wallet:owner:standard"
OTHER = "wallet:other:standard"
PREMIUM = "wallet:owner:premium"
DAY_US = 86_400_000_000
PROMO = GrantTerms("promo", 50)


def promo(expires_us=None, priority=50):
    return GrantTerms("promo", priority, expires_us)


def row(ledger, account=W):
    return next((found for found in ledger.accounts(account) if found.account == account), None)


def left(ledger, account=W):
    """What remains of each grant that is in the balance, by category, oldest first."""
    return [(g.category, g.remaining) for g in ledger.grants(account) if g.remaining and g.entered_us is not None]


class Worker:
    """A worker that leases, charges and gives back as it is told."""

    def __init__(self, ledger, name="h:0"):
        self.ledger, self.name, self.seq = ledger, name, 0
        self.epoch = ledger.register(name, "h", 1)

    def lease(self, amount, account=W, at_us=1):
        return self.ledger.grant(self.name, self.epoch, [(Want(account), amount, amount)], at_us)[0].amount

    def charge(self, *charges, account=W, back=0, at_us=1, numbers=None):
        """One batch of requests; returns their ids."""
        _, owner, tier = account.split(":")
        settles = []
        for charged in charges:
            self.seq += 3
            made = record(self.seq + 1000 * int(self.name[-1]), charged=charged, shortfall=0, owner_id=owner, tier=tier)
            made.started_us = at_us
            settles.append((self.seq, (account,), charged, made))
        self.seq += 1
        self.ledger.flush(self.name, self.epoch, Batch(self.seq, settles, {account: back} if back else {}, at_us))
        return [made.request_id for _, _, _, made in settles]

    def use(self, *charges, account=W, at_us=1):
        """Lease exactly what is charged."""
        assert self.lease(sum(charges), account, at_us) == sum(charges)
        return self.charge(*charges, account=account, at_us=at_us)
