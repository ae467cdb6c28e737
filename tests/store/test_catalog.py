"""The catalog comes back as it went in; prices are known by what they are; each change is counted, and only those."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from joytoken.domain.catalog import Deployment, Provider
from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.price import Price, Rates, Step
from joytoken.store import schema
from joytoken.store.catalog import CatalogTables, price_id
from joytoken.store.setting import Settings
from tests.store import making

ECHO = Provider("echo", "echo")
D1 = Deployment("d1", "m", "echo", "up-1")
D2 = Deployment("d2", "m", "echo", "up-2")
ONE_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)


@pytest.fixture
def catalog(database):
    return CatalogTables(database)


@pytest.fixture
def generation(database):
    return Settings(database).generation


def wipe(database):
    with database.write(durable=False) as conn:
        for table in (schema.deployment, schema.model, schema.provider):
            conn.execute(sa.delete(table))


@ONE_FILE
@given(wanted=making.providers)
def test_any_provider_comes_back_as_it_went(database, wanted):
    wipe(database)
    catalog = CatalogTables(database)
    catalog.put_provider(wanted)
    assert catalog.providers() == [wanted]


@ONE_FILE
@given(wanted=making.models())
def test_any_model_comes_back_as_it_went(database, wanted):
    wipe(database)
    catalog = CatalogTables(database)
    catalog.put_provider(ECHO)
    stored = catalog.put_model(wanted, 5)
    assert msgspec.structs.replace(stored, price=wanted.price) == wanted
    assert msgspec.structs.replace(stored.price, price_id=wanted.price.price_id) == wanted.price
    assert catalog.models() == [stored]
    assert catalog.price(stored.price.price_id) == stored.price


def test_a_price_is_known_by_its_rates():
    base = Price("mine", Rates(10, 20))
    others = [
        Price("", Rates(20, 10)),
        Price("", Rates(10, 20, cache_read=0)),
        Price("", Rates(10, 20, request=1)),
        Price("", Rates(10, 20), Rates(1, 2)),
        Price("", Rates(10, 20), steps=(Step(5, Rates(1, 2)),)),
        Price("", Rates(10, 20), cost_steps=(Step(5, Rates(1, 2)),)),
    ]
    assert price_id(base) == price_id(Price("", Rates(10, 20)))
    assert len({price_id(price) for price in (base, *others)}) == len(others) + 1
    # Old bills name this id: it may never become another one.
    assert price_id(base) == "price-1fa18bed58bd5572"


def test_every_price_that_a_model_had_stays(catalog):
    first = catalog.put_model(making.model(price=Price("", Rates(1, 2))), 10)
    second = catalog.put_model(making.model(price=Price("", Rates(3, 4))), 20)
    catalog.put_model(making.model(price=Price("", Rates(3, 4)), description="new words"), 30)
    back = catalog.put_model(making.model(price=Price("", Rates(1, 2))), 40)
    assert back.price == first.price
    ids = [first.price.price_id, second.price.price_id]
    assert catalog.price_history("m") == [(10, ids[0]), (20, ids[1]), (40, ids[0])]
    catalog.remove_model("m")
    assert [catalog.price(one).credits for one in ids] == [Rates(1, 2), Rates(3, 4)]
    assert catalog.price("price-none") is None


def test_the_generation_rises_exactly_on_change(catalog, generation):
    steps = [
        (1, lambda: catalog.put_provider(ECHO)),
        (0, lambda: catalog.put_provider(ECHO)),
        (1, lambda: catalog.put_provider(Provider("echo", "echo", enabled=False))),
        (1, lambda: catalog.put_model(making.model(deployments=(D1,)), 1)),
        (0, lambda: catalog.put_model(making.model(deployments=(D1,)), 2)),
        (1, lambda: catalog.put_model(making.model(price=Price("", Rates(5, 5))), 3)),
        (1, lambda: catalog.put_model(making.model(price=Price("", Rates(5, 5)), mci_score=3.5), 4)),
        (1, lambda: catalog.put_deployment(D2)),
        (0, lambda: catalog.put_deployment(D2)),
        (1, lambda: catalog.put_deployment(msgspec.structs.replace(D2, weight=9))),
        (1, lambda: catalog.remove_deployment("d2")),
        (1, lambda: catalog.put_usd_per_credit("standard", 7, 10)),
        (0, lambda: catalog.put_usd_per_credit("standard", 7, 11)),
        (1, lambda: catalog.put_usd_per_credit("standard", 8, 12)),
        (1, lambda: catalog.remove_model("m")),
        (1, lambda: catalog.remove_provider("echo")),
    ]
    for number, (by, act) in enumerate(steps):
        before = generation()
        act()
        assert generation() - before == by, number


def test_deployments_keep_their_order_and_stay(catalog):
    catalog.put_provider(ECHO)
    catalog.put_model(making.model(deployments=(D2, D1)))
    third = Deployment("d0", "m", "echo", "up")
    catalog.put_deployment(third)
    catalog.put_model(making.model())
    catalog.put_deployment(msgspec.structs.replace(D2, enabled=False))
    assert [part.deployment_id for part in catalog.models()[0].deployments] == ["d2", "d1", "d0"]


def test_refusals_change_nothing(catalog, generation):
    catalog.put_provider(ECHO)
    catalog.put_model(making.model(deployments=(D1,)))
    before = generation(), catalog.snapshot(0)
    cases = [
        (Conflict, "provider_in_use", lambda: catalog.remove_provider("echo")),
        (NotFound, "unknown_provider", lambda: catalog.remove_provider("none")),
        (NotFound, "unknown_model", lambda: catalog.remove_model("none")),
        (NotFound, "unknown_deployment", lambda: catalog.remove_deployment("none")),
        (Conflict, "unknown_model", lambda: catalog.put_deployment(Deployment("d", "none", "echo", "u"))),
        (Conflict, "unknown_provider", lambda: catalog.put_deployment(Deployment("d", "m", "none", "u"))),
        (Conflict, "deployment_model", lambda: catalog.put_model(making.model("other", deployments=(D1,)))),
        (
            Conflict,
            "unknown_provider",
            lambda: catalog.put_model(making.model("n", deployments=(Deployment("d", "n", "none", "u"),))),
        ),
    ]
    for error, code, act in cases:
        with pytest.raises(error) as refused:
            act()
        assert refused.value.code == code
    assert (generation(), catalog.snapshot(0)) == before


def test_rates_of_tiers_are_dated(catalog):
    assert catalog.usd_per_credit() == {}
    catalog.put_usd_per_credit("standard", 30, 3_000)
    catalog.put_usd_per_credit("standard", 10, 1_000)
    catalog.put_usd_per_credit("premium", 99, 2_000)
    found = [catalog.usd_per_credit(at) for at in (999, 1_000, 2_999, 3_000)]
    assert found == [{}, {"standard": 10}, {"standard": 10, "premium": 99}, {"standard": 30, "premium": 99}]
    assert catalog.snapshot(2_000).usd_per_credit == {"economy": 0, "standard": 10, "premium": 99}
    catalog.put_usd_per_credit("standard", 31, 3_000)
    assert catalog.usd_per_credit() == {"standard": 31, "premium": 99}


def test_the_snapshot(catalog, generation):
    catalog.put_provider(ECHO)
    stored = catalog.put_model(making.model(deployments=(D1,)))
    found = catalog.snapshot()
    assert found.providers == {"echo": ECHO}
    assert found.models == {"m": stored}
    assert found.generation == generation() == 2
    assert found.updated_us > 0


def test_eight_threads_write_and_nothing_is_lost(catalog, generation):
    catalog.put_provider(ECHO)

    def write(number):
        name = f"m{number}"
        catalog.put_model(making.model(name, deployments=(Deployment(f"d{number}", name, "echo", "u"),)))
        return catalog.snapshot().generation

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(write, range(24)))
    assert generation() == max(seen) == 25
    assert all(len(found.deployments) == 1 for found in catalog.models())
    assert len(catalog.models()) == 24
