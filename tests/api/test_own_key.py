"""`GET /api/v1/key`: the key that asks, and no other."""

import pytest

from joytoken.admin.own_key import OwnKey
from joytoken.store.engine import StoreUnavailable
from tests.api.worlds import EXPIRED, GOOD, OTHER, REVOKED, World


def own(name):
    labels = {"project": "p", "application": "", "environment": "", "task": ""}
    return OwnKey(
        id=f"key-{name}", name=name, status="active", owner="owner", expires_at=None, policy={"blocked": False},
        limits=[], budgets=[], wallets=[], **labels,
    )  # fmt: skip


@pytest.fixture
def world():
    world = World()
    world.keys |= {f"key-{name}": own(name) for name in (GOOD, OTHER)}
    return world


@pytest.mark.parametrize("key", [GOOD, OTHER])
async def test_each_key_sees_itself(world, key):
    found = await world.ask("/api/v1/key", key=key)
    assert (found.status, found.json["id"], found.json["project"]) == (200, f"key-{key}", "p")
    assert found.json["policy"]["blocked"] is False
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("jt_live_unknown", 403), (REVOKED, 403), (EXPIRED, 403)])
async def test_nobody_else_is_told_anything(world, key, status):
    assert (await world.ask("/api/v1/key", key=key)).status == status


async def test_where_the_store_is_away_it_is_asked_for_later():
    async def away(principal):
        raise StoreUnavailable("/data/joytoken.db is locked")

    found = await World(key_of=away).ask("/api/v1/key", key=GOOD)
    assert (found.status, found.error["code"]) == (503, "store_unavailable")
    assert b"joytoken.db" not in found.body


async def test_it_is_only_read(world):
    found = await world.ask("/api/v1/key", key=GOOD, method="POST")
    assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")
