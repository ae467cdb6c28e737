"""`docs/sdk-reference.md` has every name that the SDKs export, with its kind, and no other.

The packages are read as they are built: what `make test-sdks` has not built yet is not compared.
"""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "sdk"
TYPESCRIPT = ROOT / "sdks" / "typescript"
GO = ROOT / "sdks" / "go"
TEXT = (ROOT / "docs" / "sdk-reference.md").read_text(encoding="utf-8")
BUILT = {
    ("`@joytoken/client-sdk-ts` (TypeScript)", "client-sdk-ts", "."),
    ("`@joytoken/agent-sdk-ts` (TypeScript)", "agent-sdk-ts", "."),
    ("`@joytoken/agent-sdk-ts/toolkit` (TypeScript)", "agent-sdk-ts", "./toolkit"),
}
IN_GO = {
    "`joytoken` (Go)": ".",
    "`joytoken/agent` (Go)": "agent",
    "`joytoken/agent/toolkit` (Go)": "agent/toolkit",
    "`joytoken/tool` (Go)": "tool",
    "`joytoken/tooldef` (Go)": "tooldef",
}
IN_PYTHON = {
    "`joytoken_sdk` (Python)": "joytoken_sdk",
    "`joytoken_sdk.agent` (Python)": "joytoken_sdk.agent",
    "`joytoken_sdk.toolkit` (Python)": "joytoken_sdk.toolkit",
}


def listed(title: str) -> dict[str, str]:
    """The names and kinds of one table; each name once, with a line that says something."""
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", section, re.MULTILINE)
    assert len({name for name, _, _ in rows}) == len(rows), title
    assert not [name for name, _, line in rows if len(line.strip()) < 3]
    return {name: kind for name, kind, _ in rows}


def output(*command: str, **environment: str) -> dict[str, str]:
    """The JSON that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def python_kind(value: object) -> str:
    if inspect.isclass(value):
        return "class"
    return "function" if inspect.isroutine(value) else "const"


def test_every_section_is_compared():
    titles = set(re.findall(r"^## (.+)$", TEXT, re.MULTILINE))
    assert titles == {title for title, _, _ in BUILT} | IN_GO.keys() | IN_PYTHON.keys()


if there := sorted(entry for entry in BUILT if (TYPESCRIPT / entry[1] / "dist" / "index.d.ts").is_file()):

    @pytest.mark.parametrize(("title", "package", "entry"), there)
    def test_typescript(title, package, entry):
        assert listed(title) == output("node", str(HERE / "exports.mjs"), str(TYPESCRIPT / package), entry)


if (GO / "go.mod").is_file() and shutil.which("go"):

    @pytest.mark.parametrize("title", IN_GO)
    def test_go(title):
        folder = str(GO / IN_GO[title])
        assert listed(title) == output("go", "run", str(HERE / "exports.go"), folder, GO111MODULE="off")


if importlib.util.find_spec("joytoken_sdk"):

    @pytest.mark.parametrize("title", IN_PYTHON)
    def test_python(title):
        module = importlib.import_module(IN_PYTHON[title])
        assert listed(title) == {name: python_kind(getattr(module, name)) for name in module.__all__}
