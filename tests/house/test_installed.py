"""The tests run against what they say they run against: the clone, or in `make test-wheel` the installed wheel."""

import os
import sys
from importlib import metadata
from pathlib import Path

import joytoken
from tests.house.conftest import PACKAGE


def test_the_package_under_test_is_the_one_that_was_asked_for():
    found = Path(joytoken.__file__).resolve().parent
    if os.environ.get("JOY_TOKEN_TEST_INSTALLED") == "1":
        assert found.is_relative_to(Path(sys.prefix).resolve())
    else:
        assert found == PACKAGE


def test_the_package_declares_its_types_and_its_version():
    assert (Path(joytoken.__file__).parent / "py.typed").is_file()
    assert metadata.version("joytoken") == joytoken.__version__


def test_the_command_is_installed(joytoken_command):
    assert os.access(joytoken_command, os.X_OK)
