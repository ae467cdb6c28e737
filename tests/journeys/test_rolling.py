"""SIGHUP replaces every worker by a fresh process, and nobody who calls meanwhile notices it."""

import asyncio
import contextlib
import signal
import threading
import time

import pytest

from joytoken.domain.money import NANO
from tests.journeys.crowd import Kept, request, run
from tests.journeys.crowd import ask as ask_once
from tests.journeys.gateway import PATIENCE_S, Gateway, wait_for
from tests.journeys.stub import Stub
from tests.journeys.test_money_kill import Bill
from tests.journeys.wire import CHAT

SLOW = "slow?words=25&pause_ms=40"  # a second
QUICK = "quick?words=3"
REPLACED = "replaced all 2 workers"


@pytest.fixture(scope="module")
def bill(repository, tmp_path_factory):
    with contextlib.closing(Bill(repository, tmp_path_factory.mktemp("stub"))) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def gateway(request, joytoken_command, tmp_path):
    url, settings = "", {"server.workers": 2, "server.head_ms": 60_000}
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres")
        url = settings["database.url"] = postgres.create()
    made = Gateway(joytoken_command, tmp_path / "gateway", settings)
    try:
        yield made.start()
    finally:
        made.end()
        if url:
            postgres.drop(url)


class Callers(threading.Thread):
    """Six kinds of callers, a few of each, who go on until they are told to stop."""

    def __init__(self, customer):
        super().__init__()
        self.customer = customer
        self.going_on = True
        self.heard = []  # each answer with the kind of its caller
        self.start()

    def run(self):
        run(self._all())

    async def _all(self):
        quick, slow = {"model": "stub/quick", "max_tokens": 5}, {"model": "stub/slow", "max_tokens": 50, "stream": True}
        kinds = [
            *[self._kept("quick, kept", 0.01 + 0.04 * n * n, quick) for n in range(6)],
            *[self._kept("streams, kept", 0.0, slow) for _ in range(5)],
            self._fresh("quick, fresh", quick),
            *[self._fresh("streams, fresh", slow) for _ in range(5)],
            self._lists(),
        ]
        async with asyncio.timeout(3 * PATIENCE_S):
            await asyncio.gather(*kinds)

    async def _kept(self, kind, pause_s, body):
        with contextlib.closing(Kept(self.customer)) as caller:
            while self.going_on:
                self.heard.append((kind, await caller.ask(**body)))
                await asyncio.sleep(pause_s)

    async def _fresh(self, kind, body):
        data = request(self.customer, **body)
        while self.going_on:
            self.heard.append((kind, await ask_once(self.customer, data)))
            await asyncio.sleep(0.02)

    async def _lists(self):
        data = self.customer.head("Connection: close", method="GET", path="/openai/v1/models")
        while self.going_on:
            self.heard.append(("models", await ask_once(self.customer, data)))
            await asyncio.sleep(0.02)

    def end(self):
        self.going_on = False
        self.join(PATIENCE_S)
        return self.heard


def replace(gateway, times=1):
    """Send SIGHUP, and wait until every worker is another process."""
    before, count = gateway.workers(), gateway.log.count(REPLACED)
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: gateway.log.count(REPLACED) == count + times, "they are not replaced")
    after = gateway.workers()
    assert sorted(after) == [0, 1]
    assert not set(before.values()) & set(after.values())


def test_nobody_notices_that_every_worker_is_replaced_twice(gateway, bill):
    gateway.provider("stub", bill.url)
    gateway.model("stub/slow", "stub", SLOW)
    gateway.model("stub/quick", "stub", QUICK)
    gateway.sync()
    customer, before = gateway.customer(), len(bill.begun())
    body = b'{"model": "stub/quick", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}'
    question = customer.head(f"Content-Length: {len(body)}") + body
    callers = Callers(customer)
    began = time.monotonic()
    with customer.connect() as used, customer.connect() as fresh:
        used.send(question)
        assert used.reply().status == 200
        for _ in range(2):
            mark = len(callers.heard)
            wait_for(lambda mark=mark: len(callers.heard) > mark + 50, "nobody is answered")
            replace(gateway)
        took_s = time.monotonic() - began
        # They rested all the while, and are where they were.
        for wire in (used, fresh):
            wire.send(question)
            reply = wire.reply()
            assert (reply.status, reply.whole) == (200, True)
    heard = callers.end()
    failed = [(kind, one.status, one.code, one.whole, one.refused) for kind, one in heard]
    failed = [one for one in failed if one[1:] != (200, "", True, False)]
    assert not failed, f"{len(failed)} of {len(heard)}: {set(failed)}"
    assert {kind for kind, _ in heard if kind.startswith("streams")} == {"streams, kept", "streams, fresh"}
    calls = bill.begun()[before:]
    print(f"{len(heard)} answers, {len(calls)} provider calls, none failed; two rounds in {took_s:.1f} s")
    gateway.at_rest()
    gateway.verify()
    found = gateway.rows("SELECT request_id, worker, ending, charged FROM usage_record")
    assert sorted(row[0] for row in found) == sorted(calls)
    assert {row[2] for row in found} == {"completed"}
    assert len({row[1] for row in found}) == 3  # a slot more than there are workers
    assert customer.balance() == 100 * NANO - sum(row[3] for row in found)
    assert "ended by" not in gateway.log
    gateway.stop()
    assert gateway.cli("wallet", "verify")["ok"]


def test_settings_are_read_anew(open_gateway, stub: Stub):
    gateway = open_gateway(**{"server.workers": 2})
    gateway.provider("stub", stub.url)
    gateway.model("stub/plain", "stub", "plain")
    gateway.sync()
    customer = gateway.customer()

    def bound():
        assert (
            customer.post(CHAT, {"model": "stub/plain", "messages": [{"role": "user", "content": "x"}]}).status == 200
        )
        (last,) = stub.calls("plain")[-1:]
        return last.body.get("max_tokens", last.body.get("max_completion_tokens"))

    assert bound() == 1024
    settings = gateway.folder / "joytoken.toml"
    settings.write_text("[gateway]\ndefault_output_tokens = 77\n[server]\nlimited_keys_max = 5\n")
    replace(gateway)
    assert {bound() for _ in range(gateway.looks)} == {77}
    assert "server.limited_keys_max: changed by a stop and a start alone" in gateway.log
    settings.write_text("[gateway]\ndefault_output_token = 78\n")
    before = gateway.workers()
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "no worker is replaced: " in gateway.log, "it does not say why")
    assert "did you mean default_output_tokens?" in gateway.log.replace("gateway.default", "default")
    assert gateway.workers() == before
    assert {bound() for _ in range(gateway.looks)} == {77}


def test_one_worker_without_a_supervisor_stops(open_gateway, stub: Stub):
    gateway = open_gateway()
    gateway.provider("stub", stub.url)
    gateway.model("stub/slow", "stub", SLOW)
    gateway.sync()
    customer = gateway.customer()
    data = request(customer, model="stub/slow", max_tokens=50, stream=True)
    with customer.connect() as wire:
        wire.send(data)
        wire.until(b"data: ")
        gateway.process.send_signal(signal.SIGHUP)
        reply = wire.closed()
    assert reply
    assert b"[DONE]" in wire.read
    assert gateway.process.wait(PATIENCE_S) == 0
    assert gateway.leases() == []
    assert "one worker has no successor" in gateway.log
