"""Rules of calls, as all SDKs have them, against a gateway that is a fake."""

import time
import uuid
from email.utils import formatdate

import httpx2
import openai
import pytest
from conftest import KEY
from fake_gateway import Answer, chunks, completion
from vectors import fits, joined, vectors

from joytoken_sdk import ChatAssembly, JoyToken, JoyTokenError, error_of, openai_client, run_headers
from joytoken_sdk.agent import Agent, ModelResponse
from joytoken_sdk.agent.provider_chat import model_response
from joytoken_sdk.errors import api_error
from joytoken_sdk.request_rules import final_error
from joytoken_sdk.retry import is_transient, retry_delay_s
from joytoken_sdk.version import USER_AGENT

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


def call(fake, given):
    """Make the call that a vector tells of."""
    key = given.get("key", KEY)
    made = {"api_key": "" if key is None else key, "api_base_url": fake.url, "max_retries": 0}
    client = JoyToken(
        **made, default_headers=given.get("default_headers", {}), idempotency=given.get("idempotency", True)
    )
    headers = dict(given.get("headers", {}))
    if "idempotency_key" in given:
        headers["Idempotency-Key"] = joined(given["idempotency_key"])
    if run := given.get("run"):
        named = {"parent_id": run.get("parentId"), "workflow": run.get("workflow"), "budget": run.get("budget")}
        headers |= run_headers(joined(run["id"]), **named, step=run.get("step"))
    request = {**CHAT, **given.get("request", {})}
    with client:
        match given["call"]:
            case "chat":
                fake.script(Answer(json=completion()))
                client.openai.chat.completions.create(**request, extra_headers=headers)
            case "chat_stream":
                fake.script(Answer(events=chunks({"content": "hi"})))
                list(client.openai.chat.completions.create(**request, stream=True, extra_headers=headers))
            case "models":
                fake.script(Answer(json={"data": {"models": []}}))
                client.models(locale=given.get("locale"))
            case "models_meta":
                fake.script(Answer(json={"data": {}}))
                client.models_meta()
            case "pricing":
                fake.script(Answer(json={"data": {}}))
                client.pricing()
            case other:
                pytest.fail(other)


@vectors("headers")
def test_headers(case, fake):
    call(fake, case["input"])
    sent = fake.calls[0].headers
    for name, value in case["expect"]["present"].items():
        found = sent.get(name.lower())
        if value == "{uuid}":
            assert str(uuid.UUID(found)) == found
        else:
            assert found == value.replace("{key}", KEY).replace("{user_agent}", USER_AGENT), name
    assert not [name for name in case["expect"]["absent"] if name.lower() in sent]


@vectors("hostile-headers")
def test_hostile_headers(case, fake):
    with pytest.raises(JoyTokenError) as raised:
        call(fake, case["input"])
    assert not fake.calls
    assert KEY not in str(raised.value)
    assert "jt_live" not in str(raised.value)


@vectors("validation")
def test_validation(case, fake):
    given, expect = case["input"], case["expect"]
    if given["call"] not in {"chat", "chat_stream", "models", "models_meta", "pricing"}:
        return  # calls of the `openai` package that need nothing of ours
    if expect["sent"]:
        call(fake, given)
        assert len(fake.calls) == 1
        return
    with pytest.raises(JoyTokenError) as raised:
        call(fake, given)
    assert not fake.calls
    assert expect["error"].lower() in str(raised.value).lower()


@vectors("model-lists")
def test_model_lists(case, fake, options):
    fake.script(Answer(json=case["input"]))
    models = [model.model_dump(by_alias=True, exclude_unset=True) for model in JoyToken(**options).models()]
    assert models == case["expect"]


@vectors("errors")
def test_errors(case, fake, options):
    body = case["body"]
    whole = body["$json"].encode() if isinstance(body, dict) and "$json" in body else None
    fake.script(Answer(case["status"], json=body if whole is None else None, body=whole, headers=case["headers"]))
    with openai_client(**options, max_retries=0) as client, pytest.raises((openai.APIError, JoyTokenError)) as raised:
        model_response(client.post("/chat/completions", body=CHAT, cast_to=object))
    error = error_of(raised.value)
    found = {
        "code": error.code,
        "type": error.error_type,
        "reason": error.error_code,
        "request_id": error.request_id,
        "message": str(error),
    }
    assert {name: found[name] for name in case["expect"]} == case["expect"]
    assert error.status == case["status"]


@vectors("refusals")
def test_refusals(case):
    error = api_error(case["input"]["status"], {"error": case["input"]["error"]})

    class Refusing:
        def complete(self, request) -> ModelResponse:
            raise error

    if case["expect"] is None:
        with pytest.raises(type(error)):
            Agent(Refusing()).run("go")
        return
    result = Agent(Refusing()).run("go")
    assert (result.stopped_by, result.status, result.refusal) == (case["expect"], "stopped", error)


@vectors("retries")
def test_retries(case, fake, options):
    """What the client's hooks say; that the `openai` package asks them is shown by `test_openai_clients`."""
    given, expect = case["input"], case["expect"]
    attempts_left = given["attempt"] < given["max_retries"]
    headers = {}
    if transport := given.get("transport"):
        request = httpx2.Request("POST", "http://x", headers={"X-JoyToken-On-Disconnect": "stop"})
        made = {"refused": httpx2.ConnectError, "timeout": httpx2.ReadTimeout}.get(transport, httpx2.ReadError)
        plain = httpx2.Request("POST", "http://x")
        stream = given["call"] == "chat_stream"
        # The package itself never repeats what was cancelled, nor what had begun to answer.
        begun = transport in {"cancelled", "cut_in_stream"}
        again = not begun and final_error(made("no"), request if stream else plain) is None
    else:
        with openai_client(**options) as client:
            response = httpx2.Response(given["status"], json=given.get("body"))
            again = client._should_retry(response)
            assert again == is_transient(given["status"], response.content)
        headers = dict(given.get("headers", {}))
    now_s = time.time()
    if "retry_after_date_in_s" in given:
        headers["Retry-After"] = formatdate(now_s + given["retry_after_date_in_s"], usegmt=True)
    assert (again and attempts_left) == expect["retry"]
    if expect["retry"]:
        asked = headers.get("Retry-After")
        for chance in (0.0, 0.5, 1.0):
            delay = retry_delay_s(given["attempt"], asked, now_s=now_s, chance=chance)
            assert expect["delay_ms_min"] <= round(delay * 1000) <= expect["delay_ms_max"]


@vectors("sse")
def test_sse(case, options):
    """The package reads streams; a transport gives it the bytes, cut everywhere or, where they are many, in pieces."""
    body = joined(case["input"]).encode()
    for size in (1, 2, 3, len(body)) if len(body) < 2_000 else (4_096, len(body)):
        pieces = [body[at : at + max(1, size)] for at in range(0, len(body), max(1, size))]
        events, problem = read_stream(options, pieces)
        assert fits(events, case["expect"]["events"]), events
        expected = case["expect"].get("error")
        if expected is None:
            assert problem is None
        elif expected == "json":
            assert isinstance(problem, ValueError)
        else:
            error = error_of(problem)
            assert (error.error_type, str(error)) == (case["expect"]["type"], case["expect"]["message"])


def read_stream(options, pieces):
    class Pieces(httpx2.SyncByteStream):
        def __iter__(self):
            return iter(pieces)

    def answer(request):
        return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Pieces())

    events = []
    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as line,
        openai_client(**options, http_client=line) as client,
    ):
        stream = client.post(
            "/chat/completions",
            body={**CHAT, "stream": True},
            cast_to=object,
            stream=True,
            stream_cls=openai.Stream[object],
        )
        try:
            events.extend(stream)
        except (ValueError, openai.APIError) as error:
            return events, error
    return events, None


@vectors("orchestration-streams")
def test_orchestration_streams(case):
    assembly = ChatAssembly()
    deltas = [text for text in map(assembly.add, case["input"]) if text]
    content = assembly.answer()["choices"][0]["message"]["content"]
    found = assembly.orchestration()
    expect = case["expect"]
    assert ((content or ""), deltas) == (expect["text"], expect["deltas"])
    if expect["stages"] is None:
        assert found is None
    else:
        assert {stage.task_id: stage.content for stage in found.stages} == expect["stages"]
        assert found.plan == expect["plan"]
