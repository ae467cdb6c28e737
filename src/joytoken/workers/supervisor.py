"""The supervisor: starts the workers, replaces those that end, and ends with all of them.

It serves nothing itself. One more worker stands by with its imports done, and lacks only its slot: a replacement
listens in a tenth of a second instead of one. Each worker holds one end of a pair of sockets; when the supervisor dies,
however it does, all of them read its end and stop.
"""

import asyncio
import logging
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress

from joytoken.workers.channel import RECOVER, Report, read_report, send_order

_STEADY_S = 10.0  # a worker that served for so long did not fail at its start
_FIRST_PAUSE_S = 0.1
_SETTLING_S = 30.0  # after its drain, for what a worker brings to the store before it ends
_REPORT_BYTES_MAX = 65_536
_log = logging.getLogger(__name__)


class WorkersFailed(Exception):
    """The workers did not start."""


class _Worker:
    """One process, from its start as a spare to its end."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process = process
        self.channel = channel
        self.slot = -1
        self.listening = False

    @classmethod
    def spawn(cls, command: Sequence[str]) -> "_Worker":
        """A fresh process; it belongs to a group of its own, so that Ctrl-C comes to the supervisor alone."""
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.setblocking(False)
        with theirs:
            number = theirs.fileno()
            process = subprocess.Popen(  # noqa: S603 - argv is made here, without a shell
                [*command, str(number)], pass_fds=(number,), stdin=subprocess.DEVNULL, process_group=0
            )
        return cls(process, channel)

    async def hear(self) -> bytes:
        """The next thing that it says; empty when it ends."""
        try:
            return await asyncio.get_running_loop().sock_recv(self.channel, _REPORT_BYTES_MAX)
        except ConnectionError:
            return b""

    async def end(self) -> int:
        """Wait for its end; gives its exit code."""
        while await self.hear():
            pass
        self.channel.close()
        self.listening = False
        return await asyncio.to_thread(self.process.wait)

    def signal(self, number: int) -> None:
        """Send it a signal, if it is there."""
        self.process.send_signal(number)


class Supervisor:
    """As many workers as there are sets of listeners."""

    def __init__(
        self,
        command: Sequence[str],
        descriptors: Sequence[int],
        listeners: Sequence[Sequence[socket.socket]],
        *,
        drain_ms: int,
        pause_ms_max: int,
        left: Callable[[int], None],
    ) -> None:
        """`command` starts a worker. `descriptors`: of the task, the shared memory and the kept one (see `channel`).

        `left` is called with a slot when its worker has ended.
        """
        self._command = command
        self._descriptors = list(descriptors)
        self._listeners = listeners
        self._drain_s = drain_ms / 1000
        self._pause_s_max = pause_ms_max / 1000
        self._left = left
        self._workers: set[_Worker] = set()
        self._spare: _Worker | None = None
        self._stopping = asyncio.Event()

    async def run(self, listening: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT. `listening` is called once, when all of them do. Raises WorkersFailed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        try:
            first = [self._begin(slot, _Worker.spawn(self._command)) for slot in range(len(self._listeners))]
            reports = await asyncio.gather(*[self._report(worker) for worker in first])
            wrong = [report.why for report in reports if not report.listening]
            keepers = [asyncio.create_task(self._keep(worker)) for worker in first]
            if wrong and not self._stopping.is_set():
                self._stop(signal.SIGTERM)
                await asyncio.gather(*keepers)
                raise WorkersFailed(wrong[0])
            if not self._stopping.is_set():
                listening()
                self._recover()
                self._stand_by()
            await asyncio.gather(*keepers)
        finally:
            self._dismiss()
            for worker in self._workers:  # only where this was broken off
                worker.process.kill()

    # ── one place ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, worker: _Worker) -> None:
        """Keep a slot served: whenever its worker ends, begin another."""
        loop = asyncio.get_running_loop()
        slot, failures = worker.slot, 0
        while True:
            served, began = worker.listening, loop.time()
            code = await self._end(worker)
            if self._stopping.is_set():
                return
            failures = 1 if served and loop.time() - began >= _STEADY_S else failures + 1
            pause_s = 0.0
            if failures > 1 or not served:
                pause_s = min(_FIRST_PAUSE_S * 2 ** (failures - 1), self._pause_s_max)
            _log.warning(
                "worker %d (process %d) ended by %s; %s",
                slot,
                worker.process.pid,
                _named(code),
                f"the next one begins in {pause_s:g} s" if pause_s else "another takes its place",
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            if self._stopping.is_set():
                return
            worker = self._begin(slot, self._take_spare() or _Worker.spawn(self._command))
            report = await self._report(worker)
            if self._stopping.is_set():
                worker.signal(signal.SIGTERM)
            elif not report.listening:
                _log.error("worker %d (process %d) did not start: %s", slot, worker.process.pid, report.why)
                self._recover()
            self._stand_by()

    def _begin(self, slot: int, worker: _Worker) -> _Worker:
        worker.slot = slot
        self._workers.add(worker)
        numbers = [*self._descriptors, *(each.fileno() for each in self._listeners[slot])]
        with suppress(OSError):  # it is gone: its report and its end say so
            send_order(worker.channel, slot, numbers)
        return worker

    async def _report(self, worker: _Worker) -> Report:
        report = read_report(await worker.hear())
        worker.listening = report.listening
        if report.listening:
            _log.info("worker %d (process %d) listens", worker.slot, worker.process.pid)
        return report

    async def _end(self, worker: _Worker) -> int:
        code = await worker.end()
        self._workers.discard(worker)
        self._left(worker.slot)
        return code

    # ── all of them ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _stand_by(self) -> None:
        """See to the spare."""
        if self._spare is None and not self._stopping.is_set():
            self._spare = _Worker.spawn(self._command)

    def _take_spare(self) -> _Worker | None:
        """The spare, where it lives."""
        spare = self._spare
        if spare is not None and spare.process.poll() is not None:
            self._dismiss()
            return None
        self._spare = None
        return spare

    def _dismiss(self) -> None:
        if self._spare is not None:
            self._spare.process.kill()
            self._spare.process.wait()
            self._spare.channel.close()
            self._spare = None

    def _recover(self) -> None:
        """Have one that listens see to the money of slots that nobody has."""
        for worker in self._workers:
            if worker.listening:
                with suppress(OSError):
                    worker.channel.send(RECOVER)
                    return

    def _stop(self, number: int) -> None:
        again = self._stopping.is_set()
        self._stopping.set()
        for sockets in self._listeners:  # who comes now is refused, not left waiting
            for each in sockets:
                each.close()
        self._dismiss()
        self._signal(number if again else signal.SIGTERM)
        if not again:
            asyncio.get_running_loop().call_later(self._drain_s + _SETTLING_S, self._signal, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
