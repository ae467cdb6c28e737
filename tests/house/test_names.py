"""Names say what is inside, and a test is found where its subject is."""

from pathlib import Path, PurePosixPath

from tests.house.conftest import PACKAGE, ROOT

SAY_NOTHING = {"util", "utils", "common", "helper", "helpers", "misc", "tools", "stuff", "lib"}

# Folders of tests that tell stories across the package or guard the repository: they mirror nothing.
STORIES = {"bench", "chaos", "conformance", "docs", "house", "journeys", "sdk", "simulation"}


def test_no_module_is_named_after_nothing(modules):
    parts = {part for module in modules for part in PurePosixPath(module.name).with_suffix("").parts}
    assert not parts & SAY_NOTHING


def has_subject(test: Path) -> bool:
    """Tell whether `tests/store/test_ledger.py`, or `test_ledger_recovery.py` there, has its `store/ledger.py`."""
    words = test.stem.removeprefix("test_").split("_")
    room = PACKAGE / test.relative_to(ROOT / "tests").parent
    names = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    return any((room / f"{name}.py").is_file() or (room / name).is_dir() for name in names)


def test_tests_mirror_the_package():
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in path.parts]
    mirrors = [path for path in tests if path.relative_to(ROOT / "tests").parts[0] not in STORIES]
    assert not [path.relative_to(ROOT).as_posix() for path in mirrors if not has_subject(path)]
