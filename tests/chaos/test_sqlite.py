"""A short part of `make chaos`: some scenes on SQLite, the others on PostgreSQL; a full run plays all on both."""

import pytest

from tests.chaos.stage import SQLITE

PLAYED = (
    "killed",
    "journal-cut",
    "worker-killed",
    "workers-replaced",
    "stopped",
    "disk-full",
    "clock-jump",
    "money-for-ten",
    "hang-ups",
    "provider-storm",
)


@pytest.mark.parametrize("scene", PLAYED)
def test_no_money_is_wrong_after(scene, theatre):
    theatre.holds(scene, SQLITE)
