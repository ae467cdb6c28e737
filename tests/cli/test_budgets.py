import pytest


def test_a_budgets_life(joytoken, joytoken_json):
    options = [
        "--limit",
        "5",
        "--window",
        "month",
        "--zone",
        "Asia/Tokyo",
        "--project",
        "blue",
        "--each",
        "end-user",
        "--each",
        "run",
    ]
    made = joytoken_json("budgets", "set", "blue", *options)
    assert (made["name"], made["limit"], made["project"], made["each"]) == ("blue", "5", "blue", ["end_user", "run"])
    assert joytoken_json("budgets", "set", "blue", "--limit", "6", "--paused")["status"] == "paused"
    assert joytoken_json("budgets", "show", "blue")["limit"] == "6"
    assert [budget["name"] for budget in joytoken_json("budgets", "list")["budgets"]] == ["blue"]
    assert "project blue, each end user, each run" in joytoken("budgets", "list").output
    assert "covers\tproject blue, each end user, each run" in joytoken("budgets", "show", "blue").output
    assert joytoken_json("budgets", "remove", "blue") == {"removed": "blue"}
    assert joytoken_json("budgets", "list") == {"budgets": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("budgets", "show", "none"), "there is no budget"),
        (("budgets", "remove", "none"), "there is no budget"),
        (("runs", "show", "none"), "no request was recorded"),
    ],
)
def test_what_is_not_there(joytoken, arguments, said):
    done = joytoken(*arguments, code=3)
    assert said in done.output + done.stderr
