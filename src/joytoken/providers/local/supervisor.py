"""The keeper of the local model's server: a small process of its own that restarts what dies and writes what is so.

    python -m joytoken.providers.local.supervisor RUN_FOLDER

It reads `launch.json` in that folder, detaches, prints its pid, and keeps `state.json` true until SIGTERM, or until the
server died too often and it gives up.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec

from joytoken.providers.local.files import read_struct, write_struct
from joytoken.providers.local.process import ProcessId, identify
from joytoken.providers.local.run import bound_to, exit_words
from joytoken.providers.local.status import Launch, Phase, State

PROBE_TIMEOUT_SECONDS = 1.0
PROBE_BYTES_MAX = 1 << 20
LOG_CHUNK_BYTES = 1 << 16


class BoundedLog:
    """A log file of at most `bytes_max`, and its predecessor of as many."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max

    def write(self, text: bytes) -> None:
        with self._path.open("ab") as out:
            full = out.tell() + len(text) > self._bytes_max
        if full:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        with self._path.open("ab") as out:
            out.write(text[-self._bytes_max :])

    def say(self, text: str) -> None:
        self.write(f"supervisor: {text}\n".encode())


class Supervisor:
    """Keeps one server alive. `run` returns the exit code: 0 stopped as asked, 1 given up."""

    def __init__(self, folder: Path, launch: Launch, me: ProcessId) -> None:
        self._launch = launch
        self._state_file = folder / "state.json"
        self._log = BoundedLog(folder / "server.log", launch.log_bytes_max)
        self._stop = asyncio.Event()
        self._deaths: deque[float] = deque()
        self._state = State(
            phase="starting",
            supervisor=me,
            port=launch.port,
            model=launch.model,
            context_tokens=launch.context_tokens,
        )

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        while True:
            cause = await self._one_life()
            if self._stop.is_set():
                self._become("stopped", server=None)
                return 0
            self._log.say(cause)
            if self._died_too_often():
                self._become("failed", server=None, error=f"given up after {self._state.restarts} restarts: {cause}")
                return 1
            self._become("waiting", server=None, error=cause)
            await self._sleep(self._backoff_ms())
            if self._stop.is_set():
                self._become("stopped", server=None)
                return 0
            self._state = msgspec.structs.replace(self._state, restarts=self._state.restarts + 1)

    def stop(self) -> None:
        """Let `run` end its server and return."""
        self._stop.set()

    async def _one_life(self) -> str:
        """Start the server and see it through to its end; how it ended, in words."""
        launch = self._launch
        try:
            child = await asyncio.create_subprocess_exec(
                *bound_to(os.getpid(), launch.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=launch.env,
                start_new_session=True,
            )
        except OSError as fault:
            return f"the server cannot be run: {fault}"
        self._become("starting", server=identify(child.pid), error=None)
        pump = asyncio.create_task(self._pump(child))
        ended = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(self._stop.wait())
        ready = asyncio.create_task(self._until_ready())
        try:
            await asyncio.wait({ended, stopping, ready}, return_when=asyncio.FIRST_COMPLETED)
            late = ready.done() and not ready.result()
            if ready.done() and ready.result() and not ended.done():
                self._become("running", server=self._state.server, error=None)
                await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            code = await self._end(child, ended)
            for task in (stopping, ready):
                task.cancel()
            await asyncio.gather(pump, stopping, ready, return_exceptions=True)
        if late:
            return f"the server did not answer within {launch.ready_ms} ms"
        return f"the server {_ending(code)}"

    async def _until_ready(self) -> bool:
        deadline = time.monotonic() + self._launch.ready_ms / 1000
        while time.monotonic() < deadline:
            if await asyncio.to_thread(serves, self._launch.port, self._launch.model):
                return True
            await asyncio.sleep(self._launch.probe_ms / 1000)
        return False

    async def _pump(self, child: asyncio.subprocess.Process) -> None:
        if child.stdout is None:
            return
        while text := await child.stdout.read(LOG_CHUNK_BYTES):
            with contextlib.suppress(OSError):  # a full disk must not end the server, nor block it on a full pipe
                self._log.write(text)

    async def _end(self, child: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> int:
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            await asyncio.wait({ended}, timeout=self._launch.stop_ms / 1000)
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        return await ended

    def _died_too_often(self) -> bool:
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths[0] < now - self._launch.restart_window_ms / 1000:
            self._deaths.popleft()
        return len(self._deaths) > self._launch.restarts_max

    def _backoff_ms(self) -> int:
        doubled: int = self._launch.backoff_first_ms << (len(self._deaths) - 1)
        return min(doubled, self._launch.backoff_ms_max)

    async def _sleep(self, wait_ms: int) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), wait_ms / 1000)

    def _become(self, phase: Phase, *, server: ProcessId | None, error: str | None = None) -> None:
        self._state = msgspec.structs.replace(self._state, phase=phase, server=server, error=error)
        write_struct(self._state_file, self._state)


class _Listed(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Listed]


def serves(port: int, model: str) -> bool:
    """Whether the server at this loopback port lists `model`: another program at that port does not pass."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/v1/models")
        body = connection.getresponse().read(PROBE_BYTES_MAX)
        return any(listed.id == model for listed in msgspec.json.decode(body, type=_Models).data)
    except (OSError, HTTPException, msgspec.MsgspecError):
        return False
    finally:
        connection.close()


def _ending(code: int) -> str:
    return f"ended ({exit_words(code)})"


def _detach() -> None:
    """Go on as a grandchild in a session of its own; the caller learns its pid and is not kept waiting."""
    child = os.fork()
    if child:
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os._exit(0)
    os.setsid()
    os.dup2(2, 1)  # stdout was the caller's pipe; stderr is a file of the run folder


def main(folder: Path) -> int:
    launch = read_struct(folder / "launch.json", Launch)
    if launch is None:
        sys.stderr.write("launch.json is missing or not readable\n")
        return 1
    _detach()
    me = identify(os.getpid())
    if me is None:
        sys.stderr.write("this system has no /proc\n")
        return 1
    return asyncio.run(Supervisor(folder, launch, me).run())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
