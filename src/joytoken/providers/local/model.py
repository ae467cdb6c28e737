"""The local model as its callers see it: install, start, stop, status."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from joytoken.providers.local import process
from joytoken.providers.local.faults import LocalFailed, NotInstalled
from joytoken.providers.local.files import locked, read_struct, tail, write_struct
from joytoken.providers.local.install import Installation
from joytoken.providers.local.recipe import SMOLLM2, Recipe
from joytoken.providers.local.status import Launch, LocalStatus, Manifest, Progress, State
from joytoken.providers.local.support import threads_default

LOCK_WAIT_MS = 45_000  # longer than a start or a stop takes
STOP_MS = 5_000
DETACH_SECONDS_MAX = 20
LOG_LINES = 15
# What the server and its supervisor may see of this process's environment: no vendor's key is among it.
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "TZ")


class LocalModel:
    """The local model below the folder `home`; every method may be called from any process, at any time."""

    def __init__(self, home: Path, recipe: Recipe = SMOLLM2) -> None:
        self.home = home.absolute()
        self._recipe = recipe
        self._run = self.home / "run"
        self._install_lock = self.home / "install.lock"
        self._run_lock = self.home / "run.lock"

    def status(self) -> LocalStatus:
        """What is so now; reads three small files and never waits."""
        manifest = self._manifest()
        state = read_struct(self._run / "state.json", State)
        if manifest is None:
            return LocalStatus(installed=False, running=False)
        known = LocalStatus(
            installed=True,
            running=False,
            model=manifest.model,
            version=manifest.version,
            size_bytes=manifest.size_bytes,
        )
        if state is None:
            return known
        keeper_lives = process.is_alive(state.supervisor)
        phase = state.phase
        error = state.error
        if not keeper_lives and phase in ("starting", "running", "waiting"):
            phase, error = "stopped", "the supervisor ended without being asked to"
        server = state.server if keeper_lives and process.is_alive(state.server) else None
        running = phase == "running" and server is not None
        return msgspec.structs.replace(
            known,
            running=running,
            phase=phase,
            pid=server.pid if server else None,
            port=state.port if keeper_lives else None,
            base_url=f"http://127.0.0.1:{state.port}/v1" if running else None,
            context_tokens=state.context_tokens if keeper_lives else None,
            rss_bytes=process.rss_bytes(server) if server else None,
            restarts=state.restarts,
            error=error,
        )

    def install(self, report: Callable[[Progress], None]) -> LocalStatus:
        """Do what is still to do of the installation, and say how it goes; nothing is done where it is complete.

        Raises:
            Unsupported: this machine cannot run the model.
            LocalFailed: a step failed, or another installation is at it.

        """
        with locked(self._install_lock, "installing the local model"):
            if not self._is_current():
                if self.status().phase in ("starting", "running", "waiting"):
                    raise LocalFailed("the local model is running", next_step="run: joytoken local stop")
                (self.home / "manifest.json").unlink(missing_ok=True)
                Installation(self.home, self._recipe, report).perform()
        return self.status()

    def start(
        self,
        *,
        port: int = 0,
        threads: int | None = None,
        streams: int = 4,
        context_tokens: int = 4096,
        ready_ms: int = 30_000,
    ) -> LocalStatus:
        """Start the server and wait until it answers; where it runs already, that is the answer.

        It listens on 127.0.0.1 alone. Without a `port` it takes the last one again if that is free, else any that is.

        Raises:
            NotInstalled: there is nothing to start.
            LocalFailed: the port is taken, or the server did not answer within `ready_ms`.

        """
        with locked(self._run_lock, "starting or stopping the local model", LOCK_WAIT_MS):
            manifest = self._manifest()
            if manifest is None:
                raise NotInstalled
            now = self.status()
            if now.running:
                return now
            self._end()
            last = read_struct(self._run / "state.json", State)
            chosen = free_port(port, last.port if last else 0)
            launch = self._launch(manifest, chosen, threads or threads_default(), streams, context_tokens, ready_ms)
            keeper = self._detach(launch)
            try:
                return self._wait_ready(keeper, time.monotonic() + ready_ms / 1000)
            except BaseException:  # also Ctrl-C: what does not serve is not left running
                process.end(keeper, 2 * STOP_MS)
                self._end()
                raise

    def stop(self) -> LocalStatus:
        """Stop the server and its supervisor, if they run; only processes that are surely ours are signalled."""
        with locked(self._run_lock, "starting or stopping the local model", LOCK_WAIT_MS):
            self._end()
        return self.status()

    def _manifest(self) -> Manifest | None:
        manifest = read_struct(self.home / "manifest.json", Manifest)
        if manifest is None or not (self.home / manifest.program[0]).is_file():
            return None
        model = self.home / "model" / manifest.model
        return manifest if model.is_file() and model.stat().st_size == manifest.model_bytes else None

    def _is_current(self) -> bool:
        manifest = self._manifest()
        return manifest is not None and manifest.version == self._recipe.version

    def _launch(
        self, manifest: Manifest, port: int, threads: int, streams: int, context_tokens: int, ready_ms: int
    ) -> Launch:
        first, *rest = manifest.program
        argv = [str(self.home / first), *rest, "-m", str(self.home / "model" / manifest.model)]
        argv += ["--host", "127.0.0.1", "-p", str(port), "--gpu", "off"]
        argv += ["-t", str(threads), "-s", str(streams), "--ctx", str(min(context_tokens, manifest.context_tokens_max))]
        return Launch(
            argv=argv,
            env={**_environment(), "HOME": str(self._run / "home")},
            port=port,
            model=manifest.model,
            context_tokens=min(context_tokens, manifest.context_tokens_max),
            ready_ms=ready_ms,
            stop_ms=STOP_MS,
        )

    def _detach(self, launch: Launch) -> process.ProcessId:
        """Start the supervisor; which process it is."""
        home = self._run / "home"
        shutil.rmtree(home / ".dasllama" / "logs", ignore_errors=True)  # the server's own log, which it never cuts
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._run / "state.json").unlink(missing_ok=True)
        write_struct(self._run / "launch.json", launch)
        with (self._run / "supervisor.log").open("wb") as log:
            done = subprocess.run(  # noqa: S603 - this interpreter and our own module, without a shell
                [sys.executable, "-m", "joytoken.providers.local.supervisor", str(self._run)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.home,
                env={**_environment(), "HOME": str(home)},
                start_new_session=True,
                timeout=DETACH_SECONDS_MAX,
                check=False,
            )
        keeper = process.identify(int(done.stdout)) if done.stdout.strip().isdigit() else None
        if keeper is None:
            raise LocalFailed("the supervisor did not start", detail=tail(self._run / "supervisor.log", LOG_LINES))
        return keeper

    def _wait_ready(self, keeper: process.ProcessId, deadline: float) -> LocalStatus:
        said = "it did not answer in time"
        while time.monotonic() < deadline:
            state = read_struct(self._run / "state.json", State)
            if state is not None and state.phase == "running":
                return self.status()
            if not process.is_alive(keeper):
                said = state.error if state and state.error else "its supervisor ended"
                break
            time.sleep(0.05)
        log = tail(self._run / "server.log", LOG_LINES) or tail(self._run / "supervisor.log", LOG_LINES)
        raise LocalFailed(f"the local model did not start: {said}", next_step="the log is run/server.log", detail=log)

    def _end(self) -> None:
        state = read_struct(self._run / "state.json", State)
        if state is None:
            return
        process.end(state.supervisor, 2 * STOP_MS)  # it gives its server STOP_MS
        latest = read_struct(self._run / "state.json", State) or state
        for server in {state.server, latest.server} - {None}:
            if server is not None:
                process.end(server, STOP_MS)


def free_port(wanted: int, last: int) -> int:
    """The loopback port `wanted`, or without one `last` if it is free, else any that is.

    Raises:
        LocalFailed: `wanted` is taken.

    """
    for port in (wanted,) if wanted else (last, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise LocalFailed(f"port {wanted} is taken", next_step="choose another, or none: joytoken local start")


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
