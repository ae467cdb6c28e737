import json
from pathlib import Path

from joytoken.config.reference import reference


def test_check_names_file_line_field_and_the_nearest_name(joytoken, joytoken_json):
    Path("joytoken.toml").write_text("[server]\nprot = 1\n")
    result = joytoken("config", "check", code=2)
    assert result.stderr == "joytoken.toml:2: server.prot: no such setting (did you mean server.port?)\n"
    document = joytoken_json("config", "check", code=2)
    assert document["problems"][0]["nearest"] == "server.port"
    Path("good.toml").write_text("[server]\nport = 1\n")
    assert joytoken_json("config", "check", "good.toml") == {"ok": True, "file": "good.toml", "problems": []}


def test_check_sees_a_mistyped_variable(joytoken, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_PROT", "1")
    assert "did you mean JOY_TOKEN_PORT?" in joytoken("config", "check", code=2).stderr


def test_other_commands_stop_at_a_mistake_and_warn_of_a_doubt(joytoken, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_PROT", "1")
    assert "warning: environment: JOY_TOKEN_PROT" in joytoken("keys", "list").stderr
    Path("joytoken.toml").write_text("[server]\nport = 'x'\n")
    assert "joytoken.toml:2: server.port: must be an integer" in joytoken("keys", "list", code=2).stderr


def test_show_tells_values_and_where_they_came_from(joytoken, joytoken_json, monkeypatch):
    monkeypatch.setenv("JOY_TOKEN_PORT", "8000")
    monkeypatch.setenv("JOY_TOKEN_DATABASE_URL", "postgresql://me:hidden@db/x")
    shown = joytoken_json("config", "show")
    assert shown["server.port"] == {"value": 8000, "from": "JOY_TOKEN_PORT"}
    assert shown["server.host"] == {"value": "127.0.0.1", "from": "default"}
    assert "hidden" not in json.dumps(shown) + joytoken("config", "show", "--changed").stdout


def test_reference(joytoken):
    assert joytoken("config", "reference").stdout == reference()
