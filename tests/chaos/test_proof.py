"""The judge sees what is wrong: each case is right but for one thing."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.chaos import test_postgres, test_sqlite
from tests.chaos.crowd import Told
from tests.chaos.proof import Case, Record, judge
from tests.chaos.report import BEGIN, END, HEAD, into, markdown, plain, rows
from tests.chaos.run import main
from tests.chaos.scenes import SCENES
from tests.chaos.stage import POSTGRES, SQLITE, Outcome

FUNDS = 1_000


def record(name, charged=10, **fields):
    given = {"owner": "one", "key_id": "key", "shortfall": 0, "cost": charged, "ending": "completed", "started_us": 0}
    return Record(request_id=name, charged=charged, **{**given, **fields})


def told(name, charged=10):
    return Told("key", 0.0, 1.0, status=200, request_id=name, whole=True, charged=charged)


RIGHT = Case(
    calls={"a": 1, "b": 2},
    records=[record("a"), record("b"), record("c", 0, ending="client_gone")],
    told=[told("a"), Told("key", 0.0, 1.0, status=402), Told("key", 0.0, 1.0)],
    balances={"one": FUNDS - 20},
    funds={"one": FUNDS},
    limits={"key": 20},
    windows={("key", "1970-01-01"): 20},
)


def test_what_is_right_is_right():
    found = judge(RIGHT)
    assert (found.calls, found.problems) == (3, [])
    assert not found.ok  # nobody has verified yet
    assert replace(found, verified=True).ok


LESS = {"balances": {"one": FUNDS - 14}, "windows": {("key", "1970-01-01"): 14}}
# what is wrong · the case · lost, billed twice, overspent, inexact
WRONG = [
    ("a call without a record", {"calls": {"a": 1, "b": 1, "d": 1}}, (1, 0, 0, 0)),
    ("an answer without a record", {"told": [told("d")]}, (1, 0, 0, 0)),
    ("two records", {"records": [record("a", 0), *RIGHT.records]}, (0, 1, 0, 0)),
    ("a window that lost less", {"windows": {("key", "1970-01-01"): 10}}, (0, 0, 0, 1)),
    ("another day's window", {"zone": ZoneInfo("America/New_York")}, (0, 0, 0, 2)),
    ("a window of nobody", {"windows": {**RIGHT.windows, ("key", "1970-01-02"): 1}}, (0, 0, 0, 1)),
    (
        "less than was told",
        {"records": [record("a", 4, shortfall=6, cost=10), *RIGHT.records[1:]], **LESS},
        (0, 0, 0, 1),
    ),
    ("two outcomes", {"conflicts": 1}, (0, 1, 0, 0)),
    ("another charge than told", {"told": [told("a", 11)]}, (0, 0, 0, 1)),
    ("no charge told", {"told": [told("a", None)]}, (0, 0, 0, 1)),
    ("a balance too high", {"balances": {"one": FUNDS - 19}}, (0, 0, 0, 1)),
    ("a balance too low", {"balances": {"one": FUNDS - 21}}, (0, 0, 0, 1)),
    ("more than the funds", {"funds": {"one": 19}, "balances": {"one": -1}}, (0, 0, 1, 0)),
    ("more than the limit", {"limits": {"key": 19}}, (0, 0, 1, 0)),
    ("a charge without a call", {"calls": {"a": 1}}, (0, 0, 0, 1)),
    ("a cost that is not its parts", {"records": [record("a", cost=11), record("b")]}, (0, 0, 0, 1)),
]


@pytest.mark.parametrize(("change", "figures"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_seen(change, figures):
    found = judge(replace(RIGHT, **change))
    assert (found.lost, found.twice, found.overspent, found.inexact) == figures
    assert found.problems
    assert not replace(found, verified=True).ok


def test_what_was_cut_out_of_the_journal_is_unknown_and_not_lost():
    found = judge(replace(RIGHT, calls={**RIGHT.calls, "d": 1}, told=[told("d")], touched={"d"}, gone={"d"}))
    assert (found.lost, found.unknown, found.problems) == (0, 1, [])


def test_a_worker_that_was_given_up_is_charged_as_far_as_there_is_money():
    late = record("a", 4, shortfall=6, cost=10, late=True)
    found = judge(replace(RIGHT, records=[late, *RIGHT.records[1:]], **LESS))
    assert (found.capped, found.problems) == (1, [])
    found = judge(replace(RIGHT, records=[replace(late, cost=9, shortfall=5), *RIGHT.records[1:]], **LESS))
    assert (found.capped, found.inexact) == (0, 1)


def test_a_charge_before_a_death_that_came_before_the_call_is_told():
    calls = {"a": 1}
    found = judge(replace(RIGHT, calls=calls, records=[record("a"), record("b", ending="recovered")]))
    assert (found.assumed, found.left, found.problems) == (1, 0, [])
    found = judge(replace(RIGHT, calls=calls, records=[record("a"), record("b", ending="client_gone")]))
    assert (found.assumed, found.left, found.problems) == (0, 1, [])


def test_the_report_names_every_scene_and_stands_between_its_marks():
    held = Outcome("killed", SQLITE, "s", 1.5, 3, 2, replace(judge(RIGHT), verified=True), ["a note"])
    absent = Outcome("clock-jump", POSTGRES, "s", not_run="no compiler")
    assert [row[0] for row in rows([held, absent])] == ["killed", "all"]
    assert {len(row) for row in rows([held])} == {len(HEAD)}
    for text in (plain([held, absent]), markdown([held, absent], "make chaos", "1")):
        assert "killed, SQLite: a note." in text
        assert "clock-jump, PostgreSQL: not run: no compiler." in text
    document = into(f"before\n{BEGIN}\nold\n{END}\nafter\n", markdown([held], "make chaos", "1"))
    assert document.startswith("before\n")
    assert document.endswith("after\n")
    assert "old" not in document
    with pytest.raises(ValueError, match="chaos:begin"):
        into("no marks", "x")


def test_a_scene_that_failed_is_not_called_clean():
    bad = Outcome("killed", SQLITE, "s", finding=replace(judge(replace(RIGHT, conflicts=1)), verified=True))
    assert rows([bad])[-1][-1] == "clean, but see below"
    assert rows([replace(bad, finding=judge(RIGHT))])[-1][-1] == "WRONG"


def test_a_report_is_of_a_whole_run(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--report", str(tmp_path / "report.md"), "--only", "killed"])
    assert "of a whole run" in capsys.readouterr().err


def test_each_scene_is_played_by_a_test_or_is_said_not_to_be():
    played = {SQLITE: test_sqlite.PLAYED, POSTGRES: test_postgres.PLAYED}
    assert sorted([*played[SQLITE], *played[POSTGRES]]) == sorted(scene.name for scene in SCENES)
    assert not [name for scene in SCENES for name in played if name in scene.not_on and scene.name in played[name]]


def test_the_scenes_are_listed(capsys):
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(SCENES) == len({scene.name for scene in SCENES})
