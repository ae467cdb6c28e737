"""What goes into the ledger and what comes out of it. Amounts in nanocredits, times in unix microseconds."""

from typing import Literal

import msgspec

from joytoken.domain.ledger import AccountKind, TxKind
from joytoken.store.engine import StoreError

WorkerState = Literal["live", "recovering", "dead", "abandoned"]


class WorkerFenced(StoreError):
    """The worker's epoch is not the live one: its leases have ended, and nothing of it was applied."""


class Unprepared(StoreError):
    """A batch that was only made ready cannot be written as it is; nothing of it was."""


class LeaseGone(StoreError):
    """A recovery's batch charges what the store does not know as leased: it has lost what it had committed."""


class Flushed(msgspec.Struct, frozen=True):
    """The store's answer to a batch."""

    applied_seq: int
    recalls: tuple[str, ...] = ()  # accounts that others need: free parts are to be given back now


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker as the store knows it. `overdue_us`: how long its leases' deadline is over, by the store's clock."""

    worker: str
    epoch: int
    state: WorkerState
    host: str
    deadline_us: int
    overdue_us: int


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an operator's transaction was about: kept with it, and a part of what its hash covers."""

    asked: str = ""  # the whole content of the act; a repetition under the same idempotency key asks for the same
    account: str = ""
    amount: int = 0
    balance: int = 0  # of the account, after it
    other: str = ""  # the wallet at the other end of a transfer, or the request of a refund
    # Of each grant that it made: account, category, priority, amount, effective, expires.
    grants: tuple[tuple[str, str, int, int, int, int | None], ...] = ()


class LedgerTx(msgspec.Struct, frozen=True):
    """What an operator did, as it was entered."""

    tx_id: int
    kind: TxKind
    account: str
    amount: int
    balance_after: int
    actor: str
    reason: str
    idempotency_key: str
    at_us: int
    other: str = ""  # as in `Terms`
    grants: tuple[int, ...] = ()  # that it made


class AccountRow(msgspec.Struct, frozen=True):
    """An account as it stands. `balance` includes what is leased; `available` does not."""

    account: str
    kind: AccountKind
    owner_id: str
    tier: str
    window: str
    balance: int
    leased: int
    credit_limit: int
    quota_limit: int | None
    version: int
    low_balance: int | None = None

    @property
    def available(self) -> int:
        """What is neither spent nor leased."""
        return self.balance + self.credit_limit - self.leased


class WindowSums(msgspec.Struct, frozen=True):
    """What a budget's window has come to, over all of its accounts. `left` is of the one that is its own, if open."""

    spent: int
    leased: int
    left: int | None


class WindowShare(msgspec.Struct, frozen=True):
    """What one account of a budget's window has come to."""

    account: str
    spent: int
    leased: int
    left: int


class StatementRow(msgspec.Struct, frozen=True):
    """One entry of an account, newest first in a statement; `version` is the cursor."""

    tx_id: int
    kind: TxKind
    account: str
    amount: int
    balance_after: int
    version: int
    actor: str
    reason: str
    at_us: int
