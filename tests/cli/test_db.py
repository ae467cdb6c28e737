from tests.admin.worlds import paid


def test_status_and_migrate(joytoken, joytoken_json, tmp_path):
    assert joytoken_json("db", "status")["state"] == "current"
    assert joytoken_json("db", "migrate")["state"] == "current"
    new = ("--data-dir", tmp_path / "new")
    assert joytoken_json("db", "status", *new, code=1)["state"] == "empty"
    assert not (tmp_path / "new").exists()
    assert joytoken_json("db", "migrate", *new)["state"] == "current"
    assert joytoken_json("db", "upgrade", *new)["state"] == "current"


def test_backup_and_restore(joytoken, joytoken_json, desk, data_dir, tmp_path):
    paid(desk)
    file = tmp_path / "a.db"
    made = joytoken_json("db", "backup", file)
    assert (made["file"], made["records"]) == (str(file), 1)
    assert "next: " in joytoken("db", "backup", file, code=4).stderr
    assert "secret" in joytoken("db", "backup", file, "--force").stderr
    paid(desk)
    assert "stop the gateway" in joytoken("db", "restore", file, "--force", code=4).stderr  # the desk has it open
    desk.store.close()
    assert "already" in joytoken("db", "restore", file, code=4).stderr
    assert joytoken_json("db", "restore", file, "--force")["records"] == 1
    assert joytoken_json("wallet", "verify")["records"] == 1
    assert len(list(data_dir.glob("joytoken.db.replaced-*"))) == 1
    file.write_bytes(b"")
    assert "checksum" in joytoken("db", "restore", file, "--force", code=1).stderr


def test_copy(joytoken, joytoken_json, desk, data_dir, tmp_path, postgres_url):
    paid(desk)
    here, there = f"sqlite:///{data_dir / 'joytoken.db'}", f"sqlite:///{tmp_path / 'b.db'}"
    made = joytoken_json("db", "copy", here, postgres_url)
    assert {table["name"]: table["rows"] for table in made["tables"]}["usage_record"] == 1
    assert made["records"] == 1
    assert "not empty" in joytoken("db", "copy", here, postgres_url, code=4).stderr
    assert "Copied and proved" in joytoken("db", "copy", postgres_url, there).stderr
    assert "itself" in joytoken("db", "copy", here, here, code=4).stderr
    assert "no database" in joytoken("db", "copy", f"sqlite:///{tmp_path / 'none.db'}", there, code=3).stderr
    assert not (tmp_path / "none.db").exists()


def test_a_copy_of_a_running_gateway_must_be_meant(joytoken, desk, data_dir, tmp_path):
    desk.store.ledger.register("h:0", "h", 1)
    here, there = f"sqlite:///{data_dir / 'joytoken.db'}", f"sqlite:///{tmp_path / 'b.db'}"
    assert "--live" in joytoken("db", "copy", here, there, code=4).stderr
    joytoken("db", "copy", here, there, "--live")
