"""The database does not answer: what is said meanwhile, and that nothing is lost."""

import contextlib
import sqlite3

import pytest

from tests.journeys.gateway import gateway, wait_for


@pytest.fixture(scope="module")
def server(joytoken_command, tmp_path_factory):
    settings = {"money.lease_idle_ms": 60_000}
    with gateway(joytoken_command, tmp_path_factory.mktemp("away"), settings) as made:
        yield made


@contextlib.contextmanager
def away(server):
    """Nobody can write to the database."""
    with contextlib.closing(sqlite3.connect(server.data_dir / "joytoken.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_receipt_that_is_not_written_yet_says_so(server):
    """It would else wait for as long as the database is away."""
    customer = server.customer()
    assert customer.chat("echo", max_tokens=5).status == 200
    with away(server):
        served = customer.chat("echo", max_tokens=5)  # from what is leased
        assert served.status == 200
        refused = customer.get(f"/api/v1/requests/{served.metadata['request_id']}")
        assert (refused.status, refused.error["code"]) == (503, "store_away")
        assert refused.headers["retry-after"] == "1"
        again = customer.chat("echo", max_tokens=5, headers={"Idempotency_Key": "k"})
        assert (again.status, again.error["code"]) == (503, "store_away")
    wait_for(lambda: customer.get(f"/api/v1/requests/{served.metadata['request_id']}").status == 200, "it is lost")
    assert customer.chat("echo", max_tokens=5, headers={"Idempotency_Key": "k"}).status == 200
    server.verify()
