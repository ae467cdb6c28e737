"""The other scenes, on PostgreSQL. See test_sqlite."""

import pytest

from tests.chaos.stage import POSTGRES

PLAYED = (
    "all-killed",
    "rolling-restart",
    "given-up",
    "store-away",
    "store-reset",
    "provider-accidents",
)


@pytest.mark.parametrize("scene", PLAYED)
def test_no_money_is_wrong_after(scene, theatre):
    theatre.holds(scene, POSTGRES)
