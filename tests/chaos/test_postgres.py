"""The other half of the scenes, on PostgreSQL. See test_sqlite."""

import contextlib

import pytest

from tests.chaos.scenes import SCENES
from tests.chaos.stage import POSTGRES, Theatre

PLAYED = ("all-killed", "stopped", "store-away", "provider-accidents")


@pytest.fixture(scope="module")
def theatre(joytoken_command):
    with contextlib.closing(Theatre(joytoken_command, "steady", full=False)) as made:
        yield made


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene.name in PLAYED], ids=lambda scene: scene.name)
def test_no_money_is_wrong_after(scene, theatre):
    outcome = theatre.play(scene, POSTGRES)
    print(outcome)
    assert not outcome.not_run
    assert outcome.finding.problems == []
    assert outcome.ok
    assert outcome.finding.calls > 0
    assert outcome.requests > 0
