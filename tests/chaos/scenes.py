"""All scenes, in the order in which they are played, and those that are not."""

from tests.chaos import scenes_clock, scenes_death, scenes_load, scenes_still, scenes_store, scenes_workers
from tests.chaos.stage import Scene

SCENES: list[Scene] = [
    *scenes_death.SCENES,
    *scenes_workers.SCENES,
    *scenes_still.SCENES,
    *scenes_store.SCENES,
    *scenes_clock.SCENES,
    *scenes_load.SCENES,
]
