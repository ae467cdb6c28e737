def test_status_and_migrate(joytoken, joytoken_json, tmp_path):
    assert joytoken_json("db", "status")["state"] == "current"
    assert joytoken_json("db", "migrate")["state"] == "current"
    new = ("--data-dir", tmp_path / "new")
    assert joytoken_json("db", "status", *new, code=1)["state"] == "empty"
    assert not (tmp_path / "new").exists()
    assert joytoken_json("db", "migrate", *new)["state"] == "current"
    assert joytoken_json("db", "upgrade", *new)["state"] == "current"
