"""Event streams: the shared vectors, every way to cut them, and a limit."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.providers import sse
from joytoken.providers.interface import ProviderFailure
from joytoken.providers.sse import DONE, EventSplitter, data_of, events

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "sse"


def text_of(value):
    """Return a vector's text, whose long ones are lists of parts."""
    parts = value if isinstance(value, list) else [value]
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts)


def load(path):
    vector = json.loads(path.read_text(encoding="utf-8"))
    assert vector["name"] == path.stem
    vector["input"] = text_of(vector["input"]).encode()
    vector["events"] = [text_of(event).encode() for event in vector["events"]]
    vector["finished"] = [text_of(event).encode() for event in vector["finished"]] if "finished" in vector else None
    return vector


CASES = {path.stem: load(path) for path in sorted(VECTORS.glob("*.json"))}
SMALL = [name for name, case in CASES.items() if len(case["input"]) < 1_000]


def read(block):
    return [data for event in events(block) if (data := data_of(event)) is not None]


def read_pieces(pieces):
    """Return (all data, all bytes given out), checking that each block holds whole events only."""
    splitter = EventSplitter()
    found, out = [], b""
    for piece in pieces:
        block = splitter.feed(piece)
        found += read(block)
        out += block
    assert splitter.held_bytes + len(out) in {len(b"".join(pieces)), len(b"".join(pieces)) - 3}  # 3: the mark
    return found, out


def cut(data, places):
    edges = sorted({0, len(data), *(place for place in places if place <= len(data))})
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("name", CASES)
def test_vector(name):
    case = CASES[name]
    found, out = read_pieces([case["input"]])
    assert found == case["events"]
    assert case["input"].removeprefix(b"\xef\xbb\xbf").startswith(out)


@pytest.mark.parametrize("name", CASES)
def test_vector_finished(name):
    case = CASES[name]
    splitter = EventSplitter()
    assert read(splitter.feed(case["input"]) + splitter.finish()) == (case["finished"] or case["events"])
    assert splitter.finish() == b""


@pytest.mark.parametrize("name", SMALL)
def test_vector_cut_at_every_byte(name):
    case = CASES[name]
    for place in range(len(case["input"]) + 1):
        assert read_pieces(cut(case["input"], [place]))[0] == case["events"]


@pytest.mark.parametrize("name", CASES)
def test_vector_byte_by_byte(name):
    case = CASES[name]
    assert read_pieces([bytes([byte]) for byte in case["input"]])[0] == case["events"]


LINES = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b"data: {}",
        b"data: [DONE]",
        b": c",
        b"id: 1",
        b"event: e",
        b"",
        b"",
        b"x",
        b"\xef\xbb\xbf",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(STREAMS, st.lists(st.integers(0, 100)))
def test_any_cut_gives_the_same_events(stream, places):
    whole, _ = read_pieces([stream])
    assert read_pieces(cut(stream, places))[0] == whole
    assert read_pieces([bytes([byte]) for byte in stream])[0] == whole


@given(STREAMS)
def test_events_are_those_of_the_plain_reading(stream):
    """The standard's own algorithm, line by line, as the judge."""
    expected, values = [], []
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        if not line and values:
            expected.append(b"\n".join(values))
            values = []
        elif name == b"data":
            values.append(value.removeprefix(b" "))
    assert read_pieces([stream])[0] == expected


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_any_bytes_come_out_as_they_went_in(stream, places):
    _, out = read_pieces(cut(stream, places))
    assert stream.removeprefix(b"\xef\xbb\xbf").startswith(out)


def test_an_event_is_given_out_as_soon_as_it_is_whole():
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        splitter = EventSplitter()
        assert splitter.feed(b"data: a" + end[:-1]) in {b"", b"data: a\r\n\r"}
        splitter = EventSplitter()
        assert splitter.feed(b"data: a" + end + b"data: b") == b"data: a" + end


def test_events_are_given_with_their_empty_line():
    assert list(events(b"\n: c\n\ndata: a\r\n\r\n\r\ndata: b\n\ndata: c\n")) == [
        b": c\n\n",
        b"data: a\n\n",
        b"data: b\n\n",
    ]
    assert data_of(b": c\n\n") is None
    assert data_of(b"data: [DONE]\n\n") == DONE


def test_what_is_held_back_has_a_limit():
    splitter = EventSplitter(100)
    assert splitter.feed(b"data: " + b"x" * 94) == b""
    assert splitter.feed(b"\n\n" + b"data: " + b"y" * 94) == b"data: " + b"x" * 94 + b"\n\n"
    with pytest.raises(ProviderFailure, match="over 100 bytes") as caught:
        splitter.feed(b"y")
    assert caught.value.kind == "event_too_large"
    with pytest.raises(ProviderFailure):
        EventSplitter(100).feed(b"data: a\n\n" + b"x" * 101)


def test_the_work_is_in_proportion_to_the_length(monkeypatch):
    """Counted, not timed: no byte is looked at again with each further byte."""
    looked_at = 0
    find = sse._end_of_last_event

    def counting(data):
        nonlocal looked_at
        looked_at += len(data)
        return find(data)

    monkeypatch.setattr(sse, "_end_of_last_event", counting)
    splitter = EventSplitter()
    stream = b"data: " + b"x" * 50_000 + b"\n\n"
    assert b"".join(splitter.feed(bytes([byte])) for byte in stream) == stream
    assert looked_at <= 2 * len(stream)
