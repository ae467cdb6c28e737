import pytest

from joytoken.admin.desk import Desk
from joytoken.admin.prices import (
    PriceFields,
    PriceRef,
    PricesQuery,
    TierPriceUpdate,
    list_prices,
    price_from,
    set_tier_price,
    show_price,
)
from joytoken.domain.errors import InvalidRequest, NotFound
from joytoken.domain.price import Price, Rates, Step

CREDIT = 10**9


def test_the_book_shows_tiers_and_models(desk):
    book = list_prices(desk, PricesQuery())
    assert [(t.tier, t.usd_per_credit) for t in book.tiers] == [
        ("economy", "0.001"),
        ("standard", "0.002"),
        ("premium", "0.005"),
    ]
    echo = next(m for m in book.models if m.model == "echo/echo")
    assert show_price(desk, PriceRef(echo.price.price_id)) == echo.price


def test_a_tiers_credit_gets_another_worth_from_now_on(desk):
    desk = Desk(desk.store, desk.settings, desk.vault)  # by the clock, since the first worth was set by it
    assert set_tier_price(desk, TierPriceUpdate(tier="premium", usd_per_credit="0.01")).usd_per_credit == "0.01"
    assert desk.store.catalog.usd_per_credit() == {"economy": 1_000_000, "standard": 2_000_000, "premium": 10_000_000}
    assert desk.store.audit.list(1)[0].action == "price.tier"


@pytest.mark.parametrize(("tier", "worth"), (("gold", "1"), ("premium", "-1"), ("premium", "x")))
def test_a_wrong_worth_is_refused(desk, tier, worth):
    with pytest.raises(InvalidRequest):
        set_tier_price(desk, TierPriceUpdate(tier=tier, usd_per_credit=worth))


def test_an_unknown_price(desk):
    with pytest.raises(NotFound):
        show_price(desk, PriceRef("price-0"))


def test_new_rates_end_the_old_steps_and_leave_the_cost():
    step = Step(1000, Rates(2, 2))
    base = Price("p", Rates(CREDIT, CREDIT), Rates(5, 6), (step,), (step,))
    made = price_from(PriceFields(input_mtok="2"), base)
    assert (made.credits, made.steps, made.cost_usd, made.cost_steps) == (
        Rates(2 * CREDIT, CREDIT),
        (),
        Rates(5, 6),
        (step,),
    )
    assert price_from(PriceFields(), base) is base
    assert price_from(PriceFields(), None) is None
    assert price_from(PriceFields(cost_input_mtok_usd="1"), base).cost_usd == Rates(CREDIT, 6)
