"""A real database of each kind and a journal's folder for each test."""

import pytest

from joytoken.store.open import open_store


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request):
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def store(store_url):
    found = open_store(store_url)
    yield found
    found.close()
