"""Tokens are counted exactly where that is possible, and bounded by the bytes elsewhere."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.gateway.call import Content, content_of, read_chat
from joytoken.gateway.count import IMAGE_TOKENS_MAX, MESSAGE_TOKENS, REPLY_TOKENS, Counter

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.fixture(scope="module")
def counter():
    made = Counter()
    made.load("o200k_base")
    return made


def content(*messages):
    body = json.dumps({"messages": [{"role": "user", "content": m} for m in messages]}).encode()
    return content_of(read_chat(body, json_depth_max=64, messages_max=100)), len(body)


@given(st.lists(texts, min_size=1, max_size=4))
def test_the_exact_count_is_within_both_bounds(counter, said):
    """A byte-level tokenizer never makes more tokens than there are bytes."""
    found, size = content(*said)
    exact = counter.input_bound(found, size, "o200k_base", 0)
    assert exact <= counter.input_bound(found, size, None, 0)
    assert counter.count_input(found, "o200k_base") <= exact


@given(st.lists(texts, min_size=1, max_size=4))
def test_counting_again_gives_the_same(counter, said):
    found, size = content(*said)
    fresh = Counter()
    fresh.load("o200k_base")
    first = counter.input_bound(found, size, "o200k_base", 0)
    assert counter.input_bound(found, size, "o200k_base", 0) == first == fresh.input_bound(found, size, "o200k_base", 0)


def test_without_an_encoding_the_bytes_are_the_bound(counter):
    found, size = content("hello")
    assert counter.input_bound(found, size, None, 0) == size + MESSAGE_TOKENS + REPLY_TOKENS
    assert counter.count("hello world!", None) == 3
    assert counter.count("", None) == 0


def test_images_are_allowed_for(counter):
    found = Content([], 1, images=2)
    assert counter.input_bound(found, 10, "o200k_base", 0) >= 2 * IMAGE_TOKENS_MAX


@pytest.mark.parametrize("field", ["files", "audios"])
def test_what_cannot_be_counted_is_bounded_by_its_bytes(counter, field):
    found = Content(["hi"], 1, **{field: 1})
    assert counter.input_bound(found, 50_000, "o200k_base", 0) >= 50_000


def test_tools_and_earlier_calls_count_by_their_bytes(counter):
    found = Content(["hi"], 1, opaque_bytes=300)
    plain = counter.input_bound(Content(["hi"], 1), 500, "o200k_base", 0)
    assert counter.input_bound(found, 500, "o200k_base", 70) == plain + 370


def test_an_encoding_is_loaded_behind_the_scenes():
    made = Counter()
    assert made.encoding("cl100k_base") is None
    assert made.count("hello world!", "cl100k_base") == 3  # an estimate until then
    made.load("cl100k_base")
    assert made.encoding("cl100k_base") is not None


@given(st.lists(texts, max_size=20))
def test_an_estimate_over_parts_is_rounded_once(parts):
    sizes = [len(part.encode()) for part in parts]
    assert Counter.estimate(sum(sizes)) <= sum(Counter.estimate(size) for size in sizes)
    assert sum(sizes) <= Counter.estimate(sum(sizes)) * 4 < sum(sizes) + 4
