"""The SDKs' own suites, one after the other: `python -m tests.sdk.suites [typescript] [go] [python]`.

It is run in a world (`tests/sdk/world.py`). Of a step that succeeds one line is shown, of one that fails
everything; then nothing more of that language is run, and the exit code is 1.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SDKS = ROOT / "sdks"
STEP_S_MAX = 900


@dataclass(frozen=True)
class Step:
    """One command of a suite. It fails by its exit code, or where `silent` says so by any output."""

    name: str
    command: tuple[str, ...]
    folder: Path
    silent: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def typescript() -> Iterator[Step]:
    """Build and test the npm packages; the compiler is as strict as their own settings."""
    folder = SDKS / "typescript"
    yield Step("build", ("npm", "run", "--silent", "build"), folder)
    yield Step("tests", ("npm", "test", "--silent"), folder)


def go() -> Iterator[Step]:
    """Format, vet and test each Go module below `sdks/go`; nothing is downloaded but what a module names."""
    yield Step(
        "format", ("gofmt", "-l", str(SDKS / "go"), str(ROOT / "tests" / "sdk" / "exports.go")), ROOT, silent=True
    )
    for module in sorted((SDKS / "go").rglob("go.mod")):
        folder = module.parent
        name = folder.relative_to(SDKS).as_posix()
        # SQLite's C code is compiled for the tests alone: once, so as vet needs it too, and quickly.
        local = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_CFLAGS": "-O0"}
        yield Step(f"vet {name}", ("go", "vet", "-race", "./..."), folder, environment=local)
        yield Step(f"tests {name}", ("go", "test", "-race", "./..."), folder, environment=local)


def python() -> Iterator[Step]:
    """Test the Python package with the interpreter that runs this, and check its types."""
    folder = SDKS / "python"
    yield Step("tests", (sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), str(folder)), folder)
    yield Step("types", ("npx", "--no-install", "pyright", "--pythonpath", sys.executable), folder)


SUITES = {"typescript": typescript, "go": go, "python": python}


def summary(output: str) -> str:
    """What a runner says at its end: Node's counts, Go's packages, else the last line."""
    counts = [(name, int(count)) for name, count in re.findall(r"^[#ℹ] (pass|fail) (\d+)$", output, re.MULTILINE)]
    if counts:
        passed, failed = (sum(count for name, count in counts if name == which) for which in ("pass", "fail"))
        return f"{passed} passed, {failed} failed"
    if packages := re.findall(r"^ok\s", output, re.MULTILINE):
        return f"{len(packages)} packages ok"
    return output.splitlines()[-1].strip() if output else "ok"


def run(language: str, step: Step) -> bool:
    """Run one step and tell of it; whether it succeeded."""
    began = time.monotonic()
    done = subprocess.run(
        step.command,
        cwd=step.folder,
        env=os.environ | step.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=STEP_S_MAX,
    )
    output = done.stdout.strip()
    good = done.returncode == 0 and not (step.silent and output)
    last = summary(output) if good else "failed"
    print(f"sdks: {language}: {step.name}: {last} ({time.monotonic() - began:.0f} s)", flush=True)
    if not good:
        print(output, flush=True)
    return good


def main() -> int:
    """Run the suites of the languages that were named, or all that are there."""
    chosen = sys.argv[1:] or [name for name in SUITES if (SDKS / name).is_dir()]
    if unknown := [name for name in chosen if name not in SUITES]:
        print(f"{unknown[0]!r} is none of {', '.join(SUITES)}", file=sys.stderr)
        return 2
    good = [all(run(language, step) for step in SUITES[language]()) for language in chosen]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
