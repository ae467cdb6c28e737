"""A database for each test, of both kinds: SQLite and PostgreSQL mean the same by passing the same tests."""

import pytest

from joytoken.store.engine import Database


@pytest.fixture(params=["sqlite", "postgres"])
def url(request):
    """The URL of an empty, current database."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request, tmp_path):
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    postgres = request.getfixturevalue("postgres")
    made = postgres.create()
    yield made
    postgres.drop(made)


@pytest.fixture
def database(url):
    found = Database(url)
    yield found
    found.close()
