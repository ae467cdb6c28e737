import os
import signal
import subprocess
import sys

import msgspec
import pytest

from joytoken.providers.local import process

SLEEPER = [sys.executable, "-I", "-c", "import time; print(flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-I",
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)",
]


@pytest.fixture
def child(request):
    with subprocess.Popen(request.param, stdout=subprocess.PIPE) as popen:
        popen.stdout.readline()
        yield popen
        popen.kill()


def identified(popen):
    found = process.identify(popen.pid)
    assert found
    return found


def forbidden(_):
    raise PermissionError


@pytest.mark.parametrize("child", [SLEEPER], indirect=True)
@pytest.mark.parametrize("pins", [True, False])
def test_a_reused_pid_is_neither_alive_nor_signalled(child, pins, monkeypatch):
    if not pins:
        monkeypatch.setattr(os, "pidfd_open", forbidden)
    now = identified(child)
    earlier = msgspec.structs.replace(now, started="another boot:1")
    assert process.is_alive(now)
    assert not process.is_alive(earlier)
    assert process.send(earlier, signal.SIGKILL) is False
    process.end(earlier, 50)
    assert child.poll() is None
    assert process.send(now, signal.SIGKILL)
    assert child.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("child", [SLEEPER], indirect=True)
def test_a_process_that_ended_and_was_not_reaped_is_not_alive(child):
    now = identified(child)
    assert process.send(now, signal.SIGTERM)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive(now)
    assert process.identify(child.pid) is None


@pytest.mark.parametrize(
    ("child", "by"), [(SLEEPER, signal.SIGTERM), (DEAF, signal.SIGKILL)], indirect=["child"], ids=["asked", "made"]
)
def test_end_asks_and_then_makes(child, by):
    process.end(identified(child), 300)
    assert child.wait(5) == -by


def test_memory_is_that_of_the_process():
    me = process.identify(os.getpid())
    assert process.rss_bytes(me) > 5_000_000
    assert process.rss_bytes(process.ProcessId(2**22 + 1, "")) is None
