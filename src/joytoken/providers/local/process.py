"""Processes named so that a reused pid is never taken for the one that was meant (Linux)."""

import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec


class ProcessId(msgspec.Struct, frozen=True):
    """A process for good: its pid, and when it started (the boot's id and the clock ticks since that boot)."""

    pid: int
    started: str


def identify(pid: int) -> ProcessId | None:
    """The living process with this pid, or None; one that ended and was not reaped is not living."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # after the name, which may hold spaces and parentheses
    state, started = fields[0], fields[19]
    if state in "ZX":
        return None
    return ProcessId(pid, f"{boot}:{started}")


def is_alive(process: ProcessId | None) -> bool:
    return process is not None and identify(process.pid) == process


def send(process: ProcessId, number: signal.Signals) -> bool:
    """Signal this very process; False where it is gone.

    The pid is pinned by a descriptor before its start time is compared, so that it cannot change hands in between.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except OSError:  # an old kernel, or a sandbox that forbids it: a moment between look and signal remains
        if identify(process.pid) != process:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        return True
    try:
        if identify(process.pid) != process:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
            return True
        return False
    finally:
        os.close(descriptor)


def wait_gone(process: ProcessId, wait_ms: int) -> bool:
    """Wait until the process has ended, at most `wait_ms`; whether it has."""
    deadline = time.monotonic() + wait_ms / 1000
    while is_alive(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def end(process: ProcessId, stop_ms: int) -> None:
    """Ask the process to end, and after `stop_ms` make it."""
    if send(process, signal.SIGTERM) and not wait_gone(process, stop_ms):
        send(process, signal.SIGKILL)
        wait_gone(process, stop_ms)


def rss_bytes(process: ProcessId) -> int | None:
    """The process's resident memory in bytes, or None where it is gone."""
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text("ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
