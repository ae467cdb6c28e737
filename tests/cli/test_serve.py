"""The real gateway as a child process, managed and called from outside, as a user meets it."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

START_S = 60.0


class Gateway:
    def __init__(self, command, data):
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JOY_TOKEN_")}
        arguments = [command, "serve", "--port", "0", "--data-dir", str(data)]
        self.child = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        self.said: list[str] = []
        self.url = ""
        timer = threading.Timer(START_S, self.child.kill)
        timer.start()
        for line in self.child.stderr:
            self.said.append(line)
            if line.startswith("JoyToken listens on "):
                self.url = line.split()[-1]
                break
        timer.cancel()

    def word(self, prefix):
        return next(word for line in self.said for word in line.split() if word.startswith(prefix))

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout=START_S)
        rest = self.child.stderr.read()
        for stream in (self.child.stdout, self.child.stderr):
            stream.close()
        return code, rest


@pytest.fixture(scope="module")
def gateway(joytoken_command, tmp_path_factory):
    data = tmp_path_factory.mktemp("served") / "data"
    running = Gateway(joytoken_command, data)
    running.data = data
    assert running.url, running.said
    running.key, running.admin = running.word("jt_live_"), running.word("jt_admin_")
    yield running
    code, rest = running.stop()
    assert code == 0, rest
    assert "Traceback" not in rest


@pytest.fixture
def away(gateway, monkeypatch):
    """The environment of somebody on another machine."""
    monkeypatch.setenv("JOY_TOKEN_DATA_DIR", "/nowhere")
    monkeypatch.setenv("JOY_TOKEN_URL", gateway.url)
    monkeypatch.setenv("JOY_TOKEN_ADMIN_KEY", gateway.admin)
    monkeypatch.setenv("JOY_TOKEN_API_KEY", gateway.key)
    return gateway


def test_a_first_run_shows_key_and_curl(gateway):
    text = "".join(gateway.said)
    assert f"curl {gateway.url}/openai/v1/chat/completions" in text
    assert text.count(gateway.key) == 2


def test_call_answers_and_streams(away, joytoken, joytoken_json):
    answer = joytoken_json("call", "hello there", "--model", "echo")
    assert answer["choices"][0]["message"]["content"] == "hello there"
    streamed = joytoken("call", "hello there", "--model", "echo", "--stream")
    assert streamed.stdout == "hello there\n"
    assert "credits" in streamed.stderr
    assert joytoken("call", "-", "--model", "echo", stdin="from a pipe").stdout == "from a pipe\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    (
        (("hi", "--api-key", "jt_live_wrong"), 4, "invalid_api_key"),
        (("hi", "--model", "gpt-9"), 3, "unknown_model"),
        (("hi", "--tier", "gold"), 4, "policy_rejected"),
        (("hi", "--url", "http://127.0.0.1:1"), 5, "no gateway answers"),
        (("hi", "--url", "ftp://x"), 2, "not the address"),
    ),
)
def test_a_call_that_fails(away, joytoken, arguments, code, said):
    result = joytoken("call", *arguments, code=code)
    assert said in result.stderr or "tier" in result.stderr
    assert result.stdout == ""


def test_a_call_without_a_key(joytoken):
    assert "JOY_TOKEN_API_KEY" in joytoken("call", "hi", code=2).stderr


REMOTE = (
    ("keys", "list"),
    ("keys", "show", "first"),
    ("wallet", "show"),
    ("wallet", "statement", "--limit", "1"),
    ("models", "list"),
    ("providers", "list"),
    ("routes", "explain", "--tools"),
    ("config", "show", "--changed"),
)


@pytest.mark.parametrize("arguments", REMOTE, ids=" ".join)
def test_remote_and_local_print_the_same(away, joytoken, joytoken_json, monkeypatch, arguments):
    # What earlier calls have leased counts as frozen until it went back.
    wait_for(lambda: at_rest(joytoken_json("wallet", "show")))
    remote = joytoken_json(*arguments), joytoken(*arguments).stdout
    monkeypatch.delenv("JOY_TOKEN_URL")
    here = () if arguments[0] == "config" else ("--data-dir", away.data)
    assert (joytoken_json(*arguments, *here), joytoken(*arguments, *here).stdout) == remote


def test_a_remote_journey(away, joytoken, joytoken_json):
    made = joytoken_json("keys", "create", "journey", "--project", "p", "--rpm", 100, "--allowed-tier", "standard")
    wait_for(lambda: joytoken("call", "hi", "--model", "echo", "--api-key", made["api_key"]))
    joytoken("wallet", "adjust", "-5", "--reason", "r", "--idempotency-key", "remote-1")
    joytoken("models", "add", "acme/slashed", "--provider", "echo", "--input-mtok", "1", "--output-mtok", "2")
    assert joytoken_json("models", "update", "acme/slashed", "--tier", "economy")["tier"] == "economy"
    joytoken("models", "remove", "acme/slashed")
    wait_for(lambda: check(joytoken_json("requests", "list", "--key", made["id"])["requests"]))
    (listed,) = joytoken_json("requests", "list", "--key", made["id"])["requests"]
    assert joytoken_json("requests", "show", listed["request_id"])["ending"]["name"] == "completed"
    report = joytoken_json("usage", "summary", "--by", "key,day", "--key", made["id"])
    assert report["rows"][0]["group"]["key"] == made["id"]
    assert joytoken_json("wallet", "verify")["ok"] is True
    assert joytoken_json("providers", "test", "echo")["ok"] is True
    joytoken("keys", "show", "nobody", code=3)
    joytoken("keys", "create", "k", "--tier", "gold", code=2)
    joytoken("wallet", "adjust", "-99999", "--reason", "r", "--idempotency-key", "remote-2", code=4)
    joytoken("keys", "list", "--admin-key", "jt_admin_x", code=4)


def test_a_revoked_key_is_refused_within_moments(away, joytoken, joytoken_json):
    made = joytoken_json("keys", "create", "short")
    wait_for(lambda: joytoken("call", "hi", "--model", "echo", "--api-key", made["api_key"]))
    joytoken("keys", "revoke", made["id"])
    wait_for(lambda: joytoken("call", "hi", "--model", "echo", "--api-key", made["api_key"], code=4))


def test_nobody_answers(joytoken):
    result = joytoken("keys", "list", "--url", "http://127.0.0.1:1", "--admin-key", "jt_admin_x", code=5)
    assert "no gateway answers" in result.stderr
    assert "--admin-key" in joytoken("keys", "list", "--url", "http://127.0.0.1:1", code=2).stderr


def test_what_a_stream_says_as_json(away, joytoken):
    lines = joytoken("call", "hi", "--model", "echo", "--stream", "--json").stdout.splitlines()
    assert json.loads(lines[-1])["metadata"]["billing"]["ending"] == "completed"


def check(found):
    assert found


def at_rest(shown):
    assert all(wallet["frozen"] == "0.000000" for wallet in shown["wallets"])


def wait_for(attempt, seconds=30.0):
    """Try until it succeeds: a change is live soon, and a slow machine may be slow."""
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
