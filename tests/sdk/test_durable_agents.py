"""An agent's run that is killed in the middle and resumed by another process: the same path, and nothing paid twice.

Each SDK has a small program for it (`durable-run`, `durablerun`, `durable_run`): it asks the real model with one tool,
saves the run's state in a folder, prints `answer N` as the answer of model call N arrives, and with
`--hang-after-answer N` says nothing more from there on. What is killed then has paid for an answer that it never saved.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from joytoken.domain.money import parse_amount
from tests import local_model as installed
from tests.journeys.gateway import gateway

real_model = installed.local_model
ROOT = Path(__file__).resolve().parents[2]
MODEL = "local/small"
BUILD = ROOT / "sdks" / "typescript" / "agent-sdk-ts" / "build"
TYPESCRIPT = next(BUILD.rglob("durable-run.js"), BUILD / "durable-run.js")
GO = ROOT / "sdks" / "go"
PYTHON = ROOT / "sdks" / "python" / "tests" / "programs" / "durable_run.py"
PATIENCE_S = 240
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# The Python tests alone do without the others; what they need is there after `make test-sdks`, and in CI.
PROGRAMS = {
    "typescript": ("node", TYPESCRIPT),
    "go": ("go", GO / "agent" / "internal" / "durablerun"),
    "python": ("python", PYTHON),
}
LANGUAGES = [name for name, (needs, program) in PROGRAMS.items() if program.exists() and shutil.which(needs, path=PATH)]


@pytest.fixture(scope="module")
def server(joytoken_command, tmp_path_factory, real_model):
    with gateway(joytoken_command, tmp_path_factory.mktemp("durable")) as made:
        made.cli("providers", "add", "local", "--kind", "openai", "--base-url", real_model.base_url)
        price = ("--input-mtok", "75", "--output-mtok", "300", "--context", str(real_model.context_tokens))
        able = ("--feature", "tools", "--feature", "json_schema")
        made.cli(
            "models",
            "add",
            MODEL,
            "--provider",
            "local",
            "--upstream",
            real_model.name,
            "--tier",
            "standard",
            *price,
            *able,
        )
        made.sync()
        yield made


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The program of each language."""
    made = {"typescript": ["node", str(TYPESCRIPT)], "python": [sys.executable, str(PYTHON)]}
    if "go" in LANGUAGES:
        binary = tmp_path_factory.mktemp("go") / "durablerun"
        build = ["go", "build", "-o", str(binary), "./agent/internal/durablerun"]
        subprocess.run(build, cwd=GO, env=os.environ | {"PATH": PATH}, check=True)
        made["go"] = [str(binary)]
    return made


class Program:
    """A run of one language's program on one customer's key."""

    def __init__(self, command, customer, folder, run_id):
        self.command = [*command, "--model", MODEL, "--run-id", run_id, "--state", str(folder)]
        self.env = os.environ | {
            "PATH": PATH,
            "JOY_TOKEN_API_BASE_URL": customer.url,
            "JOY_TOKEN_API_KEY": customer.api_key,
        }
        self.customer = customer
        self.run_id = run_id

    def finish(self, *more):
        """Run it to its end; gives what its last line says."""
        done = subprocess.run(
            [*self.command, *more], env=self.env, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    def kill_at(self, answer):
        """Run it until this answer has come, and kill it there."""
        command = [*self.command, "--hang-after-answer", str(answer)]
        process = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if line.strip() == f"answer {answer}":
                    break
            else:
                pytest.fail("it ended by itself:\n" + "".join(said))
        finally:
            process.kill()
            process.wait(PATIENCE_S)
            process.stdout.close()

    def paid(self):
        """What the gateway recorded of the run: the charges by step, each step once."""
        self.customer.balance()
        requests = self.customer.get(f"/api/v1/runs/{self.run_id}").json["requests"]
        charges = {request["step"]: parse_amount(request["credits_used"]) for request in requests}
        assert sorted(charges) == sorted(request["step"] for request in requests), requests
        return charges


if LANGUAGES:

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_a_killed_run_goes_on_where_it_was(language, commands, server, tmp_path):
        """Uninterrupted, and killed at its first and at its second answer: three runs of one path at one price."""
        customer = server.customer()
        whole = Program(commands[language], customer, tmp_path / "whole", "whole")
        expected = whole.finish()
        paid = whole.paid()
        steps = expected["steps"]
        assert steps >= 2
        assert sorted(paid, key=int) == [str(number + 1) for number in range(steps)]
        assert all(charge > 0 for charge in paid.values())
        assert (sum(paid.values()), expected["replayed"]) == (parse_amount(expected["creditsUsed"]), 0)
        for answer in (1, 2):
            program = Program(commands[language], customer, tmp_path / f"killed-{answer}", f"killed-{answer}")
            program.kill_at(answer)
            before = program.paid()
            assert len(before) == answer
            resumed = program.finish("--resume")
            for name in ("finalText", "stoppedBy", "steps", "creditsUsed"):
                assert resumed[name] == expected[name], name
            assert resumed["replayed"] >= 1
            assert program.paid() == paid
            assert before.items() <= paid.items()
            assert len(set(resumed["requestIds"])) == steps
        spent = parse_amount("100") - customer.balance()
        assert spent == 3 * sum(paid.values())
