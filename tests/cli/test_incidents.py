from tests.admin.worlds import NOW_US


def test_incidents(joytoken, joytoken_json, desk):
    assert joytoken_json("incidents", "list")["incidents"] == []
    epoch = desk.store.ledger.register("far:0", "far", NOW_US)
    assert desk.store.ledger.abandon("far:0", epoch, desk.store.ledger.workers()[0].deadline_us) is not None
    (incident,) = joytoken_json("incidents", "list", "--open")["incidents"]
    assert incident["subject"] == "far:0/1"
    assert "\topen\t" in joytoken("incidents", "list").stdout
    assert joytoken_json("incidents", "close", incident["id"])["closed"] is not None
    assert joytoken_json("incidents", "list", "--open")["incidents"] == []
    assert "far:0/1" in joytoken("incidents", "close", incident["id"]).stdout
    joytoken("incidents", "close", "99", code=3)
