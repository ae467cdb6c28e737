"""Whether this machine can carry the local model, asked before anything is fetched."""

import contextlib
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from joytoken.providers.local.faults import Unsupported
from joytoken.providers.local.recipe import Recipe

# The server's wheels for Linux are built for these machines and for glibc from this version on.
MACHINES = ("x86_64", "aarch64")
GLIBC_MIN = (2, 35)
ELSEWHERE = "any other OpenAI-compatible server will do: joytoken providers add NAME --kind openai --base-url URL"


def check(home: Path, recipe: Recipe) -> None:
    """Raise `Unsupported` with the first thing that is missing here; see `support.MACHINES` and the recipe's limits."""
    _check_platform(sys.platform, platform.machine(), platform.libc_ver())
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise Unsupported(
            "this Python cannot make virtual environments (the modules venv and ensurepip are missing)",
            next_step="install them (Debian and Ubuntu: apt install python3-venv) and try again",
        )
    free = shutil.disk_usage(home).free
    if free < recipe.disk_bytes_min:
        raise Unsupported(
            f"{home} has {_gb(free)} free, and the local model needs {_gb(recipe.disk_bytes_min)} to be installed",
            next_step="free some space, or set JOY_TOKEN_DATA_DIR to a folder on a larger disk",
        )
    memory = memory_bytes_available()
    if memory is not None and memory < recipe.memory_bytes_min:
        raise Unsupported(
            f"{_gb(memory)} of memory is available, and the local model needs {_gb(recipe.memory_bytes_min)}",
            next_step="end something else, or raise the container's memory limit",
        )


def _check_platform(system: str, machine: str, libc: tuple[str, str]) -> None:
    if system != "linux" or machine not in MACHINES:
        raise Unsupported(
            f"the local model runs on Linux on {' and '.join(MACHINES)}; this is {system} on {machine}",
            next_step=ELSEWHERE,
        )
    name, version = libc
    if name != "glibc" or _numbers(version) < GLIBC_MIN:
        raise Unsupported(
            f"the local model needs glibc {'.'.join(map(str, GLIBC_MIN))} or newer; this system has "
            f"{f'{name} {version}'.strip() or 'another C library'}",
            next_step=ELSEWHERE,
        )


def memory_bytes_available() -> int | None:
    """The memory that new processes can take: of the machine, or of this container where its limit is lower."""
    rooms: list[int] = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        rooms.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # the file says "max" where there is no limit
        # The limit itself, not what is left of it: much of what a container holds is cache that it would give up.
        rooms.append(int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return min(rooms, default=None)


def threads_default() -> int:
    """The processors this process may use, at most four: more do not make so small a model faster."""
    return max(1, min(4, len(os.sched_getaffinity(0))))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
