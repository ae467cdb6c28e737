import importlib.util
import platform
import shutil
import sys
from types import SimpleNamespace

import msgspec
import pytest

from joytoken.providers.local import support
from joytoken.providers.local.faults import Unsupported
from joytoken.providers.local.recipe import SMOLLM2

GLIBC = ("glibc", "2.36")


@pytest.fixture
def here(monkeypatch):
    """A machine that is made to order, and good as it is."""

    def make(system="linux", machine="x86_64", libc=GLIBC, free=10**12, memory=10**11, modules=("venv", "ensurepip")):
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr(platform, "machine", lambda: machine)
        monkeypatch.setattr(platform, "libc_ver", lambda: libc)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
        monkeypatch.setattr(support, "memory_bytes_available", lambda: memory)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in modules else None)

    return make


@pytest.mark.parametrize(
    "machine",
    [{}, {"machine": "aarch64"}, {"libc": ("glibc", "2.35")}, {"libc": ("glibc", "3.0")}, {"memory": None}],
    ids=str,
)
def test_supported(here, tmp_path, machine):
    here(**machine)
    support.check(tmp_path, SMOLLM2)


@pytest.mark.parametrize(
    ("machine", "message", "next_step"),
    [
        (
            {"system": "darwin", "machine": "arm64"},
            "Linux on x86_64 and aarch64; this is darwin on arm64",
            "providers add",
        ),
        ({"system": "win32", "machine": "AMD64"}, "this is win32 on AMD64", "providers add"),
        ({"machine": "riscv64"}, "this is linux on riscv64", "providers add"),
        ({"libc": ("glibc", "2.31")}, "needs glibc 2.35 or newer; this system has glibc 2.31", "providers add"),
        ({"libc": ("", "")}, "this system has another C library", "providers add"),
        ({"modules": ("venv",)}, "cannot make virtual environments", "python3-venv"),
        ({"free": 1_100_000_000}, "has 1.1 GB free, and the local model needs 1.2 GB", "JOY_TOKEN_DATA_DIR"),
        ({"memory": 500_000_000}, "0.5 GB of memory is available, and the local model needs 0.8 GB", "limit"),
    ],
    ids=str,
)
def test_unsupported_is_said_with_what_to_do(here, tmp_path, machine, message, next_step):
    here(**machine)
    with pytest.raises(Unsupported) as caught:
        support.check(tmp_path, SMOLLM2)
    assert message in caught.value.message
    assert next_step in caught.value.next_step


def test_the_memory_of_this_machine_is_known():
    assert support.memory_bytes_available() > 0
    assert 1 <= support.threads_default() <= 4


def test_what_is_installed_is_pinned_by_hash_and_names_no_host():
    for path in (SMOLLM2.packages_file, SMOLLM2.wheel_file):
        text = path.read_text("utf-8")
        assert "://" not in text
        requirements = text.replace("\\\n", " ").splitlines()
        assert all("==" in line and "--hash=sha256:" in line for line in requirements), path.name
    assert SMOLLM2.wheel_sha256 in SMOLLM2.wheel_file.read_text("utf-8")
    assert msgspec.structs.asdict(SMOLLM2)["model"].endswith("q8_0.gguf")
