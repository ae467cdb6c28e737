import json

import pytest

OPTIONS = """
--tier economy --allowed-tier economy --allowed-tier standard --fixed-model echo --deny-model echo-max
--ip-allow 10.0.0.0/8 --ip-block 10.1.0.0/16 --limit-daily 5 --limit-weekly 20 --rpm 60 --tpm 1000 --concurrency 2
--expires 30d --project p --application a --environment e --task t
"""
CREATE = OPTIONS.split()


def test_every_option_of_a_key(joytoken_json):
    made = joytoken_json("keys", "create", "NAME", *CREATE)
    assert made["api_key"].startswith("jt_live_")
    assert {"id", "name", "api_key", "hint"} <= set(made)
    wanted = {
        "name": "NAME",
        "tier": "economy",
        "allowed_tiers": ["economy", "standard"],
        "fixed_model": "echo",
        "deny_models": ["echo-max"],
        "ip_allow": ["10.0.0.0/8"],
        "ip_block": ["10.1.0.0/16"],
        "limit_daily": "5",
        "limit_weekly": "20",
        "requests_per_minute": 60,
        "tokens_per_minute": 1000,
        "concurrency": 2,
        "project": "p",
        "application": "a",
        "environment": "e",
        "task": "t",
    }
    assert {name: made[name] for name in wanted} == wanted
    assert made["expires_at"] is not None


def test_update_takes_every_option_of_create_and_clear(joytoken_json):
    made = joytoken_json("keys", "create", "k")
    changed = joytoken_json("keys", "update", made["id"], *CREATE, "--name", "other")
    assert (changed["name"], changed["limit_daily"], changed["task"]) == ("other", "5", "t")
    cleared = joytoken_json("keys", "update", made["id"], "--clear", "limit-daily", "--clear", "ip-allow,tier")
    assert (cleared["limit_daily"], cleared["ip_allow"], cleared["tier"], cleared["limit_weekly"]) == (
        None,
        [],
        None,
        "20",
    )
    assert "api_key" not in cleared


def test_rotate_revoke_list_and_show(joytoken, joytoken_json):
    made = joytoken_json("keys", "create", "k")
    rotated = joytoken_json("keys", "rotate", "k", "--overlap", "1h")
    assert rotated["api_key"] != made["api_key"]
    assert len(rotated["secrets"]) == 2
    assert joytoken_json("keys", "revoke", made["id"])["status"] == "revoked"
    assert [key["name"] for key in joytoken_json("keys", "list")["keys"]] == ["first", "k"]
    assert [key["name"] for key in joytoken_json("keys", "list", "--active")["keys"]] == ["first"]
    assert joytoken_json("keys", "show", made["id"])["name"] == "k"
    assert "key_revoked" not in joytoken("keys", "rotate", made["id"], code=4).stdout


def test_a_pipe_gets_lines_with_tabs_and_the_secret_alone_on_stdout(joytoken):
    made = joytoken("keys", "create", "k")
    assert made.stdout.splitlines()[0].startswith("api_key\tjt_live_")
    assert "shown once" in made.stderr
    heads, *rows = [line.split("\t") for line in joytoken("keys", "list").stdout.splitlines()]
    assert heads[:3] == ["id", "name", "status"]
    assert [row[1] for row in rows] == ["first", "k"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    (
        (("create", "k", "--tier", "gold"), 2, "'gold' is not a tier"),
        (("create", "k", "--ip-allow", "x"), 2, "is not an address or a network"),
        (("create", "k", "--rpm", "many"), 2, "not a valid integer"),
        (("create",), 2, "Missing argument"),
        (("create", "k", "--limit-dayly", "3"), 2, "--limit-daily"),
        (("show", "nobody"), 3, "next: joytoken keys list"),
        (("update", "first", "--clear", "tierr"), 2, "did you mean tier?"),
    ),
)
def test_a_mistake_is_a_sentence_and_a_code(joytoken, arguments, code, said):
    result = joytoken("keys", *arguments, code=code)
    assert said in result.stderr
    assert result.stdout == ""


def test_an_unknown_model_is_warned_of_and_stdout_stays_one_document(joytoken):
    result = joytoken("keys", "create", "k", "--fixed-model", "gpt-9", "--json")
    assert json.loads(result.stdout)["warnings"] == ["model 'gpt-9' is not in the catalog"]
    assert "warning: model 'gpt-9'" in result.stderr
