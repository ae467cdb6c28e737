"""The theatre of the short scenes: one for each database.

Each has a file of tests of its own, since files are what is spread over two processes.
"""

import contextlib

import pytest

from tests.chaos.scenes import SCENES
from tests.chaos.stage import Theatre
from tests.chaos.world import NO_COMPILER, compiler


class Short(Theatre):
    def holds(self, name: str, database: str) -> None:
        """Play a scene as small as it can be; fail where anything is wrong after it."""
        (scene,) = [scene for scene in SCENES if scene.name == name]
        outcome = self.play(scene, database)
        print(outcome)
        if outcome.not_run:
            assert outcome.not_run == NO_COMPILER
            assert not compiler()
            return
        assert outcome.finding.problems == []
        assert outcome.ok
        assert outcome.finding.calls > 0
        assert outcome.requests > 0


@pytest.fixture(scope="module")
def theatre(joytoken_command):
    with contextlib.closing(Short(joytoken_command, "steady", full=False)) as made:
        yield made
