"""A gateway on PostgreSQL, from `init` to the proof: the same as on SQLite, by its URL alone."""

import pytest

from tests.journeys.gateway import Gateway
from tests.journeys.stub import Stub
from tests.journeys.wire import CHAT

CREDIT = 10**9

BODY = {"model": "stub/plain", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def on_postgres(postgres, joytoken_command, tmp_path):
    url = postgres.create()
    made = Gateway(joytoken_command, tmp_path / "gateway", {"database.url": url})
    yield made
    made.end()
    postgres.drop(url)


def test_a_gateway_on_postgres(on_postgres, stub: Stub):
    assert on_postgres.cli("db", "status")["state"] == "current"
    assert on_postgres.cli("db", "migrate")["state"] == "current"
    on_postgres.start()
    on_postgres.provider("stub", stub.url)
    on_postgres.model("stub/plain", "stub", "plain", tier="standard")
    on_postgres.sync()
    customer = on_postgres.customer()
    answers = [customer.post(CHAT, BODY) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    left = customer.balance()
    records = customer.records()
    assert len(records) == 5
    assert left < 100 * CREDIT
    assert customer.receipt(answers[0])
    on_postgres.kill()
    on_postgres.start()
    on_postgres.stop()
    report = on_postgres.cli("wallet", "verify")
    assert report["ok"]
    assert not (on_postgres.data_dir / "joytoken.db").exists()
