"""The world in which the SDKs' suites run is what its README says."""

import subprocess
import sys

import pytest

from tests.journeys.gateway import wait_for
from tests.journeys.wire import Client
from tests.sdk.scripted import scripted
from tests.sdk.world import ECONOMY_MODEL, MODELS, world

NAMES = ("URL", "KEY", "OWNER", "ADMIN_KEY", "EMPTY_KEY", "ECONOMY_KEY", "RUN_KEY", "STUB_URL")


@pytest.fixture(scope="module")
def made(joytoken_command, tmp_path_factory):
    with world(joytoken_command, tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def stub():
    with scripted() as server:
        yield Client(server.url)


def script(stub, name, *answers):
    reply = stub.post("/_script", {"model": name, "answers": list(answers)})
    assert reply.status == 200, reply.body
    return name


def calls(stub, name):
    return stub.get(f"/_calls?model={name}").json["calls"]


def test_the_readme_names_every_variable(made, repository):
    text = (repository / "tests" / "sdk" / "README.md").read_text(encoding="utf-8")
    assert not [name for name in made.environment if f"`{name}`" not in text and name.lower() != "no_proxy"]
    assert {f"JOYTOKEN_TEST_{name}" for name in NAMES} <= made.environment.keys()


@pytest.mark.parametrize(
    ("key", "model", "status", "code", "served"),
    [
        ("KEY", "echo", 200, None, "echo"),
        ("KEY", "auto", 200, None, "echo"),
        ("KEY", MODELS[0], 200, None, "stub"),
        ("RUN_KEY", MODELS[-1], 200, None, "stub"),
        ("EMPTY_KEY", "echo", 402, "wallet_empty", None),
        ("ECONOMY_KEY", "echo", 403, "tier_not_allowed", None),
        ("ECONOMY_KEY", ECONOMY_MODEL, 200, None, "stub"),
    ],
)
def test_the_keys_are_what_they_are_called(made, key, model, status, code, served):
    reply = Client(made.gateway.url, made.environment[f"JOYTOKEN_TEST_{key}"]).chat(model)
    assert reply.status == status, reply.body
    if status == 200:
        assert reply.metadata["provider"] == served
    else:
        assert reply.error["code"] == code


def test_a_key_may_set_a_run_s_budget(made):
    headers = {"X_JoyToken_Run_Id": "run-w", "X_JoyToken_Run_Budget": "1"}
    assert (
        Client(made.gateway.url, made.environment["JOYTOKEN_TEST_RUN_KEY"]).chat("echo", headers=headers).status == 200
    )
    assert made.rich.chat("echo", headers=headers).error["code"] == "run_budget_not_allowed"


def test_a_model_is_made_on_demand(made):
    stub = Client(made.stub_url)
    assert stub.post("/_model", {"model": "stub/demanded", "input_mtok": "1"}).status == 200
    assert made.rich.chat("stub/demanded").text == "Hello from the stub."
    assert "not a tier" in stub.post("/_model", {"model": "stub/other", "tier": "gold"}).json["error"]["message"]


def test_a_script_answers_through_the_gateway(made):
    stub = Client(made.stub_url)
    script(stub, "stub/b", {"status": 503, "json": {}}, {"json": {"choices": [], "id": "second"}})
    assert made.rich.chat("stub/b").status == 503
    assert made.rich.chat("stub/b").json["id"] == "second"
    assert [call["body"]["messages"][0]["content"] for call in calls(stub, "stub/b")] == ["hi", "hi"]


def test_answers_come_in_turn_and_the_last_one_stays(stub):
    name = script(stub, "turns", {"status": 429, "text": "no", "headers": {"Retry-After": "3"}}, {"json": {"n": 2}})
    first, second, third = (stub.post("/v1/responses", {"model": name}) for _ in range(3))
    assert (first.status, first.body, first.headers["retry-after"]) == (429, b"no", "3")
    assert second.json == third.json == {"n": 2}
    assert [call["finished"] for call in calls(stub, name)] == [True] * 3
    script(stub, name, {"json": 1})
    assert calls(stub, name) == []


def test_events_are_sent_as_they_are_given(stub):
    events = [": comment\n\n", {"a": 1}, "data: two\ndata: lines\n\n"]
    whole = ': comment\n\ndata: {"a": 1}\n\ndata: two\ndata: lines\n\n'
    name = script(stub, "events", {"events": events, "piece": 3}, {"events": events, "end": "plain"})
    assert stub.post("/x", {"model": name}).body.decode() == whole + "data: [DONE]\n\n"
    assert stub.post("/x", {"model": name}).body.decode() == whole
    script(stub, name, {"events": events, "end": "cut"}, {"json": 1, "end": "cut"}, {"events": events, "end": "reset"})
    assert [stub.post("/x", {"model": name}).whole for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("answer", [{"events": [{"a": 1}], "end": "hang"}, {"json": 1, "delay_ms": 60_000}])
def test_who_hangs_up_is_noted(stub, answer):
    name = script(stub, "hang", answer)
    with stub.connect() as wire:
        wire.send(stub.head("Content-Length: 16") + b'{"model":"hang"}')
        wait_for(lambda: calls(stub, name), "the call does not arrive")
    wait_for(lambda: calls(stub, name)[0]["cancelled"], "the hang-up is not noted")


def test_a_base_url_of_a_test_s_own(stub):
    script(stub, "mine", {"json": {"data": []}})
    assert stub.get("/at/mine/openai/v1/models").json == {"data": []}
    assert stub.post("/at/mine/chat/completions", {"model": "auto"}).json == {"data": []}
    assert [call["path"] for call in calls(stub, "mine")] == ["/at/mine/openai/v1/models", "/at/mine/chat/completions"]
    script(stub, "GET /api/v1/models", {"json": {"data": [1]}})
    assert stub.get("/api/v1/models?locale=zh").json == {"data": [1]}


def test_without_a_script(stub):
    assert stub.chat("nobody").text == "Hello from the stub."
    streamed = stub.chat("nobody", stream=True)
    assert (streamed.text, streamed.events[-1]) == ("Hello from the stub.", "[DONE]")
    assert stub.post("/openai/v1/responses", {"model": "nobody"}).json["error"]["code"] == "no_script"


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ({"model": "", "answers": [{}]}, "model"),
        ({"model": "x"}, "answers"),
        ({"model": "x", "answers": []}, "answers"),
        ({"model": "x", "answers": [{"jsn": 1}]}, "jsn"),
        ({"model": "x", "answers": [{"end": "never"}]}, "hang"),
    ],
)
def test_a_script_with_a_mistake_is_refused(stub, script, names):
    reply = stub.post("/_script", script)
    assert (reply.status, names in reply.json["error"]["message"]) == (400, True)


def test_the_command_line_gives_the_command_s_code(repository):
    told = "import os, sys, urllib.request as u"
    told += "; print(u.urlopen(os.environ['JOYTOKEN_TEST_URL'] + '/health').status); sys.exit(7)"
    command = [sys.executable, "-m", "tests.sdk.world", "--", sys.executable, "-c", told]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (7, "200"), done.stderr
    assert subprocess.run(command[:3], cwd=repository, capture_output=True, check=False).returncode == 2
