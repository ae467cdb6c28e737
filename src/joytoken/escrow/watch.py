"""Watch over the others: recover siblings whose process has died, give up nodes that are lost.

A worker's leases have a deadline, in the store's clock, which every flush renews. A clock may jump, and a node that is
given up too soon settles late, at the operator's cost; so a node counts as lost only where this worker has also seen it
silent for that long by its own monotonic clock, and it is given up once its leases have been reserved for so much
longer. The store's clock is believed once, where a node is first seen so: for how long its leases were over by then.
Where this worker could not look for that long, since the store was away or it stood still itself, the others get that
long again to be heard.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from joytoken.escrow.recovery import Siblings
from joytoken.escrow.terms import EscrowSettings, RecoveryReport
from joytoken.store.engine import StoreError
from joytoken.store.ledger import Ledger
from joytoken.store.ledger_types import WorkerRow

_log = logging.getLogger(__name__)


class Watch:
    """What one worker knows of the others. For one thread at a time."""

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        own_worker: str,
        settings: EscrowSettings,
        *,
        clock: Callable[[], float],
        wall_us: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._siblings = Siblings(ledger, folder, own_worker)
        self._lease_s = settings.lease_deadline_ms / 1000
        self._abandon_s = settings.abandon_ms / 1000
        self._blind_s = max(self._lease_s, 3 * settings.watch_ms / 1000)
        self._clock = clock
        self._wall_us = wall_us
        # Epoch and deadline, when they were first seen, and for how long they were over by then, in seconds.
        self._heard: dict[str, tuple[int, int, float, float]] = {}
        self._looked = self._seeing = clock()  # the last look, and since when they followed one another closely
        self.recovered: list[RecoveryReport] = []
        self.abandoned: list[str] = []

    def look(self) -> None:
        """Look once. Where the store is away, the next look does what this one could not."""
        try:
            for report in self._siblings.recover(self._wall_us()):
                self.recovered.append(report)
                _log.warning(
                    "worker %s had died: %d settled, %d resolved, %d nanocredits",
                    *(report.worker, report.settled, report.resolved, report.charged),
                )
                for doubt in report.doubts():
                    _log.warning("%s", doubt)
            self._look_beyond()
        except StoreError as failure:
            _log.debug("the other workers were not looked at: %s", failure)

    def _look_beyond(self) -> None:
        """Nodes whose journals are elsewhere."""
        here = self._siblings.names()
        others = [row for row in self._ledger.workers() if row.worker not in here]
        self._heard = {row.worker: self._since(row) for row in others}
        now = self._clock()
        if now - self._looked >= self._blind_s:
            self._seeing = now
        self._looked = now
        for row in others:
            _, _, since, overdue_s = self._heard[row.worker]
            if now - max(since, self._seeing) < self._lease_s:
                continue
            # Where a deadline was further away than any is set, the clock has jumped back.
            reserved_s = now - since + max(overdue_s, -self._lease_s)
            if reserved_s >= self._abandon_s and self._ledger.abandon(row.worker, row.epoch, row.deadline_us):
                self.abandoned.append(row.worker)
                _log.error(
                    "worker %s of %s was silent for too long: its leases have been returned; joytoken incidents list",
                    *(row.worker, row.host),
                )

    def _since(self, row: WorkerRow) -> tuple[int, int, float, float]:
        before = self._heard.get(row.worker)
        if before is not None and before[:2] == (row.epoch, row.deadline_us):
            return before
        return row.epoch, row.deadline_us, self._clock(), row.overdue_us / 1e6
