"""Who, what and how much: everything that was known is on the record and in the answer's metadata."""

import json

from joytoken.domain.apikey import Labels
from tests.gateway.worlds import FakeAnswer, chat, stream


async def test_a_record_has_the_keys_labels_and_the_callers_tags(world):
    world.key("ann", labels=Labels("shop", "bot", "prod", "help"))
    _, trail = await world.serve(chat(user="u-1", metadata={"team": "a", "n": 5}), correlation=b"corr-1")
    record = await world.record(trail)
    assert (record.project, record.application, record.environment, record.task) == ("shop", "bot", "prod", "help")
    assert (record.end_user, json.loads(record.tags)) == ("u-1", {"team": "a", "n": "5"})
    assert (record.owner_id, record.key_id, record.model, record.provider) == ("ann", "key-ann", "plain", "acme")
    assert (record.input_tokens, record.output_tokens, record.attempts) == (7, 3, 1)
    assert record.charged_usd == record.charged * record.usd_per_credit // 10**9
    assert record.finished_us >= record.started_us
    assert record.http_status == 200


async def test_long_words_of_the_caller_are_cut(world):
    world.key("ann", wallets={"standard": 10**13})
    tags = {f"k{n}": "v" * 9_999 for n in range(99)}
    _, trail = await world.serve(chat(user="u" * 9_999, metadata=tags))
    record = await world.record(trail)
    assert len(record.end_user) == 256
    assert {len(value) for value in json.loads(record.tags).values()} == {512}
    assert len(json.loads(record.tags)) == 16


async def test_the_metadata_of_an_answer_is_that_of_its_record(world):
    world.key("ann")
    world.providers["acme"].answers = [FakeAnswer(stream())]
    caller, trail = await world.serve(chat(stream=True))
    record, said = await world.record(trail), caller.metadata
    assert (said["request_id"], said["billing_id"]) == (record.request_id, record.billing_id)
    assert said["billing"]["credits_used"] == "0.000013"
    assert said["billing"]["ending"] == record.ending == "completed"
    assert record.first_token_ms is not None
    assert record.stream_ms is not None


async def test_steps_are_timed_in_their_order(world):
    world.key("ann")
    _, trail = await world.serve(chat())
    timings = json.loads((await world.record(trail)).detail)["timings"]
    steps = [timings[name] for name in ("authenticate", "admit", "freeze", "invoke", "settle") if name in timings]
    assert steps == sorted(steps)
    assert len(steps) >= 3
