"""What a new user meets: `joytoken serve` with nothing configured, and the request that it prints, as it is printed."""

import json
import os
import re
import subprocess

import pytest

from tests.journeys.gateway import PATIENCE_S, wait_for

LISTENS = "JoyToken listens on "


@pytest.fixture
def start(joytoken_command, tmp_path):
    """Start it on a data folder that is not there yet; gives what it printed."""
    started = []
    env = {name: value for name, value in os.environ.items() if not name.startswith("JOY_TOKEN_")}
    env |= {"JOY_TOKEN_DATA_DIR": str(tmp_path / "data")}

    def run():
        log = tmp_path / f"log{len(started)}"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [joytoken_command, "serve", "--port", "0"], env=env, cwd=tmp_path, stdout=out, stderr=out
            )
        started.append(process)
        wait_for(lambda: process.poll() is not None or LISTENS in log.read_text(), "it does not listen")
        return log.read_text()

    yield run
    for process in started:
        process.terminate()
        process.wait(PATIENCE_S)


def shell(command):
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout


def test_the_printed_request_works_as_it_is(start):
    printed = start()
    request = re.search(r"^ *(curl .*?)\n\n", printed, re.MULTILINE | re.DOTALL)[1]
    answer = json.loads(shell(request))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello!", "refusal": None}
    assert answer["metadata"]["billing"]["ending"] == "completed"

    streamed = shell(request.replace('{"model"', '{"stream": true, "model"'))
    events = [line.removeprefix("data: ") for line in streamed.splitlines() if line]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["metadata"]["billing"]["ending"] == "completed"

    key = re.search(r"jt_live_\w+", printed)[0]
    refused = json.loads(shell(request.replace(key, "jt_live_wrong")))
    assert refused["error"]["type"] == "invalid_api_key"
    head = shell(request.replace("curl ", "curl -sSD - -o /dev/null ", 1)).lower()
    assert {"x-request-id", "x-daoe-request-id", "x-daoe-used-model", "x-daoe-used-provider"} <= {
        line.partition(":")[0] for line in head.splitlines()
    }


def test_a_key_is_printed_once(start):
    assert "jt_live_" in start()
    assert "jt_" not in start()
