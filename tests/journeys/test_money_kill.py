"""The gateway dies in the middle of everything: after the restart each provider call has its one record."""

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from joytoken.domain.money import NANO
from tests.journeys.crowd import again_and_again, tally
from tests.journeys.gateway import PATIENCE_S, Customer, Gateway, wait_for

STREAMS = 200
FUNDS = 100 * NANO
# A stream of 40 words in a good second, told by the model's own name, so that the stub needs to know nothing.
SLOW = "slow?words=40&pause_ms=30"
QUICK = "quick?words=3"


class Bill:
    """A stub in a process of its own, which outlives the gateway, and what it has written down."""

    def __init__(self, repository, folder):
        self.file = folder / "bill"
        self.file.touch()
        command = [sys.executable, "-m", "tests.journeys.stub", "--bill", str(self.file)]
        self.process = subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = self.process.stdout.readline().decode().strip()

    def close(self):
        self.process.communicate(timeout=PATIENCE_S)

    def begun(self):
        """The calls by their request ids, in order."""
        return [line["request_id"] for line in self._lines() if line["what"] == "begin"]

    def finished(self):
        """The request ids of calls that were answered to the end."""
        return {line["request_id"] for line in self._lines() if line["what"] == "end" and line["finished"]}

    def _lines(self):
        return [json.loads(line) for line in self.file.read_text().splitlines(keepends=True) if line.endswith("\n")]


@pytest.fixture(scope="module")
def bill(repository, tmp_path_factory):
    with contextlib.closing(Bill(repository, tmp_path_factory.mktemp("stub"))) as made:
        yield made


@pytest.fixture
def gateway(open_gateway, bill) -> Gateway:
    made = open_gateway(**{"gateway.progress_ms": 50})
    made.provider("stub", bill.url)
    made.model("stub/slow", "stub", SLOW)
    made.model("stub/quick", "stub", QUICK)
    made.sync()
    return made


@pytest.fixture
def customer(gateway) -> Customer:
    return gateway.customer()


class Crowd(threading.Thread):
    """Callers who go on asking until they are told to stop, whatever becomes of the gateway."""

    def __init__(self, customer, callers, **body):
        super().__init__()
        self.customer, self.callers, self.body = customer, callers, body
        self.going_on = True
        self.heard = []
        self.start()

    def run(self):
        self.heard = again_and_again(self.customer, self.callers, lambda: self.going_on, **self.body)

    def end(self):
        self.going_on = False
        self.join(PATIENCE_S)
        return self.heard


def records(gateway):
    """Every usage record of the gateway's database, by request id."""
    columns = "request_id, ending, usage_source, charged, hold, cost, shortfall, http_status"
    with contextlib.closing(sqlite3.connect(gateway.data_dir / "joytoken.db", timeout=30)) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute(f"SELECT {columns} FROM usage_record").fetchall()
    assert len({row["request_id"] for row in rows}) == len(rows)
    return {row["request_id"]: row for row in rows}


def revive(gateway, customer):
    """Start it again on the same folder; the customer calls its new address."""
    gateway.start()
    customer.url = gateway.url
    wait_for(lambda: customer.get("/ready").status == 200, "it does not become ready")


def prove(gateway, customer, calls):
    """The books are right, and each of these provider calls has its one record, charged by its rule."""
    gateway.at_rest()
    gateway.verify()
    assert gateway.cli("wallet", "verify")["ok"]
    found = records(gateway)
    assert len(calls) == len(set(calls))
    missing = [request_id for request_id in calls if request_id not in found]
    assert not missing
    for row in found.values():
        assert 0 <= row["charged"] <= row["hold"]
        assert row["charged"] + row["shortfall"] == row["cost"]
        assert row["ending"] in ("completed", "recovered", "client_gone", "provider_cut", "provider_failed")
        assert (row["ending"] == "recovered") == (row["usage_source"] == "recovered")
        if row["request_id"] in calls:
            assert row["charged"] > 0 or row["ending"] == "provider_failed"
    # Only a hold whose provider was not called, or not yet, has no line in the bill.
    strangers = [row for request_id, row in found.items() if request_id not in calls]
    assert all(row["ending"] in ("recovered", "client_gone") for row in strangers)
    spent = sum(row["charged"] for row in found.values())
    assert customer.balance() == FUNDS - spent
    return Counter(row["ending"] for row in found.values())


def test_killed_in_the_middle_of_200_streams_three_times(gateway, bill, customer):
    before = len(bill.begun())
    crowds = [
        Crowd(customer, STREAMS, model="stub/slow", stream=True, max_tokens=50),
        Crowd(customer, 3, model="stub/quick", max_tokens=5),
    ]
    for number in range(3):
        mark = len(bill.begun())
        wait_for(lambda mark=mark: len(bill.begun()) >= mark + STREAMS, "there are not 200 streams")
        time.sleep(0.9 * number)
        gateway.kill()
        if number < 2:
            revive(gateway, customer)
    heard = [one for crowd in crowds for one in crowd.end()]
    revive(gateway, customer)
    calls = bill.begun()[before:]
    endings = prove(gateway, customer, calls)
    assert endings["recovered"] >= STREAMS  # those under way at the three kills
    assert set(endings) <= {"recovered", "completed"}
    # Whoever got the end of an answer has a record that says so, at the charge that they were told.
    found = records(gateway)
    whole = [one for one in heard if one.status == 200 and one.whole]
    assert len(whole) > 20
    for one in whole:
        assert found[one.request_id]["ending"] == "completed"
        assert one.metadata["billing"]["ending"] == "completed"
    print(f"calls {len(calls)}, endings {dict(endings)}, answered whole {len(whole)}")
    assert customer.chat("stub/quick").status == 200


def test_killed_while_it_was_idle(gateway, bill, customer):
    before = len(bill.begun())
    assert customer.chat("stub/quick").status == 200
    gateway.at_rest()
    for _ in range(2):
        gateway.kill()
        revive(gateway, customer)
    assert prove(gateway, customer, bill.begun()[before:]) == {"completed": 1}


def test_killed_right_behind_an_answer(gateway, bill, customer):
    """The caller has the last byte, so that the journal has the settle, though the database has not."""
    before = len(bill.begun())
    for number in range(1, 6):
        reply = customer.chat("stub/quick", stream=bool(number % 2))
        assert reply.status == 200
        gateway.kill()
        revive(gateway, customer)
        row = records(gateway)[reply.metadata["request_id"]]
        assert (row["ending"], row["usage_source"]) == ("completed", "reported")
    assert prove(gateway, customer, bill.begun()[before:]) == {"completed": 5}


def test_killed_during_its_very_first_requests(gateway, bill, customer):
    before = len(bill.begun())
    dice = random.Random(7)
    for _ in range(4):
        crowd = Crowd(customer, 30, model="stub/quick", stream=True, max_tokens=5)
        time.sleep(dice.random() * 0.08)
        gateway.kill()
        crowd.end()
        revive(gateway, customer)
    assert customer.chat("stub/quick").status == 200
    prove(gateway, customer, bill.begun()[before:])


def test_killed_with_a_small_wallet_never_overspends(gateway, bill, customer):
    """Money for some of the streams alone: dead holds give back what they did not use, and not more."""
    before = len(bill.begun())
    poor = gateway.customer({"standard": "1"})
    for _ in range(2):
        crowd = Crowd(poor, 100, model="stub/slow", stream=True, max_tokens=50)
        mark = len(bill.begun())
        wait_for(lambda mark=mark: len(bill.begun()) >= mark + 3, "nobody is served")
        time.sleep(0.3)
        gateway.kill()
        crowd.end()
        revive(gateway, poor)
    calls = bill.begun()[before:]
    gateway.at_rest()
    gateway.verify()
    found = records(gateway)
    assert all(request_id in found for request_id in calls)
    spent = sum(row["charged"] for row in found.values())
    assert poor.balance() == NANO - spent >= 0


def test_a_stop_under_load_lets_every_stream_end(gateway, bill, customer):
    before = len(bill.begun())
    crowd = Crowd(customer, 60, model="stub/slow", stream=True, max_tokens=50)
    wait_for(lambda: len(bill.begun()) >= before + 60, "there are not 60 streams")
    gateway.stop()  # exit code 0, and no lease is left
    heard = crowd.end()
    calls = bill.begun()[before:]
    found = records(gateway)
    assert sorted(found) == sorted(calls)
    assert {row["ending"] for row in found.values()} == {"completed"}
    answered = [one for one in heard if one.status == 200]
    assert len(answered) == len(calls)
    assert all(one.whole and b"[DONE]" in one.body for one in answered)
    assert set(tally(heard)) <= {(200, ""), (0, ""), (503, "store_away")}
    revive(gateway, customer)
    assert prove(gateway, customer, calls) == {"completed": len(calls)}


def test_a_stop_that_cannot_wait_names_what_it_breaks_off(open_gateway, bill):
    made = open_gateway(**{"server.drain_ms": 1_000})
    made.provider("stub", bill.url)
    made.model("stub/endless", "stub", "endless?words=1000&pause_ms=50")
    made.sync()
    customer, before = made.customer(), len(bill.begun())
    crowd = Crowd(customer, 20, model="stub/endless", stream=True, max_tokens=2_000)
    wait_for(lambda: len(bill.begun()) >= before + 20, "there are not 20 streams")
    time.sleep(0.3)
    made.stop()
    crowd.going_on = False
    heard = crowd.end()
    calls = bill.begun()[before:]
    found = records(made)
    assert sorted(found) == sorted(calls)
    assert {row["ending"] for row in found.values()} <= {"client_gone", "timed_out", "recovered"}
    assert all(0 < row["charged"] <= row["hold"] for row in found.values())
    assert not any(one.whole for one in heard if one.status == 200)
    wait_for(lambda: not set(calls) & bill.finished(), "a provider went on")
    revive(made, customer)
    made.verify()
    assert customer.balance() == FUNDS - sum(row["charged"] for row in found.values())


def test_a_second_interrupt_ends_it_at_once(open_gateway, bill):
    """Who cannot wait for the drain says so twice; the books are right all the same."""
    made = open_gateway()
    made.provider("stub", bill.url)
    made.model("stub/endless", "stub", "endless?words=1000&pause_ms=50")
    made.sync()
    customer, before = made.customer(), len(bill.begun())
    crowd = Crowd(customer, 5, model="stub/endless", stream=True, max_tokens=2_000)
    wait_for(lambda: len(bill.begun()) >= before + 5, "there are not 5 streams")
    crowd.going_on = False
    made.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    made.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    made.process.wait(PATIENCE_S)
    crowd.end()
    assert time.monotonic() - began < 20  # the drain would be 25
    revive(made, customer)
    made.at_rest()
    made.verify()
    assert all(request_id in records(made) for request_id in bill.begun()[before:])


def test_a_start_says_what_its_journal_lacks(gateway, bill, customer):
    def journals():
        return sorted((gateway.data_dir / "journal").glob("*.0.journal"))

    assert customer.chat("stub/quick").status == 200
    gateway.kill()
    (path,) = journals()
    written = path.read_bytes().rstrip(b"\0")
    path.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))
    revive(gateway, customer)
    assert "ends in a record that is not whole" in gateway.log
    assert "is not there, or not all of it" not in gateway.log
    gateway.kill()
    journals()[0].unlink()
    revive(gateway, customer)
    assert "is not there, or not all of it" in gateway.log
    assert "see Recovery in docs/operate.md" in gateway.log
    gateway.verify()
