"""All scenes, in the order in which they are played, and those that are not."""

from tests.chaos import scenes_death, scenes_load, scenes_store, scenes_workers
from tests.chaos.stage import Scene

SCENES: list[Scene] = [
    *scenes_death.SCENES,
    *scenes_workers.SCENES,
    *scenes_store.SCENES,
    *scenes_load.SCENES,
]

# What belongs to the proof and is not played here, with the reason: said in each report.
NOT_PLAYED = {
    "clock-jump": "the wall clock by an hour across a window: a real process's clock cannot be moved without root; "
    "the tests of the windows, and the simulation, move it in process",
}
