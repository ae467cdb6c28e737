"""Too many callers, callers who leave, and providers that do everything wrong."""

import time

from joytoken.domain.money import NANO, format_amount
from tests.chaos.crowd import Ask
from tests.chaos.provider import FAULTS
from tests.chaos.stage import Scene, Stage
from tests.journeys.crowd import tally, together
from tests.journeys.gateway import wait_for

TOKENS = 50
# What a provider does wrong is waited for no longer than this.
_IMPATIENT = {
    "upstream.first_byte_ms": 1_500,
    "upstream.idle_ms": 1_500,
    "upstream.total_ms": 5_000,
    "routing.breaker_open_ms": 200,
    "routing.breaker_open_ms_max": 400,
}


def _money_for_ten(stage: Stage) -> None:
    """1,000 requests at once on a wallet that can pay for ten of them: ten are served, each time."""
    house = stage.house
    model = house.model("exact", f"exact?words={TOKENS}&pause_ms=1", input_mtok="0", output_mtok="1000")
    house.gateway.sync()
    hold = TOKENS * 1_000 * NANO // 10**6
    for number in stage.rounds(1, 5):
        owner = f"ten-{number}"
        customer = house.customer(format_amount(10 * hold), owner)
        heard = together(customer, 1_000, model=model, max_tokens=TOKENS, stream=bool(number % 2))
        house.requests += len(heard)
        assert tally(heard) == {(200, ""): 10, (402, "wallet_empty"): 990}, tally(heard)
        assert customer.balance() == 0
    stage.note("10 of each 1,000 requests were served, and the wallet was at 0")


def _accidents(stage: Stage) -> None:
    house = stage.house
    people = house.people()
    asks = []
    for fault in FAULTS:
        model = house.model(fault.replace("_", "-"), f"{fault}?fault={fault}")
        asks += [Ask(model), Ask(model, stream=True)]
    house.gateway.sync()
    crowd = house.crowd([people[0], *people], asks, each=stage.size(4, 8))
    time.sleep(stage.size(3, 25))
    house.heard(crowd)
    stage.note(f"{len(FAULTS)} ways of doing it wrong, as streams and whole; statuses {_statuses(stage)}")


def _storm(stage: Stage) -> None:
    """Every provider answers 429 and 5xx, half of them at a time; the other half of the requests must not suffer."""
    house = stage.house
    people = house.people()
    asks = [Ask("chaos/quick")]
    for status in (429, 500, 502, 503):
        asks.append(Ask(house.model(f"status-{status}", f"s?status={status}")))
        two = house.model(f"half-{status}", f"h?status={status}")
        house.gateway.model(two, "provider", "quick?words=3")
        asks.append(Ask(two, stream=True))
    house.gateway.sync()
    crowd = house.crowd(people, asks)
    time.sleep(stage.size(3, 15))
    house.heard(crowd)
    stage.note(f"statuses {_statuses(stage)}")
    assert any(one.served for one in house.told)


def _hang_up(stage: Stage) -> None:
    """Crowds who all leave in the middle: what was held for them must be free again soon."""
    house = stage.house
    people = house.people()
    leaving = [Ask("chaos/slow", stream=True, leaves_s=0.8), Ask("chaos/quick", leaves_s=0.05)]
    longest = 0.0
    for _ in stage.rounds(2, 8):
        house.drip()
        crowd = house.crowd(people, leaving, each=stage.size(8, 12))
        time.sleep(1.5)
        house.heard(crowd)
        began = time.monotonic()
        wait_for(lambda: house.holds() == 0, "holds are kept for callers who left")
        longest = max(longest, time.monotonic() - began)
    stage.note(f"{sum(one.left for one in house.told)} hung up; all holds were free {longest:.1f} s later at most")
    assert not stage.full or longest <= 2, f"holds were kept for {longest:.1f} s"


def _statuses(stage: Stage) -> dict[int, int]:
    found: dict[int, int] = {}
    for one in stage.house.told:
        found[one.status] = found.get(one.status, 0) + 1
    return dict(sorted(found.items()))


SCENES = [
    Scene("money-for-ten", "1,000 requests at once on money for ten", 60, _money_for_ten),
    Scene(
        "provider-accidents",
        "providers that reset, hang, cut, say half a frame, garbage, a byte a second, a wrong usage",
        60,
        _accidents,
        settings=_IMPATIENT,
    ),
    Scene("provider-storm", "storms of 429 and 5xx", 40, _storm, settings=_IMPATIENT),
    Scene("hang-ups", "storms of callers who leave in the middle", 60, _hang_up),
]
