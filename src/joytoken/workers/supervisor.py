"""The supervisor: starts the workers, replaces those that end, and ends with all of them.

It serves nothing itself. One more worker stands by with its imports done, and lacks only its slot: a replacement
listens in a tenth of a second instead of one. Each worker holds one end of a pair of sockets; when the supervisor dies,
however it does, all of them read its end and stop.

A worker has a number, by which it has its queue of connections, and a slot, by which it has its journal and its leases.
There is a slot more than there are workers: whoever begins takes the one that is free for longest. So a replacement
does not wait until the dead worker's journal is settled, and SIGHUP replaces workers without a pause: the successor
serves from the same queue before the one that it succeeds lets go of it.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress

from joytoken.workers import bridge
from joytoken.workers.channel import RECOVER, SLOTS_BEYOND, Report, read_report, send_leave, send_order

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
        self.number = -1
        self.slot = -1
        self.listening = False
        self.leaving = False
        self.ended = asyncio.Event()

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
        code = await asyncio.to_thread(self.process.wait)
        self.ended.set()
        return code

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
        leave_ms: int,
        pause_ms_max: int,
        left: Callable[[int], None],
        task_anew: Callable[[], int],
    ) -> None:
        """`command` starts a worker. `descriptors`: of the task, the shared memory and the kept one (see `channel`).

        `left` is called with a slot when its worker has ended. `task_anew` gives the descriptor of a task for workers
        that are replaced from now on, and raises where there is none to be had.
        """
        self._command = command
        self._descriptors = list(descriptors)
        self._listeners = listeners
        self._drain_s = drain_ms / 1000
        self._leave_s = leave_ms / 1000
        self._pause_s_max = pause_ms_max / 1000
        self._left = left
        self._task_anew = task_anew
        self._free = deque(range(len(listeners) + SLOTS_BEYOND))
        self._workers: set[_Worker] = set()
        self._serving: dict[int, _Worker] = {}  # the last one that began to serve, by number
        self._keepers: set[asyncio.Task[None]] = set()
        self._spare: _Worker | None = None
        self._stopping = asyncio.Event()
        self._told = asyncio.Event()  # to replace all of them

    async def run(self, listening: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP replaces every worker. Raises WorkersFailed.

        `listening` is called once, when all of them do.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._told.set)
        try:
            numbers = range(len(self._listeners))
            first = [self._begin(number, _Worker.spawn(self._command)) for number in numbers]
            reports = await asyncio.gather(*[self._report(worker) for worker in first])
            for worker in first:
                self._keep_on(self._keep(worker))
            wrong = [report.why for report in reports if not report.listening]
            if wrong and not self._stopping.is_set():
                self._stop(signal.SIGTERM)
                await self._all_ended()
                raise WorkersFailed(wrong[0])
            if not self._stopping.is_set():
                listening()
                self._recover(first)
                self._stand_by()
                self._keep_on(self._replace_whenever_told())
            await self._all_ended()
        finally:
            self._dismiss()
            for worker in self._workers:  # only where this was broken off
                worker.process.kill()

    def _keep_on(self, keeping: Coroutine[None, None, None]) -> None:
        self._keepers.add(asyncio.create_task(keeping))

    async def _all_ended(self) -> None:
        while self._keepers:
            done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
            self._keepers -= done  # more may have come meanwhile
            for task in done:
                task.result()

    # ── one place ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, worker: _Worker) -> None:
        """Keep a queue served: whenever its worker ends, begin another, unless it has a successor."""
        loop = asyncio.get_running_loop()
        number, failures = worker.number, 0
        while True:
            served, began = worker.listening, loop.time()
            code = await self._end(worker)
            if worker.leaving:
                _log.info("worker %d (process %d) has left", number, worker.process.pid)
            if self._stopping.is_set() or worker.leaving:
                return
            failures = 1 if served and loop.time() - began >= _STEADY_S else failures + 1
            pause_s = 0.0
            if failures > 1 or not served:
                pause_s = min(_FIRST_PAUSE_S * 2 ** (failures - 1), self._pause_s_max)
            _log.warning(
                "worker %d (process %d) ended by %s; %s",
                number,
                worker.process.pid,
                _named(code),
                f"the next one begins in {pause_s:g} s" if pause_s else "another takes its place",
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            if self._stopping.is_set() or self._serving[number] is not worker:
                return
            worker = self._begin(number, self._take_spare() or _Worker.spawn(self._command))
            report = await self._report(worker)
            if self._stopping.is_set():
                worker.signal(signal.SIGTERM)
            elif not report.listening:
                _log.error("worker %d (process %d) did not start: %s", number, worker.process.pid, report.why)
            self._recover([worker, *self._workers])
            self._stand_by()

    def _begin(
        self,
        number: int,
        worker: _Worker,
        descriptors: list[int] | None = None,
        end: socket.socket | None = None,
    ) -> _Worker:
        """Have a waiting process serve a queue. `end`: of a bridge, from the one that it succeeds."""
        worker.number, worker.slot = number, self._free.popleft()
        self._workers.add(worker)
        if end is None:
            self._serving[number] = worker
        queues = [each.fileno() for each in self._listeners[number]]
        with suppress(OSError):  # it is gone: its report and its end say so
            send_order(worker.channel, worker.slot, descriptors or self._descriptors, end, queues)
        return worker

    async def _report(self, worker: _Worker) -> Report:
        report = read_report(await worker.hear())
        worker.listening = report.listening
        if report.listening:
            _log.info("worker %d (process %d) listens", worker.number, worker.process.pid)
        return report

    async def _end(self, worker: _Worker) -> int:
        code = await worker.end()
        self._workers.discard(worker)
        self._free.append(worker.slot)
        self._left(worker.slot)
        return code

    # ── a rolling restart ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _replace_whenever_told(self) -> None:
        while not self._stopping.is_set():
            await self._told.wait()
            self._told.clear()
            if not self._stopping.is_set():
                await self._replace_all()

    async def _replace_all(self) -> None:
        """Replace one after the other; where one cannot be, it and those after it stay as they are."""
        try:
            task = await asyncio.to_thread(self._task_anew)
        except Exception as error:  # noqa: BLE001 - whatever it is, those that serve go on
            _log.error("no worker is replaced: %s", error)
            return
        try:
            self._dismiss()  # it has the old code
            count = len(self._listeners)
            for number in range(count):
                why = await self._replace(number, task)
                if self._stopping.is_set():
                    return
                if why:
                    _log.error("worker %d is not replaced, nor are those after it: %s", number, why)
                    return
            _log.info("replaced all %d workers", count)
        finally:
            os.close(task)
            self._stand_by()

    async def _replace(self, number: int, task: int) -> str:
        """Have a fresh process serve a queue, and wait until the one before has ended; or say why not."""
        ours, theirs = bridge.build()
        with ours, theirs:
            fresh = self._take_spare() or _Worker.spawn(self._command)
            self._begin(number, fresh, [task, *self._descriptors[1:]], ours)
            report = await self._report(fresh)
            if not report.listening:
                await self._end(fresh)
                return report.why
            os.dup2(task, self._descriptors[0], inheritable=False)  # it serves: replacements get the same
            old, self._serving[number] = self._serving[number], fresh
            self._keep_on(self._keep(fresh))
            old.leaving = True
            if self._stopping.is_set():
                fresh.signal(signal.SIGTERM)
                return ""
            with suppress(OSError):  # it has died meanwhile
                send_leave(old.channel, theirs)
        self._stand_by()
        patience_s = self._leave_s + self._drain_s + _SETTLING_S
        with suppress(TimeoutError):
            await asyncio.wait_for(old.ended.wait(), patience_s)
        if not old.ended.is_set():
            _log.error("worker %d (process %d) does not end: it is killed", number, old.process.pid)
            old.signal(signal.SIGKILL)
            await old.ended.wait()
        return ""

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

    def _recover(self, workers: Iterable[_Worker]) -> None:
        """Have the first of these that listens see to the money of slots that nobody has."""
        for worker in workers:
            if worker.listening:
                with suppress(OSError):
                    worker.channel.send(RECOVER)
                    return

    def _stop(self, number: int) -> None:
        again = self._stopping.is_set()
        self._stopping.set()
        self._told.set()
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
