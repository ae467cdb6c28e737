"""The details of a receipt: of a run's workflow and step only where a request has them."""

import msgspec
import pytest

from joytoken.domain.record import Detail
from joytoken.gateway.lineage import Placed
from joytoken.gateway.trail import Trail
from tests.gateway.worlds import a_call, chat


@pytest.fixture
def trail():
    return Trail(a_call(chat()), "req-1")


def test_a_request_without_a_run_pays_for_no_word_of_it(trail):
    assert trail.detail() == b'{"candidates":[],"timings":{}}'
    assert trail.placed_detail() == b""


@pytest.mark.parametrize(("workflow", "step"), [("", ""), ("nightly", ""), ("", "3"), ("nightly", "3")])
def test_where_a_request_stands_in_its_run(trail, workflow, step):
    trail.run, trail.step = Placed(("r",), workflow=workflow), step
    for said in filter(None, (trail.detail(), trail.placed_detail())):
        found = msgspec.json.decode(said, type=Detail)
        assert (found.workflow, found.step) == (workflow, step)
    assert bool(trail.placed_detail()) == bool(workflow or step)
