import json
import os
from pathlib import Path

import jsonschema
import pytest

from joytoken.domain.apikey import Policy
from tests.api.worlds import GOOD, NEVER, UPDATED_US, World, make_key, make_model

MODELS = [
    make_model("acme/cheap", "economy", vendor="acme"),
    make_model("acme/one", aliases=("uno",), vendor="acme"),
    make_model("acme/twin", vendor="acme"),
    make_model("bolt/twin", on=("bolt",)),
    make_model("bolt/large", "premium", on=("bolt",), vendor="bolt works"),
    make_model("acme/off", enabled=False),
    make_model("acme/alone", on=(), off=("acme",)),
    make_model("gone/away", on=("gone",)),
]
ALL = ["acme/cheap", "acme/one", "acme/twin", "bolt/large", "bolt/twin"]
STANDARD = ["acme/one", "acme/twin", "bolt/twin"]
POLICIES = [
    (Policy(), ALL),
    (Policy(tier="standard"), STANDARD),
    (Policy(allowed_tiers=("economy", "premium")), ["acme/cheap", "bolt/large"]),
    (Policy(allowed_tiers=("economy",), tier="premium"), []),
    (Policy(allow_models=("acme/*",)), ["acme/cheap", "acme/one", "acme/twin"]),
    (Policy(allow_models=("uno", "large")), ["acme/one", "bolt/large"]),
    (Policy(deny_models=("acme/*",)), ["bolt/large", "bolt/twin"]),
    (Policy(deny_models=("uno",)), ["acme/cheap", "acme/twin", "bolt/large", "bolt/twin"]),
    (Policy(deny_models=("twin",)), ["acme/cheap", "acme/one", "bolt/large"]),
    (Policy(deny_models=("*",)), []),
    (Policy(fixed_model="acme/one"), ["acme/one"]),
    (Policy(fixed_model="uno"), ["acme/one"]),
    (Policy(fixed_model="twin"), []),
    (Policy(fixed_model="auto"), []),
    (Policy(fixed_model="acme/off"), []),
    (Policy(fixed_model="acme/one", deny_models=("acme/*",)), []),
    (Policy(fixed_model="bolt/large", tier="standard"), []),
]


def world(policy=None):
    return World(*MODELS, keys=[make_key("mine", policy=policy)])


@pytest.mark.parametrize(("policy", "names"), POLICIES)
async def test_a_key_sees_the_models_that_it_may_use(policy, names):
    found = await world(policy).ask("/openai/v1/models", key="mine")
    assert found.status == 200
    assert found.json["object"] == "list"
    assert [model["id"] for model in found.json["data"]] == ["auto", *names]


@pytest.mark.parametrize(("policy", "names"), POLICIES)
@pytest.mark.parametrize("name", [model.name for model in MODELS])
async def test_one_model_is_told_where_it_is_listed(policy, names, name):
    found = await world(policy).ask("/openai/v1/models/" + name, key="mine")
    if name in names:
        assert (found.status, found.json["id"]) == (200, name)
    else:
        assert (found.status, found.error["type"], found.error["code"]) == (404, "not_found_error", "unknown_model")


NAMES = [
    ("auto", "auto", "joytoken"),
    ("acme/one", "acme/one", "acme"),
    ("uno", "acme/one", "acme"),
    ("one", "acme/one", "acme"),
    ("large", "bolt/large", "bolt works"),
    ("bolt/twin", "bolt/twin", "bolt"),
]


@pytest.mark.parametrize(("asked", "name", "owner"), NAMES)
async def test_a_model_is_found_by_each_of_its_names(asked, name, owner):
    found = await world().ask("/openai/v1/models/" + asked, key="mine")
    created = UPDATED_US // 1_000_000
    assert found.json == {"id": name, "object": "model", "created": created, "owned_by": owner}


@pytest.mark.parametrize("name", ["twin", "nothing", "acme/", "acme/one/", "a/b/c", "\u202e" + "x" * 5000, "<b>"])
async def test_an_unknown_model_is_404_with_its_name_escaped_and_bounded(name):
    found = await world().ask("/openai/v1/models/" + name, key="mine")
    assert (found.status, found.error["code"], found.error["param"]) == (404, "unknown_model", "model")
    assert found.error["message"].isascii()
    assert len(found.error["message"]) < 400


async def test_a_name_that_means_two_models_means_the_one_that_the_key_may_use():
    found = await world(Policy(deny_models=("bolt/*",))).ask("/openai/v1/models/twin", key="mine")
    assert found.json["id"] == "acme/twin"


@pytest.mark.parametrize("path", ["/openai/v1/models", "/openai/v1/models/auto"])
async def test_without_a_catalog_the_gateway_says_so(path):
    found = await World(catalog=NEVER).ask(path, key=GOOD)
    assert (found.status, found.error["type"]) == (503, "service_unavailable")


def shared_spec():
    root = Path(os.environ.get("JOY_TOKEN_SHARED", Path(__file__).parents[2].parent / "shared"))
    return sorted(root.glob("spec/openapi-*.json"))


async def test_the_answers_are_what_openais_clients_are_made_for():
    """The shape by hand; and where OpenAI's own description is at hand, by that too."""
    listed = (await world().ask("/openai/v1/models", key="mine")).json
    one = (await world().ask("/openai/v1/models/acme/one", key="mine")).json
    for model in (*listed["data"], one):
        assert {name: type(value) for name, value in model.items()} == {
            "id": str,
            "object": str,
            "created": int,
            "owned_by": str,
        }
    for path in shared_spec():
        document = json.loads(path.read_text(encoding="utf-8"))
        for answer, schema in ((listed, "ListModelsResponse"), (one, "Model")):
            jsonschema.validate(
                answer, {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
            )
