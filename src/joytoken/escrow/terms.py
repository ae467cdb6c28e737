"""What the escrow and its callers speak of: settings, holds, refusals, figures.

EscrowError
 ├─ Short    one account of a hold cannot carry it
 └─ Closed   no new hold is admitted: stopping, the store is away, the journal is full
     ├─ Away     until the store answers again
     └─ Fenced   the store knows this worker's leases as ended
"""

from typing import Literal

import msgspec

from joytoken.domain.ledger import Settled
from joytoken.domain.record import UsageRecord
from joytoken.escrow.leases import Lease

_RECOVERY = "see Recovery in docs/operate.md"
Level = Literal["process", "power", "central"]  # what a settle survives: `durability` tells


class EscrowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and rhythms of one worker's escrow."""

    flush_ms: int = 100  # a settle reaches the store at most about this much later
    flush_records: int = 200  # … or as soon as so many wait
    hold_wait_ms: int = 150  # how long a hold waits for money that others of this worker may release
    grant_wait_ms: int = 2_000  # how long a hold waits for the store's first answer
    dry_ms: int = 50  # how long the store's "nothing more" is believed
    idle_ms: int = 1_000  # leases that are not used go back after half of it to all of it
    lease_ms: int = 2_000  # a lease is sized for so much of an account's spending
    lease_deadline_ms: int = 30_000  # admission stops when the store has not answered for so long
    heartbeat_ms: int = 5_000
    recall_ms: int = 200  # with free leases, the store is asked at least this often whether others want them back
    watch_ms: int = 1_000  # how often it is looked for siblings that died and for nodes that are lost
    abandon_ms: int = 600_000  # a lost node's leases stay reserved for so long after their deadline
    slot_wait_ms: int = 3_000  # how long a start waits for a sibling that recovers its slot
    retry_ms_max: int = 2_000  # the longest pause between two attempts to reach the store
    stop_wait_ms: int = 10_000  # how long a stop waits for the store
    journal_segment_bytes: int = 16 << 20
    journal_segments: int = 2
    values_daily_max: int = 100_000  # accounts that a budget for each value opens in a day for one owner's callers
    durability: Level = "process"
    durability_wait_ms: int = 30_000  # an answer waits at most so long for its settlement to be safe


class EscrowError(Exception):
    """A hold was not made."""


class Short(EscrowError):
    """One account cannot carry a hold. Amounts in nanocredits."""

    def __init__(self, account: str, required: int, available: int) -> None:
        super().__init__(f"{account} has {available} of {required} nanocredits")
        self.account = account
        self.required = required
        self.available = available


class Closed(EscrowError):
    """No new hold is admitted now; running requests still settle."""

    def __init__(self, why: str, retry_after_s: int = 1) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


class Away(Closed):
    """Closed until the store answers again."""


class Fenced(Closed):
    """The store knows this worker's leases as ended: another epoch has begun, or they were given up."""


class Hold:
    """Frozen money of one request, on every account that it names, until it is settled once."""

    __slots__ = (
        "accounts", "amount", "called", "input_cost", "leases",
        "outcome", "progress", "record", "request_id", "reserve",
    )  # fmt: skip

    def __init__(
        self, record: UsageRecord, leases: tuple[Lease, ...], amount: int, input_cost: int, *, called: bool = False
    ) -> None:
        self.request_id = record.request_id
        self.record = record
        self.leases = leases
        self.accounts = tuple([lease.account for lease in leases])
        self.amount = amount  # nanocredits on each account
        self.input_cost = input_cost
        self.called = called
        self.progress = -1  # cost so far; -1 where nothing was streamed
        self.reserve = 0  # bytes that the journal keeps free for this hold's settle
        self.outcome: Settled | None = None

    @property
    def open(self) -> bool:
        """Whether it is not settled yet."""
        return self.outcome is None


class EscrowStats(msgspec.Struct, frozen=True):
    """A worker's escrow at a glance; amounts in nanocredits over all accounts, counts since the start."""

    state: str  # "open", or why no hold is admitted
    worker: str
    epoch: int
    accounts: int
    free: int
    held: int
    unflushed: int
    open_holds: int
    waiting: int
    pending_records: int
    holds: int
    settles: int
    shorts: int
    misses: int
    grants: int
    flushes: int
    flush_failures: int
    shortfall: int
    journal_used_bytes: int
    journal_segment_bytes: int
    applied_seq: int
    flush_age_s: float
    syncs: int = 0  # of the journal, this epoch
    unsecured: int = 0  # answers that were completed before their settlement was safe, this epoch


class RecoveryReport(msgspec.Struct, frozen=True):
    """What a start found of the slot's last life."""

    epoch: int = 0  # the epoch that was recovered; 0 where there was nothing to do
    settled: int = 0  # settles that had not reached the store
    resolved: int = 0  # holds that were open, settled by what the journal proves
    charged: int = 0  # nanocredits, of both
    torn: bool = False  # a segment ended in a record that was not whole
    missing: bool = False  # no journal of that epoch was found, or a part of it is gone
    worker: str = ""
    late: bool = False  # the epoch had been given up: charged as far as the accounts could carry it

    def doubts(self) -> list[str]:
        """What an operator should know of the journal that was read."""
        said = []
        if self.torn:
            said.append("ends in a record that is not whole: what was being written when the process died is lost")
        if self.missing:
            said.append("is not there, or not all of it: what it alone proved is lost")
        return [f"the journal of {self.worker}, epoch {self.epoch}, {what}; {_RECOVERY}" for what in said]
