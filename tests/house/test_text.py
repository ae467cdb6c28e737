"""What the tracked files say: nothing of one machine, links that lead somewhere, dependencies with their reasons."""

import re
import tomllib
from pathlib import PurePosixPath

import pytest

import joytoken
from tests.house.conftest import ROOT

# The brackets keep this file from finding itself.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.$}-])/(?:roo[t]|wor[k]|hom[e]/\w+|User[s]/\w+)(?=/|\b)(?!-)",
    "a host of a package registry": r"pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.(?:org|com)|proxy\.golan[g]\.org",
    "another lock than requirements": r"\bu[v]\.lock\b",
}

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_project_speaks_of_itself_alone(what, tracked):
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for name, text in tracked.items():
        found += [f"{name}:{text.count(chr(10), 0, hit.start()) + 1} {hit[0]}" for hit in pattern.finditer(text)]
        found += [name] if pattern.search(PurePosixPath(name).name) else []
    assert not found


def test_only_tests_look_beside_the_clone(tracked):
    """The clone stands alone; what lies beside it may be one more judge of a test, and nothing else."""
    beside = re.compile(r"\.\./share[d]\b")
    assert not [name for name, text in tracked.items() if not name.startswith("tests/") and beside.search(text)]


def anchors(text: str) -> set[str]:
    """Return the names under which the headings of a Markdown text can be linked to."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in plain}


def test_links_lead_somewhere(tracked):
    broken = []
    for name, text in tracked.items():
        if not name.endswith(".md"):
            continue
        for groups in LINK.findall(CODE.sub("", text)):
            link = groups[0] or groups[1]
            if re.match(r"[a-z][a-z0-9+.-]*:", link):
                continue
            path, _, anchor = link.partition("#")
            target = ROOT / name if not path else (ROOT / name).parent / path
            there = target.exists() and target.resolve().is_relative_to(ROOT)
            if there and anchor and target.suffix == ".md":
                there = anchor in anchors(target.read_text(encoding="utf-8"))
            if not there:
                broken.append(f"{name}: {link}")
    assert not broken


def project() -> dict[str, object]:
    """Return the `[project]` table."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normal(requirement: str) -> str:
    """Return the name of a requirement as package indexes compare it: `SQLAlchemy>=2` → `sqlalchemy`."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_every_runtime_dependency_has_its_reason(tracked):
    required = [*project()["dependencies"]]
    for extra in project().get("optional-dependencies", {}).values():
        required += extra
    section = tracked["docs/dependencies.md"].partition("\n## Runtime")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `([\w.-]+)` \|", section, re.MULTILINE)
    assert sorted(map(normal, explained)) == sorted(map(normal, required))


def pins(lock: str) -> set[str]:
    """Return `name==version` of each package that a lock pins."""
    return set(re.findall(r"^([\w.-]+==[^\s;\\]+)", lock, re.MULTILINE))


def test_the_locks_agree(tracked):
    runtime, dev = pins(tracked["requirements/runtime.txt"]), pins(tracked["requirements/dev.txt"])
    assert runtime
    assert runtime < dev, "run: make lock"
    locked = {normal(pin) for pin in runtime}
    assert not [name for name in map(normal, project()["dependencies"]) if name not in locked], "run: make lock"


def test_the_locks_name_no_index_and_pin_by_hash(tracked):
    for name in ("requirements/runtime.txt", "requirements/dev.txt", "requirements/go.txt"):
        lines = tracked[name].splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("-")]
        entries = re.split(r"\n(?=\S)", tracked[name])
        assert not [entry for entry in entries if "==" in entry.split("\n")[0] and "--hash=sha256:" not in entry]


def test_the_changelog_knows_the_version(tracked):
    newest = re.search(r"^## \[([^\]]+)\]", tracked["CHANGELOG.md"], re.MULTILINE)[1]
    assert newest in {"Unreleased", joytoken.__version__}
