"""Which months of usage records were dropped, as the ledger tells it."""

import bisect

import msgspec
import sqlalchemy as sa

from joytoken.store.schema import ledger_tx


class MonthSum(msgspec.Struct, frozen=True, array_like=True):
    """What the records of one wallet in a month came to, in nanocredits."""

    owner_id: str
    tier: str
    cost: int
    charged: int
    shortfall: int


class Dropped(msgspec.Struct, frozen=True):
    """A month that was dropped: the terms of the transaction that did it. Batches are named by their transactions."""

    month: str
    records: int
    last_seq: int  # the greatest arrival number among them
    first_us: int | None  # when the first of its requests started, and the last
    last_us: int | None
    sums: list[MonthSum]
    whole: list[tuple[int, int]]  # from one to another, all batches lack all of their records
    parts: list[tuple[int, int, str]]  # a batch, how many of its records it lacks, and the digest of the others
    refunded: list[tuple[str, int]] = []  # requests of which something was given back, and what each was charged


_drops = sa.select(ledger_tx.c.terms).where(ledger_tx.c.kind == "drop").order_by(ledger_tx.c.id)


def dropped(conn: sa.Connection) -> list[Dropped]:
    """All months that were dropped, in that order."""
    return [msgspec.json.decode(said, type=Dropped) for said in conn.execute(_drops).scalars()]


class Lacking:
    """How many of its records each batch lacks."""

    def __init__(self, drops: list[Dropped]) -> None:
        self._whole = sorted(span for drop in drops for span in drop.whole)
        self._starts = [low for low, _ in self._whole]
        self._parts: dict[int, tuple[int, str]] = {}
        for drop in drops:
            for tx, count, digest in drop.parts:
                self._parts[tx] = self._parts.get(tx, (0, ""))[0] + count, digest

    def of(self, tx: int, count: int) -> tuple[int, str | None]:
        """Of the batch of a transaction, which brought so many; and the digest of what it has left, where that is some.

        None where the batch's own digest says it.
        """
        at = bisect.bisect_right(self._starts, tx) - 1
        if at >= 0 and tx <= self._whole[at][1]:
            return count, ""
        return self._parts.get(tx, (0, None))
