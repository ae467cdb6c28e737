"""A gateway that runs while an old month of its requests is dropped, by hand and by its own chores."""

import time

import pytest

from joytoken.domain.ids import request_id
from joytoken.domain.ledger import Want, wallet_account
from joytoken.domain.record import UsageRecord, close_record
from joytoken.store.ledger import Batch
from joytoken.store.open import open_store
from joytoken.store.usage_months import month_of, span_of
from tests.journeys.gateway import gateway, id_of, wait_for

DAY_US = 86_400_000_000
CREDIT = 10**9


@pytest.fixture(scope="module")
def server(joytoken_command, tmp_path_factory):
    with gateway(joytoken_command, tmp_path_factory.mktemp("months"), {"usage.roll_ms": 50}) as made:
        yield made


def month_ago(count):
    """The month so many months before this one, and a moment in the middle of it."""
    low = span_of(month_of(time.time_ns() // 1000))[0]
    for _ in range(count):
        low = span_of(month_of(low - DAY_US))[0]
    return month_of(low), low + 14 * DAY_US


def served_then(server, customer, started_us, count=3):
    """Requests of long ago, brought by a worker of then through the ledger; their ids."""
    store = open_store(f"sqlite:///{server.data_dir}/joytoken.db")
    account = wallet_account(customer.owner, "standard")
    worker = f"then:{started_us}"
    epoch = store.ledger.register(worker, "then", started_us)
    store.ledger.grant(worker, epoch, [(Want(account), count * CREDIT, count * CREDIT)], started_us)
    rows = []
    for number in range(1, count + 1):
        record = UsageRecord(
            request_id=request_id(started_us // 1000, number), started_us=started_us, finished_us=started_us,
            owner_id=customer.owner, key_id=customer.key_id, model="echo/echo", tier="standard", ending="completed",
            usage_source="reported", http_status=200, cost=CREDIT, attempts=1,
        )  # fmt: skip
        close_record(record, CREDIT, 0)
        rows.append((number, (account,), CREDIT, record))
    store.ledger.flush(worker, epoch, Batch(count, rows, {}, started_us))
    store.ledger.finish(worker, epoch)
    store.close()
    return [row[3].request_id for row in rows]


def test_old_months_are_dropped_while_the_gateway_serves(server):
    customer = server.customer({"standard": "100"})
    recent = customer.chat("echo", say="Hello")
    customer.balance()  # by then it is written
    months = [month_ago(count) for count in (3, 2)]
    old = [served_then(server, customer, then) for _, then in months]
    assert customer.get(f"/api/v1/requests/{old[0][0]}").status == 200
    question = f"/usage?by=model,day&key={customer.key_id}"
    sums, balance = server.manage("GET", question)["rows"], customer.balance()
    server.verify()
    there = {one["month"]: one for one in server.cli("usage", "months")["months"]}
    assert [(there[month]["requests"], there[month]["dropped"]) for month, _ in months] == [(3, None)] * 2
    server.cli("usage", "drop", "--before", "2999-01", "--yes", code=2)

    # By a process of its own, and by the gateway itself.
    done = server.cli("usage", "drop", "--before", months[1][0], "--yes")["months"]
    done += server.manage("POST", "/usage/drop", {"before": month_ago(1)[0]})["months"]
    assert done == [{"month": month, "requests": 3} for month, _ in months]
    for wanted in (old[0][0], old[1][0]):
        gone = customer.get(f"/api/v1/requests/{wanted}")
        assert (gone.status, gone.error["code"]) == (404, "month_dropped")
        server.cli("requests", "show", wanted, code=3)
    assert customer.receipt(recent)["request"]["request_id"] == id_of(recent)
    assert server.manage("GET", question)["rows"] == sums
    assert customer.balance() == balance

    following = customer.chat("echo", say="Hello")
    assert customer.receipt(following)["request"]["request_id"] == id_of(following)
    server.at_rest()
    server.verify()
    # A journal of then that comes now is not charged again.
    balance = customer.balance()
    served_then(server, customer, months[0][1])
    assert customer.balance() == balance
    (incident,) = server.cli("incidents", "list", "--open")["incidents"]
    assert (incident["kind"], [one["request_id"] for one in incident["detail"]]) == ("month_dropped", old[0])
    server.verify()


def test_a_gateway_keeps_so_many_months(server):
    customer = server.customer({"standard": "100"})
    months = [month_ago(count) for count in (1, 4, 5)]
    for _, then in months:
        served_then(server, customer, then, 1)
    server.env["JOY_TOKEN_USAGE_KEEP_MONTHS"] = "1"
    server.restart()

    def dropped():
        return {one["month"] for one in server.cli("usage", "months")["months"] if one["dropped"]}

    wait_for(lambda: dropped() >= {month for month, _ in months[1:]}, "old months are not dropped")
    assert months[0][0] not in dropped()
    assert server.customer({"standard": "100"}).chat("echo", say="Hello").status == 200
    server.at_rest()
    server.verify()
