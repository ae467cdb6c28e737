"""The stream meter: what it forwards and what it counts do not depend on how the network cuts a stream."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.usage import Usage
from joytoken.gateway.count import Counter
from joytoken.gateway.meter import StreamMeter
from tests.journeys.stub import chunk, event, events

ENDS = {"line feeds": b"\n", "carriage returns": b"\r", "both": b"\r\n"}
STREAM = [b": ping\n\n", *events(["one ", "two ", "three ", "four"])]


def meter() -> StreamMeter:
    return StreamMeter(
        Counter(), None, event_bytes_max=1 << 20, names={"id": "req-1", "created": 1, "model": "stub/plain"}
    )


def forwarded(parts: list[bytes]) -> tuple[bytes, StreamMeter]:
    read = meter()
    return b"".join([read.feed(part) for part in parts]) + read.rest(), read


def texts(out: bytes) -> list[str]:
    """The content of each forwarded chunk; every event has to be one that a strict client reads."""
    assert out.endswith(b"\n\n")
    found = []
    for part in out.decode().split("\n\n")[:-1]:
        assert part.startswith("data: ")
        found += [choice["delta"].get("content") or "" for choice in json.loads(part[6:])["choices"]]
    return found


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_stream_cut_in_two_at_every_byte(end: bytes):
    data = b"".join(STREAM).replace(b"\n", end)
    whole, read = forwarded([data])
    assert "".join(texts(whole)) == "one two three four"
    assert read.done
    assert read.usage == Usage(11, 5)
    for at in range(1, len(data)):
        out, cut = forwarded([data[:at], data[at:]])
        assert texts(out) == texts(whole), at
        assert (cut.done, cut.finished, cut.usage) == (read.done, read.finished, read.usage), at


@given(st.sampled_from(list(ENDS.values())), st.lists(st.integers(1, 4000), max_size=12))
def test_a_stream_cut_anywhere(end: bytes, cuts: list[int]):
    data = b"".join(STREAM).replace(b"\n", end)
    places = sorted({0, len(data), *[cut for cut in cuts if cut < len(data)]})
    out, read = forwarded([data[a:b] for a, b in itertools.pairwise(places)])
    assert "".join(texts(out)) == "one two three four"
    assert read.usage == Usage(11, 5)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), min_size=1, max_size=20))
def test_what_is_counted_is_what_was_said(words: list[str]):
    stream = b"".join([event(chunk({"content": word})) for word in words])
    out, read = forwarded([stream])
    assert texts(out) == words
    assert read.output_tokens() == Counter().count("".join(words), None)
    assert read.output_tokens() == read.output_tokens()


def test_text_that_looks_like_the_protocol_passes_as_text():
    said = ['"usage":{"prompt_tokens":1}', "data: [DONE]", '"error":{"message":"x"}', '"finish_reason":"stop"', "\n\n"]
    out, read = forwarded([event(chunk({"content": word})) for word in said])
    assert texts(out) == said
    assert (read.usage, read.error, read.done, read.finished) == (None, None, False, False)
