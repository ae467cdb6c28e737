"""A real database file for the tests in which money matters."""

import shutil

import pytest

from joytoken.store.open import open_store
from tests.gateway.worlds import World


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("empty") / "joytoken.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def store(empty_file, tmp_path):
    path = tmp_path / "joytoken.db"
    shutil.copyfile(empty_file, path)
    found = open_store(f"sqlite:///{path}")
    yield found
    found.close()


@pytest.fixture
async def world(store, tmp_path):
    """A data plane over a real escrow; at the end its books are proved, and nothing is leased."""
    made = World(store, tmp_path / "journal")
    await made.start()
    yield made
    await made.stop()
    report = store.ledger.verify()
    assert report.first_bad is None, report
    assert all(row.leased == 0 for row in store.ledger.accounts())
