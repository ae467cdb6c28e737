PRICE = ("--input-mtok", "75", "--output-mtok", "300")


def test_add_update_list_remove(joytoken, joytoken_json):
    joytoken("providers", "add", "two", "--kind", "openai", "--base-url", "http://127.0.0.1:1/v1")
    options = ("--tier", "standard", "--context", "128000", "--feature", "tools", "--feature", "vision,json_schema")
    made = joytoken_json("models", "add", "PUBLIC", "--provider", "echo", "--upstream", "up", *PRICE, *options)
    assert (made["tier"], made["context_tokens"]) == ("standard", 128000)
    assert made["features"] == ["chat", "tools", "vision", "json_schema"]
    assert made["price"]["credits"] == {"input_mtok": "75", "output_mtok": "300"}
    both = joytoken_json("models", "add", "PUBLIC", "--provider", "two")
    assert [d["provider"] for d in both["deployments"]] == ["echo", "two"]
    assert joytoken_json("models", "update", "PUBLIC", "--disabled")["enabled"] is False
    assert joytoken_json("models", "list", "--provider", "two")["models"][0]["name"] == "PUBLIC"
    joytoken("models", "remove", "PUBLIC", "--deployment", "two")
    assert joytoken_json("models", "remove", "PUBLIC") == {"removed": "PUBLIC"}
    joytoken("models", "remove", "PUBLIC", code=3)


def test_a_model_without_price_or_provider(joytoken):
    assert "--input-mtok" in joytoken("models", "add", "m", "--provider", "echo", code=2).stderr
    assert (
        "joytoken providers add nobody" in joytoken("models", "add", "m", "--provider", "nobody", *PRICE, code=3).stderr
    )


def test_a_value_that_no_model_can_have_never_reaches_the_catalog(joytoken, joytoken_json):
    before = joytoken_json("models", "list")
    result = joytoken("models", "add", "m", "--provider", "echo", *PRICE, "--tokenizer", "abacus", code=2)
    assert "tokenizer" in result.stderr
    assert joytoken_json("models", "list") == before
