"""A data folder's name, and who serves from it: one gateway at a time."""

import fcntl
import os
import re
import secrets
import socket
import time
from pathlib import Path

INSTANCE_FILE = "instance"
SERVE_LOCK_FILE = "serve.lock"
ENDING_MS = 5_000
"""How long the workers of a dead supervisor may take to end."""
_HOST_CHARS_MAX = 40
_PAUSE_S = 0.05


class FolderServed(Exception):
    """Another gateway serves from the data folder."""


def instance(data_dir: Path) -> str:
    """The folder's own name, made on first use: workers are named by it, also where many share one host or database."""
    path = data_dir / INSTANCE_FILE
    if not path.exists():
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:_HOST_CHARS_MAX]
        made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        made.write_text(f"{host}-{secrets.token_hex(4)}\n", encoding="ascii")
        try:
            os.link(made, path)  # fails where another process was first, and then its name counts
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_text(encoding="ascii").strip()


def occupy(data_dir: Path, ending_ms: int = ENDING_MS) -> int:
    """Take the right to serve from a folder; gives the descriptor that keeps it, for this process and its workers.

    Where the process that had it is dead, and its workers are not yet, waits for them for up to `ending_ms`. Raises
    FolderServed.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / SERVE_LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    patience = time.monotonic() + ending_ms / 1000
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            if _alive(pid) or time.monotonic() > patience:
                os.close(descriptor)
                raise FolderServed(f"another gateway (process {pid}) serves from {data_dir}") from None
            time.sleep(_PAUSE_S)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
            return descriptor


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
