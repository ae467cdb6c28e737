"""The local model's files: written whole or not at all, and one writer at a time."""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from joytoken.providers.local.faults import LocalFailed

T = TypeVar("T")

HASH_CHUNK_BYTES = 1 << 20


def write_struct(path: Path, value: msgspec.Struct) -> None:
    """Replace the file by `value` as JSON: a reader, or a power cut, sees the old one or the new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(value)))
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_struct(path: Path, kind: type[T]) -> T | None:
    """The file as `kind`; None where it is missing or not one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def tree_bytes(folder: Path) -> int:
    """The bytes of the files below `folder`, which may be changing meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{root}/{name}").st_size
    return total


def tail(path: Path, lines: int) -> str:
    """The last lines of a text file that may be missing."""
    try:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""


@contextlib.contextmanager
def locked(path: Path, what: str, wait_ms: int = 0) -> Iterator[None]:
    """Hold the lock file for the block; the kernel frees it however this process ends.

    Raises:
        LocalFailed: another process holds it after `wait_ms`; `what` says in the message what that process is doing.

    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + wait_ms / 1000
    with path.open("a") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LocalFailed(f"another process is {what}", next_step="try again when it is done") from None
                time.sleep(0.05)
        yield
