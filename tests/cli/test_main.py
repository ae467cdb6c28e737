import subprocess
import sys

import pytest

from joytoken.cli import main as command
from joytoken.cli.main import COMMANDS


def test_help_lists_every_command_without_loading_any(joytoken):
    text = joytoken("--help").stdout
    assert all(name in text for name in COMMANDS)
    program = "import sys, joytoken.cli.main; print({'sqlalchemy', 'starlette', 'rich'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_every_subcommand_too(joytoken, name):
    assert "Usage: joytoken" in joytoken(name, "--help").stdout
    found = command.main.get_command(None, name)
    for sub in getattr(found, "commands", {}):
        assert "Usage: joytoken" in joytoken(name, sub, "--help").stdout


def test_an_unknown_command_and_an_unexpected_error(joytoken, monkeypatch):
    assert "No such command" in joytoken("nothing", code=2).stderr

    def fail(*_):
        raise RuntimeError("surprise")

    monkeypatch.setattr("joytoken.cli.direct.Direct.call", fail)
    assert "error: RuntimeError: surprise" in joytoken("keys", "list", code=1).stderr


def test_a_reader_that_has_seen_enough_is_no_error(joytoken_command, data_dir):
    child = subprocess.Popen(
        [joytoken_command, "keys", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    child.stdout.close()
    with child.stderr:
        assert (child.wait(timeout=60), child.stderr.read()) == (0, "")
