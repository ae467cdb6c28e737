import pytest

from joytoken.admin.wallets import (
    StatementQuery,
    VerifyQuery,
    WalletQuery,
    WalletTopUp,
    adjust,
    show_wallets,
    statement,
    top_up,
    verify,
)
from joytoken.domain.errors import Conflict, GatewayError, InvalidRequest


def change(amount, key="k", **more):
    return WalletTopUp(amount=amount, idempotency_key=key, **more)


def balances(desk, **query):
    return {(w.owner, w.tier): w.balance for w in show_wallets(desk, WalletQuery(**query)).wallets}


def test_starter_wallets(desk):
    found = show_wallets(desk, WalletQuery()).wallets
    assert [(w.tier, w.balance, w.frozen, w.available, w.usd) for w in found] == [
        ("economy", "1000.000000", "0.000000", "1000.000000", "1.000000"),
        ("standard", "1000.000000", "0.000000", "1000.000000", "2.000000"),
        ("premium", "1000.000000", "0.000000", "1000.000000", "5.000000"),
    ]


def test_a_top_up_counts_once(desk):
    made = top_up(desk, change("12.000000001", tier="economy", reason="gift"))
    assert (made.kind, made.amount, made.balance, made.actor) == ("topup", "12.000000001", "1012.000000001", "test")
    assert top_up(desk, change("12.000000001", tier="economy", reason="gift")) == made
    assert balances(desk, tier="economy") == {("default", "economy"): "1012.000000001"}
    assert [entry.action for entry in desk.store.audit.list(2)].count("wallet.top_up") >= 1
    with pytest.raises(Conflict):
        top_up(desk, change("13", tier="economy"))


def test_an_adjustment_may_take_away_but_never_more_than_there_is(desk):
    assert adjust(desk, change("-5.5", reason="mistake")).balance == "994.500000"
    with pytest.raises(GatewayError) as caught:
        adjust(desk, change("-5000", "other", reason="mistake"))
    assert caught.value.http_status in {402, 409}
    assert balances(desk, tier="standard") == {("default", "standard"): "994.500000"}


def test_owners_have_wallets_of_their_own(desk):
    assert balances(desk, owner="team") == {("team", tier): "0.000000" for tier in ("economy", "standard", "premium")}
    top_up(desk, change("3", owner="team"))
    assert balances(desk, owner="team")["team", "standard"] == "3.000000"
    assert len(balances(desk, all=True)) == 6


@pytest.mark.parametrize(
    ("act", "request_", "param"),
    (
        (top_up, change("0"), "amount"),
        (top_up, change("-1"), "amount"),
        (top_up, change("1e3"), "amount"),
        (top_up, change("1", tier="gold"), "tier"),
        (top_up, change("1", key=""), "idempotency_key"),
        (top_up, change("1", owner="a:b"), "owner"),
        (adjust, change("0", reason="x"), "amount"),
        (adjust, change("-1"), "reason"),
        (adjust, change("-1", reason="x" * 501), "reason"),
    ),
)
def test_a_wrong_change_names_its_field(desk, act, request_, param):
    with pytest.raises(InvalidRequest) as caught:
        act(desk, request_)
    assert caught.value.param == param


def test_a_statement_in_pages(desk):
    for number in range(5):
        top_up(desk, change(str(number + 1), f"k{number}"))
    page = statement(desk, StatementQuery(limit=4))
    assert [entry.amount for entry in page.entries] == ["5.000000", "4.000000", "3.000000", "2.000000"]
    rest = statement(desk, StatementQuery(limit=4, before=page.next))
    assert [(entry.amount, entry.reason) for entry in rest.entries] == [
        ("1.000000", ""),
        ("1000.000000", "starter credits"),
    ]
    assert rest.next is None
    with pytest.raises(InvalidRequest):
        statement(desk, StatementQuery(limit=0))


def test_the_books_are_proved(desk):
    proof = verify(desk, VerifyQuery())
    assert proof.ok
    assert len(proof.checks) >= 8
    assert all(check.ok for check in proof.checks)
