import json
import os
import socket
from pathlib import Path

import msgspec
import pytest

from joytoken.providers.local import process
from joytoken.providers.local.faults import LocalFailed, NotInstalled
from joytoken.providers.local.files import read_struct, write_struct
from joytoken.providers.local.model import LocalModel, free_port
from joytoken.providers.local.recipe import SMOLLM2
from joytoken.providers.local.status import State
from joytoken.providers.local.supervisor import serves


def state_of(model):
    return read_struct(model.home / "run" / "state.json", State)


def behave(model, words):
    home = model.home / "run" / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "behaviour").write_text(words)


def test_nothing_is_installed(tmp_path):
    model = LocalModel(tmp_path / "local")
    assert model.status().installed is False
    with pytest.raises(NotInstalled):
        model.start()
    assert model.stop().running is False


def test_its_life(fake):
    before = fake.status()
    assert (before.installed, before.running, before.phase) == (True, False, "stopped")
    running = fake.start(context_tokens=100_000)
    assert running == msgspec.structs.replace(fake.status(), rss_bytes=running.rss_bytes)
    assert (running.running, running.phase, running.error) == (True, "running", None)
    assert running.context_tokens == 8192, "no more than the model has"
    assert running.base_url == f"http://127.0.0.1:{running.port}/v1"
    assert running.rss_bytes > 1_000_000
    assert serves(running.port, running.model)
    keeper, server = state_of(fake).supervisor, state_of(fake).server
    assert server.pid == running.pid
    after = fake.stop()
    assert (after.running, after.phase, after.pid, after.base_url) == (False, "stopped", None, None)
    assert not process.is_alive(keeper)
    assert not process.is_alive(server)
    assert fake.start().port == running.port, "the port is kept"


def test_start_where_it_runs_changes_nothing(fake):
    first = fake.start()
    again = LocalModel(fake.home).start(port=first.port, threads=7)
    assert again.pid == first.pid


def test_neither_process_sees_the_secrets_of_this_one(fake, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    fake.start()
    seen = json.loads((fake.home / "run" / "home" / "environment.json").read_bytes())
    assert "OPENAI_API_KEY" not in seen
    assert seen["HOME"] == str(fake.home / "run" / "home")
    assert b"sk-secret" not in Path(f"/proc/{state_of(fake).supervisor.pid}/environ").read_bytes()


def test_a_state_left_by_processes_long_gone_is_not_believed(fake):
    me = process.identify(os.getpid())
    stale = process.ProcessId(me.pid, "another boot:1")
    (fake.home / "run").mkdir()
    state = State(phase="running", supervisor=stale, server=stale, port=9, model="fake.gguf", context_tokens=1)
    write_struct(fake.home / "run" / "state.json", state)
    status = fake.status()
    assert (status.running, status.phase, status.pid) == (False, "stopped", None)
    assert "without being asked" in status.error
    fake.stop()  # and this process lives on
    assert fake.start().running


def test_a_server_without_its_keeper_is_stopped_too(fake):
    fake.start()
    state = state_of(fake)
    gone = msgspec.structs.replace(state.supervisor, started="another boot:1")
    write_struct(fake.home / "run" / "state.json", msgspec.structs.replace(state, supervisor=gone))
    fake.stop()
    assert not process.is_alive(state.server)
    process.end(state.supervisor, 10_000)


def test_what_does_not_answer_in_time_is_not_left_running(fake):
    behave(fake, "mute")
    with pytest.raises(LocalFailed, match="did not answer in time") as caught:
        fake.start(ready_ms=700)
    assert "loading" in caught.value.detail
    assert not process.is_alive(state_of(fake).supervisor)
    assert not process.is_alive(state_of(fake).server)


def test_a_taken_port_is_refused_when_asked_for_and_avoided_when_not():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalFailed, match=f"port {port} is taken"):
            free_port(port, 0)
        assert free_port(0, port) not in {0, port}
    assert free_port(0, port) == port


def test_an_installation_is_not_changed_under_a_running_server(fake):
    fake.start()
    newer = LocalModel(fake.home, msgspec.structs.replace(SMOLLM2, version="newer"))
    with pytest.raises(LocalFailed, match="is running"):
        newer.install(lambda _: None)
    assert newer.status().running
