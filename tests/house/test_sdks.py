"""The SDKs keep the rules of the house in their own languages, and install without anybody else's code."""

import ast
import json
import re
from pathlib import PurePosixPath

import pytest

from tests.house.test_names import SAY_NOTHING
from tests.house.test_sizes import FILE_LINES_MAX, FUNCTION_LINES_MAX

SOURCE = (".ts", ".mts", ".mjs", ".js", ".go", ".py")
PUBLISHED = re.compile(r"^sdks/typescript/[\w-]+/package\.json$")
GO_FUNCTION = re.compile(r"^func .*?^}$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def sources(tracked) -> dict[str, str]:
    """The files of the SDKs that people write."""
    return {name: text for name, text in tracked.items() if name.startswith("sdks/") and name.endswith(SOURCE)}


def test_no_file_is_longer_than_is_read_in_one_sitting(sources):
    lines = {name: text.count("\n") for name, text in sources.items()}
    assert not {name: count for name, count in lines.items() if count > FILE_LINES_MAX}


def functions(name: str, text: str) -> list[tuple[str, int]]:
    """The functions of a Python or Go file with their lengths; what gofmt writes ends with a brace at the margin."""
    if name.endswith(".py"):
        found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        return [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in found]
    if name.endswith(".go"):
        return [(match[0].partition("{")[0].strip(), match[0].count("\n") + 1) for match in GO_FUNCTION.finditer(text)]
    return []


def test_no_function_is_longer_than_a_page(sources):
    too_long = {}
    for name, text in sources.items():
        for function, count in functions(name, text):
            if count > FUNCTION_LINES_MAX:
                too_long[f"{name}: {function}"] = count
    assert not too_long


def test_no_file_is_named_after_nothing(sources):
    """Tools are a subject here: what a model can have called."""
    stems = {name: PurePosixPath(name).name.partition(".")[0].removesuffix("_test") for name in sources}
    assert not [name for name, stem in stems.items() if stem.lower() in SAY_NOTHING - {"tools"}]


def test_the_npm_locks_name_no_address(tracked):
    """`integrity` tells the file; where it comes from is the affair of the machine that installs it."""
    locks = {name: text for name, text in tracked.items() if PurePosixPath(name).name == "package-lock.json"}
    for name, text in locks.items():
        packages = json.loads(text)["packages"]
        fetched = {path: entry for path, entry in packages.items() if "node_modules/" in path and not entry.get("link")}
        assert fetched, name
        assert not [path for path, entry in packages.items() if "://" in entry.get("resolved", "")], name
        assert not [path for path, entry in fetched.items() if not entry.get("integrity")], name


def test_the_npm_packages_need_no_other_at_run_time(tracked):
    for name in filter(PUBLISHED.match, tracked):
        package = json.loads(tracked[name])
        assert not package.get("dependencies"), name
        assert set(package.get("peerDependencies", {})) <= {"@joytoken/client-sdk-ts"}, name


def test_the_go_module_needs_no_other(tracked):
    module = tracked["sdks/go/go.mod"]
    assert not re.search(r"^\s*(require|replace|toolchain)\b", module, re.MULTILINE)
    assert re.search(r"^go 1\.23(\.0)?$", module, re.MULTILINE)
    assert "sdks/go/go.sum" not in tracked


def test_every_npm_package_that_develops_has_its_reason(tracked):
    section = tracked["docs/dependencies.md"].partition("\n## npm")[2].partition("\n## ")[0]
    explained = {
        name for row in re.findall(r"^\| (.+?) \|", section, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)
    }
    used = set()
    for name, text in tracked.items():
        if PurePosixPath(name).name == "package.json":
            package = json.loads(text)
            used |= package.get("devDependencies", {}).keys() | package.get("dependencies", {}).keys()
    assert {name for name in used if not name.startswith("@joytoken/")} <= explained
