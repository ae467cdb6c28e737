"""One program of an installation, run to its end: watched, bounded in time, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from joytoken.providers.local.faults import LocalFailed
from joytoken.providers.local.files import tail

LAUNCHER = Path(__file__).with_name("launch.py")
TICK_SECONDS = 0.25
STOP_SECONDS = 5.0
TAIL_LINES = 15


def bound_to(parent_pid: int, argv: list[str]) -> list[str]:
    """The command that runs `argv` as a child that ends when this parent does."""
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(parent_pid), *argv]


def run(
    argv: list[str],
    *,
    what: str,
    logs: Path,
    seconds_max: int,
    env: Mapping[str, str] | None = None,
    tick: Callable[[str], None] = lambda _: None,
) -> str:
    """Run `argv` and return its stdout; `tick` gets what it has printed so far, a few times a second.

    Raises:
        LocalFailed: it failed or took longer than `seconds_max`; with the last lines of its stderr.

    """
    out, err = logs / "stdout", logs / "stderr"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        # A session of its own: Ctrl-C reaches this process alone, which then ends its child in good order.
        child = subprocess.Popen(  # noqa: S603 - argv is made here, without a shell
            bound_to(os.getpid(), argv),
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            env=env,
            start_new_session=True,
        )
        try:
            code = _watch(child, out, time.monotonic() + seconds_max, tick)
        finally:
            _end(child)
    if code is None:
        raise LocalFailed(f"{what} took longer than {seconds_max} s", detail=tail(err, TAIL_LINES))
    if code != 0:
        said = tail(err, TAIL_LINES) or tail(out, TAIL_LINES)
        raise LocalFailed(f"{what} failed ({exit_words(code)})", detail=said)
    return out.read_text("utf-8", "replace")


def exit_words(code: int) -> str:
    """An exit code for people: `exit code 1`, or the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def _watch(child: subprocess.Popen[bytes], out: Path, deadline: float, tick: Callable[[str], None]) -> int | None:
    while time.monotonic() < deadline:
        try:
            return child.wait(TICK_SECONDS)
        except subprocess.TimeoutExpired:
            tick(out.read_text("utf-8", "replace"))
    return None


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(child.pid, number)
        try:
            child.wait(STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue
