"""What is read of a request, and how it is refused."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.errors import InvalidRequest
from joytoken.gateway.call import content_of, json_depth, read_chat, read_top

MESSAGES = [{"role": "user", "content": "hi"}]


def read(document, **limits):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_chat(body, **{"json_depth_max": 20, "messages_max": 5} | limits)


REFUSED = [
    (b"", "invalid_json", None),
    (b"{", "invalid_json", None),
    (b"[]", "invalid_json", None),
    (b"null", "invalid_json", None),
    (b'{"messages": NaN}', "invalid_json", None),
    (b'{"messages": [{"role": "user", "content": "\xff"}]}', "invalid_utf8", None),
    (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "invalid_json", None),
    ({}, "messages_missing", "messages"),
    ({"messages": []}, "messages_empty", "messages"),
    ({"messages": MESSAGES * 6}, "too_many_messages", "messages"),
    ({"messages": "hi"}, "invalid_field", "messages"),
    ({"messages": [{"content": "hi"}]}, "invalid_field", "messages[0].role"),
    ({"messages": [{"role": "user", "content": 5}]}, "invalid_field", "messages[0].content"),
    ({"messages": MESSAGES, "max_tokens": 0}, "invalid_field", "max_tokens"),
    ({"messages": MESSAGES, "max_tokens": "5"}, "invalid_field", "max_tokens"),
    ({"messages": MESSAGES, "max_completion_tokens": 2**40}, "invalid_field", "max_completion_tokens"),
    ({"messages": MESSAGES, "n": 129}, "invalid_field", "n"),
    ({"messages": MESSAGES, "temperature": 2.1}, "invalid_field", "temperature"),
    ({"messages": MESSAGES, "stream": "yes"}, "invalid_field", "stream"),
    ({"messages": MESSAGES, "service_tier": "priority"}, "service_tier_unknown", "service_tier"),
    ({"messages": MESSAGES, "x": json.loads("[" * 21 + "]" * 21)}, "json_too_deep", None),
]


@pytest.mark.parametrize(("document", "code", "param"), REFUSED)
def test_refusals_name_the_field(document, code, param):
    with pytest.raises(InvalidRequest) as refusal:
        read(document)
    error = refusal.value
    assert (error.code, error.http_status) == (code, 400)
    if param is not None:
        assert error.param is not None
        assert param in (error.param, error.param.replace("[...]", "[0]"))


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 5),
        ({"max_tokens": 9, "max_completion_tokens": 7}, 7),
        ({"max_tokens": None, "max_completion_tokens": None}, None),
    ],
)
def test_the_lesser_bound_counts(fields, asked):
    assert read({"messages": MESSAGES, **fields}).output_asked == asked


def test_unknown_fields_are_kept_as_they_came():
    body = b'{"messages":[{"role":"user","content":"hi"}],"x":{"b":1,"a":[1.50,"\\u00e9"]},"tools":null}'
    read(body)
    top = read_top(body)
    assert bytes(top["x"]) == b'{"b":1,"a":[1.50,"\\u00e9"]}'
    assert list(top) == ["messages", "x", "tools"]


def test_content_is_collected_from_all_kinds_of_parts():
    parts = [
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "data:"}},
        {"type": "input_audio", "input_audio": {}},
        {"type": "file", "file": {}},
    ]
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "two"},
    ]
    found = content_of(read({"messages": messages}))
    assert (found.texts, found.messages) == (["one", "two"], 3)
    assert (found.images, found.audios, found.files) == (1, 1, 1)
    assert found.opaque_bytes == len(json.dumps([call]))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def depth_of(value):
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(values)
def test_depth_is_that_of_the_document_whatever_its_strings_hold(value):
    assert json_depth(json.dumps(value).encode()) == depth_of(value)
    assert json_depth(msgspec.json.encode(value)) == depth_of(value)


@given(st.text('{}[]"\\', max_size=12))
def test_brackets_in_strings_do_not_count(text):
    assert json_depth(json.dumps([text, {text: text}]).encode()) == 2
