"""What is sent to a provider, in which order, and what its answers mean."""

import json

import pytest

from joytoken.domain.route import Needs
from joytoken.gateway.call import read_chat, read_top
from joytoken.gateway.invoke import provider_body
from joytoken.providers.interface import ProviderFailure
from tests.gateway.worlds import FakeAnswer, FakeProvider, chat, completion

MESSAGES = [{"role": "user", "content": "hi"}]


# the caller's fields · what is sent instead (None: the field is not sent)
BODIES = [
    ({}, {"model": "up", "max_tokens": 7}),
    ({"max_tokens": 5}, {"max_tokens": 7}),
    ({"max_completion_tokens": 5}, {"max_completion_tokens": 7, "max_tokens": None}),
    ({"max_tokens": 9, "max_completion_tokens": 5}, {"max_completion_tokens": 7, "max_tokens": 7}),
    ({"stream": True}, {"stream_options": {"include_usage": True}}),
    ({"stream": True, "stream_options": None}, {"stream_options": {"include_usage": True}}),
    ({"stream": True, "stream_options": {"x": 1}}, {"stream_options": {"include_usage": True, "x": 1}}),
    ({"stream": True, "stream_options": {"include_usage": False}}, {"stream_options": {"include_usage": True}}),
    ({"stream": False, "stream_options": {"include_usage": True}}, {"stream_options": None}),
    ({"tools": None}, {"tools": None}),
    ({"extra_content": {"a": [1]}}, {"extra_content": {"a": [1]}}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "sent"), BODIES)
async def test_the_body_for_a_provider(world, fields, sent):
    body = json.dumps({"model": "plain", "messages": MESSAGES, **fields}).encode()
    call = read_chat(body, json_depth_max=64, messages_max=10)
    choice = world.router.plan(world.key("ann").policy, _needs("plain")).choices[0]
    made = json.loads(provider_body(FakeProvider(), choice, call, read_top(body), 7))
    for name, value in sent.items():
        assert made.get(name) == value, name
        assert (name in made) == (value is not None)
    assert made["messages"] == MESSAGES


def _needs(model):

    return Needs(model=model)


async def test_the_gateways_own_field_is_not_sent(world):
    world.key("ann")
    await world.serve(chat(tier="standard", metadata={"team": "a"}))
    (sent,) = world.providers["acme"].calls
    assert "tier" not in sent
    assert "metadata" not in sent  # this provider knows none


@pytest.mark.parametrize(
    ("answer", "status", "code", "calls"),
    [
        (FakeAnswer(b'{"error":{"message":"too long"}}', 400), 400, "provider_rejected", 1),
        (FakeAnswer(b'{"error":"x"}', 413), 400, "provider_rejected", 1),
        (FakeAnswer(b"", 422), 400, "provider_rejected", 1),
        (FakeAnswer(b"", 401), 502, "provider_auth_failed", 2),
        (FakeAnswer(b"", 403), 502, "provider_auth_failed", 2),
        (FakeAnswer(b"", 404), 502, "provider_model_missing", 2),
        (FakeAnswer(b"", 429, {b"retry-after": b"9"}), 503, "provider_rate_limited", 2),
        (FakeAnswer(b"", 500), 502, "provider_failed", 2),
        (FakeAnswer(b"", 503), 503, "provider_unavailable", 2),
        (FakeAnswer(b"", 504), 504, "provider_unavailable", 2),
        (ProviderFailure("connect_failed", "no", status=503), 503, "provider_connect_failed", 2),
        (completion(None, None, None)[:-5], 502, "provider_garbage", 2),
    ],
)
async def test_what_is_tried_again_elsewhere_and_what_is_not(world, answer, status, code, calls):
    world.key("ann")
    for fake in world.providers.values():
        fake.answers = [answer]
    caller, trail = await world.serve(chat("pair"))
    assert (caller.status, caller.error["code"]) == (status, code)
    assert sum(len(fake.calls) for fake in world.providers.values()) == calls == len(trail.attempts)
    assert all(given.closed for fake in world.providers.values() for given in fake.given)
    if code == "provider_rate_limited":
        assert b"retry-after: 9\r\n" in caller.headers
    assert world.escrow.stats().open_holds == 0


async def test_a_fallback_is_asked_with_one_output_bound(world):
    """Whatever field the first provider takes it in."""
    world.key("ann")
    first, second = list(world.providers.values())[:2]
    first.answers = [FakeAnswer(b"", 500)]
    first.output_bound_field, second.output_bound_field = "max_tokens", "max_completion_tokens"
    body = chat("pair")
    del body["max_tokens"]
    caller, _ = await world.serve(body)
    assert caller.status == 200
    sent = [fake.calls[0] for fake in (first, second)]
    assert [{"max_tokens", "max_completion_tokens"} & set(one) for one in sent] == [
        {"max_tokens"},
        {"max_completion_tokens"},
    ]


async def test_every_attempt_carries_the_requests_id(world):
    world.key("ann")
    world.providers["acme"].answers = [FakeAnswer(b"", 500)]
    _, trail = await world.serve(chat("pair"))
    ids = [given for fake in world.providers.values() for given in fake.request_ids]
    assert ids == [trail.request_id] * 2


async def test_a_provider_that_was_removed_meanwhile(world):
    world.key("ann")
    del world.providers["acme"]
    caller, trail = await world.serve(chat())
    assert (caller.status, caller.error["code"]) == (503, "provider_gone")
    record = await world.record(trail)
    assert (record.ending, record.charged, record.attempts) == ("provider_failed", 0, 0)
