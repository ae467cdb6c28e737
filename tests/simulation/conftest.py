"""One arena per process, and a way to see one seed again."""

import pytest

from tests.simulation.arena import an_arena


@pytest.fixture(scope="module")
def arena():
    with an_arena() as made:
        yield made
