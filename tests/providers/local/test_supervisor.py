import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from joytoken.providers.local import process
from joytoken.providers.local.files import read_struct, write_struct
from joytoken.providers.local.model import free_port
from joytoken.providers.local.status import Launch, State
from joytoken.providers.local.supervisor import BoundedLog, Supervisor, serves
from tests.providers.local.conftest import FAKE_SERVER

WAIT_SECONDS = 30


@pytest.fixture
def launch(tmp_path):
    def make(behaviour="", **limits):
        (tmp_path / "behaviour").write_text(behaviour)
        port = free_port(0, 0)
        flags = ["-m", "/models/fake.gguf", "--host", "127.0.0.1", "-p", str(port)]
        quick = {"backoff_first_ms": 1, "backoff_ms_max": 4, "probe_ms": 20, "ready_ms": 20_000, **limits}
        return Launch(
            argv=[sys.executable, "-I", str(FAKE_SERVER), *flags],
            env={"HOME": str(tmp_path)},
            port=port,
            model="fake.gguf",
            context_tokens=4096,
            **quick,
        )

    return make


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def supervise(folder, launch):
    return Supervisor(folder, launch, process.identify(os.getpid()))


async def bounded(awaited):
    return await asyncio.wait_for(awaited, WAIT_SECONDS)


async def state_where(folder, holds):
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            state = read_struct(folder / "state.json", State)
            if state is not None and holds(state):
                return state
            await asyncio.sleep(0.02)


def crash(port):
    with contextlib.suppress(OSError, urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/crash", timeout=5).close()


async def test_what_dies_is_restarted_and_what_is_stopped_stays_stopped(folder, launch):
    asked = launch()
    supervisor = supervise(folder, asked)
    running = asyncio.create_task(supervisor.run())
    first = await state_where(folder, lambda state: state.phase == "running")
    await asyncio.to_thread(crash, asked.port)
    second = await state_where(folder, lambda state: state.phase == "running" and state.restarts == 1)
    assert first.server != second.server
    assert not process.is_alive(first.server)
    assert process.is_alive(second.server)
    supervisor.stop()
    assert await bounded(running) == 0
    assert not process.is_alive(second.server)
    last = read_struct(folder / "state.json", State)
    assert (last.phase, last.server, last.error) == ("stopped", None, None)


async def test_it_gives_up_on_what_always_dies(folder, launch):
    assert await bounded(supervise(folder, launch("crash", restarts_max=2)).run()) == 1
    state = read_struct(folder / "state.json", State)
    assert state.phase == "failed"
    assert state.error == "given up after 2 restarts: the server ended (exit code 1)"
    log = (folder / "server.log").read_text()
    assert log.count("no memory for this") == 3


async def test_deaths_long_ago_do_not_count(folder, launch):
    supervisor = supervise(folder, launch("crash", restarts_max=1, restart_window_ms=0))
    running = asyncio.create_task(supervisor.run())
    await state_where(folder, lambda state: state.restarts >= 3)
    supervisor.stop()
    assert await bounded(running) == 0


async def test_a_server_that_does_not_answer_is_restarted(folder, launch):
    assert await bounded(supervise(folder, launch("mute", ready_ms=300, restarts_max=1)).run()) == 1
    state = read_struct(folder / "state.json", State)
    assert state.error == "given up after 1 restarts: the server did not answer within 300 ms"


async def test_a_program_that_is_not_there(folder, launch):
    asked = launch(restarts_max=0)
    asked.argv[0] = "/nowhere/server"
    assert await bounded(supervise(folder, asked).run()) == 1
    assert "ended (exit code 1)" in read_struct(folder / "state.json", State).error


async def test_a_deaf_server_is_made_to_end(folder, launch):
    supervisor = supervise(folder, launch("deaf", stop_ms=200))
    running = asyncio.create_task(supervisor.run())
    state = await state_where(folder, lambda state: state.phase == "running")
    supervisor.stop()
    assert await bounded(running) == 0
    assert not process.is_alive(state.server)


async def test_stop_cuts_the_pause_before_a_restart_short(folder, launch):
    supervisor = supervise(folder, launch("crash", backoff_first_ms=60_000, backoff_ms_max=60_000))
    running = asyncio.create_task(supervisor.run())
    state = await state_where(folder, lambda state: state.phase == "waiting")
    assert state.error == "the server ended (exit code 1)"
    supervisor.stop()
    assert await bounded(running) == 0


async def test_the_server_ends_with_a_supervisor_that_was_killed(folder, launch):
    write_struct(folder / "launch.json", launch())
    started = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "joytoken.providers.local.supervisor", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=WAIT_SECONDS,
    )
    state = await state_where(folder, lambda state: state.phase == "running")
    assert state.supervisor.pid == int(started.stdout)
    assert process.send(state.supervisor, signal.SIGKILL)
    assert process.wait_gone(state.server, WAIT_SECONDS * 1000)


async def test_only_the_model_that_is_meant_counts_as_ready(folder, launch):
    asked = launch()
    supervisor = supervise(folder, asked)
    running = asyncio.create_task(supervisor.run())
    await state_where(folder, lambda state: state.phase == "running")
    assert await asyncio.to_thread(serves, asked.port, "fake.gguf")
    assert not await asyncio.to_thread(serves, asked.port, "another.gguf")
    supervisor.stop()
    await bounded(running)
    assert not await asyncio.to_thread(serves, asked.port, "fake.gguf")


def test_a_log_is_bounded(tmp_path):
    log = BoundedLog(tmp_path / "server.log", 100)
    for number in range(50):
        log.write(b"line %03d.\n" % number)
    log.write(b"x" * 1000)
    kept = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert kept == {"server.log": 100, "server.log.1": 100}
    assert (tmp_path / "server.log.1").read_bytes().endswith(b"line 049.\n")
