"""Webhooks: an event for each fall below a threshold, signed, tried again, never to where it must not go."""

import asyncio
import ipaddress
from dataclasses import replace

import msgspec
import pytest

from joytoken.admin.chores import Chores
from joytoken.admin.delivery import Forbidden, allowed, resolve, secret_bytes, signature
from joytoken.admin.grants import Threshold, Transfer, set_threshold, transfer
from joytoken.admin.wallets import WalletTopUp, adjust, top_up
from joytoken.admin.webhooks import (
    DeliveryQuery,
    WebhookQuery,
    WebhookRef,
    WebhookSet,
    check_webhook,
    list_deliveries,
    list_webhooks,
    remove_webhook,
    set_webhook,
)
from joytoken.config.settings import Webhooks
from joytoken.domain.errors import InvalidRequest, NotFound
from tests.admin.conftest import NOW_US
from tests.admin.receiver import receiver
from tests.admin.worlds import paid
from tests.escrow.test_life import eventually

LOOPBACK = Webhooks(private_networks=("127.0.0.0/8",), timeout_ms=5_000)
MINUTE_US = 60_000_000


@pytest.fixture
def inbox():
    with receiver() as made:
        yield made


class Clock:
    now = NOW_US


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told(desk, inbox, clock):
    """A desk whose webhook is the receiver, and which may send to loopback."""
    settings = msgspec.structs.replace(desk.settings, webhooks=LOOPBACK)
    made = replace(desk, settings=settings, now_us=lambda: clock.now)
    inbox.secret = set_webhook(made, WebhookSet(name="ops", url=inbox.url)).secret
    return made


def deliver(desk):
    asyncio.run(Chores(desk).deliver_due())


def fall(desk, to="5", key="fall"):
    """Take the wallet from 1000 down to an amount."""
    adjust(desk, WalletTopUp(amount=f"-{1000 - int(to)}", idempotency_key=key, reason="r"))


def deliveries(desk, **query):
    return [(d.state, d.attempts, d.status) for d in list_deliveries(desk, DeliveryQuery(**query)).deliveries]


def test_a_signature_is_that_of_standard_webhooks():
    # Worked out with: openssl dgst -sha256 -mac HMAC
    secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    made = signature(secret, "evt-1", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,PtgzUS8rqMX1T1+6lAlwmaJmeT4Du+n1URREu8rynNA="


@pytest.mark.parametrize(
    "wrong", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqTwjUPD8IL", "whsec_!!!", "whsec_" + "A" * 100]
)
def test_a_secret_has_24_to_64_bytes_and_is_not_repeated(wrong):
    with pytest.raises(ValueError, match="a secret is whsec_") as caught:
        secret_bytes(wrong)
    assert wrong in {"", "whsec_"} or wrong not in str(caught.value)


def test_a_fall_is_told_once_and_again_after_a_rise(told, inbox, clock):
    set_threshold(told, Threshold(below="10"))
    paid(told)
    deliver(told)
    assert inbox.seen == []
    fall(told, "6")
    adjust(told, WalletTopUp(amount="-2", idempotency_key="lower", reason="r"))
    deliver(told)
    ((event_id, signed, body),) = inbox.seen
    assert signed
    assert (body["type"], body["data"]["tier"], body["data"]["threshold"]) == (
        "wallet.low_balance",
        "standard",
        "10.000000",
    )
    top_up(told, WalletTopUp(amount="50", idempotency_key="up"))
    transfer(told, Transfer(amount="45", idempotency_key="down", to_owner="team"))
    deliver(told)
    assert len(set(inbox.ids())) == 2
    assert inbox.ids()[0] == event_id
    assert deliveries(told) == [("delivered", 1, 204)] * 2


def test_a_batch_that_falls_below_is_told(told, inbox):
    fall(told, "12")
    set_threshold(told, Threshold(below="10"))
    paid(told)
    paid(told)
    paid(told)
    deliver(told)
    ((_, signed, body),) = inbox.seen
    assert (signed, body["data"]["balance"]) == (True, "9.000000")


def test_a_wallet_without_a_threshold_or_a_house_without_webhooks_tells_nothing(told, inbox):
    fall(told)
    set_threshold(told, Threshold(below="900", tier="premium"))
    remove_webhook(told, WebhookRef("ops"))
    transfer(told, Transfer(amount="500", idempotency_key="t", tier="premium", to_owner="team"))
    deliver(told)
    assert (inbox.seen, deliveries(told)) == ([], [])


def test_a_failure_is_tried_again_after_growing_pauses(told, inbox, clock):
    set_threshold(told, Threshold(below="10"))
    inbox.statuses = [500, 307, 204]
    fall(told)
    pauses = []
    for _ in range(3):
        deliver(told)
        (shown,) = list_deliveries(told, DeliveryQuery()).deliveries
        if shown.state == "pending":
            waiting = told.store.webhooks.deliveries()[0].next_us - clock.now
            pauses.append(waiting // 1_000_000)
            clock.now += waiting - 1
            deliver(told)  # not yet
            clock.now += 1
    assert pauses == [5, 10]
    assert (deliveries(told), len(inbox.seen), len(set(inbox.ids()))) == ([("delivered", 3, 204)], 3, 1)


def test_it_is_given_up_after_a_bounded_time(told, inbox, clock):
    set_threshold(told, Threshold(below="10"))
    inbox.statuses = [503]
    fall(told)
    for _ in range(200):
        deliver(told)
        (state, attempts, status) = deliveries(told)[0]
        if state != "pending":
            break
        clock.now = told.store.webhooks.deliveries()[0].next_us
    assert (state, status, attempts) == ("given_up", 503, len(inbox.seen))
    assert NOW_US + 60 * 60 * MINUTE_US < clock.now < NOW_US + 73 * 60 * MINUTE_US


def test_a_receiver_that_is_gone_gets_nothing_more(told, inbox):
    set_threshold(told, Threshold(below="10"))
    inbox.statuses = [410]
    fall(told)
    deliver(told)
    assert deliveries(told) == [("given_up", 1, 410)]
    assert not list_webhooks(told, WebhookQuery()).webhooks[0].enabled


def test_who_died_while_delivering_is_followed_by_another(told, inbox, clock):
    set_threshold(told, Threshold(below="10"))
    fall(told)
    (taken,) = told.store.webhooks.take(clock.now, clock.now + 20_000_000, 10)  # and dies
    deliver(told)
    assert inbox.seen == []  # somebody has it
    clock.now += 20_000_001
    deliver(told)
    assert inbox.ids() == [taken.event_id]
    told.store.webhooks.finish(taken, "pending", 500, "late", clock.now, clock.now)
    assert deliveries(told) == [("delivered", 2, 204)]


def test_an_event_is_kept_for_its_days_and_then_removed(told, clock):
    set_threshold(told, Threshold(below="10"))
    fall(told)
    deliver(told)
    clock.now += 30 * 24 * 60 * MINUTE_US
    asyncio.run(Chores(told).prune())
    assert deliveries(told) == [("delivered", 1, 204)]
    clock.now += 1
    asyncio.run(Chores(told).prune())
    assert deliveries(told) == []


def test_a_running_gateway_removes_them_by_itself_in_parts(told, clock):
    webhooks = msgspec.structs.replace(LOOPBACK, prune_ms=10, prune_events_max=2)
    soon = replace(told, settings=msgspec.structs.replace(told.settings, webhooks=webhooks))
    for n in range(5):
        told.store.webhooks.tell(f"evt-{n}", "wallet.low_balance", "w", {}, NOW_US)
    deliver(told)
    clock.now += 31 * 24 * 60 * MINUTE_US

    async def until_gone():
        chores = Chores(soon)
        chores.start()
        try:
            await eventually(lambda: not told.store.webhooks.deliveries())
        finally:
            await chores.stop()

    asyncio.run(until_gone())


def test_several_workers_deliver_each_event_once(told, inbox):
    set_threshold(told, Threshold(below="10"))
    for n in range(6):
        told.store.webhooks.tell(f"evt-{n}", "wallet.low_balance", "w", {"n": str(n)}, NOW_US)

    async def together():
        await asyncio.gather(*[Chores(told).deliver_due() for _ in range(4)])

    asyncio.run(together())
    assert sorted(inbox.ids()) == [f"evt-{n}" for n in range(6)]


def test_a_test_event_says_what_came_of_it(told, inbox):
    made = check_webhook(told, WebhookRef("ops"))
    assert (made.ok, made.status, inbox.seen[0][1], inbox.seen[0][2]["type"]) == (True, 204, True, "webhook.test")
    inbox.statuses = [500]
    assert check_webhook(told, WebhookRef("ops")).message == "HTTP 500"
    with pytest.raises(NotFound):
        check_webhook(told, WebhookRef("nobody"))


def test_the_secret_is_shown_once_and_kept_sealed(told, inbox, caplog):
    first = inbox.secret
    assert set_webhook(told, WebhookSet(name="ops", enabled=False)).secret is None
    rotated = set_webhook(told, WebhookSet(name="ops", rotate=True, enabled=True)).secret
    assert rotated not in {None, first}
    inbox.secret = rotated
    assert check_webhook(told, WebhookRef("ops")).ok
    assert inbox.seen[-1][1]
    own = "whsec_" + "A" * 43 + "="
    assert set_webhook(told, WebhookSet(name="mine", url=inbox.url, secret=own)).secret is None
    inbox.statuses = [500]
    told.store.webhooks.tell("evt-x", "k", "s", {}, NOW_US)
    deliver(told)
    kept = (
        f"{told.store.audit.list(50)} {told.store.webhooks.list()} {list_webhooks(told, WebhookQuery())} {caplog.text}"
    )
    assert "evt-x" in caplog.text
    for secret in (first, rotated, own):
        assert secret not in kept
        assert secret.removeprefix("whsec_") not in kept


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "Ops"}, "name"),
        ({"name": "new"}, "url"),
        ({"name": "new", "url": "ftp://example.com"}, "url"),
        ({"name": "new", "url": "http://user:pass@example.com/"}, "url"),
        ({"name": "new", "url": "https://example.com/", "secret": "short"}, "secret"),
    ],
)
def test_a_webhook_that_cannot_be_names_its_field(desk, fields, param):
    with pytest.raises(InvalidRequest) as caught:
        set_webhook(desk, WebhookSet(**fields))
    assert caught.value.param == param


def test_deliveries_are_filtered(told):
    told.store.webhooks.tell("evt-1", "k", "s", {}, NOW_US)
    assert deliveries(told, state="pending", webhook="ops") == [("pending", 0, 0)]
    assert deliveries(told, state="delivered") == deliveries(told, webhook="other") == []
    for wrong in ({"state": "lost"}, {"limit": 0}):
        with pytest.raises(InvalidRequest):
            list_deliveries(told, DeliveryQuery(**wrong))


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::", False),
    ],
)
def test_events_go_to_the_public_internet_alone(address, may):
    found = ipaddress.ip_address(address)
    assert allowed(found, []) is may
    assert allowed(found, [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_nothing_is_sent_to_this_machine_unless_a_setting_says_so(told, inbox, host):
    strict = replace(told, settings=msgspec.structs.replace(told.settings, webhooks=Webhooks()))
    set_webhook(strict, WebhookSet(name="ops", url=inbox.url.replace("127.0.0.1", host)))
    made = check_webhook(strict, WebhookRef("ops"))
    assert (made.ok, made.status, inbox.seen) == (False, 0, [])
    assert "private_networks" in made.message


async def test_a_name_with_one_address_that_is_not_allowed_is_refused_whole(monkeypatch):
    async def both(*_, **__):
        return [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(type(loop), "getaddrinfo", both)
    with pytest.raises(Forbidden):
        await resolve("rebinding.example", 443, [])
