"""Grants, refunds, low balances and admin keys on a gateway that runs, and across its death."""

import pytest

from joytoken.domain.money import parse_amount
from tests.admin.receiver import receiver
from tests.journeys.gateway import gateway, id_of, wait_for
from tests.journeys.wire import Client

SETTINGS = {
    "webhooks.private_networks": "127.0.0.0/8",
    "webhooks.poll_ms": 30,
    "webhooks.retry_ms": 50,
    "webhooks.timeout_ms": 2_000,
    "money.sweep_ms": 30,
}


@pytest.fixture(scope="module")
def server(joytoken_command, tmp_path_factory):
    with gateway(joytoken_command, tmp_path_factory.mktemp("credit"), SETTINGS) as made:
        yield made


def test_a_low_balance_is_told_once_also_across_a_kill(server):
    with receiver() as inbox:
        inbox.statuses = [500]
        inbox.secret = server.manage("PUT", "/webhooks/ops", {"url": inbox.url})["secret"]
        customer = server.customer({"economy": "1", "standard": "1", "premium": "1"})
        for tier in ("economy", "standard", "premium"):
            server.manage("PUT", f"/wallets/{tier}/threshold", {"below": "1", "owner": customer.owner})
        assert customer.chat("echo", say="Hello").status == 200
        wait_for(lambda: inbox.seen, "nobody is told")
        server.kill()
        inbox.statuses = [204]
        server.start()
        wait_for(lambda: _states(server) == {"delivered"}, "it is not delivered")
        assert len(set(inbox.ids())) == 1
        assert all(signed for _, signed, _ in inbox.seen)
        assert {body["type"] for _, _, body in inbox.seen} == {"wallet.low_balance"}
        before = len(inbox.seen)
        server.restart()
        assert len(inbox.seen) == before
        for secret in (inbox.secret, inbox.secret.removeprefix("whsec_")):
            assert secret not in server.log
    server.verify()


def test_what_is_given_for_a_while_is_burned_first_and_gone_then(server):
    customer = server.customer({"standard": "10"})
    given = {"amount": "5", "owner": customer.owner, "category": "promo", "expires": "5s"}
    server.manage("POST", "/wallets/standard/top-up", given, Idempotency_Key=f"{customer.owner}-promo")
    reply = customer.chat("echo", say="Hello")
    charged = parse_amount(customer.receipt(reply)["money"]["settled"])
    assert charged > 0
    wait_for(lambda: customer.balance() == 10 * 10**9, "it does not expire")
    (left,) = server.manage("GET", f"/wallets/standard/grants?owner={customer.owner}")["grants"]
    assert (left["category"], left["remaining"]) == ("paid", "10.000000")
    refund = {"reason": "a gift"}
    server.manage("POST", f"/requests/{id_of(reply)}/refund", refund, Idempotency_Key=f"{customer.owner}-refund")
    assert parse_amount(customer.receipt(reply)["money"]["refunded"]) == charged
    shown = server.manage("GET", f"/wallets/standard/grants?owner={customer.owner}")["grants"]
    assert [grant["category"] for grant in shown] == ["promo", "paid"]
    assert customer.balance() == 10 * 10**9 + charged
    server.verify()


def test_a_revoked_admin_key_is_refused_at_once(server):
    made = server.manage("POST", "/admin-keys", {"name": "ops"})
    theirs = Client(server.url, made["admin_key"])
    assert theirs.request("GET", "/api/v1/manage/wallets").status == 200
    server.manage("POST", f"/admin-keys/{made['id']}/revoke")
    assert theirs.request("GET", "/api/v1/manage/wallets").status == 403


def _states(server):
    return {delivery["state"] for delivery in server.manage("GET", "/webhooks/deliveries")["deliveries"]}
