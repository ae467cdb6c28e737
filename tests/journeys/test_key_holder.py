"""What the holder of a key can ask of the gateway: the key itself, and the runs of its owner."""

import pytest

from joytoken.domain.money import format_amount, parse_amount
from tests.journeys.gateway import Gateway, wait_for
from tests.journeys.stub import HANG, Stub, answer, events, stream

RUN, PARENT, WORKFLOW, STEP = (f"X-JoyToken-{name}" for name in ("Run-Id", "Parent-Run-Id", "Workflow", "Step"))
REPORTED = 11 * 100_000 + 5 * 200_000


@pytest.fixture(scope="module")
def alone(open_gateway, stub: Stub) -> Gateway:
    """One process, on SQLite."""
    return ready(open_gateway(), stub)


@pytest.fixture(scope="module")
def workers(open_gateway, postgres, stub: Stub) -> Gateway:
    """Two of them, on PostgreSQL."""
    return ready(open_gateway(**{"server.workers": 2, "database.url": postgres.create()}), stub)


@pytest.fixture(params=["alone", "workers"], scope="module")
def gateway(request) -> Gateway:
    return request.getfixturevalue(request.param)


def ready(made: Gateway, stub: Stub) -> Gateway:
    made.provider("stub", stub.url)
    made.model("stub/plain", "stub", "key-holder")
    made.sync()
    return made


@pytest.fixture(autouse=True)
def plain(stub: Stub) -> None:
    stub.says("key-holder", answer())


def own(customer):
    found = customer.get("/api/v1/key")
    assert found.status == 200, found.body
    return found.json


def test_a_key_sees_what_it_may_do_and_has_left(gateway, stub):
    customer = gateway.customer({"standard": "2"}, limit_daily="1", project="p", deny_models=["stub/none"])
    shown = own(customer)
    assert (shown["id"], shown["owner"], shown["project"]) == (customer.key_id, customer.owner, "p")
    assert shown["policy"]["deny_models"] == ["stub/none"]
    assert shown["limits"][0]["left"] == "1.000000"
    assert customer.chat("stub/plain").status == 200
    customer.balance()
    (limit,) = own(customer)["limits"]
    assert (limit["window"], limit["limit"], limit["spent"]) == ("day", "1.000000", format_amount(REPORTED))
    (standard,) = [wallet for wallet in own(customer)["wallets"] if wallet["tier"] == "standard"]
    assert parse_amount(standard["balance"]) == 2 * 10**9 - REPORTED
    stub.says("key-holder", stream([events()[0], HANG]))
    with customer.connect() as wire:
        body = b'{"model": "stub/plain", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
        wire.send(customer.head(f"Content-Length: {len(body)}") + body)
        wait_for(lambda: parse_amount(own(customer)["limits"][0]["frozen"]), "what is held is not seen as frozen")
    customer.balance()


def test_a_run_is_seen_by_the_keys_of_its_owner_alone(gateway):
    customer, stranger = gateway.customer(), gateway.customer()
    steps = [({RUN: "a/1", WORKFLOW: "w", STEP: "1"}, 200), ({RUN: "a/1.x", PARENT: "a/1", STEP: "1"}, 200)]
    for headers, status in steps:
        reply = customer.chat("stub/plain", headers=headers)
        assert reply.status == status
    tree = wait_for(lambda: _whole(customer.get("/api/v1/runs/a%2F1")), "the run is not seen")
    assert (tree["id"], tree["owner"], tree["workflow"], tree["more"]) == ("a/1", customer.owner, "w", False)
    assert [(run["id"], run["parent"], run["depth"], run["workflow"]) for run in tree["runs"]] == [
        ("a/1", "", 0, "w"),
        ("a/1.x", "a/1", 1, "w"),
    ]
    assert [(r["run"], r["step"], r["credits_used"]) for r in tree["requests"]] == [
        ("a/1", "1", format_amount(REPORTED)),
        ("a/1.x", "1", format_amount(REPORTED)),
    ]
    assert tree["runs"][0]["total"] == format_amount(2 * REPORTED)
    assert _whole(customer.get("/api/v1/runs/a/1")) == tree
    for path in ("/api/v1/runs/a%2F1", "/api/v1/runs/none", "/api/v1/runs/%0D%0A"):
        refused = stranger.get(path)
        assert (refused.status, refused.error["code"]) == (404, "unknown_run")
    managed = gateway.manage("GET", "/runs/a%2F1?steps=true")
    assert managed == tree
    customer.balance()
    gateway.verify()


def _whole(reply):
    """The tree with both requests: another worker's comes with its next flush."""
    return reply.json if reply.status == 200 and len(reply.json["requests"]) == 2 else None
