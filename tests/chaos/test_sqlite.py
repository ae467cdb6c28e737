"""A short part of `make chaos`: half of the scenes on SQLite, the other half on PostgreSQL; a full run plays all."""

import contextlib

import pytest

from tests.chaos.scenes import SCENES
from tests.chaos.stage import SQLITE, Theatre

PLAYED = ("killed", "journal-cut", "disk-full", "money-for-ten", "hang-ups", "provider-storm")


@pytest.fixture(scope="module")
def theatre(joytoken_command):
    with contextlib.closing(Theatre(joytoken_command, "steady", full=False)) as made:
        yield made


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene.name in PLAYED], ids=lambda scene: scene.name)
def test_no_money_is_wrong_after(scene, theatre):
    outcome = theatre.play(scene, SQLITE)
    print(outcome)
    assert not outcome.not_run
    assert outcome.finding.problems == []
    assert outcome.ok
    assert outcome.finding.calls > 0
    assert outcome.requests > 0
