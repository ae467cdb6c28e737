def test_explain(joytoken, joytoken_json):
    told = joytoken_json("routes", "explain")
    assert (told["tier"], told["choices"][0]["model"]) == ("standard", "echo/echo")
    assert joytoken_json("routes", "explain", "echo-mini", "--tools")["tier"] == "economy"
    assert joytoken_json("routes", "explain", "--without-tier", "standard")["tier"] == "premium"
    refused = joytoken_json("routes", "explain", "gpt-9", code=4)
    assert refused["refusal_code"] == "unknown_model"
    assert "\techo/echo\t" in joytoken("routes", "explain").stdout
