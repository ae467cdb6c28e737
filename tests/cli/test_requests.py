import json

import msgspec

from joytoken.domain.record import Detail
from joytoken.store.budgets import Run
from tests.admin.worlds import paid


def test_list_and_show(joytoken, joytoken_json, desk):
    record = paid(desk, correlation_id="mine")
    (listed,) = joytoken_json("requests", "list", "--model", "echo/echo")["requests"]
    assert (listed["request_id"], listed["charged"]) == (record.request_id, "1.000000")
    receipt = joytoken_json("requests", "show", record.request_id)
    assert (receipt["money"]["settled"], receipt["ending"]["name"]) == ("1.000000", "completed")
    assert joytoken_json("requests", "show", "mine")["request"]["request_id"] == record.request_id
    text = joytoken("requests", "show", record.request_id).stdout
    assert "released\t3.000000" in text
    assert "bounded by what the gateway saw" in text
    assert "next: joytoken requests list" in joytoken("requests", "show", "req-0", code=3).stderr


def test_tail(joytoken, desk):
    ids = [paid(desk).request_id for _ in range(3)]
    lines = joytoken("requests", "tail", "--after", 0, "--once", "--json").stdout.splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == ids
    assert len(joytoken("requests", "tail", "--after", 0, "--count", 2).stdout.splitlines()) == 2
    assert joytoken("requests", "tail", "--once").stdout == ""


def test_the_place_of_a_request_in_a_run(joytoken, joytoken_json, desk):
    desk.store.budgets.place(Run("default", "r1", "top", None, 1, "nightly"))
    detail = msgspec.json.encode(Detail(workflow="nightly", step="3"))
    record = paid(desk, run_id="r1", parent_run_id="top", detail=detail)
    paid(desk)
    text = joytoken("requests", "show", record.request_id).stdout
    assert "run\tr1 under top\nworkflow\tnightly\nstep\t3\n" in text
    (listed,) = joytoken_json("requests", "list", "--workflow", "nightly")["requests"]
    assert (listed["workflow"], listed["step"]) == ("nightly", "3")
    exported = joytoken("usage", "export", "--csv", "--workflow", "nightly").stdout
    assert ",r1,top,nightly,3," in exported
    shown = joytoken("runs", "show", "r1", "--steps").stdout
    assert "workflow\tnightly" in shown
    assert f"{record.request_id}\tr1\t3\t" in shown
    assert record.request_id not in joytoken("runs", "show", "r1").stdout
