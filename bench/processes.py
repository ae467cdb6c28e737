"""The processes of a run: the two C programs, compiled once; servers pinned to a core, timed, measured, and stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".build"
COMPILER_FLAGS = ("-std=c17", "-O2", "-Wall", "-Wextra", "-Werror")
STUB_SECONDS_MAX = 900
LISTEN_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 15.0


class BenchError(Exception):
    """The benchmark cannot go on; the text says why and, where there is one, what helps."""


def compiled(name: str, cache: Path = CACHE) -> Path:
    """Compile `bench/NAME.c` unless that very source was compiled before, and give the program's path."""
    source = HERE / f"{name}.c"
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise BenchError("a C compiler is needed for the stub and the load generator: apt install gcc")
    fingerprint = hashlib.sha256(source.read_bytes() + repr((compiler, COMPILER_FLAGS)).encode()).hexdigest()[:16]
    program = cache / f"{name}-{fingerprint}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = cache / f"{name}.{os.getpid()}"
        done = subprocess.run(
            [compiler, *COMPILER_FLAGS, "-o", str(fresh), str(source)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"{source.name} does not compile:\n{done.stderr}")
        fresh.replace(program)
        shortcut = (
            cache / f".{name}.{os.getpid()}"
        )  # bench/.build/load and …/stub always name the newest, for use by hand
        shortcut.symlink_to(program.name)
        shortcut.replace(cache / name)
    return program


def free_port() -> int:
    """Give a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cores() -> tuple[int, int]:
    """Give the core for the measured server and the core for the stub and the load (the same one if there is one)."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def cores_of_many(servers: int) -> tuple[str, str]:
    """Give as many cores to the measured servers, and the others to the stub and the load; all to both, if too few."""
    usable = [str(core) for core in sorted(os.sched_getaffinity(0))]
    if len(usable) <= servers:
        return ",".join(usable), ",".join(usable)
    return ",".join(usable[:servers]), ",".join(usable[servers:])


def pinned(core: int | str, command: Sequence[str]) -> list[str]:
    """Give the command that runs another on one core, or on a list of them."""
    taskset = shutil.which("taskset")
    if not taskset:
        raise BenchError("taskset is needed to keep the gateway and the load apart: apt install util-linux")
    return [taskset, "-c", str(core), *command]


def process_tree(pid: int) -> list[int]:
    """Give a process and all that descend from it, as they are now."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        try:
            for task in Path(f"/proc/{current}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it ended while we looked
    return found


def resident_mb(pids: Sequence[int]) -> float:
    """Give the resident memory of some processes together, in MiB; shared pages count in each."""
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


class Process:
    """A child on one core, in a session of its own, its output in a file. Leaving the `with` block stops it."""

    def __init__(
        self, core: int | str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self.command = list(command)
        self.started = time.monotonic()
        with log.open("wb") as output:
            self.child = subprocess.Popen(
                pinned(core, command),
                env=dict(environment) if environment is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        return process_tree(self.child.pid)

    def said(self, bytes_max: int = 2000) -> str:
        """Give the end of what the process has written."""
        return self.log.read_bytes()[-bytes_max:].decode(errors="replace")

    def check_alive(self) -> None:
        if self.child.poll() is not None:
            raise BenchError(f"{self.command[0]} stopped with {self.child.returncode}:\n{self.said()}")

    def wait_listening(self, port: int) -> float:
        """Wait until the port takes connections, and give the seconds since the start."""
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return time.monotonic() - self.started
            self.check_alive()
            if time.monotonic() - self.started > LISTEN_SECONDS_MAX:
                raise BenchError(
                    f"{self.command[0]} does not listen on {port} after {LISTEN_SECONDS_MAX:g} s:\n{self.said()}"
                )
            time.sleep(0.005)

    def stop(self) -> None:
        """End the process and what it started: asked first, then forced."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.child.poll() is not None:
                return
            os.killpg(self.child.pid, number)
            try:
                self.child.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                continue


class Stub(Process):
    """The stand-in provider, listening on `port`."""

    def __init__(
        self, core: int | str, log: Path, *, gap_ms: float = 0, chunks: int = 100, delay_ms: float = 0
    ) -> None:
        options = {"gap-ms": gap_ms, "chunks": chunks, "delay-ms": delay_ms, "seconds-max": STUB_SECONDS_MAX}
        command = [
            str(compiled("stub")),
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        ]
        super().__init__(core, command, log)
        deadline = time.monotonic() + LISTEN_SECONDS_MAX
        while "listening " not in self.said():
            self.check_alive()
            if time.monotonic() > deadline:
                self.stop()
                raise BenchError("the stub does not say where it listens")
            time.sleep(0.005)
        self.port = int(self.said().split("listening ")[1].split()[0])

    def served(self) -> dict[str, int]:
        """Give what it served (`plain`, `streams`, `cut_short`, `connections`); only after it was stopped."""
        counts: dict[str, int] = json.loads(self.said().splitlines()[-1])
        return counts


def run_load(
    core: int | str,
    port: int,
    *,
    connections: int,
    stream: bool = False,
    seconds: float = 3,
    warm: float = 1,
    path: str = "/openai/v1/chat/completions",
    model: str = "openai/gpt-4o-mini",
    key: str = "none",
    needle: str = "",
    measured: Sequence[int] = (),
    helpers: Sequence[int] = (),
) -> tuple[dict[str, float], str]:
    """Run the load generator once; gives its figures and what it said of a bad answer (empty if there was none)."""
    command = [str(compiled("load")), "--port", str(port), "--path", path, "--connections", str(connections)]
    command += ["--seconds", str(seconds), "--warm", str(warm), "--model", model, "--key", key, "--needle", needle]
    command += ["--measure", ",".join(map(str, measured)), "--helpers", ",".join(map(str, helpers))]
    command += ["--stream"] if stream else []
    done = subprocess.run(
        pinned(core, command), capture_output=True, text=True, timeout=seconds + warm + 30, check=False
    )
    if done.returncode or not done.stdout.strip():
        raise BenchError(f"the load generator stopped with {done.returncode}: {done.stderr.strip()}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures, done.stderr.strip()
