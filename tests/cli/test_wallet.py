import pytest

from joytoken.admin.wallets import Check, Verified


def test_show(joytoken, joytoken_json):
    wallets = joytoken_json("wallet", "show")["wallets"]
    assert [(w["tier"], w["balance"], w["frozen"], w["available"]) for w in wallets] == [
        (tier, "1000.000000", "0.000000", "1000.000000") for tier in ("economy", "standard", "premium")
    ]
    assert [w["tier"] for w in joytoken_json("wallet", "show", "--tier", "premium")["wallets"]] == ["premium"]
    assert joytoken("wallet", "show").stdout.splitlines()[1].split("\t")[:3] == ["default", "economy", "1000.000000"]


def test_a_top_up_counts_once(joytoken_json, joytoken):
    first = joytoken_json("wallet", "top-up", "10.5", "--idempotency-key", "k", "--tier", "economy")
    assert first == joytoken_json("wallet", "top-up", "10.5", "--idempotency-key", "k", "--tier", "economy")
    assert first["balance"] == "1010.500000"
    joytoken("wallet", "top-up", "11", "--idempotency-key", "k", "--tier", "economy", code=4)


@pytest.mark.parametrize("amount", ("-5", "-5.25", "-0.000000001", "7"))
def test_an_adjustment_may_be_negative_wherever_it_stands(joytoken_json, amount):
    before = joytoken_json("wallet", "adjust", amount, "--reason", "r", "--idempotency-key", "a")
    assert before["amount"].rstrip("0").rstrip(".") == amount
    after = joytoken_json("wallet", "adjust", "--reason", "r", "--idempotency-key", "b", "--tier", "premium", amount)
    assert after["kind"] == "adjust"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    (
        (("top-up", "5"), 2, "--idempotency-key"),
        (("top-up", "x", "--idempotency-key", "k"), 2, "not a decimal amount"),
        (("adjust", "-5", "--idempotency-key", "k"), 2, "--reason"),
        (("adjust", "-5", "--typo", "--reason", "r", "--idempotency-key", "k"), 2, "--typo"),
        (("adjust", "-5000", "--reason", "r", "--idempotency-key", "k"), 4, "error:"),
        (("show", "--tier", "gold"), 2, "is not a tier"),
    ),
)
def test_a_mistake_is_a_sentence_and_a_code(joytoken, arguments, code, said):
    result = joytoken("wallet", *arguments, code=code)
    assert said in result.stderr
    assert result.stdout == ""


def test_statement(joytoken, joytoken_json):
    joytoken("wallet", "top-up", "5", "--idempotency-key", "k", "--reason", "gift")
    entries = joytoken_json("wallet", "statement", "--limit", "1")
    assert (entries["entries"][0]["reason"], entries["entries"][0]["amount"]) == ("gift", "5.000000")
    assert f"--before {entries['next']}" in joytoken("wallet", "statement", "--limit", "1").stderr


def test_verify_is_4_where_the_books_are_wrong(joytoken, joytoken_json, monkeypatch):
    proof = joytoken_json("wallet", "verify")
    assert proof["ok"] is True
    assert all(check["ok"] for check in proof["checks"])
    wrong = Verified(ok=False, checks=[Check(name="I5", ok=False, detail="wallet:x")], accounts=1, records=0)
    monkeypatch.setattr("joytoken.cli.direct.Direct.call", lambda *_: wrong)
    assert joytoken_json("wallet", "verify", code=4)["ok"] is False
    assert "THE BOOKS ARE WRONG" in joytoken("wallet", "verify", code=4).stderr
