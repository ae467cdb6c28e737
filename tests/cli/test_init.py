import pytest

from joytoken.cli.init import url_of


def test_the_credentials_are_shown_once(joytoken, joytoken_json, tmp_path):
    place = ("--data-dir", tmp_path / "new")
    made = joytoken_json("init", *place)
    assert made["api_key"].startswith("jt_live_")
    assert made["admin_key"].startswith("jt_admin_")
    assert (made["data_dir"], made["url"], made["created"]) == (str(tmp_path / "new"), "http://127.0.0.1:7410", True)
    again = joytoken_json("init", *place)
    assert (again["api_key"], again["admin_key"], again["created"]) == (None, None, False)
    assert joytoken_json("init", *place, "--new-admin-key")["admin_key"].startswith("jt_admin_")
    assert "set up before" in joytoken("init", *place).stderr
    assert [w["balance"] for w in joytoken_json("wallet", "show", *place)["wallets"]] == ["1000.000000"] * 3


def test_offers_name_the_next_step(joytoken, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "secret")
    result = joytoken("init")
    assert "joytoken providers add groq" in result.stderr
    assert "secret" not in result.stderr + result.stdout


def test_without_a_data_folder_the_next_step_is_named(joytoken, tmp_path):
    result = joytoken("keys", "list", "--data-dir", tmp_path / "none", code=3)
    assert "next: joytoken init" in result.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("host", "url"),
    (("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::", "http://[::1]:1")),
)
def test_where_a_gateway_is_reached(host, url):
    assert url_of(host, 1) == url
