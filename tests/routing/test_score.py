import pytest

from joytoken.routing import Health, RoutingOptions
from joytoken.routing.candidates import Index
from joytoken.routing.score import rank
from tests.routing.catalogs import Clock, catalog, model


def ranked(*models, latencies=(), **options):
    chosen = RoutingOptions(**options)
    health = Health(chosen, Clock())
    for deployment, ms in latencies:
        health.succeeded(deployment, ms)
    index = Index(catalog(*models))
    return [(s.name, score) for score, s in rank(list(index.served.values()), health, chosen)]


ONLY_PRICE = {"weight_price": 1, "weight_capability": 0, "weight_latency": 0}
ONLY_CAPABILITY = {"weight_price": 0, "weight_capability": 1, "weight_latency": 0}
ONLY_LATENCY = {"weight_price": 0, "weight_capability": 0, "weight_latency": 1}


def test_price_runs_from_the_cheapest_to_the_dearest():
    assert ranked(model("a", price=100), model("b", price=1), model("c", price=10), **ONLY_PRICE) == [
        ("b", 1.0),
        ("c", pytest.approx(0.565, abs=0.01)),
        ("a", 0.0),
    ]


def test_a_free_model_is_the_cheapest():
    assert [name for name, _ in ranked(model("a", price=1), model("b", price=0), **ONLY_PRICE)] == ["b", "a"]


def test_capability_is_the_public_score_and_unknown_is_the_stand_in():
    scores = ranked(model("a", mci_score=40.0), model("b", mci_score=80.0), model("c"), **ONLY_CAPABILITY)
    assert scores == [("b", 0.8), ("c", 0.5), ("a", 0.4)]


def test_latency_is_measured_and_shared_by_weight():
    scores = ranked(
        model("slow"),
        model("unknown"),
        model("mixed", weights=(3, 1)),
        latencies=[("slow#0", 3000.0), ("mixed#0", 100.0), ("mixed#1", 900.0)],
        **ONLY_LATENCY,
    )
    assert scores == [("mixed", round(1000 / 1300, 4)), ("unknown", 0.5), ("slow", 0.25)]


def test_equals_are_ordered_by_name():
    assert [name for name, _ in ranked(model("b"), model("c"), model("a"))] == ["a", "b", "c"]


def test_weights_are_relative():
    models = (model("a", price=5, mci_score=90.0), model("b", price=1))
    assert ranked(*models) == ranked(*models, weight_price=4, weight_capability=4, weight_latency=2)


def test_without_any_weight_names_decide():
    assert ranked(model("b"), model("a"), weight_price=0, weight_capability=0, weight_latency=0) == [
        ("a", 0.0),
        ("b", 0.0),
    ]
