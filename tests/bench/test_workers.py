"""What is said of two workers beside one."""

from dataclasses import replace

import pytest

from bench import run
from bench.processes import cores_of_many
from bench.subjects import JoyToken
from bench.workers import Scaling, sentences, table
from tests.bench.test_figures import figures_of
from tests.bench.test_run import report


def scaling(one=100.0, two=110.0, cores=2, *, shared=True):
    return Scaling(figures_of(one), figures_of(two), [90.0, 120.0, 400.0], cores, shared)


def test_what_two_serve_is_told_by_their_cpu_time():
    assert scaling().times == pytest.approx(1.818, abs=0.001)
    (by_cpu, replaced) = sentences(scaling())
    assert "1.82× the requests of one, on processors that nothing else uses" in by_cpu
    assert "≥ 1.7×: met" in by_cpu
    assert "2 cores, which the stub and the load used too" in by_cpu
    assert "within 120 ms (at most 400 ms)" in replaced
    assert "missed" in sentences(scaling(two=120.0))[0]


def test_a_row_with_errors_is_not_met():
    bad = replace(scaling(), two=replace(figures_of(110.0), errors=1))
    assert "missed" in sentences(bad)[0]


def test_the_rate_is_shown_beside_what_it_was_measured_with():
    served = replace(figures_of(110.0), rate_s=2 * figures_of(100.0).rate_s)
    shown = replace(scaling(shared=False), two=served)
    assert "2 cores, and the stub and the load others: 2.00× the requests a second" in sentences(shown)[0]
    assert "1 core, which" in sentences(scaling(cores=1))[0]


def test_the_section_stands_in_the_document():
    block = run.docs_block(replace(report(), workers=scaling()), [])
    assert table(scaling()) in block
    assert "| 2 workers | 110.0 µs/request | 9,091 |" in block
    assert run.parse(["--only", "workers"]).only == ["workers"]


@pytest.mark.parametrize(
    ("usable", "expected"),
    [({0, 1, 2, 3}, ("0,1", "2,3")), ({0, 1, 2}, ("0,1", "2")), ({0, 1}, ("0,1", "0,1")), ({5}, ("5", "5"))],
)
def test_the_workers_have_cores_of_their_own_where_there_are_enough(usable, expected, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: usable)
    assert cores_of_many(2) == expected


def test_a_gateway_of_many_workers_is_started_so(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.subjects.SETUP", {})
    assert JoyToken(tmp_path, 1, "0,1", workers=2).command()[-2:] == ["--workers", "2"]
