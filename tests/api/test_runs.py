"""`GET /api/v1/runs/{run_id}`: the runs of a key's owner, and no others."""

import pytest

from joytoken.admin.runs import RunTree
from joytoken.domain.errors import Unavailable
from tests.api.worlds import GOOD, OTHER, World

RUN = "/api/v1/runs/"


def tree(run_id, owner="owner"):
    return RunTree(id=run_id, owner=owner, workflow="nightly", runs=[], more=False)


@pytest.fixture
def world():
    world = World()
    world.runs = {("owner", name): tree(name) for name in ("r1", "a/b", "b%c", "..", "~" * 1024)}
    world.runs["stranger", "s1"] = tree("s1", "stranger")
    return world


@pytest.mark.parametrize("key", [GOOD, OTHER])
async def test_every_key_of_the_owner_sees_a_run(world, key):
    found = await world.ask(RUN + "r1", key=key)
    assert found.status == 200
    assert found.json == {
        "id": "r1",
        "owner": "owner",
        "workflow": "nightly",
        "runs": [],
        "requests": [],
        "more": False,
    }


@pytest.mark.parametrize("name", ["a/b", "b%c", "..", "~" * 1024])
async def test_an_id_may_have_any_visible_character(world, name):
    assert (await world.ask(RUN + name, key=GOOD)).json["id"] == name


async def test_the_run_of_another_owner_is_none(world):
    """Theirs, and one that nobody has: one answer, to the letter."""
    theirs, nobodys = [(await world.ask(RUN + name, key=GOOD)) for name in ("s1", "s2")]
    assert theirs.status == nobodys.status == 404
    assert theirs.error.pop("request_id") != nobodys.error.pop("request_id")
    assert {name: theirs.error[name] for name in ("message", "type", "code", "param")} == {
        name: nobodys.error[name] for name in ("message", "type", "code", "param")
    }
    assert (theirs.error["code"], theirs.error["param"]) == ("unknown_run", "run_id")


@pytest.mark.parametrize("name", ["", "a b", "é", "\0", "a\rb", "~" * 1025])
async def test_what_cannot_be_a_run_is_not_looked_up(world, name):
    found = await world.ask(RUN + name, key=GOOD)
    assert (found.status, found.error["code"]) == (404, "unknown_run")
    assert not world.looked_up


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("jt_live_unknown", 403)])
async def test_nothing_is_looked_up_without_a_key(world, key, status):
    assert (await world.ask(RUN + "r1", key=key)).status == status
    assert not world.looked_up


async def test_where_the_store_is_away_it_is_asked_for_later():
    async def away(owner, run_id):
        raise Unavailable("the database is away", "store_away", retry_after_s=1)

    found = await World(run_of=away).ask(RUN + "r1", key=GOOD)
    assert (found.status, found.error["code"], found.headers["retry-after"]) == (503, "store_away", "1")
