"""Old months of requests: listed, dropped, and told of by name afterwards."""

import pytest

from joytoken.admin.grants import Refund, refund_request
from joytoken.admin.incidents import IncidentQuery, list_incidents
from joytoken.admin.months import MonthsDrop, MonthsQuery, drop_months, first_kept, list_months
from joytoken.admin.requests import RequestRef, show_request
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.domain.ids import request_id
from joytoken.store.usage_months import table_of
from joytoken.store.usage_query import UsageQuery
from tests.admin.conftest import NOW_US
from tests.admin.worlds import paid

DAY_US = 86_400_000_000
EVERYTHING = UsageQuery()


def test_old_months_go_and_their_sums_stay(desk):
    for days in (1, 40, 40, 70):
        paid(desk, started_us=NOW_US - days * DAY_US)
    sums = desk.store.usage.summary(EVERYTHING, ["model", "day"])
    asked = list_months(desk, MonthsQuery()).months
    assert [(m.month, m.requests, m.dropped) for m in asked] == [
        ("2026-09", 1, None), ("2026-10", 2, None), ("2026-11", 1, None),
    ]  # fmt: skip
    assert asked[1].first == asked[1].last == "2026-10-13T12:00:00.000Z"
    done = drop_months(desk, MonthsDrop(before="2026-11"))
    assert [(m.month, m.requests) for m in done.months] == [("2026-09", 1), ("2026-10", 2)]
    assert len(desk.store.usage.list()) == 1
    assert desk.store.usage.summary(EVERYTHING, ["model", "day"]) == sums
    assert desk.store.ledger.verify().first_bad is None
    assert drop_months(desk, MonthsDrop(before="2026-11")).months == []
    assert [(m.month, m.requests, bool(m.dropped)) for m in list_months(desk, MonthsQuery()).months] == [
        ("2026-09", 1, True), ("2026-10", 2, True), ("2026-11", 1, False),
    ]  # fmt: skip
    noted = [row for row in desk.store.audit.list() if row.action == "usage.drop"]
    assert [row.subject for row in noted] == ["2026-10", "2026-09"]


@pytest.mark.parametrize(("before", "said"), [("2026", "not a month"), ("2026-12", "not over"), ("x", "not a month")])
def test_what_cannot_be_dropped(desk, before, said):
    with pytest.raises(InvalidRequest, match=said) as refused:
        drop_months(desk, MonthsDrop(before=before))
    assert refused.value.param == "before"


def test_a_month_is_kept_while_it_is_not_settled_or_not_right(desk):
    paid(desk, started_us=NOW_US - 40 * DAY_US)
    desk.store.ledger.register("far:0", "far", NOW_US, lease_us=-1)
    with pytest.raises(Conflict, match="start joytoken serve there again") as refused:
        drop_months(desk, MonthsDrop(before="2026-11"))
    assert refused.value.code == "month_not_settled"
    desk.store.ledger.claim("far:0")
    desk.store.ledger.finish("far:0", 1)
    with desk.store.database.write(durable=False) as conn:
        conn.exec_driver_sql(f"UPDATE {table_of('2026-10')} SET key_id = 'eve'")
    with pytest.raises(Conflict, match="not the one that was brought") as refused:
        drop_months(desk, MonthsDrop(before="2026-11"))
    assert refused.value.code == "wrong_books"
    assert len(desk.store.usage.list()) == 1


def test_a_request_of_a_dropped_month_is_known_to_be_gone(desk):
    then = NOW_US - 40 * DAY_US
    gone = request_id(then // 1000, 7)
    paid(desk, request_id=gone, started_us=then)
    twice = [
        Refund(id=gone, amount=amount, reason="a gift", idempotency_key=f"g {amount}") for amount in ("50%", "0.1")
    ]
    before = [refund_request(desk, one) for one in twice]
    drop_months(desk, MonthsDrop(before="2026-11"))
    assert [refund_request(desk, one) for one in twice] == before
    more = [Refund(id=gone, amount=amount, reason="a gift", idempotency_key="more") for amount in ("10%", "0.1", None)]
    for ask in (*[lambda one=one: refund_request(desk, one) for one in more], lambda: show_request(desk, ref(gone))):
        with pytest.raises(NotFound, match="requests of 2026-10 were dropped") as refused:
            ask()
        assert (refused.value.code, refused.value.param) == ("month_dropped", "id")
    with pytest.raises(NotFound) as refused:
        show_request(desk, ref(request_id(NOW_US // 1000, 7)))
    assert refused.value.code == "unknown_request"


def ref(name):
    return RequestRef(name)


def test_what_was_refused_for_its_month_is_an_incident(desk):
    then = NOW_US - 40 * DAY_US
    paid(desk, started_us=then)
    drop_months(desk, MonthsDrop(before="2026-11"))
    late = paid(desk, started_us=then, worker="late")
    assert desk.store.usage.list() == []
    (incident,) = list_incidents(desk, IncidentQuery()).incidents
    assert (incident.kind, incident.subject, incident.closed) == ("month_dropped", "late0/1", None)
    (lost,) = incident.detail
    assert (lost["request_id"], lost["month"], lost["charged"]) == (late.request_id, "2026-10", "1.000000")


@pytest.mark.parametrize(("keep", "first"), [(1, "2026-10"), (11, "2025-12"), (24, "2024-11")])
def test_the_first_month_that_is_kept(keep, first):
    assert first_kept(NOW_US, keep) == first
