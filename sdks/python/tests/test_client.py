"""What JoyToken adds to the `openai` package, typed; and what it never tells."""

import asyncio
import subprocess
import sys
import traceback
from pathlib import Path

import openai
import pytest
from conftest import KEY
from fake_gateway import Answer, completion, paths, refusal

import joytoken_sdk
from joytoken_sdk import (
    AsyncJoyToken,
    ConnectionFailed,
    InsufficientQuota,
    InvalidCall,
    JoyToken,
    JoyTokenError,
    NotFound,
    RequestTimedOut,
    call_metadata,
    error_of,
)

KEY_INFO = {
    "id": "key-1",
    "name": "ci",
    "status": "active",
    "policy": {"allowed_tiers": ["economy"], "run_budget": True, "novel": 1},
    "limits": [{"name": "", "window": "day", "limit": "5", "spent": "1", "frozen": "0", "left": "4", "ends_at": None}],
    "wallets": [{"tier": "economy", "balance": "9", "frozen": "0", "available": "9", "usd": "0.9"}],
}


class Waiting:
    """An `AsyncJoyToken` whose calls are waited for."""

    def __init__(self, **options):
        self._options = options

    def __getattr__(self, name):
        async def call(*args, **given):
            async with AsyncJoyToken(**self._options) as client:
                return await getattr(client, name)(*args, **given)

        return lambda *args, **given: asyncio.run(call(*args, **given))


both = pytest.mark.parametrize("kind", [JoyToken, Waiting], ids=["JoyToken", "AsyncJoyToken"])


@both
def test_what_a_gateway_tells_is_typed(kind, fake, options):
    client = kind(**options)
    fake.script(Answer(json={"data": {"models": [{"modelId": "m", "customerInputMtok": 75, "mciScore": None}]}}))
    (model,) = client.models(locale="en", tier="economy", feature_tag="tools")
    assert (model.model_id, model.customer_input_mtok) == ("m", 75)
    fake.script(Answer(json={"data": {"featureTags": [{"value": "chat", "label": "Chat"}]}}))
    assert client.models_meta().feature_tags[0].label == "Chat"
    fake.script(Answer(json={"data": {"tiers": [{"code": "economy", "usdPerCredit": "0.001"}], "currentVersion": "v"}}))
    assert client.pricing().tiers[0].usd_per_credit == "0.001"
    fake.script(Answer(json=KEY_INFO))
    key = client.key()
    assert (key.policy.allowed_tiers, key.limits[0].left, key.wallets[0].available) == (["economy"], "4", "9")
    assert key.policy.novel == 1
    fake.script(Answer(json={"request": {"request_id": "req-1", "charged": "0.1"}, "ending": {"name": "completed"}}))
    receipt = client.receipt("req-1")
    assert (receipt.request.charged, receipt.ending.name) == ("0.1", "completed")
    fake.script(Answer(json={"id": "r", "runs": [{"id": "r", "total": "0.1"}], "requests": [], "more": False}))
    assert client.run("a/../b").runs[0].total == "0.1"
    assert paths(fake.calls) == [
        "GET /api/v1/models?locale=en&tier=economy&feature_tag=tools",
        "GET /api/v1/models/meta",
        "GET /api/v1/pricing",
        "GET /api/v1/key",
        "GET /api/v1/requests/req-1",
        "GET /api/v1/runs/a%2F..%2Fb",
    ]


@both
def test_failures_have_classes(kind, fake, options):
    client = kind(**options, max_retries=0)
    fake.script(refusal(404, "not_found_error", "unknown_request"))
    with pytest.raises(NotFound) as raised:
        client.receipt("req-2")
    assert (raised.value.error_code, raised.value.status) == ("unknown_request", 404)
    with pytest.raises(InvalidCall):
        client.receipt("..")
    fake.script(Answer(body=b"<html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(JoyTokenError, match="base URL"):
        client.key()
    fake.script(Answer(end="reset"))
    with pytest.raises(ConnectionFailed):
        client.key()
    fake.script(Answer(events=[], end="hang"))
    with pytest.raises(RequestTimedOut):
        kind(**options, max_retries=0, timeout=0.05).key()


def test_errors_of_the_package_mean_the_same(fake, options):
    fake.script(refusal(402, "insufficient_quota", "wallet_empty", headers={"X-Request-ID": "req-9"}))
    with JoyToken(**options) as client, pytest.raises(openai.APIStatusError) as raised:
        client.openai.chat.completions.create(model="auto", messages=[])
    error = error_of(raised.value)
    assert isinstance(error, InsufficientQuota)
    assert (error.error_type, error.error_code, error.request_id) == ("insufficient_quota", "wallet_empty", "req-9")
    assert error_of(error) is error
    assert error_of(ValueError("x")) is None


def test_metadata_of_the_packages_answers(fake, options):
    fake.script(Answer(json=completion(metadata={"tier": "economy", "latency": {"total_ms": 9.2}, "novel": True})))
    with JoyToken(**options) as client:
        found = call_metadata(client.openai.chat.completions.create(model="auto", messages=[]))
    assert (found.tier, found.latency.total_ms, found.novel) == ("economy", 9.2, True)


def test_what_a_newer_gateway_says_is_read_as_it_came():
    found = call_metadata(
        {"metadata": {"tier": 7, "billing": {"credits_used": "0.1", "input_tokens": "many"}, "score": 1}}
    )
    assert (found.tier, found.score, found.billing.credits_used, found.billing.input_tokens) == (7, 1, "0.1", "many")


def test_the_key_is_never_shown(fake, options):
    fake.script(refusal(401, "missing_api_key", "missing_api_key"))
    client = JoyToken(**options)
    shown = [repr(client), str(client), repr(client.openai), repr(AsyncJoyToken(**options)), repr(client._settings)]
    for call in (client.key, lambda: client.openai.chat.completions.create(model="auto", messages=[])):
        with pytest.raises((JoyTokenError, openai.APIError)) as raised:
            call()
        shown += [repr(raised.value), "".join(traceback.format_exception(raised.value))]
    client.close()
    assert not [text for text in shown if KEY in text]


def test_names_are_there_and_loaded_late():
    assert all(getattr(joytoken_sdk, name) is not None for name in joytoken_sdk.__all__)
    assert set(joytoken_sdk._HOME_OF) | {"__version__"} == set(joytoken_sdk.__all__) == set(dir(joytoken_sdk))
    with pytest.raises(AttributeError):
        _ = joytoken_sdk.nothing
    heavy = "import joytoken_sdk, sys; print({'openai', 'pydantic', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == "set()"
    agent = "import joytoken_sdk.agent, sys; print({'openai', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", agent], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == "set()"


def environment():
    return {"PYTHONPATH": str(Path(joytoken_sdk.__file__).parents[1])}
