"""A data folder that is set up, for each test; and a clock that stands still."""

import shutil
from pathlib import Path

import msgspec
import pytest

from joytoken.admin.desk import Desk
from joytoken.admin.setup import prepare
from joytoken.config.settings import Server, Settings
from joytoken.store.open import open_store

NOW_US = 1_795_348_800_000_000  # 2026-11-22T12:00:00Z


@pytest.fixture(scope="session")
def ready_folder(tmp_path_factory):
    """A data folder after its first run, and its first credentials; copied, since a first run takes a while."""
    folder = tmp_path_factory.mktemp("ready") / "data"
    prepared = prepare(Settings(server=Server(data_dir=str(folder))), {})
    prepared.desk.store.close()
    return folder, prepared.first, prepared.desk.vault


@pytest.fixture
def data_dir(ready_folder, tmp_path) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(ready_folder[0], folder)
    return folder


@pytest.fixture
def first(ready_folder):
    """The credentials of the first run."""
    return ready_folder[1]


@pytest.fixture
def desk(ready_folder, data_dir):
    settings = Settings(server=Server(data_dir=str(data_dir)))
    store = open_store(settings.database_url)
    yield Desk(store, settings, ready_folder[2], actor="test", now_us=lambda: NOW_US, environ={})
    store.close()


@pytest.fixture
def documents():
    """A struct as JSON would show it."""
    return msgspec.to_builtins
