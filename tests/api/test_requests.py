import msgspec
import pytest

from joytoken.domain.ending import RULES
from joytoken.domain.money import NANO
from joytoken.domain.price import Price, Rates
from joytoken.domain.record import Attempt, Detail, Timings, UsageRecord
from joytoken.store.engine import StoreUnavailable
from tests.api.worlds import GOOD, OTHER, World

PAID = "req-" + "0123456789abcdef" * 2
OPEN = "req-" + "f" * 32


def record(**fields):
    detail = Detail(
        rule="concrete",
        attempts=[Attempt("acme", "acme/one@acme", "upstream", status=200)],
        timings=Timings(authenticate=100, settle=3500),
        hold_accounts=("wallet:owner:standard",),
    )
    fields = {"price_id": "price-0", "detail": msgspec.json.encode(detail)} | fields
    return UsageRecord(
        PAID,
        key_id="key-" + GOOD,
        ending="completed",
        usage_source="reported",
        tier="standard",
        hold=2 * NANO,
        cost=NANO // 2,
        charged=NANO // 2,
        usd_per_credit=NANO // 500,
        provider_cost_usd=123_456,
        margin_usd=654_321,
        **fields,
    )


@pytest.fixture
def world():
    world = World()
    world.records[PAID] = record()
    world.prices["price-0"] = Price("price-0", Rates(75 * NANO, 300 * NANO), cost_usd=Rates(7 * NANO, 9 * NANO))
    return world


async def test_the_key_that_paid_gets_its_receipt(world):
    found = await world.ask("/api/v1/requests/" + PAID, key=GOOD)
    assert found.status == 200
    assert found.headers["cache-control"] == "no-store"
    shown = found.json
    assert shown["request"]["request_id"] == PAID
    assert shown["ending"] == {"name": "completed", "rule": RULES["completed"], "usage_source": "reported"}
    money = shown["money"]
    assert (money["hold"], money["settled"], money["released"]) == ("2.000000", "0.500000", "1.500000")
    assert shown["price"]["credits"]["input_mtok"] == "75"
    assert shown["route"]["rule"] == "concrete"
    assert shown["attempts"][0]["provider"] == "acme"
    assert shown["timings"]["settle"] == 3.5


async def test_the_operators_cost_and_margin_are_not_the_payers(world):
    found = await world.ask("/api/v1/requests/" + PAID, key=GOOD)
    assert found.status == 200
    for word in ("provider_cost", "margin", "cost_usd", "cost_steps"):
        assert word.encode() not in found.body


async def test_a_record_without_a_price_has_a_receipt(world):
    world.records[PAID] = record(price_id="", detail=b"")
    found = await world.ask("/api/v1/requests/" + PAID, key=GOOD)
    assert (found.status, found.json["price"]) == (200, None)


async def test_another_key_is_not_told_that_the_request_exists(world):
    """The same owner's other key, and a request that nobody made: one answer, to the letter."""
    others = (await world.ask("/api/v1/requests/" + PAID, key=OTHER)).error
    nobodys = (await world.ask("/api/v1/requests/" + OPEN, key=OTHER)).error
    assert others.pop("request_id") != nobodys.pop("request_id")
    assert others == nobodys
    assert (others["type"], others["code"]) == ("not_found_error", "unknown_request")


async def test_a_request_of_a_dropped_month_is_known_to_be_gone(world):
    async def dropped_of(request_id):
        return "2026-10" if request_id == OPEN else None

    other = World(lookup=world.lookup, dropped_of=dropped_of)
    gone = (await other.ask("/api/v1/requests/" + OPEN, key=OTHER)).error
    assert (gone["type"], gone["code"]) == ("not_found_error", "month_dropped")
    assert "requests of 2026-10 were dropped" in gone["message"]
    assert (await other.ask("/api/v1/requests/" + PAID, key=OTHER)).error["code"] == "unknown_request"


UNFIT = ["req-1", "x", PAID[:-1], PAID + "0", PAID.upper(), "REQ" + PAID[3:], PAID + "\n", "req-" + "a" * 5000, "'--"]


@pytest.mark.parametrize("name", UNFIT)
async def test_what_cannot_be_a_request_id_is_not_looked_up(world, name):
    found = await world.ask("/api/v1/requests/" + name, key=GOOD)
    assert (found.status, found.error["code"]) == (404, "unknown_request")
    assert not world.looked_up


@pytest.mark.parametrize("key", [None, "jt_live_unknown"])
async def test_nothing_is_looked_up_without_a_key(world, key):
    await world.ask("/api/v1/requests/" + PAID, key=key)
    assert not world.looked_up


async def test_where_the_store_is_away_the_receipt_is_asked_for_later():
    async def away(request_id):
        raise StoreUnavailable("/data/joytoken.db is locked")

    found = await World(lookup=away).ask("/api/v1/requests/" + PAID, key=GOOD)
    assert (found.status, found.error["type"], found.error["code"]) == (503, "service_unavailable", "store_unavailable")
    assert found.headers["retry-after"] == "1"
    assert b"joytoken.db" not in found.body
