"""Every command that the documents tell a reader to run is run, in order, against a real gateway of its own."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.fences import COMMANDS, Block, blocks, pattern_of, plain
from tests.journeys.gateway import Gateway, gateway, wait_for

ROOT = Path(__file__).resolve().parents[2]
# Generated, and checked against what generates them.
GENERATED = {"docs/benchmarks.md", "docs/configuration.md"}
DOCUMENTS = sorted(
    name
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    if (name := str(path.relative_to(ROOT))) not in GENERATED
)
BLOCKS = {name: blocks(ROOT / name, ROOT) for name in DOCUMENTS}
RUN = {name: [block for block in found if block.mark == "run"] for name, found in BLOCKS.items()}
NODE_MODULES = ROOT / "tests" / "sdk" / "typescript" / "node_modules"
SDKS = ROOT / "sdks"
TYPESCRIPT = SDKS / "typescript" / "node_modules"
STRIP = Path(__file__).parent / "strip.mjs"
GO_MODULE = f"""module block
go 1.23
require joytoken.example/sdk-go v0.0.0
replace joytoken.example/sdk-go => {SDKS / "go"}
"""
READERS_SERVER = "127.0.0.1:8080"  # where the documents suppose a server of the reader's
PATIENCE_S = 240
_MARK = "=== block "


def test_every_command_block_says_whether_it_is_run():
    """A block of commands is run, or says why it is not; nothing else is marked."""
    unclear = []
    for block in (block for found in BLOCKS.values() for block in found):
        if block.language in COMMANDS:
            clear = block.mark == "run" or re.fullmatch(r"not-run: \w.{5,}", block.mark) is not None
        else:
            clear = block.mark in {"", "prints", "serve", "make"}
        unclear += [] if clear else [f"{block.place}: ```{block.language} {block.mark}"]
    assert not unclear


def test_the_guides_are_run():
    """The README and the guides would not shrink to blocks that are only read without being noticed."""
    for name in ("README.md", "docs/quickstart.md", "docs/authentication.md", "docs/usage-and-billing.md"):
        assert len(RUN[name]) >= 3, name
    for name in ("docs/errors.md", "docs/models.md", "docs/routing.md"):
        assert RUN[name], name


@pytest.fixture
def served(joytoken_command: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway as `joytoken serve` makes it: built-in models, starter credits, a first key."""
    with gateway(joytoken_command, tmp_path / "gateway") as made:
        yield made


def environment(served: Gateway, command: Path) -> dict[str, str]:
    """What a reader has set by then: the address, the two keys, and `joytoken` on the path."""
    return served.env | {
        "JOY_TOKEN_URL": served.url,
        "JOY_TOKEN_API_BASE_URL": served.url,
        "JOY_TOKEN_API_KEY": served.api_key,
        "JOY_TOKEN_ADMIN_KEY": served.admin_key,
        "PATH": os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "NO_PROXY": "*",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod",
    }


def script_of(chosen: list[Block]) -> str:
    """One shell script of all blocks, with a line before each that names it."""
    parts = ["set -euo pipefail", "exec 2>&1"]
    for number, block in enumerate(chosen):
        parts.append(f"echo; echo {shlex.quote(f'{_MARK}{number} {block.place}')}")
        if block.language == "bash":
            parts.append(block.text)
        elif block.language == "python":
            parts.append(f"python - <<'END_OF_PYTHON'\n{block.text}END_OF_PYTHON")
        elif block.language == "go":
            parts.append(f"mkdir block{number}; cat > block{number}/main.go <<'END_OF_GO'\n{block.text}END_OF_GO")
            parts.append(f"cat > block{number}/go.mod <<'END_OF_MODULE'\n{GO_MODULE}END_OF_MODULE")
            parts.append(f"(cd block{number} && go run .)")
        else:
            parts.append(f"cat > block{number}.mts <<'END_OF_TS'\n{block.text}END_OF_TS")
            parts.append(
                f"node {shlex.quote(str(STRIP))} {shlex.quote(str(TYPESCRIPT))} block{number}.mts block{number}.mjs"
            )
            parts.append(f"node block{number}.mjs")
    return "\n".join(parts) + "\n"


def run(chosen: list[Block], served: Gateway, command: Path, folder: Path) -> dict[int, str]:
    """Run the blocks; gives what each printed. Fails with the output so far where one of them fails."""
    script = folder / "document.sh"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen: what is asked there is refused, also on a shared machine
        text = script_of(chosen).replace(READERS_SERVER, f"127.0.0.1:{nobody.getsockname()[1]}")
        script.write_text(text, encoding="utf-8")
        done = subprocess.run(
            ["bash", str(script)],
            cwd=folder,
            env=environment(served, command),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    assert done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}\n{done.stderr}"
    parts = re.split(rf"^{re.escape(_MARK)}(\d+) .*$", done.stdout, flags=re.MULTILINE)
    return {int(number): output for number, output in zip(parts[1::2], parts[2::2], strict=True)}


def check(chosen: list[Block], outputs: dict[int, str]) -> None:
    """Each output is what its document shows."""
    assert len(outputs) == len(chosen)
    for number, block in enumerate(chosen):
        if block.prints is not None:
            output = plain(outputs[number])
            shown = f"{block.place}\nshows\n{block.prints}\nand it was\n{output}"
            assert pattern_of(block.prints).search(output), shown


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if RUN[name]])
def test_commands(name: str, served: Gateway, joytoken_command: Path, tmp_path: Path) -> None:
    chosen = [block for block in RUN[name] if block.language in {"bash", "python"}]
    check(chosen, run(chosen, served, joytoken_command, tmp_path))
    served.verify()


def in_language(language: str) -> list[Block]:
    """The blocks of one language in all documents; there must be some."""
    chosen = [block for name in DOCUMENTS for block in RUN[name] if block.language == language]
    assert chosen
    return chosen


# Node.js, Go and what they need are there after `make test-sdks`, and in CI; the Python tests alone do without.
if (NODE_MODULES / "openai").is_dir() and (SDKS / "typescript" / "agent-sdk-ts" / "dist").is_dir():

    @pytest.fixture
    def project(tmp_path: Path) -> Path:
        """A folder in which the packages that the blocks import are installed."""
        (tmp_path / "node_modules" / "@joytoken").mkdir(parents=True)
        (tmp_path / "node_modules" / "openai").symlink_to(NODE_MODULES / "openai")
        for package in ("client-sdk-ts", "agent-sdk-ts"):
            (tmp_path / "node_modules" / "@joytoken" / package).symlink_to(SDKS / "typescript" / package)
        return tmp_path

    def test_typescript(served: Gateway, joytoken_command: Path, project: Path) -> None:
        chosen = in_language("ts")
        check(chosen, run(chosen, served, joytoken_command, project))

    def test_typescript_is_well_typed(project: Path) -> None:
        """A block is strict TypeScript, though types are only taken out before it is run."""
        names = []
        for block in in_language("ts"):
            names.append(re.sub(r"\W", "-", block.place) + ".mts")
            (project / names[-1]).write_text(block.text, encoding="utf-8")
        command = ["node", str(TYPESCRIPT / "typescript" / "bin" / "tsc"), "--noEmit", "--strict", "--skipLibCheck"]
        command += ["--module", "nodenext", "--target", "es2022"]
        command += ["--typeRoots", str(TYPESCRIPT / "@types"), "--types", "node", *names]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


if (SDKS / "go").is_dir() and (shutil.which("go") or (Path(sys.executable).parent / "go").exists()):

    def test_go(served: Gateway, joytoken_command: Path, tmp_path: Path) -> None:
        chosen = in_language("go")
        check(chosen, run(chosen, served, joytoken_command, tmp_path))


def test_a_first_start_prints_what_the_readme_shows(joytoken_command: Path, tmp_path: Path) -> None:
    (shown,) = [block for block in BLOCKS["README.md"] if block.mark == "serve"]
    log = tmp_path / "log"
    env = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    env |= {"JOY_TOKEN_DATA_DIR": str(tmp_path / "data")}
    with log.open("wb") as file:
        process = subprocess.Popen([joytoken_command, "serve", "--port", "0"], env=env, stdout=file, stderr=file)
    try:
        wait_for(lambda: "JoyToken listens on " in log.read_text(), "it does not listen")
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0
    printed = re.sub(r"(http://127\.0\.0\.1:)\d+", r"\g<1>7410", log.read_text())
    assert pattern_of(shown.text).search(plain(printed)), printed


def test_the_makefile_says_what_the_readme_shows() -> None:
    (shown,) = [block for block in BLOCKS["README.md"] if block.mark == "make"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = [line for line in shown.text.splitlines() if line.strip() not in {"…", ""}]
    assert lines
    assert not [line for line in lines if f'echo "{line}"' not in makefile and "passed" not in line]
