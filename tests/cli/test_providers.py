import json


def test_add_list_test_remove(joytoken, joytoken_json):
    url = "http://127.0.0.1:1/v1"
    made = joytoken_json("providers", "add", "name", "--kind", "openai", "--base-url", url, "--api-key-env", "VAR")
    assert (made["base_url"], made["api_key_env"], made["credential"]) == (url, "VAR", "environment")
    assert [p["name"] for p in joytoken_json("providers", "list")["providers"]] == ["echo", "name"]
    assert joytoken_json("providers", "test", "name", code=5)["ok"] is False
    assert joytoken_json("providers", "test", "echo")["ok"] is True
    joytoken("providers", "remove", "name")
    joytoken("providers", "remove", "name", code=3)
    joytoken("providers", "remove", "echo", code=4)


def test_a_credential_from_standard_input_is_sealed(joytoken):
    result = joytoken(
        "providers", "add", "mine", "--base-url", "http://127.0.0.1:1/v1", "--api-key-stdin", "--json", stdin="sk-1\n"
    )
    assert json.loads(result.stdout)["credential"] == "sealed"
    assert "sk-1" not in result.stdout


def test_another_origin_needs_the_sealed_credential_again(joytoken):
    first, second = [("providers", "add", "mine", "--base-url", f"http://127.0.0.1:{port}/v1") for port in (1, 2)]
    joytoken(*first, "--api-key-stdin", stdin="sk-1\n")
    refused = joytoken(*second, code=4)
    assert "base_url" in refused.stderr
    assert "--api-key-stdin" in refused.stderr
    joytoken(*second, "--api-key-stdin", stdin="sk-2\n")


def test_presets(joytoken, joytoken_json, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "x")
    found = {preset["name"]: preset["found"] for preset in joytoken_json("providers", "presets")["presets"]}
    assert (found["groq"], found["openai"]) == ("GROQ_API_KEY", None)
    assert "joytoken models list --provider groq" in joytoken("providers", "add", "groq").stderr
