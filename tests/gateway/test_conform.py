"""Whatever a provider leaves out or sends as null: what is passed on lacks nothing, and says what was said."""

import json

from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.usage import Usage
from joytoken.gateway.completion import complete_body, read_completion
from joytoken.gateway.conform import decode_whole, is_whole_chunk
from joytoken.gateway.count import Counter
from joytoken.gateway.meter import StreamMeter

NAMES = {"id": "req-1", "created": 7, "model": "m/one"}
WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 5,
    "model": "one",
    "system_fingerprint": "fp",
    "choices": [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": "Hi.",
                "refusal": None,
                "tool_calls": [],
                "function_call": {},
                "annotations": [],
            },
            "logprobs": {"content": None, "refusal": None},
            "finish_reason": "stop",
        }
        for index in range(2)
    ],
    "usage": {
        "prompt_tokens": 2,
        "completion_tokens": 2,
        "total_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}
CHUNK = {name: WHOLE[name] for name in ("id", "created", "model", "system_fingerprint")} | {
    "object": "chat.completion.chunk",
    "usage": None,
    "choices": [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "Hi.", "tool_calls": [], "function_call": {}},
            "logprobs": {"content": None, "refusal": None},
            "finish_reason": None,
        }
    ],
}


def paths(value, way=()):
    """Every place in a document, but the lists that everything else hangs on and the words that were said."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in items:
        here = (*way, name)
        if isinstance(name, str) and name not in {"choices", "content"}:
            yield here
        yield from paths(one, here)


def change(document, changes):
    """The document with these places deleted, or set to null."""
    made = json.loads(json.dumps(document))
    for way, null in changes.items():
        at = made
        for step in way[:-1]:
            at = at.get(step) if isinstance(at, dict) else at[step]
            if at is None:
                break
        if isinstance(at, dict) and way[-1] in at:
            if null:
                at[way[-1]] = None
            else:
                del at[way[-1]]
    return made


def changes(document):
    return st.dictionaries(st.sampled_from(sorted(paths(document), key=str)), st.booleans(), max_size=12)


@given(changes(WHOLE))
def test_a_whole_answer_lacks_nothing(changed):
    body = json.dumps(change(WHOLE, changed)).encode()
    completion = read_completion(body, model="m/one")
    usage = completion.usage or Usage(2, 2)
    made = json.loads(complete_body(completion, created=7, fallback_id="req-1", usage=usage))
    decode_whole(json.dumps(made))
    assert {choice["finish_reason"] for choice in made["choices"]} == {"stop"}
    for name, value in NAMES.items():
        assert made[name] in (WHOLE[name], value)


def test_what_lacks_nothing_is_not_touched():
    body = json.dumps(WHOLE, indent=1).encode()
    completion = read_completion(body)
    assert complete_body(completion, created=7, fallback_id="req-1", usage=completion.usage) is body


@given(changes(CHUNK), st.integers(1, 4), st.integers(1, 400))
def test_the_chunks_of_a_stream_lack_nothing(changed, count, size):
    """Chunks of one stream are alike: what lacks nothing when the first words come is believed to go on so."""
    sent = (b"data: " + json.dumps(change(CHUNK, changed)).encode() + b"\n\n") * count
    meter = StreamMeter(Counter(), None, event_bytes_max=65_536, names=NAMES)
    got = b"".join(meter.feed(sent[at : at + size]) for at in range(0, len(sent), size))
    chunks = [part.removeprefix(b"data: ") for part in got.split(b"\n\n") if part]
    assert len(chunks) == count
    assert all(is_whole_chunk(chunk) for chunk in chunks)
    if ("choices", 0, "delta") not in changed:
        assert {json.loads(chunk)["choices"][0]["delta"]["content"] for chunk in chunks} == {"Hi."}
    assert got == sent or not is_whole_chunk(json.dumps(change(CHUNK, changed)).encode())
