"""A part of a processor for each of some processes, so that as many processors are free for them as there are.

By Linux control groups, of either version, which mostly only root may make. Where there are none, nobody is limited.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_US = 5_000  # in which each has its part: short, so that nobody waits long for the next
GONE_SECONDS_MAX = 5.0
ROOT = Path("/sys/fs/cgroup")


class Shares:
    """Groups of one process each, below one folder."""

    def __init__(self, folder: Path, share: float, *, first: bool) -> None:
        self.folder = folder
        self.share = share
        self._first = first  # version of control groups

    def give(self, pid: int) -> None:
        """Limit a process, with all its threads and what it starts from now on."""
        group = self.folder / str(pid)
        group.mkdir()
        quota_us = int(PERIOD_US * self.share)
        if self._first:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
        (group / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        """Remove the groups, whose processes have ended or are about to."""
        until = time.monotonic() + GONE_SECONDS_MAX
        for group in [*self.folder.glob("*/"), self.folder]:
            while group.exists():
                try:
                    group.rmdir()
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.01)


@contextmanager
def shares(share: float, root: Path = ROOT) -> Iterator[Shares | None]:
    """Give what limits each process to so much of a processor, or None where that cannot be done."""
    made = _open(share, root)
    try:
        yield made
    finally:
        if made is not None:
            made.remove()


def _open(share: float, root: Path) -> Shares | None:
    first = (root / "cpu" / "cgroup.procs").exists()
    folder = (root / "cpu" if first else root) / f"joytoken-bench-{os.getpid()}"
    try:
        if not first and "cpu" not in (root / "cgroup.subtree_control").read_text().split():
            (root / "cgroup.subtree_control").write_text("+cpu")
        folder.mkdir()
        if not first:
            (folder / "cgroup.subtree_control").write_text("+cpu")
    except OSError:
        if folder.exists():
            folder.rmdir()
        return None
    return Shares(folder, share, first=first)
