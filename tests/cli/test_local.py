import json

import msgspec
import pytest
from click.testing import CliRunner

from joytoken.cli import local as command
from joytoken.providers.local import LocalFailed, LocalModel, LocalStatus, Progress, Unsupported

STOPPED = LocalStatus(
    installed=True, running=False, model="m.gguf", version="server 1, model 2", size_bytes=484_000_000
)
RUNNING = LocalStatus(
    installed=True,
    running=True,
    phase="running",
    pid=77,
    port=4321,
    base_url="http://127.0.0.1:4321/v1",
    model="m.gguf",
    context_tokens=4096,
    rss_bytes=450_000_000,
    version="server 1, model 2",
    size_bytes=484_000_000,
    restarts=2,
)


@pytest.fixture
def joytoken_local(tmp_path, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(command, "register", lambda _: False)

    def call(*arguments):
        return CliRunner().invoke(command.local, arguments, prog_name="joytoken local")

    return call


@pytest.fixture
def answers(monkeypatch):
    """Let a method of the local model give this, or raise it."""

    def set_answer(method, answer):
        def give(self, *_, **__):
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr(LocalModel, method, give)

    return set_answer


def test_status_for_people(joytoken_local, answers):
    answers("status", RUNNING)
    result = joytoken_local("status")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "state     running",
        "base URL  http://127.0.0.1:4321/v1",
        "model     m.gguf, 4096 tokens of context",
        "process   77, 450 MB resident, restarted 2 times",
        "version   server 1, model 2, 484 MB on disk",
    ]


@pytest.mark.parametrize(("status", "code"), [(RUNNING, 0), (STOPPED, 4), (None, 4)], ids=["runs", "stopped", "absent"])
def test_status_for_programs(joytoken_local, answers, status, code):
    if status:
        answers("status", status)
    result = joytoken_local("status", "--json")
    assert result.exit_code == code
    found = json.loads(result.stdout)
    assert (found["installed"], found["running"]) == (status is not None, code == 0)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Unsupported("this is plan9", next_step="do that"), 3),
        (LocalFailed("pip failed", next_step="do that", detail="no space left"), 1),
    ],
    ids=["unsupported", "failed"],
)
def test_a_failure_is_told_on_stderr_with_what_to_do(joytoken_local, answers, fault, code):
    answers("install", fault)
    result = joytoken_local("install", "--json")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines() == [
        *([fault.detail] if fault.detail else []),
        f"Error: {fault.message}",
        "Next: do that",
    ]


def test_an_interruption(joytoken_local, answers):
    answers("install", KeyboardInterrupt())
    result = joytoken_local("install")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Interrupted" in result.stderr


def test_start_without_an_installation(joytoken_local):
    result = joytoken_local("start")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "joytoken local install" in result.stderr


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--context", "1"], ["--streams", "0"], ["--what"]])
def test_wrong_usage(joytoken_local, arguments):
    assert joytoken_local("start", *arguments).exit_code == 2


def test_a_broken_configuration_is_named(joytoken_local, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_PORT", "soon")
    result = joytoken_local("status")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "JOY_TOKEN_PORT" in result.stderr


def test_stop_is_no_error_when_nothing_runs(joytoken_local):
    assert joytoken_local("stop").exit_code == 0


def test_progress_is_one_line_a_step_where_there_is_no_terminal(joytoken_local, monkeypatch):
    def install(self, report):
        report(Progress(step=1, steps=2, text="Fetching"))
        report(Progress(step=1, steps=2, text="Fetching", done=5, total=9, unit="bytes"))
        report(Progress(step=2, steps=2, text="Converting", done=1, total=3, unit="tensors"))
        return STOPPED

    monkeypatch.setattr(LocalModel, "install", install)
    result = joytoken_local("install", "--json")
    assert json.loads(result.stdout)["installed"] is True
    assert result.stderr.splitlines() == ["[1/2] Fetching", "[2/2] Converting", "Installed. Next: joytoken local start"]


def test_what_runs_is_put_into_the_catalogue(desk, data_dir, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_DATA_DIR", str(data_dir))
    assert command.register(RUNNING)
    assert command.register(msgspec.structs.replace(RUNNING, base_url="http://127.0.0.1:5/v1"))
    (provider,) = [provider for provider in desk.store.catalog.providers() if provider.name == "local"]
    assert (provider.kind, provider.base_url) == ("openai", "http://127.0.0.1:5/v1")
    (model,) = [model for model in desk.store.catalog.models() if model.name == command.PUBLIC_MODEL]
    assert (model.tier, model.context_tokens, model.features) == ("economy", 4096, ("chat", "tools"))
    assert [d.upstream_model for d in model.deployments] == ["m.gguf"]


def test_without_a_data_folder_nothing_is_registered(tmp_path, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_DATA_DIR", str(tmp_path / "nothing"))
    assert not command.register(RUNNING)
    assert not (tmp_path / "nothing").exists()
