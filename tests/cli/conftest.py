"""The command line in this process, on a data folder that is set up."""

import json

import pytest
from click.testing import CliRunner

from joytoken.cli.main import main
from tests.admin.conftest import data_dir, desk, first, ready_folder  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def environment(data_dir, tmp_path, monkeypatch):  # noqa: F811
    """No configuration but the data folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("JOY_TOKEN_URL", "JOY_TOKEN_ADMIN_KEY", "JOY_TOKEN_API_KEY", "JOY_TOKEN_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JOY_TOKEN_DATA_DIR", str(data_dir))


@pytest.fixture
def joytoken():
    """Run a command line; `.json` on its result is the document on stdout."""

    def run(*arguments, code=0, stdin=None):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, prog_name="joytoken")
        assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        return result

    return run


@pytest.fixture
def joytoken_json(joytoken):
    """Run a command with --json and return its document."""

    def run(*arguments, code=0):
        result = joytoken(*arguments, "--json", code=code)
        return json.loads(result.stdout)

    return run
