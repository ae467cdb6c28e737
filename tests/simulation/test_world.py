"""Thousands of small worlds in which everything goes wrong but the money.

A failure names its seed; ``JOY_TOKEN_SIMULATION_SEED=N pytest tests/simulation/test_world.py`` runs that one alone, and
``JOY_TOKEN_SIMULATION_SEEDS=FROM:TO`` others than those of every run.
"""

import os

import pytest

from tests.simulation.machinery import FragileJournal
from tests.simulation.world import World

_ONE = os.environ.get("JOY_TOKEN_SIMULATION_SEED")
_FROM, _, _TO = os.environ.get("JOY_TOKEN_SIMULATION_SEEDS", "0:2000").partition(":")
SEEDS = [int(_ONE)] if _ONE else range(int(_FROM), int(_TO))
CHUNK = 50  # seeds in one test: enough of them to be spread over processes


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_no_world_loses_or_invents_money(arena, first):
    for seed in SEEDS[SEEDS.index(first) :][:CHUNK]:
        arena.play(seed)


def test_the_worlds_see_what_they_are_for(arena):
    """Nodes that are given up, what they bring late, workers that begin anew, segments that turn under open holds."""
    World.abandoned = World.late = World.begun_anew = FragileJournal.turned_open = 0
    for seed in range(40):
        arena.play(seed)
    assert min(World.abandoned, World.late, World.begun_anew, FragileJournal.turned_open) >= 3
