"""The vectors that the SDKs share are well formed, so that a runner in any language can rely on their shape."""

import json
import re
from decimal import Decimal, localcontext
from pathlib import Path

import jsonschema
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "sdk"
TABLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
LANGUAGES = {"typescript", "go", "python"}
FIELDS = {"name", "input", "expect", "only", "expect_in", "absent"}
MORE = {"errors": {"status", "headers", "body"}, "base-url-precedence": {"options", "env"}}
# Rules that a language does not have. Python leaves the wire to the `openai` package.
NOT_RUN = {
    "typescript": set(),
    "go": {"orchestration", "orchestration-streams"},
    "python": {"chat-chunks", "messages-requests", "messages-responses", "messages-streams"},
}
SMALL = {"call-metadata", "chat-chunks", "credits", "idempotency-keys", "model-lists", "agent-states-broken"}
SMALL |= {"messages-streams", "orchestration-streams", "usage-totals"}


def test_the_readme_lists_every_table():
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert not [name for name in TABLES if f"`{name}`" not in listed]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_the_shape_that_the_readme_tells(name):
    table = TABLES[name]
    assert table.keys() == {"about", "cases"}
    assert table["about"].strip().endswith((".", ")"))
    assert len(table["cases"]) >= (9 if name in SMALL else 15)
    names = [case["name"] for case in table["cases"]]
    assert len(set(names)) == len(names)
    for case in table["cases"]:
        assert {"name", "expect"} <= case.keys() <= FIELDS | MORE.get(name, set()), case["name"]
        assert set(case.get("only", [])) <= LANGUAGES, case["name"]
        assert case.get("only") != [], case["name"]
        assert case.get("expect_in", {}).keys() <= LANGUAGES, case["name"]


@pytest.mark.parametrize("name", TABLES)
def test_a_language_is_asked_something_by_every_table_that_names_it(name):
    """A case for one language alone says how the others differ, or that they have no such rule."""
    cases = TABLES[name]["cases"]
    asked = {language for case in cases for language in case.get("only", LANGUAGES)}
    assert "typescript" in asked


def test_states_are_as_their_steps_tell():
    for case in TABLES["agent-states"]["cases"]:
        state, expect = case["input"], case["expect"]
        assert state["step"] == len(state["steps"]), case["name"]
        assert state["tool_calls"] == sum(len(step["tool_results"]) for step in state["steps"]), case["name"]
        usages = [step["usage"] for step in state["steps"] if step["usage"]]
        assert state["usage"]["total_tokens"] == sum(usage["total_tokens"] for usage in usages), case["name"]
        assert [call["tool_call_id"] for call in state["pending"]] == expect["pending"], case["name"]
        if expect["key"] is not None:
            assert expect["key"] == f"{state['run']['id']}:{state['step'] + 1}", case["name"]


def test_names_that_are_made_of_ids_are_short_and_safe():
    for case in TABLES["child-run-ids"]["cases"]:
        assert 0 < len(case["expect"]) <= 128
        assert case["expect"].isascii()
        assert case["expect"].replace("-", "").replace("_", "").replace(".", "").isalnum()
    for case in TABLES["state-files"]["cases"]:
        assert not set(case["expect"]) & set("/\\:*?\"<>|' ")
        assert not case["expect"].startswith(".")
        assert len(case["expect"]) <= 205
    for table in ("child-run-ids", "state-files"):
        made = [case["expect"] for case in TABLES[table]["cases"]]
        assert len(set(made)) == len(made)


def test_judges_of_their_own_agree():
    """What an independent library can decide, it decides alike."""
    for case in TABLES["schema-checks"]["cases"]:
        judge = jsonschema.Draft202012Validator(case["input"]["schema"])
        assert judge.is_valid(case["input"]["value"]) == case["expect"], case["name"]
    for case in TABLES["credits"]["cases"]:
        with localcontext(prec=60):
            assert sum(map(Decimal, filter(None, case["input"])), Decimal(0)) == Decimal(case["expect"]), case["name"]
    for case in TABLES["tool-arguments"]["cases"]:
        try:
            read = json.loads(case["input"] or "{}")
        except ValueError:
            read = {"raw": case["input"]}
        assert read == case["expect"], case["name"]
    for case in TABLES["tool-results"]["cases"]:
        given = case["input"]
        made = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
        assert made == case["expect"], case["name"]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_table_is_run(language, tracked_tests):
    """Each suite names each table, but for the rules that its language does not have."""
    texts = tracked_tests.get(language)
    if texts is not None:  # an SDK that is not there yet runs nothing
        missing = {name for name in TABLES if not re.search(rf"[\"'`/]{re.escape(name)}(?:\.json)?[\"'`]", texts)}
        assert missing <= NOT_RUN[language]


@pytest.fixture(scope="module")
def tracked_tests():
    """The text of all tests of each SDK that is there."""
    found = {}
    for language, pattern in (("typescript", "*.ts"), ("go", "*_test.go"), ("python", "test_*.py")):
        folder = FOLDER.parents[2] / "sdks" / language
        files = [path for path in folder.rglob(pattern) if not {"node_modules", "build", "dist"} & set(path.parts)]
        if files:
            found[language] = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return found
