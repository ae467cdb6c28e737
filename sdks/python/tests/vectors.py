"""The vectors that the SDKs share: `spec/vectors/sdk`."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "spec" / "vectors" / "sdk"
LANGUAGE = "python"


def vectors(table: str) -> Any:
    """The cases of a table that are for this language, as parameters `case` of a test."""
    cases = json.loads((FOLDER / f"{table}.json").read_text(encoding="utf-8"))["cases"]
    ours = [_of_language(case) for case in cases if LANGUAGE in case.get("only", [LANGUAGE])]
    assert ours, table
    return pytest.mark.parametrize("case", ours, ids=[case["name"] for case in ours])


def _of_language(case: dict[str, Any]) -> dict[str, Any]:
    other = case.get("expect_in", {}).get(LANGUAGE)
    return case if other is None else {**case, "expect": {**case["expect"], **other}}


def joined(parts: Any) -> Any:
    """A long text from its parts."""
    if isinstance(parts, str):
        return parts
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts)


def fits(found: Any, expected: Any) -> bool:
    """Whether what was found is what was expected: equal as JSON, with the short hands of long values."""
    if isinstance(expected, dict) and "$count" in expected:
        return len(found) == expected["$count"]
    if isinstance(expected, list) and expected and isinstance(expected[0], dict) and "repeat" in expected[0]:
        return found == joined(expected)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(fits(found[name], one) for name, one in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(fits, found, expected))
    return found == expected
