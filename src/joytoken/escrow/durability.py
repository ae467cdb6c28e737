"""What a hold and a settle survive, beyond the end of the process.

    process   the journal's mapped memory: a kill, a crash of the program. Nothing of this file runs
    power     … and a power cut: a hold is on the disk before the provider is called, a settle before the last byte
    central   … and the loss of the machine: the store has committed the settle before the last byte

One sync serves all who wait for it, in a thread of its own; and so does one commit.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from joytoken.escrow.flusher import Flusher
from joytoken.escrow.journal import Journal
from joytoken.escrow.terms import Closed, EscrowSettings

_log = logging.getLogger(__name__)


class Syncer:
    """Brings a journal to its disk. A sync that failed is never tried again: what it was to write may be lost."""

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self.syncs = 0
        self._journal = journal
        self._loop = loop
        self._files = [os.open(path, os.O_RDWR | os.O_CLOEXEC) for path in journal.paths]
        self._thread = ThreadPoolExecutor(1, "joytoken-sync")
        self._running: asyncio.Future[None] | None = None
        self._turns = -1  # of the journal when it was last brought to the disk
        self._failure: OSError | None = None
        journal.synced_seq = 0

    async def upto(self, seq: int) -> None:
        """Wait until a record is on the disk. Raises OSError where the disk failed."""
        while (self._journal.synced_seq or 0) < seq:
            if self._failure is not None:
                raise self._failure
            if self._running is None:
                self._start()
            assert self._running is not None
            await asyncio.wait({self._running})

    def _start(self) -> None:
        journal = self._journal
        seq, turns = journal.seq, journal.turns
        files = [self._files[journal.at]] if turns == self._turns else self._files
        self._running = self._loop.run_in_executor(self._thread, sync, files)
        self._running.add_done_callback(partial(self._done, seq, turns))

    def _done(self, seq: int, turns: int, running: "asyncio.Future[None]") -> None:
        self._running = None
        failure = running.exception()
        if failure is None:
            self.syncs += 1
            self._turns = turns
            self._journal.synced_seq = seq
        else:
            self._failure = failure if isinstance(failure, OSError) else OSError(str(failure))
            _log.error("the journal cannot be brought to its disk: %s", failure)

    async def close(self) -> None:
        """End the thread."""
        if self._running is not None:
            await asyncio.wait({self._running})
        self._thread.shutdown()
        for descriptor in self._files:
            os.close(descriptor)


def sync(files: list[int]) -> None:
    """Bring files to their disk. What is written by a mapping is in the same pages as what is written to the file.

    `fdatasync` and not `mmap.flush`: that one keeps the interpreter's lock while it waits for the disk.
    """
    for descriptor in files:
        os.fdatasync(descriptor)


class Durability:
    """The levels beyond `process`, for one epoch. Everything belongs to the event loop."""

    def __init__(
        self, settings: EscrowSettings, journal: Journal, flusher: Flusher, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.unsecured = 0  # answers that were completed without it
        self.syncer = Syncer(journal, loop)
        self._central = settings.durability == "central"
        self._wait_s = settings.durability_wait_ms / 1000
        self._journal = journal
        self._flusher = flusher
        self._loop = loop
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def hold(self) -> None:
        """Before a provider is called: what was journalled until now is on the disk. Raises Closed."""
        try:
            await self._bounded(self.syncer.upto(self._journal.seq))
        except (OSError, TimeoutError) as failure:
            raise Closed("the journal's disk does not take it") from failure

    async def settle(self) -> None:
        """Before the last byte: the settle that was just journalled survives. Given up after a while, with a warning.

        The answer is paid for, and the journal has it: withheld, it would be lost for certain.
        """
        try:
            if self._central:
                await self._bounded(self._committed(self._journal.settled_seq))
            else:
                await self._bounded(self.syncer.upto(self._journal.seq))
        except (OSError, TimeoutError) as failure:
            self.unsecured += 1
            _log.warning("an answer was completed before its settlement was safe: %r", failure)

    async def _bounded(self, what: Awaitable[None]) -> None:
        async with asyncio.timeout(self._wait_s):
            await what

    async def _committed(self, seq: int) -> None:
        if self._journal.applied_seq >= seq:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((seq, future))
        self._flusher.hurry()
        await future

    def applied(self, seq: int) -> None:
        """The store has every settle up to this one."""
        left = []
        for wanted, future in self._waiting:
            if wanted > seq:
                left.append((wanted, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = left

    async def close(self) -> None:
        """The epoch is over: a recovery has brought everything to the store, or will find it in the journal."""
        if self._waiting:
            self.applied(self._waiting[-1][0])
        await self.syncer.close()
