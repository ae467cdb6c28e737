import itertools

import pytest

from joytoken.routing import Health, RoutingOptions, is_fault
from tests.routing.catalogs import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(RoutingOptions(), clock)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (400, False),
        (404, False),
        (409, False),
        (413, False),
        (422, False),
        (401, True),
        (402, True),
        (403, True),
        (408, True),
        (429, True),
        (500, True),
        (503, True),
        (302, True),
        ("connect_failed", True),
        ("timeout", True),
    ],
)
def test_what_counts_against_a_deployment(kind, fault):
    assert is_fault(kind) is fault


# Each row: what happens, one letter an event, and the state after it.
#   f failure   s success   n the caller's nonsense (400)   h hang-up   b begin   . 15 seconds pass
@pytest.mark.parametrize(
    ("events", "state"),
    [
        ("", "closed"),
        ("ffff", "closed"),
        ("fffff", "open"),
        ("ffffsffff", "closed"),
        ("ffffnf", "open"),
        ("ffffhf", "open"),
        ("nnnnnnnn", "closed"),
        ("hhhhhhhh", "closed"),
        ("fffff.", "half_open"),
        ("fffff.b", "half_open"),
        ("fffff.bs", "closed"),
        ("fffff.bsffff", "closed"),
        ("fffff.bf", "open"),
        ("fffff.bf.", "open"),
        ("fffff.bf..", "half_open"),
        ("fffff.bf..bf...", "open"),
        ("fffff.bf..bf....", "half_open"),
        ("fffff.bh", "half_open"),
        ("fffff.bn", "half_open"),
        ("fffffs", "closed"),
        ("fffffff", "open"),
    ],
)
def test_the_circuit(health, clock, events, state):
    for event in events:
        match event:
            case "f":
                health.failed("d", 500)
            case "s":
                health.succeeded("d")
            case "n":
                health.failed("d", 400)
            case "h":
                health.abandoned("d")
            case "b":
                health.tick()
                assert "d" in health.waiting
                health.claim("d")
            case ".":
                clock.now += 15
    assert health.state("d") == state
    assert health.usable("d") is (state == "closed" or (state == "half_open" and events[-1] != "b"))


def test_half_of_twenty_within_the_window_opens(health, clock):
    for _ in range(9):
        health.succeeded("d")
        health.failed("d", 500)
        clock.now += 1
    assert health.state("d") == "closed"
    health.succeeded("d")
    health.failed("d", 503)
    assert health.state("d") == "open"


def test_failures_older_than_the_window_are_forgotten(health, clock):
    for _ in range(9):
        health.succeeded("d")
        health.failed("d", 500)
    clock.now += 31
    health.succeeded("d")
    health.failed("d", 500)
    assert health.state("d") == "closed"


def test_the_window_slides(health, clock):
    for _ in range(40):  # one success and one failure each four seconds: never twenty within thirty
        health.succeeded("d")
        health.failed("d", 500)
        clock.now += 4
    assert health.state("d") == "closed"


def test_the_pause_doubles_up_to_its_limit(health, clock):
    for _ in range(5):
        health.failed("d", "connect_failed")
    pauses = []
    for _ in range(7):
        waited = 0
        while health.state("d") == "open":
            clock.now += 15
            waited += 15
        pauses.append(waited)
        health.claim("d")
        health.failed("d", "connect_failed")
    assert pauses == [15, 30, 60, 120, 240, 240, 240]


def test_the_pause_starts_small_again_after_a_recovery(health, clock):
    for _ in range(5):
        health.failed("d", 500)
    clock.now += 15
    health.claim("d")
    health.failed("d", 500)
    clock.now += 30
    health.claim("d")
    health.succeeded("d")
    for _ in range(5):
        health.failed("d", 500)
    clock.now += 15
    assert health.state("d") == "half_open"


def test_one_probe_at_a_time(health, clock):
    for _ in range(5):
        health.failed("d", 500)
    health.claim("d")  # open: nothing to claim
    assert (health.usable("d"), health.waiting) == (False, set())
    clock.now += 15
    health.tick()
    assert (health.usable("d"), health.waiting) == (True, {"d"})
    health.claim("d")
    assert (health.usable("d"), health.waiting) == (False, set())
    health.abandoned("d")  # the probe's caller hung up: the next caller probes
    assert (health.usable("d"), health.waiting) == (True, {"d"})
    health.claim("d")
    clock.now += 15  # nobody reported the probe's outcome: it counts as lost
    health.tick()
    assert (health.usable("d"), health.waiting) == (True, {"d"})


def test_a_late_failure_of_an_open_circuit_does_not_prolong_it(health, clock):
    for _ in range(5):
        health.failed("d", 500)
    clock.now += 10
    health.failed("d", 500)
    clock.now += 5
    assert health.state("d") == "half_open"


def test_deployments_do_not_share_a_circuit(health):
    for _ in range(5):
        health.failed("d", 500)
    assert health.usable("e")
    assert health.state("e") == "closed"


def test_the_first_byte_is_averaged_and_published_in_steps(health):
    assert health.latency_ms("d") is None
    health.succeeded("d", 100.0)
    assert health.latency_ms("d") == 100.0
    version = health.version
    health.succeeded("d", 150.0)  # the average is 110: not enough to make plans anew
    assert (health.latency_ms("d"), health.version) == (100.0, version)
    health.succeeded("d", 400.0)  # 168
    assert health.latency_ms("d") == pytest.approx(168.0)
    assert health.version == version + 1


def test_microseconds_of_a_local_server_are_noise(health):
    health.succeeded("d", 0.4)
    version = health.version
    for ms in (0.9, 2.0, 0.1, 3.0):
        health.succeeded("d", ms)
    assert health.version == version


def test_the_version_changes_with_the_circuit_and_only_then(health, clock):
    versions = [health.version]

    def note():
        versions.append(health.tick())

    for _ in range(4):
        health.failed("d", 500)
    note()  # nothing yet
    health.failed("d", 500)
    note()  # open
    health.failed("d", 500)
    note()  # nothing
    clock.now += 15
    note()  # half-open
    health.claim("d")
    note()  # a probe under way
    health.succeeded("d")
    note()  # closed
    changes = [after != before for before, after in itertools.pairwise(versions)]
    assert changes == [False, True, False, True, True, True]


def test_deployments_that_left_the_catalog_are_forgotten(health):
    for _ in range(5):
        health.failed("d", 500)
    health.keep(frozenset({"e"}))
    assert health.state("d") == "closed"
    assert health.usable("d")
