def test_doctor(joytoken, joytoken_json, tmp_path, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_PORT", "1")
    found = joytoken_json("doctor")
    assert found["ok"] is True
    assert {f["name"]: f["state"] for f in found["findings"]}["gateway"] == "warning"
    monkeypatch.setenv("JOY_TOKEN_PROT", "1")
    result = joytoken("doctor", "--data-dir", tmp_path / "none", code=1)
    assert "joytoken init" in result.stdout
    assert "did you mean JOY_TOKEN_PORT" in result.stdout
