"""The simulation sees what it is for: each mistake in the algorithm is caught by some seed."""

import gc

import pytest

from tests.simulation.mutants import MUTANTS, apply
from tests.simulation.world import Violation

SEEDS_MAX = 600


# A world that ended in a violation leaves tasks and coroutines as they stood: they are collected here, in silence, and
# not in whatever test runs later.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(arena, mutant, record_property):
    try:
        with pytest.MonkeyPatch.context() as patch:
            apply(mutant, patch)
            caught = _violation(arena)
    finally:
        gc.collect()
    assert caught, f"{mutant.name}: not caught by {SEEDS_MAX} seeds"
    record_property("caught", caught)


def _violation(arena):
    for seed in range(SEEDS_MAX):
        try:
            arena.play(seed)
        except Violation as caught:
            return f"after {seed + 1} seeds: {str(caught).splitlines()[0]}"
    return None
