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
    taken = FRAME.text_of(block)
    if any('"' in word or word.endswith("\\") for word in found):
        assert taken is None
    else:
        assert taken is not None
        assert text_within([taken[0]]) == "".join(found)
        assert taken[1] == len(found)


def with_finish(word: str) -> bytes:
    return event(chunk({"content": word}, "stop"))


OTHERS = {
    "a finish reason": with_finish("two"),
    "a finish reason among texts": said("two") + with_finish("three") + said("four"),
    "another delta": event(chunk({"content": "two", "refusal": "no"})),
    "a tool call": event(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})),
    "the end": said("two") + b"data: [DONE]\n\n",
    "a comment": said("two") + b": ping\n\n" + said("three"),
    "half an event": said("two")[:-1],
    "a quote left open": ONE.replace(b'"one"', b'"one\\"'),
    "a line in the text": ONE.replace(b"one", b"one\ntwo"),
    "nothing": b"",
}


@pytest.mark.parametrize("block", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_left_to_be_read(block):
    assert FRAME.text_of(block) is None


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
