import pytest

from joytoken.admin.audit import AuditQuery, list_audit
from joytoken.admin.grants import (
    GrantQuery,
    GrantVoid,
    Refund,
    Threshold,
    Transfer,
    list_grants,
    refund_request,
    set_threshold,
    transfer,
    void_grant,
)
from joytoken.admin.requests import RequestQuery, RequestRef, list_requests, show_request
from joytoken.admin.usage import UsageSummaryQuery, summarise_usage
from joytoken.admin.wallets import WalletQuery, WalletTopUp, show_wallets, top_up
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from tests.admin.conftest import NOW_US
from tests.admin.worlds import paid

DAY_US = 86_400_000_000


def credit(desk, amount="10", key="k", **more):
    return top_up(desk, WalletTopUp(amount=amount, idempotency_key=key, **more))


def give_back(desk, request_id, key="r", reason="slow", **more):
    return refund_request(desk, Refund(id=request_id, idempotency_key=key, reason=reason, **more))


def move(desk, amount="10", key="t", **more):
    return transfer(desk, Transfer(amount=amount, idempotency_key=key, **more))


def balance(desk, tier="standard", owner="default"):
    return show_wallets(desk, WalletQuery(owner=owner, tier=tier)).wallets[0].balance


def test_grants_are_listed_in_the_order_of_burning(desk):
    credit(desk, "5", "a", category="promo", expires="30d")
    credit(desk, "6", "b", category="promo", expires="2026-12-01")
    credit(desk, "7", "c", effective="1d", priority=1)
    shown = list_grants(desk, GrantQuery()).grants
    assert [(g.state, g.category, g.priority, g.remaining, g.expires_at) for g in shown] == [
        ("waiting", "paid", 1, "7.000000", None),
        ("active", "promo", 50, "6.000000", "2026-12-01T00:00:00.000Z"),
        ("active", "promo", 50, "5.000000", "2026-12-22T12:00:00.000Z"),
        ("active", "paid", 100, "1000.000000", None),
    ]
    assert balance(desk) == "1011.000000"


def test_a_lifetime_is_the_same_in_a_repetition(desk):
    made = credit(desk, expires="30d", category="promo")
    later = desk.__class__(**{**desk.__dict__, "now_us": lambda: NOW_US + DAY_US})
    assert credit(later, expires="30d", category="promo") == made
    with pytest.raises(Conflict) as caught:
        credit(later, expires="31d", category="promo")
    assert (caught.value.code, caught.value.param) == ("idempotency_key_reused", "idempotency_key")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"category": "gift"}, "category"),
        ({"priority": 1001}, "priority"),
        ({"priority": -1}, "priority"),
        ({"expires": "soon"}, "expires"),
        ({"effective": "soon"}, "effective"),
        ({"effective": "3d", "expires": "2d"}, "expires"),
        ({"expires": "2020-01-01"}, "expires"),
    ],
)
def test_terms_that_cannot_be_name_their_field(desk, fields, param):
    with pytest.raises(InvalidRequest) as caught:
        credit(desk, **fields)
    assert caught.value.param == param


def test_a_grant_is_voided(desk):
    (grant,) = credit(desk, category="promo").grants
    made = void_grant(desk, GrantVoid(id=str(grant), idempotency_key="v", reason="fraud"))
    assert (made.kind, made.amount, made.balance) == ("void", "-10.000000", "1000.000000")
    assert [g.state for g in list_grants(desk, GrantQuery(all=True)).grants] == ["active", "voided"]
    with pytest.raises(Conflict):
        void_grant(desk, GrantVoid(id=str(grant), idempotency_key="w", reason="fraud"))
    for unknown in ("99", "x"):
        with pytest.raises(NotFound):
            void_grant(desk, GrantVoid(id=unknown, idempotency_key="x", reason="fraud"))


def test_a_refund_stands_on_the_receipt_and_in_the_usage(desk):
    record = paid(desk)
    assert give_back(desk, record.request_id, amount="33.3%").amount == "0.333000"
    assert give_back(desk, record.request_id, "r2", amount="0.000000001").other == record.request_id
    shown = show_request(desk, RequestRef(record.request_id))
    assert (shown.money.settled, shown.money.refunded) == ("1.000000", "0.333000001")
    assert list_requests(desk, RequestQuery()).requests[0].refunded == "0.333000001"
    report = summarise_usage(desk, UsageSummaryQuery(by=["model", "day"]))
    assert [(row.charged, row.refunded) for row in (*report.rows, report.total)] == [("1.000000", "0.333000001")] * 2
    assert give_back(desk, record.request_id, "r3").amount == "0.666999999"
    with pytest.raises(Conflict) as caught:
        give_back(desk, record.request_id, "r4")
    assert caught.value.details == {"charged": "1", "refundable": "0", "asked": "0"}
    assert balance(desk) == "1000.000000"


def test_a_share_is_rounded_down(desk):
    record = paid(desk, charged=7)
    assert give_back(desk, record.request_id, amount="50%").amount == "0.000000003"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "101%"}, "amount"),
        ({"amount": "0%"}, "amount"),
        ({"amount": "all"}, "amount"),
        ({"reason": " "}, "reason"),
        ({"key": ""}, "idempotency_key"),
    ],
)
def test_a_refund_that_cannot_be_names_its_field(desk, fields, param):
    record = paid(desk)
    with pytest.raises(InvalidRequest) as caught:
        give_back(desk, record.request_id, **fields)
    assert caught.value.param == param


def test_an_unknown_request_has_no_refund(desk):
    for amount in (None, "50%", "1"):
        with pytest.raises(NotFound):
            give_back(desk, "req-none", amount=amount)


def test_transfers_within_a_tier_and_between_two(desk):
    assert move(desk, to_owner="team").other == "wallet:team:standard"
    assert (balance(desk), balance(desk, owner="team")) == ("990.000000", "10.000000")
    move(desk, "10", "t2", to_tier="premium", to_amount="4")
    assert balance(desk, "premium") == "1004.000000"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "to_owner"),
        ({"to_tier": "premium"}, "to_amount"),
        ({"to_owner": "team", "to_amount": "9"}, "to_amount"),
        ({"to_owner": "a:b"}, "to_owner"),
        ({"to_tier": "gold"}, "to_tier"),
        ({"to_owner": "team", "amount": "0"}, "amount"),
        ({"to_tier": "premium", "to_amount": "0"}, "to_amount"),
    ],
)
def test_a_transfer_that_cannot_be_names_its_field(desk, fields, param):
    with pytest.raises(InvalidRequest) as caught:
        move(desk, **fields)
    assert caught.value.param == param


def test_a_threshold_is_set_and_taken_away(desk):
    made = set_threshold(desk, Threshold(below="25.5"))
    assert (made.below, made.balance) == ("25.500000", "1000.000000")
    assert show_wallets(desk, WalletQuery(tier="standard")).wallets[0].threshold == "25.500000"
    assert set_threshold(desk, Threshold(below=None)).below is None
    assert set_threshold(desk, Threshold(below="1", owner="new")).balance == "0.000000"
    with pytest.raises(InvalidRequest):
        set_threshold(desk, Threshold(below="0"))


def test_what_was_done_stands_in_the_audit_log_once(desk):
    credit(desk)
    credit(desk)
    record = paid(desk)
    give_back(desk, record.request_id)
    move(desk, to_owner="team")
    entries = list_audit(desk, AuditQuery(limit=3)).entries
    assert [entry.action for entry in entries] == ["wallet.transfer", "request.refund", "wallet.top_up"]
    assert [entry.actor for entry in entries] == ["test"] * 3
    assert entries[1].after["other"] == record.request_id
