"""Callers who hang up at every stage: no hold stays open, no provider goes on, and each pays by the rule."""

import contextlib
import json
import socket
import struct
import time

import pytest

from joytoken.domain.money import parse_amount
from tests.journeys.gateway import Customer, Gateway, wait_for
from tests.journeys.stub import CUT, HANG, Stub, chunk, event, stream, whole
from tests.journeys.wire import Wire

INPUT, OUTPUT = 100_000, 200_000  # nanocredits a token, as the journeys' models cost
FUNDS = 100 * 10**9
SAY = "seventeen letters"
COUNTED = -(-len(SAY) // 4) + 4 + 3  # input tokens as the gateway counts them: four bytes each, and the message
ROLE = event(chunk({"role": "assistant", "content": "", "refusal": None}))
WORDS = [event(chunk({"content": word})) for word in ("eight by", "tes each")]  # 16 bytes: four tokens
FINISH = event(chunk({}, "stop"))
USAGE = event(chunk(None, usage={"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26}))
HEAD = whole(200, b"x" * 1000)[0].partition(b"x")[0]
LONG = [event(chunk({"content": "x" * 60_000})) for _ in range(200)]


@pytest.fixture(scope="module")
def gateway(open_gateway, stub: Stub):
    """Its provider `stub` is closed when a caller leaves, `drainer` is read to the end, but for 1.2 s at most."""
    made = open_gateway(**{"gateway.drain_ms": 1_200})
    made.provider("stub", stub.url)
    made.provider("drainer", stub.url, on_disconnect="drain")
    made.model("stub/plain", "stub", "plain")
    made.model("stub/drained", "drainer", "plain")
    made.sync()
    return made


@pytest.fixture
def customer(gateway: Gateway) -> Customer:
    return gateway.customer()


def ask(wire, customer, *lines, model="stub/plain", **more):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": SAY}], **more}).encode()
    wire.send(customer.head(f"Content-Length: {len(body)}", *lines) + body)


def reset(wire):
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.socket.close()


def end_of_stream(wire):
    """The gentle way: a FIN, behind which the caller sends no more but would still read."""
    with contextlib.suppress(OSError):
        wire.socket.shutdown(socket.SHUT_WR)


def close(wire):
    wire.socket.close()


WAYS = [reset, end_of_stream, close]


def open_calls(stub):
    return [seen for seen in stub.calls() if not seen.ended_at]


def leave(wire, way, stub, customer):
    """Hang up; gives the seconds until no provider works for the caller and nothing of theirs is frozen."""
    left_at = time.monotonic()
    way(wire)
    wait_for(lambda: not open_calls(stub), "the provider's call goes on")
    balance = customer.balance()
    return balance, time.monotonic() - left_at


def the_record(customer):
    (record,) = customer.records()
    return record


# stage · what the provider does · what the caller has read when they leave · output tokens, None: the reported usage
PLAIN = [
    ("while_it_thinks", [HANG]),
    ("behind_the_head", [HEAD, HANG]),
    ("in_the_body", [HEAD + b'{"choices":', HANG]),
]
STREAMED = [
    ("while_it_thinks", [HANG], b"", 0),
    ("behind_the_head", stream([HANG]), b"", 0),
    ("behind_the_role", stream([ROLE, HANG]), b"", 0),
    ("behind_the_first_word", stream([ROLE, WORDS[0], HANG]), b"eight by", 2),
    ("in_the_content", stream([ROLE, *WORDS, HANG]), b"tes each", 4),
    ("behind_the_finish", stream([ROLE, *WORDS, FINISH, HANG]), b'"stop"', 4),
    ("behind_the_usage", stream([ROLE, *WORDS, FINISH + USAGE, HANG]), b'"stop"', None),
    ("while_it_streams", stream([ROLE, *WORDS, *[FINISH] * 400], pause_s=0.01), b'"stop"', 4),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("actions", [c[1] for c in PLAIN], ids=[c[0] for c in PLAIN])
def test_plain(stub, customer, actions, way):
    stub.says("plain", actions)
    before = len(stub.calls())
    with customer.connect() as wire:
        ask(wire, customer)
        wait_for(lambda: len(stub.calls()) > before and _sent(stub, actions), "the provider is not called")
        balance, seconds = leave(wire, way, stub, customer)
    record = the_record(customer)
    assert (record["ending"], record["usage_source"]) == ("client_gone", "estimated")
    assert parse_amount(record["charged"]) == COUNTED * INPUT == FUNDS - balance
    assert (record["input_tokens"], record["output_tokens"]) == (COUNTED, 0)
    assert stub.calls()[-1].cancelled
    assert seconds < 30


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("actions", "read", "output"), [c[1:] for c in STREAMED], ids=[c[0] for c in STREAMED])
def test_streamed(stub, customer, actions, read, output, way):
    stub.says("plain", actions)
    before = len(stub.calls())
    with customer.connect() as wire:
        ask(wire, customer, stream=True)
        wait_for(lambda: len(stub.calls()) > before and _sent(stub, actions), "the provider is not called")
        if read:
            wire.until(read)
        balance, _ = leave(wire, way, stub, customer)
    record = the_record(customer)
    cost = COUNTED * INPUT + output * OUTPUT if output is not None else 20 * INPUT + 6 * OUTPUT
    assert record["ending"] == "client_gone"
    assert record["usage_source"] == ("estimated" if output is not None else "reported")
    assert parse_amount(record["charged"]) == cost == FUNDS - balance
    assert stub.calls()[-1].cancelled


@pytest.mark.parametrize("way", [reset, close])
def test_a_caller_who_reads_nothing(stub, customer, way):
    """The provider is held back; who leaves then pays for what the gateway received, which is not the whole answer."""
    stub.says("plain", stream([ROLE, *LONG, FINISH, USAGE, event(b"[DONE]"), HANG]))
    before = len(stub.calls())
    with narrow(customer) as wire:
        ask(wire, customer, stream=True, max_tokens=100_000)
        wait_for(lambda: len(stub.calls()) > before and _sent(stub, LONG), "the provider is not called")
        time.sleep(0.2)  # until the gateway's buffers are full
        balance, _ = leave(wire, way, stub, customer)
    record = the_record(customer)
    assert (record["ending"], record["usage_source"]) == ("client_gone", "estimated")
    assert 15_000 < record["output_tokens"] < 12_000_000 // 4
    assert FUNDS - balance == parse_amount(record["charged"]) <= parse_amount(record["hold"])


@pytest.mark.parametrize("way", WAYS)
def test_before_the_provider_accepts(gateway, stub, customer, way):
    """Nothing was sent to it: nothing is charged."""
    with deaf() as (url, knocking):
        name = f"deaf{time.monotonic_ns()}"
        gateway.provider(name, url)
        gateway.model(f"stub/{name}", name)
        gateway.sync()
        with customer.connect() as wire:
            ask(wire, customer, model=f"stub/{name}")
            wait_for(lambda: customer_holds(gateway, customer), "no hold was made")
            balance, _ = leave(wire, way, stub, customer)
        assert knocking() == 0
    record = the_record(customer)
    assert (record["ending"], record["usage_source"], record["charged"]) == ("client_gone", "none", "0.000000")
    assert balance == FUNDS


def test_a_storm(gateway, stub, customer):
    """200 streams, and all their callers leave at once."""
    stub.says("plain", stream([ROLE, *WORDS, HANG]))
    before = len(stub.calls())
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(customer.connect()) for _ in range(200)]
        for wire in wires:
            ask(wire, customer, stream=True, max_tokens=10)
        for wire in wires:
            wire.until(b"tes each")
        assert customer_holds(gateway, customer)
        for wire in wires:
            reset(wire)
        wait_for(lambda: not open_calls(stub), "providers go on")
        balance = customer.balance()
    mine = stub.calls()[before:]
    assert len(mine) == 200
    assert all(seen.cancelled for seen in mine)
    records = all_records(gateway, customer)
    assert sorted(r["request_id"] for r in records) == sorted(seen.request_id for seen in mine)
    assert {(r["ending"], r["charged"]) for r in records} == {("client_gone", records[0]["charged"])}
    assert balance == FUNDS - 200 * (COUNTED * INPUT + 4 * OUTPUT)
    gateway.at_rest()
    gateway.verify()


# -- providers that bill to the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("streams", [False, True])
def test_a_provider_that_bills_to_the_end_is_read_to_the_end(stub, customer, streams, way):
    parts = [ROLE, *WORDS, 0.3, FINISH, USAGE, event(b"[DONE]")]
    document = (
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":%b}'
    )
    usage = b'{"prompt_tokens":20,"completion_tokens":6,"total_tokens":26}'
    actions = stream(parts) if streams else [0.3, *whole(200, document % usage)]
    stub.says("plain", actions)
    before = len(stub.calls())
    with customer.connect() as wire:
        ask(wire, customer, model="stub/drained", stream=streams)
        wait_for(lambda: len(stub.calls()) > before, "the provider is not called")
        if streams:
            wire.until(b"tes each")
        balance, _ = leave(wire, way, stub, customer)
    record = the_record(customer)
    assert (record["ending"], record["usage_source"]) == ("client_gone", "reported")
    assert parse_amount(record["charged"]) == 20 * INPUT + 6 * OUTPUT == FUNDS - balance
    assert stub.calls()[-1].finished


def test_a_drain_does_not_wait_for_ever(stub, customer):
    stub.says("plain", stream([ROLE, *WORDS, HANG]))
    with customer.connect() as wire:
        ask(wire, customer, model="stub/drained", stream=True)
        wire.until(b"tes each")
        balance, seconds = leave(wire, reset, stub, customer)
    assert seconds >= 1.1
    record = the_record(customer)
    assert (record["ending"], record["usage_source"]) == ("client_gone", "estimated")
    assert parse_amount(record["charged"]) == COUNTED * INPUT + 4 * OUTPUT == FUNDS - balance
    assert stub.calls()[-1].cancelled


def test_a_drain_goes_on_though_the_caller_had_read_nothing(stub, customer):
    """Back-pressure held the provider back; the hang-up ends it, and the answer is read to its end."""
    stub.says("plain", stream([ROLE, *LONG, FINISH, USAGE, event(b"[DONE]")]))
    before = len(stub.calls())
    with narrow(customer) as wire:
        ask(wire, customer, model="stub/drained", stream=True, max_tokens=100_000)
        wait_for(lambda: len(stub.calls()) > before and _sent(stub, LONG), "the provider is not called")
        time.sleep(0.2)
        balance, _ = leave(wire, reset, stub, customer)
    record = the_record(customer)
    assert (record["ending"], record["usage_source"]) == ("client_gone", "reported")
    assert parse_amount(record["charged"]) == 20 * INPUT + 6 * OUTPUT == FUNDS - balance


# -- idempotent requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("streams", [False, True])
def test_an_idempotent_request_runs_to_its_end(stub, customer, streams, way):
    parts = [ROLE, *WORDS, 0.2, FINISH, USAGE, event(b"[DONE]")]
    document = (
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":%b}'
    )
    usage = b'{"prompt_tokens":20,"completion_tokens":6,"total_tokens":26}'
    stub.says("plain", stream(parts) if streams else [0.2, *whole(200, document % usage)], [CUT])
    before = len(stub.calls())
    with customer.connect() as wire:
        ask(wire, customer, "Idempotency-Key: once", stream=streams)
        wait_for(lambda: len(stub.calls()) > before, "the provider is not called")
        balance, _ = leave(wire, way, stub, customer)
    assert FUNDS - balance == 20 * INPUT + 6 * OUTPUT
    again = once_kept(customer, "Idempotency-Key: once", stream=streams)
    assert again.status == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert len(stub.calls()) == before + 1
    assert customer.balance() == balance
    assert len(customer.records()) == 1


def once_kept(customer, *lines, **body):
    """The answer to the same again, once the first one is kept: that comes a moment after it was settled."""

    def look():
        with customer.connect() as wire:
            ask(wire, customer, *lines, **body)
            reply = wire.reply()
        return reply if reply.status != 409 else None

    return wait_for(look, "the answer is not kept")


@pytest.mark.parametrize("way", [reset, close])
def test_an_idempotent_request_whose_caller_read_nothing_runs_to_its_end(stub, customer, way):
    stub.says("plain", stream([ROLE, *LONG[:40], FINISH, USAGE, event(b"[DONE]")]))
    before = len(stub.calls())
    with narrow(customer) as wire:
        ask(wire, customer, "Idempotency-Key: unread", stream=True, max_tokens=100_000)
        wait_for(lambda: len(stub.calls()) > before and _sent(stub, LONG[:40]), "the provider is not called")
        time.sleep(0.2)
        balance, _ = leave(wire, way, stub, customer)
    assert FUNDS - balance == 20 * INPUT + 6 * OUTPUT
    again = once_kept(customer, "Idempotency-Key: unread", stream=True, max_tokens=100_000)
    assert again.status == 200
    assert len(again.text) == 40 * 60_000


# -- other ways to leave ---------------------------------------------------------------------------------------------


def test_a_caller_who_sent_more_and_left(stub, customer):
    """Bytes behind the request must not hide the hang-up."""
    stub.says("plain", [HANG])
    before = len(stub.calls())
    with customer.connect() as wire:
        ask(wire, customer)
        wait_for(lambda: len(stub.calls()) > before, "the provider is not called")
        wire.send(b"GET /health HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        time.sleep(0.1)
        balance, _ = leave(wire, close, stub, customer)
    assert the_record(customer)["ending"] == "client_gone"
    assert FUNDS - balance == COUNTED * INPUT


def test_a_caller_who_sends_on_and_on(stub, customer):
    """More than another request fits into is no impatience any more: the connection ends, and so does the call."""
    stub.says("plain", [HANG])
    before = len(stub.calls())
    with customer.connect() as wire:
        ask(wire, customer)
        wait_for(lambda: len(stub.calls()) > before, "the provider is not called")
        for _ in range(9):
            wire.send(b"x" * (1 << 20))
        assert wire.closed()
    wait_for(lambda: not open_calls(stub), "the provider's call goes on")
    assert customer.balance() == FUNDS - COUNTED * INPUT


@pytest.mark.parametrize("sent", ["half a head", "half a body", "the head"])
def test_before_the_request_was_whole(gateway, stub, customer, sent):
    before = len(stub.calls())
    head = customer.head("Content-Length: 500")
    with customer.connect() as wire:
        wire.send({"half a head": head[:60], "half a body": head + b'{"model":', "the head": head}[sent])
        time.sleep(0.05)
        reset(wire)
    assert customer.chat("stub/none").status == 404  # the gateway goes on
    assert customer.balance() == FUNDS
    assert customer.records() == []
    assert len(stub.calls()) == before


def test_the_books_at_the_end(gateway):
    """Behind all of the above: nothing is leased, every transaction balances, and a stop leaves nothing."""
    gateway.at_rest()
    gateway.verify()
    gateway.restart()
    gateway.verify()


# -- what they lean on -----------------------------------------------------------------------------------------------


def _sent(stub, actions):
    """Whether the newest call has said everything of these actions that are bytes."""
    return stub.calls()[-1].bytes_sent >= sum(len(a) for a in actions[:4] if isinstance(a, bytes))


def customer_holds(gateway, customer):
    (wallet,) = gateway.manage("GET", f"/wallets?owner={customer.owner}&tier=standard")["wallets"]
    return parse_amount(wallet["frozen"]) > 0


def all_records(gateway, customer):
    return gateway.manage("GET", f"/requests?key={customer.key_id}&limit=1000")["requests"]


@contextlib.contextmanager
def narrow(customer):
    """A connection with a small window, so that the gateway's buffers fill soon."""
    with socket.socket() as plain:
        plain.settimeout(60)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(customer.address)
        yield Wire(plain)


@contextlib.contextmanager
def deaf():
    """A server that accepts nobody: its queue is full, so that connecting to it waits."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            plug = stack.enter_context(socket.socket())
            plug.setblocking(False)
            plug.connect_ex(server.getsockname())

        def knocking():
            """How many bytes anybody but the plugs has sent."""
            server.settimeout(0.05)
            received = 0
            with contextlib.suppress(TimeoutError):
                while True:
                    peer, _ = server.accept()
                    stack.enter_context(peer)
                    peer.settimeout(0.05)
                    with contextlib.suppress(TimeoutError, ConnectionResetError):
                        received += len(peer.recv(10))
            return received

        host, port = server.getsockname()
        yield f"http://{host}:{port}/v1", knocking
