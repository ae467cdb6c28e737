"""A real small model for the tests that want one: `local_model` is its base URL and name.

    from tests.local_model import local_model, RealModel  # in a conftest.py, or in the test file itself

It is installed once into the user's cache, started where it does not run, shared with every other test process of this
machine, and stopped by the last of them.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from joytoken.providers.local import LocalModel


class RealModel(NamedTuple):
    base_url: str
    name: str
    context_tokens: int
    pid: int


def cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "joytoken-tests" / "local"


@pytest.fixture(scope="session")
def local_model() -> Iterator[RealModel]:
    model = LocalModel(cache_home())
    with shared_use(model):
        with (model.home / "setup.lock").open("a") as setup:
            fcntl.flock(setup, fcntl.LOCK_EX)  # wait for another test process that installs it
            model.install(lambda _: None)
            status = model.start(ready_ms=60_000)
        assert status.base_url
        assert status.model
        yield RealModel(status.base_url, status.model, status.context_tokens or 0, status.pid or 0)


@contextlib.contextmanager
def shared_use(model: LocalModel) -> Iterator[None]:
    """Hold the model for the block together with other processes; the last to leave stops it."""
    model.home.mkdir(parents=True, exist_ok=True)
    with (model.home / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                model.stop()
