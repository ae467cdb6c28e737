"""Grants, refunds, transfers, thresholds, webhooks, admin keys and prices from the command line."""

import json

import pytest

from tests.admin.receiver import receiver
from tests.admin.worlds import paid


@pytest.fixture
def joytoken_json(joytoken):
    def run(*arguments, code=0):
        return json.loads(joytoken(*arguments, "--json", code=code).stdout)

    return run


def test_grants_from_top_up_to_void(joytoken, joytoken_json):
    words = "--promo --expires 30d --priority 5 --idempotency-key k"
    made = joytoken_json("wallet", "top-up", "5", *words.split())
    shown = joytoken_json("wallet", "grants")["grants"]
    assert [(g["id"], g["category"], g["priority"]) for g in shown] == [
        (made["grants"][0], "promo", 5),
        (2, "paid", 100),
    ]
    assert "promo\t5\t5.000000\t5.000000" in joytoken("wallet", "grants").stdout
    void = joytoken_json("wallet", "void", made["grants"][0], "--idempotency-key", "v", "--reason", "r")
    assert (void["kind"], void["amount"]) == ("void", "-5.000000")
    assert len(joytoken_json("wallet", "grants", "--all")["grants"]) == 2
    assert (
        "next: joytoken wallet grants --all"
        in joytoken("wallet", "void", "77", "--idempotency-key", "w", "--reason", "r", code=3).stderr
    )


def test_a_refund(joytoken, joytoken_json, desk):
    record = paid(desk)
    words = ("--idempotency-key", "r", "--reason", "slow", "--amount", "25%")
    assert joytoken_json("wallet", "refund", record.request_id, *words)["amount"] == "0.250000"
    assert joytoken_json("requests", "show", record.request_id)["money"]["refunded"] == "0.250000"
    assert "refunded\t0.250000" in joytoken("requests", "show", record.request_id).stdout
    assert joytoken_json("usage", "summary")["total"]["refunded"] == "0.250000"
    again = joytoken(
        "wallet", "refund", record.request_id, "--idempotency-key", "s", "--reason", "r", "--amount", "1", code=4
    )
    assert "0.75 credits are left" in again.stderr


def test_a_transfer(joytoken, joytoken_json):
    words = ("--to-owner", "team", "--idempotency-key", "t")
    assert joytoken_json("wallet", "transfer", "10", *words)["other"] == "wallet:team:standard"
    wrong = joytoken("wallet", "transfer", "1", "--to-tier", "premium", "--idempotency-key", "u", code=2)
    assert "to_amount" in wrong.stderr


def test_a_threshold(joytoken, joytoken_json):
    assert joytoken_json("wallet", "threshold", "12.5") == {
        "owner": "default",
        "tier": "standard",
        "below": "12.500000",
        "balance": "1000.000000",
    }
    assert "below" not in joytoken("wallet", "threshold", "off").stdout


def test_webhooks(joytoken, joytoken_json, monkeypatch, desk):
    monkeypatch.setenv("JOY_TOKEN_WEBHOOKS_PRIVATE_NETWORKS", "127.0.0.0/8")
    with receiver() as inbox:
        made = joytoken_json("webhooks", "set", "ops", inbox.url)
        inbox.secret = made["secret"]
        assert made["secret"] not in joytoken("webhooks", "list").stdout
        assert joytoken_json("webhooks", "test", "ops")["status"] == 204
        assert inbox.seen[0][1]
        inbox.statuses = [500]
        assert "HTTP 500" in joytoken("webhooks", "test", "ops", code=5).stdout
    joytoken("wallet", "threshold", "999")
    joytoken("wallet", "adjust", "-2", "--idempotency-key", "a", "--reason", "r")
    (waiting,) = joytoken_json("webhooks", "deliveries")["deliveries"]
    assert (waiting["type"], waiting["state"]) == ("wallet.low_balance", "pending")
    assert "pending" in joytoken("webhooks", "deliveries", "--state", "pending").stdout
    assert joytoken_json("webhooks", "remove", "ops") == {"removed": "ops"}
    joytoken("webhooks", "test", "ops", code=3)


def test_admin_keys(joytoken, joytoken_json):
    made = joytoken_json("admin-keys", "create", "ops")
    assert made["admin_key"].startswith("jt_admin_")
    assert [key["name"] for key in joytoken_json("admin-keys", "list")["admin_keys"]] == ["first", "ops"]
    joytoken("admin-keys", "revoke", made["id"])
    assert "revoked" in joytoken("admin-keys", "list").stdout
    first = joytoken_json("admin-keys", "list")["admin_keys"][0]["id"]
    assert "last admin key" in joytoken("admin-keys", "revoke", first, code=4).stderr


def test_prices(joytoken, joytoken_json):
    assert joytoken_json("prices", "credit", "premium") == [{"tier": "premium", "usd_per_credit": "0.005"}]
    assert joytoken_json("prices", "credit", "premium", "0.0075")["usd_per_credit"] == "0.0075"
    assert "premium\t0.0075" in joytoken("prices", "credit").stdout
    joytoken("prices", "credit", "gold", code=2)
    joytoken("prices", "credit", "gold", "1", code=2)
    models = joytoken_json("prices", "list")["models"]
    shown = joytoken("prices", "show", models[0]["price"]["price_id"]).stdout
    assert models[0]["price"]["credits"]["input_mtok"] in shown
    assert models[0]["model"] in joytoken("prices", "list").stdout
