"""One gateway of many workers: one port, one truth, and the death of any process loses nothing."""

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from joytoken.domain.money import NANO, format_amount
from tests.journeys.crowd import again_and_again, request, tally, together
from tests.journeys.gateway import LOOKS, PATIENCE_S, Gateway, answered, wait_for
from tests.journeys.stub import USAGE, Stub, answer, completion
from tests.journeys.test_money_kill import Bill, Crowd
from tests.journeys.wire import Reply

BOUND = 50
HOLD = BOUND * 1_000 * NANO // 10**6
SLOW = "slow?words=40&pause_ms=30"
QUICK = "quick?words=3"


@pytest.fixture(scope="module")
def bill(repository, tmp_path_factory):
    with contextlib.closing(Bill(repository, tmp_path_factory.mktemp("stub"))) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(open_gateway, stub: Stub) -> Gateway:
    made = open_gateway(**{"server.workers": 2, "money.flush_ms": 50, "money.hold_wait_ms": 1_000})
    made.provider("stub", stub.url)
    for name, pause_s in (("quick", 0.0), ("slow", 0.2)):
        made.model(f"stub/{name}", "stub", name, input_mtok="0", output_mtok="1000")
        usage = {**USAGE, "completion_tokens": BOUND}
        said = answer(completion("x", usage))
        stub.says(name, [pause_s, *said] if pause_s else said)
    made.sync()
    return made


@pytest.fixture
def killable(joytoken_command, tmp_path, bill):
    """A gateway of its own, whose processes may be killed."""
    made = Gateway(joytoken_command, tmp_path / "gateway", {"server.workers": 2, "gateway.progress_ms": 50})
    try:
        made.start()
        made.provider("stub", bill.url)
        made.model("stub/slow", "stub", SLOW)
        made.model("stub/quick", "stub", QUICK)
        made.sync()
        yield made
    finally:
        pids = made.workers().values()
        made.end()
        wait_for(lambda: not any(map(alive, pids)), "workers outlive their gateway")


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def records(gateway: Gateway) -> dict[str, sqlite3.Row]:
    with contextlib.closing(sqlite3.connect(gateway.data_dir / "joytoken.db", timeout=30)) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT request_id, worker, ending, charged, hold FROM usage_record").fetchall()
    assert len({row["request_id"] for row in rows}) == len(rows)
    return {row["request_id"]: row for row in rows}


def test_every_worker_serves_and_every_worker_knows(gateway):
    customer = gateway.customer()
    replies = [customer.chat("stub/quick", max_tokens=BOUND) for _ in range(LOOKS)]
    assert {reply.status for reply in replies} == {200}
    fresh = customer.chat("stub/quick", max_tokens=BOUND)
    # Whoever is asked finds the receipt, though whoever served it has not brought it to the database yet.
    assert all(customer.receipt(fresh)["ending"]["name"] == "completed" for _ in range(4))
    customer.balance()
    workers = {row["worker"] for row in records(gateway).values()}
    assert len(workers) == 2
    assert {worker.rpartition(":")[0] for worker in workers} == {(gateway.data_dir / "instance").read_text().strip()}
    assert answered(gateway.url)
    assert {customer.get("/ready").status for _ in range(LOOKS)} == {200}


def test_a_revoked_key_is_refused_by_every_worker(gateway):
    customer = gateway.customer()
    assert {customer.chat("stub/quick", max_tokens=1).status for _ in range(LOOKS)} == {200}
    gateway.manage("POST", f"/keys/{customer.key_id}/revoke")
    began = time.monotonic()
    wait_for(lambda: customer.chat("stub/quick", max_tokens=1).status == 403, "the key stays")
    wait_for(
        lambda: {customer.chat("stub/quick", max_tokens=1).status for _ in range(LOOKS)} == {403}, "somebody serves it"
    )
    print(f"refused by every worker after {time.monotonic() - began:.3f} s")


def test_money_for_ten_and_a_limit_for_five_serve_five_of_a_thousand(gateway, stub):
    customer = gateway.customer({"standard": format_amount(10 * HOLD)}, limit_daily=format_amount(5 * HOLD))
    before = len(stub.calls())
    heard = together(customer, 1000, model="stub/slow", max_tokens=BOUND)
    assert tally(heard)[(200, "")] == 5
    assert {one.status for one in heard} == {200, 402}
    assert len(stub.calls()) - before == 5
    assert customer.balance() == 5 * HOLD
    gateway.verify()


def test_the_money_of_a_wallet_serves_whoever_is_asked(gateway, stub):
    customer = gateway.customer({"standard": format_amount(10 * HOLD)})
    before = len(stub.calls())
    heard = together(customer, 500, model="stub/slow", max_tokens=BOUND)
    assert tally(heard) == {(200, ""): 10, (402, "wallet_empty"): 490}
    assert len(stub.calls()) - before == 10
    assert customer.balance() == 0
    gateway.verify()


def test_rates_hold_over_all_workers(gateway, stub):
    customer = gateway.customer(concurrency=1)
    before = len(stub.calls())
    until = time.monotonic() + 1.5
    heard = again_and_again(customer, 10, lambda: time.monotonic() < until, model="stub/slow", max_tokens=BOUND)
    assert set(tally(heard)) == {(200, ""), (429, "concurrency_limit")}
    seen = sorted(stub.calls()[before:], key=lambda call: call.at)
    assert len(seen) == tally(heard)[(200, "")] >= 2
    assert all(one.ended_at <= other.at for one, other in itertools.pairwise(seen))
    customer = gateway.customer(requests_per_minute=30)
    began = time.monotonic()
    heard = together(customer, 200, model="stub/quick", max_tokens=BOUND)
    assert 30 <= tally(heard)[(200, "")] <= 31 + (time.monotonic() - began) / 2


def test_a_repeated_request_is_one_for_all_workers(gateway, stub):
    customer = gateway.customer()
    before = len(stub.calls())

    def ask(_: int) -> Reply:
        return customer.chat("stub/slow", max_tokens=BOUND, headers={"Idempotency_Key": "one"})

    with ThreadPoolExecutor(LOOKS) as pool:
        first = list(pool.map(ask, range(LOOKS)))
    assert {reply.status for reply in first} <= {200, 409}
    assert {reply.error["code"] for reply in first if reply.status == 409} <= {"idempotency_in_progress"}
    again = [ask(0) for _ in range(LOOKS)]
    assert {reply.status for reply in again} == {200}
    assert len({reply.body for reply in again}) == 1
    assert len(stub.calls()) - before == 1


def test_a_second_gateway_on_the_folder_is_refused(gateway):
    done = subprocess.run(
        [*gateway.command, "serve", "--port", "0"], env=gateway.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert f"another gateway (process {gateway.process.pid}) serves from {gateway.data_dir}" in done.stderr
    assert "--data-dir" in done.stderr


def test_a_port_that_is_taken_is_named(gateway, tmp_path):
    port = gateway.url.rpartition(":")[2]
    command = [*gateway.command, "serve", "--port", port, "--data-dir", str(tmp_path)]
    done = subprocess.run(command, env=gateway.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr


def prove(gateway, customer, calls):
    """Each provider call has its one record, and the wallet lost just what they say."""
    gateway.at_rest()
    gateway.verify()
    found = records(gateway)
    assert not [request_id for request_id in calls if request_id not in found]
    assert len(calls) == len(set(calls))
    assert {row["ending"] for row in found.values()} <= {"completed", "recovered", "client_gone"}
    assert all(0 <= row["charged"] <= row["hold"] for row in found.values())
    assert customer.balance() == 100 * NANO - sum(row["charged"] for row in found.values())
    return found


def test_killed_workers_are_replaced_and_lose_nothing(killable, bill):
    customer, before = killable.customer(), len(bill.begun())
    crowd = Crowd(customer, 60, model="stub/slow", stream=True, max_tokens=50)
    wait_for(lambda: len(bill.begun()) >= before + 60, "there are not 60 streams")
    for slot in (1, 0):
        first = killable.workers()
        began = time.monotonic()
        os.kill(first[slot], signal.SIGKILL)
        wait_for(lambda slot=slot, first=first: killable.workers()[slot] != first[slot], "it is not replaced")
        print(f"listens again after {time.monotonic() - began:.3f} s")
        mark = len(bill.begun())
        wait_for(lambda mark=mark: len(bill.begun()) >= mark + 60, "it does not go on")
    heard = crowd.end()
    found = prove(killable, customer, bill.begun()[before:])
    assert set(tally(heard)) <= {(200, ""), (0, "")}  # nobody hears anything but an answer or the connection's end
    whole = [one for one in heard if one.status == 200 and one.whole]
    assert len(whole) > 60
    assert all(found[one.request_id]["ending"] == "completed" for one in whole)
    assert "ended by SIGKILL" in killable.log
    killable.stop()
    assert killable.cli("wallet", "verify")["ok"]


def test_what_a_killed_worker_had_under_way_is_told_by_the_others(killable, bill):
    customer, before = killable.customer(), len(bill.begun())
    lines = "Connection: close\r\nIdempotency-Key: one"
    _, _, body = request(customer, model="stub/slow", stream=True, max_tokens=50).partition(b"\r\n\r\n")
    data = customer.head(lines, f"Content-Length: {len(body)}") + body

    def told() -> str:
        reply = customer.raw(data)
        return "" if reply is None else reply.error["code"]

    with customer.connect() as wire:
        wire.send(data)
        wait_for(lambda: len(bill.begun()) > before, "it is not called")
        wire.until(b"data: ")
        assert [told() for _ in range(4)] == ["idempotency_in_progress"] * 4
        for pid in killable.workers().values():
            os.kill(pid, signal.SIGKILL)
    # Nobody waits for an answer that will not come: what it cost is on record once the slot is taken again.
    wait_for(lambda: told() == "idempotency_answer_lost", "it stays under way")
    assert len(bill.begun()) == before + 1
    killable.at_rest()
    killable.verify()


def test_a_killed_gateway_takes_its_workers_with_it(killable, bill):
    customer, before = killable.customer(), len(bill.begun())
    crowd = Crowd(customer, 30, model="stub/slow", stream=True, max_tokens=50)
    wait_for(lambda: len(bill.begun()) >= before + 30, "there are not 30 streams")
    workers = killable.workers().values()
    crowd.going_on = False
    killable.kill()
    began = time.monotonic()
    wait_for(lambda: not any(map(alive, workers)), "workers outlive their gateway")
    print(f"all ended after {time.monotonic() - began:.3f} s")
    crowd.end()
    assert killable.leases() == []  # they settled and gave everything back
    assert killable.cli("wallet", "verify")["ok"]
    killable.start()
    customer.url = killable.url
    prove(killable, customer, bill.begun()[before:])


def test_a_stop_lets_every_stream_of_every_worker_end(killable, bill):
    customer, before = killable.customer(), len(bill.begun())
    crowd = Crowd(customer, 40, model="stub/slow", stream=True, max_tokens=50)
    wait_for(lambda: len(bill.begun()) >= before + 40, "there are not 40 streams")
    killable.stop()  # exit code 0, and no lease is left
    heard = crowd.end()
    calls, found = bill.begun()[before:], records(killable)
    assert sorted(found) == sorted(calls)
    assert {row["ending"] for row in found.values()} == {"completed"}
    assert len({row["worker"] for row in found.values()}) == 2
    served = [one for one in heard if one.status == 200]
    assert len(served) == len(calls)
    assert all(one.whole and b"[DONE]" in one.body for one in served)


def test_who_cannot_wait_for_the_drain_says_so_twice(killable, bill):
    killable.model("stub/endless", "stub", "endless?words=1000&pause_ms=50")
    killable.sync()
    customer, before = killable.customer(), len(bill.begun())
    crowd = Crowd(customer, 10, model="stub/endless", stream=True, max_tokens=2_000)
    wait_for(lambda: len(bill.begun()) >= before + 10, "there are not 10 streams")
    crowd.going_on = False
    killable.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    killable.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    killable.process.wait(PATIENCE_S)
    assert time.monotonic() - began < 20  # the drain would be 25
    crowd.end()
    assert killable.leases() == []
    assert sorted(records(killable)) == sorted(bill.begun()[before:])
