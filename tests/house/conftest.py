"""What the house tests read: the sources as syntax trees, the tracked files as text. Each is read once."""

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "joytoken"


@dataclass(frozen=True)
class Module:
    """One source file of the package; `name` is its path below it, as `store/ledger.py`."""

    name: str
    text: str
    tree: ast.Module

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Return every function, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every source file of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Module(path.relative_to(PACKAGE).as_posix(), text, ast.parse(text)))
    return found


@pytest.fixture(scope="session")
def tracked() -> dict[str, str]:
    """Every text file that git tracks and that is still there: path below the root → content."""
    # The clone may belong to another user than the one that tests it, as in a container.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue  # removed, and not committed yet
        try:
            files[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or another binary
    return files
