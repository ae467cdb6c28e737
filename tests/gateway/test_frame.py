"""The frame of a stream's text chunks: what it takes for text is text, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.gateway.frame import text_frame, text_within
from tests.journeys.stub import chunk, event

ONE = event(chunk({"content": "one"}))
FRAME = text_frame(ONE)

words = st.text(st.characters(codec="utf-8"), max_size=12)


def said(word: str) -> bytes:
    return event(chunk({"content": word}))


@given(st.lists(words, min_size=1, max_size=8))
def test_a_block_is_read_as_its_chunks_are(found):
    block = b"".join([said(word) for word in found])
    text, count, end = FRAME.run_of(block)
    plain = ['"' not in word and not word.endswith("\\") for word in found]
    assert text_within([text] if text else []) == "".join(found[:count])
    assert end == sum(len(said(word)) for word in found[:count])
    assert all(plain[:count])
    assert count == len(found) or not all(plain)


def with_finish(word: str) -> bytes:
    return event(chunk({"content": word}, "stop"))


OTHERS = {
    "a finish reason": with_finish("two"),
    "another delta": event(chunk({"content": "two", "refusal": "no"})),
    "a tool call": event(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})),
    "the end": b"data: [DONE]\n\n",
    "a comment": b": ping\n\n" + said("three"),
    "half an event": said("two")[:-1],
    "a quote left open": ONE.replace(b'"one"', b'"one\\"'),
    "a line in the text": ONE.replace(b"one", b"one\ntwo"),
    "nothing": b"",
}


@pytest.mark.parametrize("block", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_left_to_be_read(block):
    assert FRAME.run_of(block) == (b"", 0, 0)
    assert FRAME.run_of(ONE + block) in ((b"one", 1, len(ONE)), (b"", 0, 0))


def test_a_run_ends_where_something_else_begins():
    text, count, end = FRAME.run_of(said("two") + said("three") + with_finish("four") + said("five"))
    assert (text, count, end) == (b"twothree", 2, len(said("two") + said("three")))


def changed(**fields: object) -> bytes:
    return event({**json.loads(ONE[6:]), **fields})


WITHOUT = {
    "two choices": changed(choices=json.loads(ONE[6:])["choices"] * 2),
    "no choice": changed(choices=[]),
    "no text": event(chunk({"content": None})),
    "a role and a tool call": event(chunk({"content": "x", "tool_calls": [{"index": 0}]})),
    "a usage": changed(usage={"prompt_tokens": 1}),
    "an error": changed(error={"message": "x"}),
    "a finish reason": with_finish("one"),
    "a text that stands there twice": changed(id="one", model="one", x="one"),
    "two lines": b"event: x\n" + ONE,
    "no JSON": b"data: {one}\n\n",
}


@pytest.mark.parametrize("first", WITHOUT.values(), ids=WITHOUT)
def test_an_event_that_is_no_plain_text_gives_no_frame(first):
    assert text_frame(first) is None
