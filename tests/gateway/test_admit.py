"""Who may, in the order that callers rely on."""

import ipaddress

import pytest

from joytoken.domain.errors import GatewayError, PolicyRejected
from joytoken.gateway.admit import client_address, quota_used_up
from joytoken.gateway.call import Call
from joytoken.gateway.windows import Windows
from tests.gateway.worlds import a_model, chat

TRUSTED = [ipaddress.ip_network(cidr) for cidr in ("10.0.0.0/8", "fd00::/8")]


# peer · X-Forwarded-For · X-Real-IP · the address that counts
ADDRESSES = [
    ("203.0.113.9", None, None, "203.0.113.9"),
    ("203.0.113.9", "198.51.100.1", "198.51.100.1", "203.0.113.9"),  # nobody whom we trust says so
    ("10.0.0.1", None, None, "10.0.0.1"),
    ("10.0.0.1", "198.51.100.1", None, "198.51.100.1"),
    ("10.0.0.1", "192.0.2.7, 198.51.100.1", None, "198.51.100.1"),  # what stands before the nearest may be invented
    ("10.0.0.1", "198.51.100.1, 10.0.0.2", None, "198.51.100.1"),
    ("10.0.0.1", "10.0.0.3, 10.0.0.2", None, "10.0.0.3"),
    ("10.0.0.1", "unknown", None, None),
    ("10.0.0.1", "198.51.100.1, nonsense", None, None),
    ("10.0.0.1", "", None, None),
    ("10.0.0.1", None, "198.51.100.1", "198.51.100.1"),
    ("10.0.0.1", "198.51.100.1", "192.0.2.7", "198.51.100.1"),
    ("10.0.0.1", None, "nonsense", None),
    ("fd00::1", "2001:db8::5", None, "2001:db8::5"),
    ("::ffff:10.0.0.1", "198.51.100.1", None, "198.51.100.1"),
    ("::ffff:203.0.113.9", None, None, "203.0.113.9"),
    ("", None, None, None),
]


@pytest.mark.parametrize(("peer", "forwarded", "real", "address"), ADDRESSES)
def test_the_address_that_counts(peer, forwarded, real, address):
    call = Call(0.0, 0, peer)
    call.forwarded_for = None if forwarded is None else forwarded.encode()
    call.real_ip = None if real is None else real.encode()
    found = client_address(call, TRUSTED)
    assert found == (None if address is None else ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("policy", "peer", "code"),
    [
        ({}, "203.0.113.9", None),
        ({"ip_allow": ("203.0.113.0/24",)}, "203.0.113.9", None),
        ({"ip_allow": ("203.0.113.0/24",)}, "198.51.100.1", "ip_not_allowed"),
        ({"ip_allow": ("203.0.113.0/24",)}, "", "ip_not_allowed"),
        ({"ip_block": ("203.0.113.0/24",)}, "203.0.113.9", "ip_blocked"),
        ({"ip_block": ("203.0.113.0/24",)}, "198.51.100.1", None),
        ({"ip_allow": ("203.0.113.0/24",), "ip_block": ("203.0.113.9/32",)}, "203.0.113.9", "ip_blocked"),
        ({"ip_allow": ("2001:db8::/32",)}, "2001:db8::1", None),
        ({"blocked": True}, "203.0.113.9", "policy_blocked"),
    ],
)
async def test_addresses(world, policy, peer, code):
    principal = world.key("ann", **policy)
    call = Call(0.0, 0, peer)
    if code is None:
        world.admission.permit(principal, call)
        return
    with pytest.raises(PolicyRejected) as refusal:
        world.admission.permit(principal, call)
    assert refusal.value.code == code


# What is wrong with a request, from what is seen first to what is seen last: of two, the former is told.
WRONGS = [
    ("blocked", {"blocked": True}, {}, "policy_blocked"),
    ("address", {"ip_allow": ("203.0.113.0/24",)}, {}, "ip_not_allowed"),
    ("tier", {"allowed_tiers": ("standard",)}, {"tier": "premium"}, "tier_not_allowed"),
    ("model", {"deny_models": ("plain",)}, {}, "model_blacklisted"),
    ("rate", {"requests_per_minute": 0}, {}, "requests_per_minute"),
    ("quota", {"limit_daily": 0}, {}, "daily_limit"),
    ("wallet", {"wallets": {}}, {}, "wallet_empty"),
]


@pytest.mark.parametrize("second", range(len(WRONGS)))
@pytest.mark.parametrize("first", range(len(WRONGS)))
async def test_of_two_wrongs_the_first_in_order_is_told(world, first, second):
    world.serves(a_model("plain", "acme"))
    chosen = WRONGS[min(first, second)], WRONGS[max(first, second)]
    policy = {key: value for _, given, _, _ in reversed(chosen) for key, value in given.items()}
    fields = {key: value for _, _, given, _ in chosen for key, value in given.items()}
    principal = world.key("ann", **policy)
    caller, _ = await world.serve(chat(**fields))
    assert caller.error["code"] == chosen[0][3]
    assert principal.limiter.under_way == 0
    assert world.providers["acme"].calls == []


async def test_an_unknown_model_is_told_behind_rates_and_money(world):
    world.key("ann", wallets={})
    assert (await world.serve(chat("nobody-has-this")))[0].error["code"] == "wallet_empty"
    world.key("bob")
    caller, _ = await world.serve(chat("nobody-has-this"), b"bob")
    assert (caller.status, caller.error["code"]) == (404, "unknown_model")


def test_a_used_up_limit_says_when_it_begins_anew():
    saturday_us = 1_795_219_200_000_000  # 2026-11-21T00:00Z
    daily = quota_used_up("quota:key-1:D:2026-11-21", Windows("UTC"), saturday_us)
    weekly = quota_used_up("quota:key-1:W:2026-W47", Windows("UTC"), saturday_us)
    assert (daily.code, daily.retry_after_s) == ("daily_limit", 86_400)
    assert (weekly.code, weekly.retry_after_s) == ("weekly_limit", 2 * 86_400)
    assert isinstance(daily, GatewayError)
