"""The contract on policy (checks 46 to 55): each refusal by its code, and none of them costs anything."""

from typing import Any

import pytest

from tests.journeys.gateway import Customer, Gateway, gateway, wait_for
from tests.journeys.stub import Stub

FULL = 100 * 10**9
MODELS = {"stub/cheap": "economy", "stub/plain": "standard", "stub/dear": "premium"}


@pytest.fixture(scope="module")
def server(joytoken_command, tmp_path_factory, stub: Stub):
    """A gateway behind a proxy on this machine, whose word for a client's address it takes."""
    settings = {"server.trusted_proxies": "127.0.0.0/8,10.0.0.0/8"}
    with gateway(joytoken_command, tmp_path_factory.mktemp("server"), settings) as made:
        made.provider("stub", stub.url)
        for name, tier in MODELS.items():
            made.model(name, "stub", name.removeprefix("stub/"), tier=tier)
        made.sync()
        yield made


def at(address: str, **more: str) -> dict[str, str]:
    return {"X_Forwarded_For": address, **more}


NARROW = {"allowed_tiers": ["economy", "standard"]}
ALLOW = {"ip_allow": ["203.0.113.0/24", "2001:db8::/32"]}
BLOCK = {"ip_block": ["203.0.113.7"]}
# id · policy · model · fields of the body · headers · code; None: it is served
CASES: list[tuple[str, dict[str, Any], str | None, dict[str, Any], dict[str, str], str | None]] = [
    ("check_46_tier_unknown", {}, "auto", {"tier": "gold"}, {}, "tier_unknown"),
    ("check_46_tier_in_capitals", {}, "auto", {"tier": "PREMIUM!"}, {}, "tier_unknown"),
    ("check_47_tier_not_allowed", NARROW, "auto", {"tier": "premium"}, {}, "tier_not_allowed"),
    ("check_47_concrete_of_another_tier", NARROW, "stub/dear", {}, {}, "tier_not_allowed"),
    ("check_47_allowed", NARROW, "auto", {"tier": "economy"}, {}, None),
    (
        "check_48_tiers_not_allowed",
        {"tiers": ["economy", "standard"]},
        "auto",
        {"tier": "premium"},
        {},
        "tier_not_allowed",
    ),
    ("check_48_tiers_allowed", {"tiers": ["premium"]}, "auto", {"tier": "premium"}, {}, None),
    ("check_49_tier_of_the_key", {"tier": "economy"}, "auto", {"tier": "standard"}, {}, "tier_not_allowed"),
    ("check_50_blacklisted", {"deny_models": ["stub/plain"]}, "stub/plain", {}, {}, "model_blacklisted"),
    ("check_50_by_its_bare_name", {"deny_models": ["stub/plain"]}, "plain", {}, {}, "model_blacklisted"),
    ("check_50_other_spelling", {"model_blacklist": ["stub/plain"]}, "stub/plain", {}, {}, "model_blacklisted"),
    ("check_50_not_on_the_list", {"allow_models": ["stub/cheap"]}, "stub/plain", {}, {}, "model_not_allowed"),
    ("check_51_fixed_model", {"fixed_model": "stub/cheap"}, "stub/plain", {}, {}, "fixed_model_mismatch"),
    ("check_51_unknown_asked", {"fixed_model": "stub/cheap"}, "stub/never", {}, {}, "fixed_model_mismatch"),
    ("check_51_the_same", {"fixed_model": "stub/cheap"}, "stub/cheap", {}, {}, None),
    ("check_52_outside", ALLOW, "auto", {}, at("198.51.100.1"), "ip_not_allowed"),
    ("check_52_inside", ALLOW, "auto", {}, at("203.0.113.9"), None),
    ("check_52_ipv6_inside", ALLOW, "auto", {}, at("2001:db8::1"), None),
    ("check_52_ipv4_as_ipv6", ALLOW, "auto", {}, at("::ffff:203.0.113.9"), None),
    ("check_52_no_header_socket", ALLOW, "auto", {}, {}, "ip_not_allowed"),
    ("check_52_socket", {"ip_allow": ["127.0.0.1"]}, "auto", {}, {}, None),
    ("check_52_real_ip", ALLOW, "auto", {}, {"X_Real_IP": "203.0.113.9"}, None),
    ("check_52_forwarded_wins", ALLOW, "auto", {}, at("198.51.100.1", X_Real_IP="203.0.113.9"), "ip_not_allowed"),
    ("check_52_nearest_hop_counts", ALLOW, "auto", {}, at("203.0.113.9, 198.51.100.1"), "ip_not_allowed"),
    ("check_52_past_trusted_hops", ALLOW, "auto", {}, at("203.0.113.9, 10.1.2.3"), None),
    ("check_52_not_an_address", ALLOW, "auto", {}, at("203.0.113.9, unknown"), "ip_not_allowed"),
    ("check_53_blocked", BLOCK, "auto", {}, at("203.0.113.7"), "ip_blocked"),
    ("check_53_not_blocked", BLOCK, "auto", {}, at("203.0.113.8"), None),
    ("check_53_block_beats_allow", ALLOW | BLOCK, "auto", {}, at("203.0.113.7"), "ip_blocked"),
    ("check_55_key_blocked", {"blocked": True}, "auto", {}, {}, "policy_blocked"),
    ("order_ip_before_tier", ALLOW, "auto", {"tier": "gold"}, at("198.51.100.1"), "ip_not_allowed"),
    (
        "order_tier_before_fixed_model",
        {"fixed_model": "stub/cheap"},
        "stub/plain",
        {"tier": "gold"},
        {},
        "tier_unknown",
    ),
]


@pytest.mark.parametrize(
    ("policy", "model", "fields", "headers", "code"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_policy(server: Gateway, stub: Stub, policy, model, fields, headers, code):
    customer = server.customer(**policy)
    calls = len(stub.bill)
    reply = customer.chat(model, headers=headers, **fields)
    if code is None:
        assert reply.status == 200, reply.body
        return
    assert (reply.status, reply.error["type"], reply.error["code"]) == (403, "policy_rejected", code)
    assert_free(customer, stub, calls)


def assert_free(customer: Customer, stub: Stub, calls: int) -> None:
    """Check 55: no freeze, no record with credits, no call of a provider."""
    assert len(stub.bill) == calls
    assert [customer.balance(tier) for tier in ("economy", "standard", "premium")] == [FULL] * 3
    assert [r for r in customer.records() if r["charged"] != "0.000000"] == []


@pytest.mark.parametrize("tier", ["economy", "standard", "premium"], ids=lambda tier: f"check_49_{tier}")
def test_the_tier_of_the_key_is_where_auto_stays(server: Gateway, tier):
    customer = server.customer(tier=tier)
    for asked in ({}, {"tier": tier}):
        reply = customer.chat("auto", **asked)
        assert reply.metadata["tier"] == tier
        assert MODELS[reply.headers["x-daoe-used-model"]] == tier


def test_check_50_auto_never_picks_what_is_denied(server: Gateway):
    customer = server.customer(deny_models=["stub/plain"], allowed_tiers=["standard", "economy"])
    assert {customer.chat("auto").headers["x-daoe-used-model"] for _ in range(5)} == {"stub/cheap"}
    nothing = server.customer(deny_models=["stub/plain"], tier="standard")
    reply = nothing.chat("auto")
    assert (reply.status, reply.error["type"]) == (502, "routing_error")


@pytest.mark.parametrize("asked", ["auto", None], ids=["check_51_auto", "check_51_omitted"])
def test_a_fixed_model_is_what_auto_means(server: Gateway, asked):
    customer = server.customer(fixed_model="stub/dear")
    assert customer.chat(asked).headers["x-daoe-used-model"] == "stub/dear"


@pytest.mark.parametrize("window", ["daily", "weekly"], ids=lambda window: f"check_54_{window}")
def test_limits(server: Gateway, stub: Stub, window):
    customer = server.customer(**{f"limit_{window}": "0.012"})
    asked = {"max_tokens": 1}
    first = customer.chat("stub/plain", **asked)
    assert first.status == 200, first.body
    used = FULL - customer.balance()
    assert used > 0
    refused = None
    for _ in range(10):
        refused = customer.chat("stub/plain", **asked)
        if refused.status != 200:
            break
    assert refused is not None
    assert (refused.status, refused.error["type"], refused.error["code"]) == (
        402,
        "insufficient_quota",
        f"{window}_limit",
    )
    assert FULL - customer.balance() <= 12_000_000
    served = len(customer.records())
    calls = len(stub.bill)
    assert customer.chat("stub/plain", **asked).status == 402
    assert (len(customer.records()), len(stub.bill)) == (served, calls)
    server.manage("PATCH", f"/keys/{customer.key_id}", {f"limit_{window}": "1"})
    wait_for(lambda: customer.chat("stub/plain", **asked).status == 200, "a raised limit does not help")


def test_rates_come_before_limits_and_say_when_to_come_back(server: Gateway, stub: Stub):
    customer = server.customer(requests_per_minute=2)
    assert [customer.chat("auto").status for _ in range(2)] == [200, 200]
    refused = customer.chat("auto")
    assert (refused.status, refused.error["type"], refused.error["code"]) == (
        429,
        "rate_limit_error",
        "requests_per_minute",
    )
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_a_policy_change_is_live_without_a_restart(server: Gateway):
    customer = server.customer()
    assert customer.chat("stub/plain").status == 200
    server.manage("PATCH", f"/keys/{customer.key_id}", {"deny_models": ["stub/plain"]})
    reply = wait_for(lambda: (r := customer.chat("stub/plain")).status != 200 and r, "the change is not seen")
    assert reply.error["code"] == "model_blacklisted"
