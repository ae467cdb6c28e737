"""The life of a request: every ending by its rule, and a hang-up at every await."""

import asyncio
import json

import pytest

from joytoken.domain.ledger import quota_account
from joytoken.domain.money import NANO
from joytoken.domain.price import Rates
from joytoken.providers.interface import ProviderFailure
from tests.gateway.worlds import (
    ROLE,
    FakeAnswer,
    FakeCaller,
    FakeProvider,
    a_model,
    chat,
    completion,
    delta,
    stream,
    usage_event,
)  # fmt: skip

INPUT, OUTPUT = 1_000, 2_000  # nanocredits a token
WHOLE = 7 * INPUT + 3 * OUTPUT  # what the fake provider reports
COUNTED_INPUT = -(-13 // 4) + 4 + 3  # tokens: four bytes each of "one two three", and the message around it


class Steps:
    """Drives a coroutine to its end, and cancels the task that awaits it at its `number`-th suspension.

    At the suspension itself, or (`late`) when what it waited for is there but the coroutine has not gone on yet: the
    moment at which a hold can get lost.
    """

    def __init__(self, coroutine, number, *, late):
        self.coroutine = coroutine
        self.number = number
        self.late = late
        self.count = 0

    def __await__(self):
        send, value = self.coroutine.send, None
        task = asyncio.current_task()
        while True:
            try:
                waits_for = send(value)
            except StopIteration:
                return
            self.count += 1
            if self.count == self.number:
                if self.late and waits_for is not None:
                    waits_for.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            try:
                value = yield waits_for
                send = self.coroutine.send
            except BaseException as thrown:  # noqa: BLE001 - handed on as it is
                send, value = self.coroutine.throw, thrown


def plain(world):
    return chat(), {}


def streamed(world):
    world.providers["acme"].answers = [FakeAnswer(stream())]
    return chat(stream=True), {}


def slow_reader(world):
    world.providers["acme"].answers = [FakeAnswer(stream())]
    return chat(stream=True), {"slow": True}


def over_the_hold(world):
    """The provider reports more than was held: the settle asks for more, and waits for it."""
    world.providers["acme"].answers = [completion(usage=(4_000, 3))]
    return chat(), {}


def streamed_over_the_hold(world):
    world.providers["acme"].answers = [FakeAnswer(stream(usage=(4_000, 3)))]
    return chat(stream=True), {}


def failover(world):
    world.providers["acme"].answers = [ProviderFailure("connect_failed", "no")]
    return chat("pair"), {}


def failover_in_stream(world):
    world.providers["acme"].answers = [FakeAnswer([ROLE[:10]])]
    world.providers["bolt"].answers = [FakeAnswer(stream())]
    return chat("pair", stream=True), {}


def all_fail(world):
    world.providers["acme"].answers = [FakeAnswer(b'{"error":{"message":"busy"}}', 500)]
    return chat(), {}


def cut(world):
    world.providers["acme"].answers = [FakeAnswer([*stream()[:3], ProviderFailure("cut", "gone")])]
    return chat(stream=True), {}


SCENES = [
    plain, streamed, slow_reader, over_the_hold, streamed_over_the_hold,
    failover, failover_in_stream, all_fail, cut,
]  # fmt: skip
KEYS = {
    "rich": {},
    "limited": {"limit_daily": NANO, "limit_weekly": NANO, "concurrency": 1, "tokens_per_minute": 10**6},
    # Enough for the input and four of the ten output tokens that were asked for.
    "clamped": {"clamp_output": True, "wallets": {"standard": 130_000}},
}


async def hang_up_everywhere(world, scene, key, *, late):
    """Serve the scene again and again, each time cancelled one suspension later, until it runs through."""
    done = []
    for number in range(1, 200):
        name = f"{key}{number}"
        principal = world.key(name, **KEYS[key])
        body, options = scene(world)
        given = {provider: len(fake.given) for provider, fake in world.providers.items()}
        before = world.escrow.stats()
        trail, caller = world.trail(body, name.encode()), FakeCaller(**options)
        world.exchange.authenticate(trail)
        steps = Steps(world.exchange.serve(principal, trail, caller), number, late=late)
        task = asyncio.ensure_future(drive(steps))
        await asyncio.wait([task])
        after = world.escrow.stats()
        assert (after.open_holds, after.waiting) == (0, 0), number
        assert after.held == 0, number
        assert after.settles - before.settles == after.holds - before.holds <= 1, number
        assert principal.limiter.under_way == 0, number
        assert caller.ends <= 1, number
        for provider, fake in world.providers.items():
            assert all(answer.closed for answer in fake.given[given[provider] :]), number
        done.append((name, trail, after.holds - before.holds))
        if steps.count < number:
            assert not task.cancelled()
            assert caller.ends == 1
            return done
        assert task.cancelled() or caller.ends == 1, number
    raise AssertionError("the scene has no end")


async def drive(steps):
    await steps


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "answered"])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scene", SCENES)
async def test_a_hang_up_at_every_await_closes_the_hold_once(world, scene, key, late):
    done = await hang_up_everywhere(world, scene, key, late=late)
    assert len(done) >= 3
    await world.escrow.flush_now()
    called = {given for fake in world.providers.values() for given in fake.request_ids}
    funds = KEYS[key].get("wallets", {}).get("standard", NANO)
    for name, trail, holds in done:
        record = world.store.usage.get(trail.request_id)
        assert (record is not None) == bool(holds)
        assert holds or trail.request_id not in called
        if record is None:
            continue
        assert world.balance(name) == funds - record.charged
        assert record.charged + record.shortfall == record.cost
        if trail.request_id not in called:
            assert (record.ending, record.cost) == ("client_gone", 0)
        elif record.ending == "client_gone" and record.usage_source == "estimated":
            assert record.cost >= COUNTED_INPUT * INPUT
            assert record.streamed or trail.attempts[-1].first_byte_us is None  # else the usage was known
        elif record.ending == "client_gone":
            assert record.usage_source == "reported"
            assert record.cost == record.input_tokens * INPUT + 3 * OUTPUT
        if key == "limited":
            for window in ("D:2026-09-21", "W:2026-W39"):
                assert world.account(quota_account(f"key-{name}", window)).balance == NANO - record.charged


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "answered"])
async def test_a_hang_up_while_tiers_fall_back_closes_the_hold_once(world, late):
    world.serves(a_model("cheap", "acme", tier="economy"), a_model("dear", "bolt", tier="standard"))
    KEYS["poor"] = {"wallets": {"standard": 1, "economy": NANO}}
    try:
        done = await hang_up_everywhere(world, lambda _: (chat("auto"), {}), "poor", late=late)
    finally:
        del KEYS["poor"]
    record = await world.record(done[-1][1])
    assert (record.ending, record.model, record.tier, record.charged) == ("completed", "cheap", "economy", WHOLE)


# -- endings ---------------------------------------------------------------------------------------------------------

SAID = [ROLE, delta({"content": "four byte"}), delta({"content": "s each!"})]  # 16 bytes: four tokens
COUNTED = COUNTED_INPUT * INPUT + 4 * OUTPUT
FINISHED = delta({}, "stop")
LOST = ProviderFailure("cut", "gone")
LATE = ProviderFailure("idle_timeout", "slow", status=504)
WRONG = b'data: {"error":{"type":"overloaded","message":"no"}}\n\n'


@pytest.mark.parametrize(
    ("answer", "streams", "ending", "source", "charged", "status"),
    [
        (completion(), False, "completed", "reported", WHOLE, 200),
        (completion("sixteen bytes!!!", None), False, "completed_counted", "estimated", COUNTED, 200),
        (completion(None, None, None), False, "empty", "estimated", 0, 200),
        (completion("half", (7, 3), "error"), False, "empty", "reported", 0, 200),
        (completion(None, (7, 3), "error"), False, "empty", "reported", 0, 200),
        (b"<html>", False, "provider_failed", "none", 0, 502),
        (b'{"error":{"message":"no"}}', False, "provider_failed", "none", 0, 502),
        (FakeAnswer(b'{"error":{"message":"no"}}', 400), False, "rejected_upstream", "none", 0, 400),
        (FakeAnswer(b"busy", 503), False, "provider_failed", "none", 0, 503),
        (FakeAnswer(b"slow down", 429), False, "provider_failed", "none", 0, 503),
        (ProviderFailure("first_byte_timeout", "slow", status=504), False, "provider_failed", "none", 0, 504),
        (FakeAnswer(stream()), True, "completed", "reported", WHOLE, 200),
        (FakeAnswer(stream(done=None)), True, "completed", "reported", WHOLE, 200),
        (FakeAnswer([*SAID, FINISHED]), True, "completed_counted", "estimated", COUNTED, 200),
        (FakeAnswer([ROLE, FINISHED, usage_event(7, 3)]), True, "completed", "reported", WHOLE, 200),
        (FakeAnswer([*SAID, LOST]), True, "provider_cut", "estimated", COUNTED, 502),
        (FakeAnswer(SAID), True, "provider_cut", "estimated", COUNTED, 502),
        (FakeAnswer([*SAID, LATE]), True, "timed_out", "estimated", COUNTED, 504),
        (FakeAnswer([*SAID, usage_event(7, 3), LOST]), True, "provider_cut", "reported", WHOLE, 502),
        (FakeAnswer([*SAID, WRONG]), True, "provider_cut", "estimated", COUNTED, 502),
        (FakeAnswer([*SAID, WRONG + SAID[1]]), True, "provider_cut", "estimated", COUNTED, 502),
        (FakeAnswer([ROLE, LOST]), True, "provider_failed", "none", 0, 502),
        (FakeAnswer([WRONG]), True, "provider_failed", "none", 0, 502),
        (FakeAnswer([LOST]), True, "provider_failed", "none", 0, 502),
        (FakeAnswer([ROLE, delta({}, "error")]), True, "empty", "estimated", 0, 200),
        (FakeAnswer([ROLE, b"data: {nonsense\n\n"]), True, "provider_failed", "none", 0, 502),
        (FakeAnswer([*SAID, b"data: {nonsense\n\n"]), True, "provider_cut", "estimated", COUNTED, 502),
    ],
)  # fmt: skip
async def test_each_ending_has_its_charge(world, answer, streams, ending, source, charged, status):
    world.key("ann")
    world.providers["acme"].answers = [answer]
    caller, trail = await world.serve(chat(stream=streams))
    record = await world.record(trail)
    assert (record.ending, record.usage_source, record.charged) == (ending, source, charged)
    assert record.http_status == status
    assert world.balance("ann") == NANO - charged
    assert caller.ends == 1
    if caller.status == 200:
        assert caller.metadata["billing"]["ending"] == ending
    if streams and caller.status == 200:
        assert caller.events[-1] == "[DONE]"
        assert any('"error":' in e for e in caller.events) == (status != 200)


NONSENSE = {
    "bytes that are no UTF-8": delta({"content": "X"}).replace(b"X", b"\xff\xfe"),
    "half a surrogate": delta({"content": "X"}).replace(b"X", b"\\ud800"),
    "no JSON behind a likely beginning": b'data: {"choices": [{"finish_reason":null\n\n',
    "a chunk of other types": b'data: {"choices": 5, "x": {"finish_reason":null}}\n\n',
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
@pytest.mark.parametrize("hangs_up", [False, True])
async def test_nonsense_in_a_stream_leaves_no_hold_open(world, nonsense, hangs_up):
    """What was received before it is charged for, whether the caller stays or leaves."""
    principal = world.key("ann")
    waits = asyncio.Event()
    parts = [*SAID, nonsense, waits] if hangs_up else [*SAID, nonsense]
    world.providers["acme"].answers = [FakeAnswer(parts)]
    trail, caller = world.trail(chat(stream=True)), FakeCaller()
    world.exchange.authenticate(trail)
    task = asyncio.ensure_future(world.exchange.serve(principal, trail, caller))
    if hangs_up:
        for _ in range(200):
            await asyncio.sleep(0.001)
            if task.done() or not world.providers["acme"].given or world.providers["acme"].given[0].parts:
                continue
            break
        task.cancel()
    await asyncio.wait([task])
    assert world.escrow.stats().open_holds == 0
    assert principal.limiter.under_way == 0
    record = await world.record(trail)
    assert record.ending in ("provider_cut", "client_gone")
    assert COUNTED <= record.charged <= COUNTED + 10 * OUTPUT


async def test_a_count_does_not_depend_on_how_often_it_is_taken(world):
    """Progress is counted every few events; that must not round each part up."""
    world.key("ann")
    words = [delta({"content": "a"}) for _ in range(100)]  # 100 bytes: 25 tokens
    world.providers["acme"].answers = [FakeAnswer([ROLE, *words, FINISHED])]
    _, trail = await world.serve(chat(stream=True, max_tokens=100))
    assert (await world.record(trail)).output_tokens == 25


async def test_cut_streams_are_free_where_the_operator_says_so(world):
    world.key("ann")
    world.settler._charge_cut_streams = False
    world.providers["acme"].answers = [FakeAnswer([*SAID, LOST])]
    _, trail = await world.serve(chat(stream=True))
    record = await world.record(trail)
    assert (record.ending, record.charged, record.output_tokens) == ("provider_cut", 0, 4)


@pytest.mark.parametrize("usage", [(10**12, 3), (7, 10**12), (-5, 3), (7, -5)])
async def test_a_bogus_usage_is_bounded_and_noted(world, usage):
    world.key("ann")
    world.providers["acme"].answers = [completion(usage=usage)]
    _, trail = await world.serve(chat())
    record = await world.record(trail)
    assert 0 <= record.charged < 5_000 * OUTPUT
    assert record.input_tokens >= 0
    assert record.output_tokens >= 0
    assert "the provider reported" in json.loads(record.detail)["notes"][0]


async def test_a_hold_comes_before_the_call_and_its_bound_goes_upstream(world):
    world.key("ann", output_tokens_max=6)
    _, trail = await world.serve(chat())
    assert world.providers["acme"].calls[0]["max_tokens"] == 6
    record = await world.record(trail)
    detail = json.loads(record.detail)
    assert record.hold == detail["input_bound"] * INPUT + 6 * OUTPUT
    assert detail["output_bound"] == 6


async def test_where_less_is_affordable_a_key_may_have_its_output_lowered(world):
    world.key("ann", clamp_output=True, wallets={"standard": 130_000})
    caller, trail = await world.serve(chat())
    bound = trail.output_bound
    assert 1 <= bound < 10
    assert world.providers["acme"].calls[0]["max_tokens"] == bound
    assert b"x-joytoken-output-clamped: %d\r\n" % bound in caller.headers
    assert (await world.record(trail)).hold == trail.input_bound * INPUT + bound * OUTPUT


async def test_a_bound_that_was_lowered_in_vain_is_not_claimed(world):
    """The first tier cannot even carry the input; the next one serves the request whole."""
    world.serves(a_model("dear", "acme", tier="standard"), a_model("cheap", "bolt", tier="economy"))
    world.key("ann", clamp_output=True, wallets={"standard": 1_000, "economy": NANO})
    caller, trail = await world.serve(chat("auto"))
    assert (trail.clamped, trail.output_bound, trail.choice.model.name) == (False, 10, "cheap")
    assert b"clamped" not in caller.headers


async def test_a_clamped_bound_is_never_above_what_was_asked(world):
    """A model without a price for output could afford any number of tokens."""
    world.serves(a_model("plain", "acme", rates=Rates(1000 * 10**6, 0)))
    world.build(hold_least=NANO)
    world.key("ann", clamp_output=True, wallets={"standard": NANO - 1})
    await world.serve(chat())
    assert all(call["max_tokens"] <= 10 for call in world.providers["acme"].calls)


async def test_a_clamped_hold_knows_its_input_too(world):
    """A process that dies during the call is charged for the input, whether the output was clamped or not."""
    world.key("ann", clamp_output=True, wallets={"standard": 130_000})
    costs = []
    world.escrow.called = lambda hold: costs.append(hold.input_cost)
    _, trail = await world.serve(chat())
    assert costs == [trail.input_bound * INPUT]


async def test_a_hold_is_made_for_the_tokenizer_that_counts_most(world):
    """A plan may fall back to a model whose tokens are not known here: its bound is that of the bytes."""
    world.counter.load("o200k_base")
    world.serves(a_model("known", "acme", tokenizer="o200k_base"), a_model("unknown", "bolt"))
    world.key("ann")
    _, trail = await world.serve(chat("auto"))
    assert {choice.model.name for choice in trail.plan.choices} == {"known", "unknown"}
    assert trail.input_bound >= len(trail.call.body)


async def test_an_empty_wallet_is_refused_before_any_call(world):
    principal = world.key("ann", wallets={})
    caller, trail = await world.serve(chat())
    assert (caller.status, caller.error["type"], caller.error["code"]) == (402, "insufficient_quota", "wallet_empty")
    assert world.providers["acme"].calls == []
    assert await world.record(trail) is None
    assert principal.limiter.under_way == 0


async def test_too_little_money_says_how_much_is_needed_and_there(world):
    world.key("ann", wallets={"standard": 5_000})
    caller, trail = await world.serve(chat())
    details = caller.error["details"]
    assert details["available"] == "0.000005"
    assert details["required"].startswith("0.000")
    assert details["account"] == "wallet:ann:standard"
    assert await world.record(trail) is None


async def test_a_defect_ends_the_request_and_closes_the_hold(world, caplog):
    principal = world.key("ann")
    world.providers["acme"].answers = [None]
    caller, trail = await world.serve(chat())
    assert (caller.status, caller.error["type"]) == (500, "internal_error")
    record = await world.record(trail)
    assert (record.ending, record.charged) == ("provider_failed", 0)
    assert principal.limiter.under_way == 0
    assert "failed" in caplog.text


async def test_an_answer_that_cannot_be_completed_is_not_charged(world):
    """Its choices hold no message: whatever usage is reported, the caller gets nothing for it."""
    world.key("ann")
    broken = json.loads(completion())
    broken["choices"][0]["message"] = None
    world.providers["acme"].answers = [json.dumps(broken).encode()]
    caller, trail = await world.serve(chat())
    record = await world.record(trail)
    assert (caller.status >= 500) == (record.charged == 0)
    assert caller.status in (200, 502)


async def test_a_caller_who_left_while_the_answer_was_drained_pays_the_reported_usage(world):
    world.key("ann")
    world.providers["acme"].answers = [FakeAnswer(stream())]
    caller = FakeCaller()
    caller.gone = True
    _, trail = await world.serve(chat(stream=True), caller=caller)
    record = await world.record(trail)
    assert (record.ending, record.usage_source, record.charged) == ("client_gone", "reported", WHOLE)


async def test_a_fallback_belongs_to_the_same_hold(world):
    world.key("ann")
    world.providers["acme"].answers = [LOST]
    caller, trail = await world.serve(chat("pair"))
    record = await world.record(trail)
    assert (record.ending, record.attempts, record.provider, record.charged) == ("completed", 2, "bolt", WHOLE)
    assert b"x-daoe-failover: true\r\n" in caller.headers
    assert [a.get("error", "") for a in json.loads(record.detail)["attempts"]] == ["cut", ""]
    assert world.escrow.stats().holds == 1


@pytest.mark.parametrize("fake", [FakeProvider(), FakeProvider(on_disconnect="drain")])
async def test_nothing_is_kept_of_a_request_that_has_ended(world, fake):
    principal = world.key("ann")
    world.providers["acme"] = fake
    for _ in range(3):
        await world.serve(chat())
    assert principal.limiter.under_way == 0
    assert all(answer.closed for answer in fake.given)
