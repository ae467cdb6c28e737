import pytest

from joytoken.admin.requests import RequestQuery, RequestRef, TailQuery, list_requests, show_request, tail_requests
from joytoken.domain.ending import RULES
from joytoken.domain.errors import InvalidRequest, NotFound
from tests.admin.worlds import CREDIT, paid


def test_requests_in_pages_newest_first(desk):
    ids = [paid(desk).request_id for _ in range(5)]
    page = list_requests(desk, RequestQuery(limit=3))
    assert [request.request_id for request in page.requests] == ids[:3]
    rest = list_requests(desk, RequestQuery(limit=3, before=page.next))
    assert ([request.request_id for request in rest.requests], rest.next) == (ids[3:], None)


@pytest.mark.parametrize(
    ("filters", "count"),
    (
        ({"project": "red"}, 1),
        ({"project": "blue"}, 2),
        ({"key": "first"}, 3),
        ({"since": "90s"}, 1),
        ({"until": "90s"}, 2),
        ({"since": "2026-11-22", "zone": "Europe/Berlin"}, 3),
        ({"since": "2026-11-23"}, 0),
        ({"ending": "client_gone"}, 1),
        ({"correlation_id": "mine"}, 1),
        ({"model": "echo/echo", "tier": "standard", "provider": "echo"}, 3),
    ),
)
def test_filters(desk, filters, count):
    paid(desk)
    paid(desk, project="red", ending="client_gone")
    paid(desk, correlation_id="mine")
    assert len(list_requests(desk, RequestQuery(**filters)).requests) == count


@pytest.mark.parametrize(
    ("query", "param"),
    (
        (RequestQuery(limit=0), "limit"),
        (RequestQuery(limit=1001), "limit"),
        (RequestQuery(before="x"), "before"),
        (RequestQuery(since="long ago"), "since"),
        (RequestQuery(zone="Nowhere"), "zone"),
        (TailQuery(limit=0), "limit"),
    ),
)
def test_a_wrong_question_names_its_field(desk, query, param):
    with pytest.raises(InvalidRequest) as caught:
        (tail_requests if isinstance(query, TailQuery) else list_requests)(desk, query)
    assert caught.value.param == param


def test_an_unknown_key_is_not_an_empty_answer(desk):
    with pytest.raises(NotFound):
        list_requests(desk, RequestQuery(key="nobody"))


def test_a_receipt_tells_it_all(desk):
    record = paid(desk, tags='{"team":"x"}', correlation_id="mine")
    receipt = show_request(desk, RequestRef(record.request_id))
    assert receipt.request.tags == {"team": "x"}
    assert (receipt.ending.name, receipt.ending.rule) == ("completed", RULES["completed"])
    money = receipt.money
    assert (money.hold, money.settled, money.released) == ("4.000000", "1.000000", "3.000000")
    assert (money.charged_usd, money.margin_usd) == ("0.002000", "0.002000")
    assert (money.input_bound, money.output_bound) == (10, 20)
    assert receipt.price.credits.input_mtok == "75"
    assert [(c.model, c.chosen) for c in receipt.route.candidates] == [("echo/echo", True)]
    assert [(a.status, a.first_byte_ms, a.ended_ms) for a in receipt.attempts] == [(200, 2.0, 2.5)]
    assert receipt.timings == {"authenticate": 0.1, "settle": 3.0}
    assert show_request(desk, RequestRef("mine")).request.request_id == record.request_id


def test_a_request_that_is_not_there(desk):
    with pytest.raises(NotFound) as caught:
        show_request(desk, RequestRef("req-0"))
    assert caught.value.code == "unknown_request"


def test_a_tail_gives_each_request_once(desk):
    paid(desk)
    tail = tail_requests(desk, TailQuery())
    assert tail.requests == []
    wanted = [paid(desk, charged=CREDIT * n).request_id for n in (1, 2)]
    tail = tail_requests(desk, TailQuery(after=tail.next))
    assert [request.request_id for request in tail.requests] == wanted
    again = tail_requests(desk, TailQuery(after=tail.next))
    assert (again.requests, again.next) == ([], tail.next)
