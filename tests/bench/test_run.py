"""The program around the measurement: its document, its options, and one whole small run on the stub's own port."""

import functools
import json
import shlex
import sys

import pytest

from bench import figures, run, subjects
from bench.figures import BEGIN, END, LOADS, Row
from bench.run import Pace, Report
from tests.bench.test_figures import figures_of


def report() -> Report:
    rows = [Row(load, figures_of(100), figures_of(20)) for load in LOADS]
    made = Report("joytoken 1.2.3", Pace(), rows, startup_s=[0.5, 0.7, 0.6], rss_idle_mb=[70, 71, 72])
    made.rss_after_mb, made.books, made.provider_calls = [80, 90, 85], ["the books are clean"], 12345
    return made


def test_the_document_has_its_markers_and_takes_a_new_table():
    text = run.DOCS.read_text(encoding="utf-8")
    fresh = figures.replace_between_markers(text, run.docs_block(report(), ["--write-docs"]))
    block = fresh.split(BEGIN)[1].split(END)[0]
    for load in LOADS:
        assert load.title in block
    assert "make bench ARGS='--write-docs'" in block
    assert "joytoken keys create bench" in block
    assert "the books are clean" in block
    assert fresh.split(BEGIN)[0] == text.split(BEGIN)[0]


def test_the_summary_takes_the_middle_start_and_the_largest_memory():
    text = " ".join(run.summary(report()))
    assert "0.60 s" in text
    assert "71 MB idle" in text
    assert "90 MB after" in text
    assert "12,345" in text


def test_the_json_holds_every_row():
    told = json.loads(run.as_json(report()))
    assert [row["title"] for row in told["rows"]] == [load.title for load in LOADS]
    assert told["rows"][0]["times_proxy"] == 5
    assert told["rows"][1]["load"]["target"] == {"cpu_us": 150, "times_proxy": 7}


def test_loads_of_one_stub_are_neighbours():
    shapes = [(load.name, load.gap_ms) for load in LOADS]
    assert shapes == sorted(shapes, key=shapes.index)


@pytest.mark.parametrize("option", [("--against", "server"), ("--only", "paced"), ("--under", "perf record")])
def test_other_figures_never_get_into_the_document(option, capsys):
    with pytest.raises(SystemExit):
        run.parse([*option, "--write-docs"])
    assert "--write-docs" in capsys.readouterr().err


def test_a_command_is_given_its_port_and_upstream(tmp_path):
    subject = subjects.Command(tmp_path, 4321, 0, "serve --port {port} '--to={upstream}/v1 x'", subjects.Door())
    assert subject.command() == ["serve", "--port", str(subject.port), "--to=http://127.0.0.1:4321/v1 x"]


def test_the_measured_gateway_sees_none_of_the_users_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-it")
    monkeypatch.setenv("JOY_TOKEN_PORT", "1")
    environment = subjects.JoyToken(tmp_path, 1, 0).environment()
    assert environment["JOY_TOKEN_DATA_DIR"] == str(tmp_path / "data")
    assert not {"OPENAI_API_KEY", "JOY_TOKEN_PORT"} & environment.keys()


def test_every_step_of_the_set_up_is_a_command_line():
    for line in subjects.SETUP.values():
        assert shlex.split(line.format(upstream_port=1))


FAKE = """\
import json, os, pathlib, sys
said = sys.argv[1:]
data = pathlib.Path(os.environ["JOY_TOKEN_DATA_DIR"])
data.mkdir(exist_ok=True)
with (data / "said").open("a") as log:
    log.write(" ".join(said) + "\\n")
if said[:2] == ["keys", "create"]:
    print(json.dumps({"hint": "jt_live_m…p", "api_key": "jt_live_made_up"}))
if said[:2] == ["wallet", "verify"]:
    print((data / "books").read_text())
if said[0] == "serve":
    os.execv(os.environ["FAKE_SERVER"], [os.environ["FAKE_SERVER"], *said[1:]])
"""


@pytest.fixture
def fake_gateway(tmp_path, monkeypatch):
    """The gateway's command replaced by one that writes down what it is told, and serves as the stub does."""
    program = tmp_path / "fake.py"
    program.write_text(FAKE)
    monkeypatch.setattr(subjects.JoyToken, "program", staticmethod(lambda: [sys.executable, str(program)]))
    monkeypatch.setenv("FAKE_SERVER", str(run.compiled("stub")))
    return subjects.JoyToken(tmp_path, 4321, run.cores()[0])


def test_the_gateway_is_set_up_by_its_documented_commands(fake_gateway):
    with fake_gateway.start():
        assert fake_gateway.startup_s > 0
        assert fake_gateway.door().key == "jt_live_made_up"
    said = (fake_gateway.data / "said").read_text().splitlines()
    assert said[:-1] == [line.format(upstream_port=4321) for line in subjects.SETUP.values()]
    assert said[-1] == f"serve --port {fake_gateway.port}"


@pytest.mark.parametrize(("answers", "said"), [(7, "one usage record for each answer"), (None, "is clean")])
def test_books_that_hold_are_said_to(answers, said, fake_gateway):
    fake_gateway.data.mkdir()
    (fake_gateway.data / "books").write_text('{"ok": true, "records": 7}')
    assert said in fake_gateway.verify(answers)


@pytest.mark.parametrize("books", ['{"ok": false, "records": 7}', '{"ok": true, "records": 6}', ""])
def test_books_that_are_wrong_fail_the_run(books, fake_gateway):
    fake_gateway.data.mkdir()
    (fake_gateway.data / "books").write_text(books)
    with pytest.raises(run.BenchError, match=r"books|usage records"):
        fake_gateway.verify(7)


def test_a_gateway_that_only_refuses_is_not_measured(tmp_path):
    """Answers without the needle are errors, and of errors alone no figure is made."""
    refusing = functools.partial(
        subjects.Command,
        text=f"{run.compiled('stub')} --port {{port}}",
        given_door=subjects.Door(needle="no such bytes"),
    )
    with pytest.raises(run.BenchError, match="no good answer"):
        run.measure("stub", refusing, Pace(warm_s=0, window_s=0.1, runs=1), (LOADS[1],))


def test_a_whole_run_without_nginx(monkeypatch):
    """A second stub stands in for the gateway: every load is run, none fails, and the missing nginx is said."""
    monkeypatch.setattr(subjects.Nginx, "program", staticmethod(lambda: None))
    program = run.compiled("stub")
    door = subjects.Door(needle='"usage"')
    done = run.measure(
        "stub",
        functools.partial(subjects.Command, text=f"{program} --port {{port}}", given_door=door),
        Pace(warm_s=0.05, window_s=0.2, runs=2),
        (LOADS[1], LOADS[4]),
    )
    assert [row.load for row in done.rows] == [LOADS[1], LOADS[4]]
    assert sum(row.gateway.errors for row in done.rows) == 0
    assert done.answers > 0
    assert all(row.gateway.cpu_us > 0 and row.proxy is None for row in done.rows)
    assert any("nginx is not installed" in note for note in done.notes)
