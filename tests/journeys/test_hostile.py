"""Callers that break every rule, byte by byte: each gets a clear answer, the gateway stays, and it tells no secrets."""

import json
import ssl
import time
from collections.abc import Callable

import pytest

from tests.journeys.gateway import Customer, Gateway, answered, wait_for
from tests.journeys.stub import Stub, chunk, either, event, events, stream
from tests.journeys.wire import CHAT, Reply

CANARY = "the-canary-in-the-prompt"
FULL = 100 * 10**9
BODY = json.dumps({"model": "plain", "messages": [{"role": "user", "content": CANARY}]}).encode()
STREAM_BODY = BODY[:-1] + b', "stream": true}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = f"Content-Length: {len(BODY)}"


@pytest.fixture(scope="module")
def server(open_gateway, stub: Stub) -> Gateway:
    """A gateway that is soon impatient, and talks as much as it can."""
    made = open_gateway(
        **{
            "server.head_ms": 1000,
            "server.body_ms": 1000,
            "server.write_stall_ms": 1000,
            "server.write_buffer_bytes_max": 65_536,
            "upstream.buffer_bytes_max": 65_536,
            "server.trusted_proxies": "192.0.2.0/24",
            "log.level": "debug",
        }
    )
    made.provider("stub", stub.url)
    made.model("plain", "stub", "plain")
    made.sync()
    stub.says("plain", either)
    return made


@pytest.fixture(scope="module")
def caller(server: Gateway) -> Customer:
    return server.customer()


@pytest.fixture(autouse=True)
def unharmed(server: Gateway, caller: Customer, stub: Stub):
    """After each attempt the gateway serves, and what was not served cost nothing."""
    calls, before = len(stub.bill), caller.balance()
    yield
    assert answered(server.url)
    after = caller.balance()
    if len(stub.bill) == calls:
        assert after == before
    assert CANARY not in server.log
    assert caller.api_key not in server.log


# -- the head ---------------------------------------------------------------------------------------------------------

Make = Callable[[Customer], bytes]


def head(*lines: str, method: str = "POST", path: str = CHAT, body: bytes = BODY) -> Make:
    return lambda caller: caller.head(*lines, method=method, path=path) + body


def exact(data: bytes) -> Make:
    return lambda caller: data.replace(b"KEY", caller.api_key.encode())


def lines(*given: bytes, body: bytes = BODY) -> Make:
    """A request of these lines alone."""
    return exact(b"\r\n".join(given) + b"\r\n\r\n" + body)


POST = b"POST " + CHAT.encode() + b" HTTP/1.1"
HOST, KEY, LEN = b"Host: gateway.test", b"Authorization: Bearer KEY", LENGTH.encode()
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2

# id · what is sent · status · code; 200: it is served
HEADS: list[tuple[str, Make, int, str]] = [
    ("target_too_long", head(LENGTH, path=CHAT + "?" + "a" * 9000), 414, "target_too_large"),
    ("header_too_long", head(LENGTH, "X-Long: " + "a" * 40_000), 431, "headers_too_large"),
    ("headers_too_long_together", head(LENGTH, *[f"X-{n}: {'a' * 900}" for n in range(60)]), 431, "headers_too_large"),
    ("too_many_headers", head(LENGTH, *[f"X-{n}: a" for n in range(120)]), 431, "too_many_headers"),
    ("a_head_without_end", exact(POST + b"\r\nX-Long: " + b"a" * 300_000), 431, "headers_too_large"),
    ("no_host", lines(POST, KEY, LEN), 400, "missing_host"),
    ("two_hosts", head(LENGTH, "Host: other.test"), 400, "conflicting_headers"),
    ("two_keys", head(LENGTH, "Authorization: Bearer other"), 400, "conflicting_headers"),
    ("two_api_keys", head(LENGTH, "X-API-Key: a", "X-API-Key: b"), 400, "conflicting_headers"),
    ("length_and_chunked", head(LENGTH, "Transfer-Encoding: chunked", body=CHUNKED), 400, ""),
    ("chunked_and_length", head("Transfer-Encoding: chunked", LENGTH, body=CHUNKED), 400, ""),
    ("two_lengths", head(LENGTH, "Content-Length: 5"), 400, ""),
    ("the_same_length_twice", head(LENGTH, LENGTH), 400, ""),
    ("a_list_of_lengths", head(f"{LENGTH}, {len(BODY)}"), 400, ""),
    ("a_signed_length", head("Content-Length: +5"), 400, ""),
    ("a_negative_length", head("Content-Length: -5"), 400, ""),
    ("a_length_in_hex", head("Content-Length: 0x10"), 400, ""),
    ("a_length_beyond_64_bits", head("Content-Length: 99999999999999999999"), 400, ""),
    ("chunked_twice", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKED), 400, ""),
    ("gzip_and_chunked", head("Transfer-Encoding: gzip, chunked", body=CHUNKED), 400, ""),
    ("an_unknown_transfer_encoding", head("Transfer-Encoding: xchunked", body=CHUNKED), 400, ""),
    ("a_packed_body", head(LENGTH, "Content-Encoding: gzip"), 415, "content_encoding_unsupported"),
    ("a_bad_chunk_size", head("Transfer-Encoding: chunked", body=b"zz\r\n" + BODY), 400, "invalid_http"),
    ("a_longer_chunk", head("Transfer-Encoding: chunked", body=b"2\r\n1234\r\n0\r\n\r\n"), 400, "invalid_http"),
    ("a_name_with_a_space", head(LENGTH, "X Y: a"), 400, "invalid_http"),
    ("a_space_before_the_colon", head(LENGTH, "X-Y : a"), 400, "invalid_http"),
    ("a_folded_header", head(LENGTH, "X-Y: a\r\n b"), 400, "invalid_http"),
    ("a_line_without_colon", head(LENGTH, "nonsense"), 400, "invalid_http"),
    ("nul_in_an_id", head(LENGTH, "X-Request-ID: a\x00b"), 400, "invalid_http"),
    ("cr_in_an_id", head(LENGTH, "X-Request-ID: a\rb"), 400, "invalid_http"),
    ("nul_in_an_idempotency_key", head(LENGTH, "Idempotency-Key: a\x00b"), 400, "invalid_http"),
    ("space_in_an_idempotency_key", head(LENGTH, "Idempotency-Key: a b"), 400, "idempotency_key_invalid"),
    ("an_empty_idempotency_key", head(LENGTH, "Idempotency-Key:"), 400, "idempotency_key_invalid"),
    ("an_idempotency_key_beyond_ascii", head(LENGTH, "Idempotency-Key: \xe9"), 400, "idempotency_key_invalid"),
    ("a_very_long_idempotency_key", head(LENGTH, "Idempotency-Key: " + "a" * 5000), 400, "idempotency_key_invalid"),
    ("get", head(method="GET", body=b""), 405, "method_not_allowed"),
    ("options", head(method="OPTIONS", body=b""), 405, "method_not_allowed"),
    ("trace", head(method="TRACE", body=b""), 405, "method_not_allowed"),
    ("an_unknown_method", head(method="BREW", body=b""), 400, "invalid_http"),
    ("a_method_in_lower_case", head(LENGTH, method="post"), 400, "invalid_http"),
    ("connect", lines(b"CONNECT gateway.test:443 HTTP/1.1", HOST, KEY, body=b""), 400, ""),
    ("http_0_9", exact(b"GET /\r\n\r\n"), 404, "unknown_path"),
    ("http_2_preface", exact(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, "invalid_http"),
    ("http_3_4", lines(POST[:-3] + b"3.4", HOST, KEY, LEN), 400, "invalid_http"),
    ("tls_hello", exact(HELLO), 400, "invalid_http"),
    ("noise", exact(bytes(range(256)) * 8), 400, "invalid_http"),
    ("a_path_with_a_space", head(LENGTH, path=CHAT + " x"), 400, "invalid_http"),
    ("an_encoded_path", head(LENGTH, path=CHAT.replace("chat", "%63hat")), 404, "unknown_path"),
    ("a_path_that_climbs", head(LENGTH, path="/openai/v1/../v1/chat/completions"), 404, "unknown_path"),
    ("two_slashes", head(LENGTH, path="/" + CHAT), 404, "unknown_path"),
    ("absolute_form", head(LENGTH, path="http://gateway.test" + CHAT), 200, ""),
    ("absolute_form_of_nothing", head(LENGTH, path="http://"), 400, ""),
    ("a_query", head(LENGTH, path=CHAT + "?api-version=1"), 200, ""),
    ("chunked", head("Transfer-Encoding: chunked", body=CHUNKED), 200, ""),
    ("chunked_in_capitals", head("transfer-encoding: CHUNKED", body=CHUNKED), 200, ""),
    ("an_empty_line_before", exact(b"\r\n" + b"\r\n".join((POST, HOST, KEY, LEN)) + b"\r\n\r\n" + BODY), 200, ""),
    ("http_1_0", lines(POST[:-1] + b"0", KEY, LEN), 200, ""),
    ("another_content_type", head(LENGTH, "Content-Type: text/plain"), 200, ""),
]  # fmt: skip


@pytest.mark.parametrize("known", [False, True], ids=["first", "after_a_good_one"])
@pytest.mark.parametrize(("make", "status", "code"), [c[1:] for c in HEADS], ids=[c[0] for c in HEADS])
def test_heads(caller: Customer, make, status, code, known):
    """Also on a connection whose head is known, and is compared with what comes."""
    with caller.connect() as wire:
        for _ in range(2 if known else 0):
            wire.send(caller.head(LENGTH) + BODY)
            assert wire.reply().status == 200
        wire.send(make(caller))
        reply = wire.reply()
        assert reply is not None
        assert reply.status == status, reply.body
        if status == 200:
            assert reply.text == "Hello from the stub."
            return
        kinds = {404: "not_found_error", 405: "method_not_allowed"}
        assert reply.error["type"] == kinds.get(status, "invalid_request_error")
        assert reply.error["code"] == code or not code
        if status in (400, 414, 415, 431) and code != "idempotency_key_invalid":
            assert reply.headers.get("connection") == "close"
            assert wire.closed()


def test_a_head_request_has_a_head_alone(caller: Customer):
    with caller.connect() as wire:
        wire.send(caller.head("Connection: close", method="HEAD"))
        assert wire.closed()
        assert wire.read.startswith(b"HTTP/1.1 405 ")
        assert wire.read.endswith(b"\r\n\r\n")


# -- the body ---------------------------------------------------------------------------------------------------------


def said(messages: bytes, more: bytes = b"") -> bytes:
    return b'{"model":"plain","messages":%b%b}' % (messages, more)


HI = b'[{"role":"user","content":"hi"}]'
BODIES = [
    ("nan", said(HI, b',"temperature":NaN'), 400, "invalid_json"),
    ("infinity", said(HI, b',"temperature":-Infinity'), 400, "invalid_json"),
    ("a_number_too_large", said(HI, b',"temperature":1e999'), 400, ""),
    ("depth_64", said(HI, b',"x":' + b"[" * 63 + b"]" * 63), 200, ""),
    ("depth_65", said(HI, b',"x":' + b"[" * 64 + b"]" * 64), 400, "json_too_deep"),
    ("depth_100_000", said(HI, b',"x":' + b"[" * 100_000 + b"]" * 100_000), 400, "json_too_deep"),
    ("depth_never_closed", b"[" * 100_000, 400, "json_too_deep"),
    ("objects_never_closed", b'{"a":' * 100_000, 400, "json_too_deep"),
    ("brackets_in_a_text", said(b'[{"role":"user","content":"%b"}]' % (b"[{" * 5000)), 200, ""),
    ("bad_utf8", said(b'[{"role":"user","content":"\xff\xfe"}]'), 400, "invalid_utf8"),
    ("bad_utf8_in_an_unread_field", said(HI, b',"x":"\xff"'), 400, "invalid_utf8"),
    ("an_overlong_slash", said(b'[{"role":"user","content":"\xc0\xaf"}]'), 400, "invalid_utf8"),
    ("half_a_surrogate", said(b'[{"role":"user","content":"\\ud800"}]'), 400, "invalid_json"),
    ("a_byte_order_mark", b"\xef\xbb\xbf" + said(HI), 400, "invalid_json"),
    ("utf_16", said(HI).decode().encode("utf-16"), 400, ""),
    ("10_000_messages", said(b"[" + b",".join([HI[1:-1]] * 10_000) + b"]"), 200, ""),
    ("10_001_messages", said(b"[" + b",".join([HI[1:-1]] * 10_001) + b"]"), 400, "too_many_messages"),
    ("nul_in_a_text", said(b'[{"role":"user","content":"a\x00b"}]'), 400, "invalid_json"),
    ("nul_escaped", said(b'[{"role":"user","content":"a\\u0000b"}]'), 200, ""),
    ("a_field_twice", b'{"model":"never",' + said(HI)[1:], 200, ""),
    ("a_trailing_comma", said(HI, b","), 400, "invalid_json"),
    ("n_too_large", said(HI, b',"n":129'), 400, "invalid_field"),
    ("max_tokens_beyond_31_bits", said(HI, b',"max_tokens":4294967296'), 400, "invalid_field"),
    ("metadata_that_is_no_object", said(HI, b',"metadata":"x"'), 400, "invalid_field"),
    ("a_dear_service_tier", said(HI, b',"service_tier":"priority"'), 400, "service_tier_unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "code"), [c[1:] for c in BODIES], ids=[c[0] for c in BODIES])
def test_bodies(server: Gateway, stub: Stub, body, status, code):
    rich = server.customer({"standard": "1000"})
    reply = rich.post(CHAT, body)
    assert reply.status == status, reply.body
    if status == 200:
        assert json.loads(json.dumps(stub.calls("plain")[-1].body))["model"] == "plain"
        return
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["code"] == code or not code
    assert rich.balance() == 1000 * 10**9


# -- slow, early and silent callers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"", "head_timeout", id="nothing"),
        pytest.param(POST + b"\r\nHost: a", "head_timeout", id="half_a_head"),
        pytest.param(b"\r\n".join((POST, HOST, KEY, LEN)) + b"\r\n\r\n" + BODY[:9], "body_timeout", id="half_a_body"),
    ],
)
def test_slow_callers(caller: Customer, sent, code):
    with caller.connect() as wire:
        wire.send(sent.replace(b"KEY", caller.api_key.encode()))
        reply = wire.reply()
        assert reply is not None
        assert (reply.status, reply.error["code"]) == (408, code)
        assert wire.closed()


def test_a_head_that_drips_is_as_slow(caller: Customer):
    """Bytes that keep coming do not buy more time."""
    with caller.connect() as wire:
        wire.socket.settimeout(0.1)
        began = time.monotonic()
        wire.send(POST + b"\r\n")
        while time.monotonic() - began < 20:
            wire.send(b"X-A: b\r\n")
            try:
                if not wire.more() or wire.read:
                    break
            except TimeoutError:
                continue
        wire.socket.settimeout(10)
        reply = wire.reply()
        assert reply is not None
        assert reply.status == 408


def test_a_pipelined_request_is_not_served(caller: Customer, stub: Stub):
    calls = len(stub.bill)
    with caller.connect() as wire:
        wire.send((caller.head(LENGTH) + BODY) * 3)
        reply = wire.reply()
        assert reply is not None
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.closed()
        assert wire.read == b""
    assert len(stub.bill) == calls + 1


def test_nothing_behind_a_refusal_is_served(caller: Customer, stub: Stub):
    """A refused body and a good request in one piece: the second would be paid for and never seen."""
    calls = len(stub.bill)
    refused = b"%b\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" % POST + b" " * 70_000
    with caller.connect() as wire:
        wire.send(refused + caller.head(LENGTH) + BODY)
        reply = wire.reply()
        assert reply is not None
        assert (reply.status, reply.error["type"]) == (401, "missing_api_key")
        assert wire.closed()
    assert len(stub.bill) == calls


def test_a_connection_is_used_again(caller: Customer):
    with caller.connect() as wire:
        for body, status in ((BODY, 200), (b"{", 400), (STREAM_BODY, 200), (BODY, 200)):
            wire.send(caller.head(f"Content-Length: {len(body)}") + body)
            reply = wire.reply()
            assert reply is not None
            assert reply.status == status
            assert reply.headers.get("connection") != "close"


def test_a_head_that_is_known_with_other_bodies(caller: Customer, stub: Stub):
    """Each body is read by its own length, however the bytes arrive."""
    with caller.connect() as wire:
        for n, cut in enumerate((0, 0, 1, 40, -1, -len(BODY) + 5, 0)):
            body = BODY[:-1] + b', "user": "%b"}' % (b"u" * n * 7)
            sent = caller.head(f"Content-Length: {len(body)}") + body
            if cut:
                wire.send(sent[:cut])
                time.sleep(0.02)
            wire.send(sent[cut:] if cut else sent)
            reply = wire.reply()
            assert reply is not None
            assert reply.status == 200
            assert stub.bill[-1].body["messages"] == json.loads(body)["messages"]


def test_a_known_head_serves_no_revoked_key(server: Gateway):
    made = server.customer()
    request = made.head(LENGTH) + BODY
    with made.connect() as wire:
        for _ in range(3):
            wire.send(request)
            assert wire.reply().status == 200
        server.manage("POST", f"/keys/{made.key_id}/revoke")

        def refused() -> bool:
            wire.send(request)
            return wire.reply().status == 403

        wait_for(refused, "a revoked key stays live on its connection")


@pytest.mark.parametrize(("key", "statuses"), [("KEY", [100, 200]), ("bad", [403])], ids=["good_key", "bad_key"])
def test_expect_100_continue(caller: Customer, key, statuses):
    """Whoever asks first is told first: a body that will be refused is not asked for."""
    bearer = KEY.replace(b"KEY", caller.api_key.encode() if key == "KEY" else b"bad")
    asked = b"\r\n".join((POST, HOST, bearer, LEN, b"Expect: 100-continue")) + b"\r\n\r\n"
    found = []
    with caller.connect() as wire:
        wire.send(asked)
        if statuses[0] == 100:
            interim = wire.reply()
            assert interim is not None
            found.append(interim.status)
        wire.send(BODY)
        final = wire.reply()
        assert final is not None
        found.append(final.status)
    assert found == statuses


def test_tls_on_the_plain_port(caller: Customer):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with caller.connect() as wire, pytest.raises(ssl.SSLError):
        context.wrap_socket(wire.socket, server_hostname="localhost").close()


@pytest.mark.parametrize("idle", [False, True], ids=["then_leaves", "never_leaves"])
def test_a_reader_that_never_reads(server: Gateway, stub: Stub, idle):
    """Back-pressure reaches the provider, and a stall ends the call; what came until then is paid for."""
    word = event(chunk({"content": "x" * 16_384}))
    stub.says("plain", stream([*events()[:1], *[word] * 2000, *events()[-3:]]))  # 32 MiB
    slow = server.customer()
    with slow.connect() as wire:
        wire.send(slow.head(f"Content-Length: {len(STREAM_BODY)}") + STREAM_BODY)
        wire.until(b"200 OK")
        if idle:
            wait_for(lambda: stub.calls("plain")[-1].ended_at, "the stall is not seen")
            wait_for(slow.records, "the call does not end")
    stub.says("plain", either)
    (record,) = wait_for(slow.records, "the call does not end")
    assert record["ending"] == "client_gone"
    assert slow.balance() < FULL


def test_forged_addresses_are_not_believed(server: Gateway):
    """Nobody is a trusted proxy here."""
    customer = server.customer(ip_allow=["203.0.113.0/24"])
    for name in ("X_Forwarded_For", "X_Real_IP"):
        reply = customer.chat("plain", headers={name: "203.0.113.9"})
        assert (reply.status, reply.error["code"]) == (403, "ip_not_allowed")


def test_ids_cannot_break_a_head(caller: Customer):
    for given in ('a"b', "a%0d%0aSet-Cookie:x", "<script>", "a;b"):
        reply: Reply = caller.chat("plain", headers={"X_Request_ID": given})
        assert reply.headers["x-request-id"] == given
        assert "set-cookie" not in reply.headers


def test_nothing_is_left(server: Gateway):
    """Nothing is held, the books are right, and no defect was met; the log knows no key and no prompt."""
    server.at_rest()
    server.verify()
    assert "Traceback" not in server.log
    assert server.admin_key not in server.log
    assert server.api_key not in server.log
