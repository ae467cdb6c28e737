"""A head that a connection has sent before: what is taken for it is it, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.api.head import Framing, HeadLimits, known_head, read_head
from joytoken.gateway.call import Call

BEFORE = b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer key\r\nContent-Length: "
AFTER = b"\r\nContent-Type: application/json\r\n\r\n"
LIMITS = HeadLimits(body_bytes_max=10_000)


def request(body: bytes, length: object = None) -> bytes:
    return BEFORE + str(len(body) if length is None else length).encode() + AFTER + body


def known(data: bytes):
    head = data.partition(b"\r\n\r\n")[0]
    call = Call(0.0, 0, "")
    lines = [line.split(b":", 1) for line in head.split(b"\r\n")[1:]]
    framing = read_head([(name, value.strip()) for name, value in lines], call)
    assert isinstance(framing, Framing)
    return known_head(data, framing, call, LIMITS)


HEAD = known(request(b"{}"))


@given(st.binary(max_size=2_000))
def test_any_body_of_the_same_head_is_cut_out(body):
    assert HEAD.body_of(request(body)) == body


@given(st.binary(max_size=300), st.data())
def test_what_is_not_whole_or_more_than_one_request_is_not(body, data):
    sent = request(body)
    assert HEAD.body_of(sent[: data.draw(st.integers(0, len(sent) - 1))]) is None
    assert HEAD.body_of(sent + data.draw(st.binary(min_size=1, max_size=5))) is None


@given(st.integers(0, len(BEFORE + AFTER) - 1), st.integers(1, 255))
def test_a_head_that_differs_in_one_byte_is_another(at, by):
    sent = bytearray(request(b"{}"))
    at += at >= len(BEFORE)  # the digit of the length is spared
    sent[at] = (sent[at] + by) % 256
    assert HEAD.body_of(bytes(sent)) is None


@pytest.mark.parametrize("length", ["", "+2", "-2", "2 ", " 2", "0x2", "2\t", "1_0", "\u0662", "2" * 19, "2\r\nX: a"])
def test_a_length_is_digits_alone(length):
    assert HEAD.body_of(request(b"{}", length)) is None


def test_a_body_over_the_limit_is_left_to_be_refused():
    assert HEAD.body_of(request(b"a" * 10_000)) is not None
    assert HEAD.body_of(request(b"a" * 10_001)) is None


VARIES = {
    "an id": b"X-Request-ID: a\r\n",
    "an idempotency key": b"Idempotency-Key: a\r\n",
    "a question first": b"Expect: 100-continue\r\n",
}


@pytest.mark.parametrize("line", VARIES.values(), ids=VARIES)
def test_what_differs_from_request_to_request_is_not_remembered(line):
    assert known(request(b"{}")) is not None
    assert known(request(b"{}").replace(b"Host: a\r\n", b"Host: a\r\n" + line)) is None


def test_neither_is_a_request_that_did_not_come_whole_nor_one_in_chunks():
    assert known(request(b"{}")[:-1]) is None
    assert known(request(b"{}", "2").replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")) is None
