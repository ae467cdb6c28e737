"""Answers against OpenAI's own schemas: the echo's, and those of providers that leave out what the schemas require.

Where OpenAI's file is not at hand, a short list of required fields judges alone. One field is set aside on purpose: a
whole answer's `metadata` holds objects and numbers by the gateway's contract, while OpenAI types it as strings by name.
"""

import json

import pytest

from tests.conformance.judges import openai_judges, without_nullable
from tests.journeys.stub import USAGE, answer, chunk, completion, event, events, refusal, stream

JUDGES = openai_judges()
WHOLE, CHUNK = "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
LOGPROB = {"token": "Hello", "logprob": -0.5, "bytes": [72], "top_logprobs": []}

pytestmark = pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)


def judge_whole(judge, reply):
    """Judge a whole answer, and give it."""
    assert reply.status == 200, reply.body
    made = reply.json
    assert judge.named(WHOLE, {name: value for name, value in made.items() if name != "metadata"}) == []
    assert made["metadata"]["request_id"].startswith("req-")
    assert made["usage"]["total_tokens"] == made["usage"]["prompt_tokens"] + made["usage"]["completion_tokens"]
    return made


def judge_stream(judge, reply, *, usage):
    """Judge every chunk, and what they are together; give them."""
    assert (reply.status, reply.events[-1], reply.events.count("[DONE]")) == (200, "[DONE]", 1)
    chunks = reply.chunks
    for one in chunks:
        assert judge.named(CHUNK, one) == [], one
    assert len({(one["id"], one["created"], one["model"]) for one in chunks}) == 1
    assert [("metadata" in one, one["choices"]) for one in chunks][-1] == (True, [])
    assert sum("metadata" in one for one in chunks) == 1
    used = [one["usage"] for one in chunks if one.get("usage") is not None]
    assert len(used) == usage
    return chunks


# -- the echo --------------------------------------------------------------------------------------------------------

ASKED = {
    "text": {},
    "several choices": {"n": 2},
    "a tool call": {"tools": [TOOL], "tool_choice": "required"},
    "a tool call, twice": {"tools": [TOOL], "tool_choice": "required", "n": 2},
    "cut at its bound": {"max_tokens": 1},
    "JSON": {"response_format": {"type": "json_object"}},
    "JSON by schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
}


@pytest.mark.parametrize("asked", ASKED)
def test_the_echo(judge, customer, asked):
    made = judge_whole(judge, customer.chat("echo/echo", "some words to say", **ASKED[asked]))
    assert len(made["choices"]) == ASKED[asked].get("n", 1)


@pytest.mark.parametrize("usage", (True, False))
@pytest.mark.parametrize("asked", ASKED)
def test_the_echo_streams(judge, customer, asked, usage):
    more = {"stream_options": {"include_usage": usage}, **ASKED[asked]}
    judge_stream(judge, customer.chat("echo/echo", "some words to say", stream=True, **more), usage=usage)


# -- providers that leave something out ------------------------------------------------------------------------------


def without(document, *paths):
    """A copy of a document without what stands at these dotted paths; a number is an index."""
    made = json.loads(json.dumps(document))
    for path in paths:
        *way, last = path.split(".")
        at = made
        for step in way:
            at = at[int(step) if step.isdigit() else step]
        del at[last]
    return made


def choices(*more):
    """A completion with a choice for each of these changes."""
    made = completion()
    made["choices"] = [made["choices"][0] | {"index": index} | one for index, one in enumerate(more)]
    return made


MESSAGE = {"role": "assistant", "content": "Hello."}
WHOLE_ANSWERS = {
    "all there": completion(),
    "no refusal": without(completion(), "choices.0.message.refusal"),
    "no logprobs": without(completion(), "choices.0.logprobs"),
    "no finish_reason": without(completion(), "choices.0.finish_reason"),
    "finish_reason null": completion(finish=None),
    "no id": without(completion(), "id"),
    "no created": without(completion(), "created"),
    "no model": without(completion(), "model"),
    "no object": without(completion(), "object"),
    "another object": completion() | {"object": "text_completion"},
    "no index": without(completion(), "choices.0.index"),
    "no role": without(completion(), "choices.0.message.role"),
    "no content": without(completion(refusal="I cannot."), "choices.0.message.content"),
    "no usage": completion(usage=...),
    "usage null": completion(usage=None),
    "usage without a total": completion(usage={"prompt_tokens": 3, "completion_tokens": 4}),
    "details null": completion(usage={**USAGE, "prompt_tokens_details": None, "completion_tokens_details": None}),
    "nulls for absent fields": completion(tool_calls=None, function_call=None, annotations=None, audio=None),
    "id, created and model null": completion() | {"id": None, "created": None, "model": None},
    "next to nothing": {"choices": [{"message": {"content": "Hello."}}]},
    "one choice less than the other": choices({}, {"message": MESSAGE}),
    "a refusal": completion(None, refusal="I cannot."),
    "a tool call": completion(None, finish="tool_calls", tool_calls=[CALL]),
    "a tool call, no refusal": without(
        completion(None, finish="tool_calls", tool_calls=[CALL]), "choices.0.message.refusal", "choices.0.logprobs"
    ),
    "log probabilities": choices({"logprobs": {"content": [LOGPROB], "refusal": None}}),
    "words that look like fields": without(completion('"refusal" "logprobs" "id"'), "choices.0.message.refusal", "id"),
    "a name that is ours": completion() | {"metadata": {"theirs": "1"}},
}


@pytest.mark.parametrize("case", WHOLE_ANSWERS)
def test_a_whole_answer_is_made_good(judge, customer, stub, case):
    given = WHOLE_ANSWERS[case]
    stub.says("plain", answer(given))
    made = judge_whole(judge, customer.chat("stub/plain"))
    for was, now in zip(given["choices"], made["choices"], strict=True):
        kept = {name: value for name, value in was["message"].items() if value is not None}
        assert {name: now["message"][name] for name in kept} == kept


def chunks_without(*paths):
    """A provider's stream whose chunks lack these paths; a chunk without choices lacks only those at its top."""
    deltas = ({"role": "assistant", "content": ""}, {"content": "Hello "}, {"content": "there."})
    chunks = [*(chunk(delta) for delta in deltas), chunk({}, "stop"), chunk(None, usage=USAGE)]
    lacking = (without(one, *[path for path in paths if one["choices"] or "." not in path]) for one in chunks)
    return [*(event(one) for one in lacking), event(b"[DONE]")]


def tool_chunks(**more):
    first = {"index": 0, **CALL, "function": {"name": "look_up", "arguments": ""}}
    deltas = ({"role": "assistant", **more}, {"tool_calls": [first]}, {"tool_calls": [{"index": 0, **more}]})
    return [*(event(chunk(delta)) for delta in deltas), event(chunk({}, "tool_calls")), event(b"[DONE]")]


def late_usage():
    """Usage within the last chunk that has a choice, as several vendors send it."""
    return [*events(usage=None, finish=None, done=False), event(chunk({}, "stop", usage=USAGE)), event(b"[DONE]")]


STREAMS = {
    "all there": events(),
    "no id": chunks_without("id"),
    "no created": chunks_without("created"),
    "no model": chunks_without("model"),
    "no object": chunks_without("object"),
    "no index": chunks_without("choices.0.index"),
    "no finish_reason until the end": [
        *(event(without(chunk({"content": word}), "choices.0.finish_reason")) for word in ("a ", "b ", "c")),
        event(chunk({}, "stop")),
        event(b"[DONE]"),
    ],
    "no id, created, model, object, index": chunks_without("id", "created", "model", "object", "choices.0.index"),
    "no delta at the end": [*events(finish=None, done=False), event(without(chunk({}, "stop"), "choices.0.delta"))],
    "no logprobs": chunks_without("choices.0.logprobs"),
    "no usage": events(usage=None),
    "usage in the last choice": late_usage(),
    "usage null in each": [event(chunk({"content": word}, usage=None)) for word in ("a ", "b")]
    + [event(chunk({}, "stop", usage=None)), event(chunk(None, usage=USAGE)), event(b"[DONE]")],
    "no end": events(done=False),
    "a refusal": [event(chunk({"role": "assistant", "refusal": "I cannot."})), *events([" "])[2:]],
    "a tool call": tool_chunks(),
    "a tool call with nulls": tool_chunks(content=None, refusal=None),
    "nulls for absent fields": [
        event(chunk({"role": "assistant", "content": "a", "tool_calls": None, "function_call": None})),
        event(chunk({"content": "b", "tool_calls": None}, "stop")),
        event(b"[DONE]"),
    ],
    "role null": [event(chunk({"role": None, "content": word})) for word in ("a ", "b")] + events([" "])[2:],
    "comments and names": [b": ping\n\n", b"event: chunk\nid: 7\n" + event(chunk({"content": "a"})), *events()[2:]],
    "carriage returns": [part.replace(b"\n", b"\r\n") for part in events()],
}


@pytest.mark.parametrize("usage", (True, False))
@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_is_made_good(judge, customer, stub, case, usage):
    stub.says("plain", stream(STREAMS[case]))
    reply = customer.chat("stub/plain", stream=True, stream_options={"include_usage": usage})
    chunks = judge_stream(judge, reply, usage=usage)
    finishes = [choice["finish_reason"] for one in chunks for choice in one["choices"]]
    assert [finish for finish in finishes if finish] == [finishes[-1]]


# -- everything else -------------------------------------------------------------------------------------------------


def test_models(judge, customer):
    listed = customer.get("/openai/v1/models").json
    assert judge.named("ListModelsResponse", listed) == []
    assert len(listed["data"]) >= 4
    for model in listed["data"]:
        assert judge.named("Model", customer.get(f"/openai/v1/models/{model['id']}").json) == []


def test_errors(judge, customer, stub):
    stub.says("plain", refusal(500))
    replies = [
        customer.post("/openai/v1/chat/completions", b"{"),
        customer.chat("nobody/nothing"),
        customer.chat("stub/plain"),
        customer.get("/openai/v1/nothing"),
        customer.get("/openai/v1/chat/completions"),
    ]
    assert [reply.status for reply in replies] == [400, 404, 502, 404, 405]
    for reply in replies:
        assert judge.named("ErrorResponse", reply.json) == []


def test_a_judge_complains(judge):
    good = completion()
    assert judge.named(WHOLE, good) == []
    for path in ("id", "created", "choices.0.logprobs", "choices.0.message.refusal", "choices.0.finish_reason"):
        assert judge.named(WHOLE, without(good, path)) != [], path
    assert judge.named(WHOLE, completion(tool_calls=None)) != []
    assert judge.named(CHUNK, without(chunk({}), "choices.0.delta")) != []
    assert judge.named(CHUNK, chunk({}, "eos")) != []


def test_nullable_is_understood(judge):
    schema = {"type": "object", "properties": {"a": {"type": "string", "nullable": True}, "nullable": {"type": "null"}}}
    made = without_nullable(schema)
    assert judge.complaints(made, {"a": None, "nullable": None}) == []
    assert len(judge.complaints(made, {"a": 1, "nullable": 1})) == 2
