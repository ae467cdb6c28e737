"""What is said of two workers beside one."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import run
from bench.processes import cores_of_many
from bench.shares import shares
from bench.subjects import JoyToken
from bench.workers import Scaling, sentences, table
from tests.bench.test_figures import figures_of
from tests.bench.test_run import report


def scaling(one=1000.0, two=1800.0, harness=(0.2, 0.5), cores=2, *, shared=True):
    """One and two workers with these rates, beside a harness that takes so many processors."""
    measured = [
        replace(figures_of(100.0), rate_s=rate, harness_share=took)
        for rate, took in zip((one, two), harness, strict=True)
    ]
    return Scaling(*measured, [two / one], 1600.0, [90.0, 120.0, 400.0], cores, shared)


def test_what_two_serve_is_told_as_it_was_and_by_the_processors_that_were_left():
    plain, left, _, by_cpu, apart, replaced = sentences(scaling(1000.0, 1500.0))
    assert plain == "2 workers served 1.50× as much as one (≥ 1.7×: missed)."
    assert "on the same 2 cores, and left 1.00 processors to one worker and 1.50 to 2" in left
    assert "that is 2.00× (≥ 1.7×: met)" in left
    assert by_cpu == "By the CPU time of a request alone it is 2.00×."
    assert "served 1.60× as much as one" in apart
    assert "2 workers on one database reached 94%" in apart
    assert "within 120 ms (at most 400 ms)" in replaced


def test_one_worker_is_given_no_more_than_one_processor_and_no_more_than_is_left():
    shown = scaling(harness=(1.2, 1.2))
    assert shown.left(shown.one, 1) == pytest.approx(0.8)
    assert shown.free_times == pytest.approx(2 * shown.times)
    assert sentences(scaling(harness=(1.0, 1.0)))[0].endswith("(≥ 1.7×: met).")


def test_processors_that_the_gateway_did_not_have_are_told():
    busy = scaling()
    busy = replace(busy, one=replace(busy.one, cpu_share=0.98), two=replace(busy.two, cpu_share=1.1))
    assert "Up to 0.40 of these the gateway did not get or use" in sentences(busy)[2]
    busy = replace(busy, two=replace(busy.two, cpu_share=1.45))
    assert not any("did not get" in said for said in sentences(busy))


def test_a_row_with_errors_is_not_met():
    bad = replace(scaling(), two=replace(scaling().two, errors=1))
    assert all("missed" in said for said in sentences(bad)[:2])


def test_workers_with_cores_of_their_own_are_told_so():
    shown = scaling(cores=2, shared=False)
    assert shown.free_times == pytest.approx(shown.times)
    assert sentences(shown)[1] == "They had 2 cores; the stub and the load had others."


def test_workers_with_a_part_of_each_core_are_told_so():
    shown = replace(scaling(harness=(0.1, 0.2)), share=0.7)
    assert sentences(shown)[0] == "2 workers served 1.80× as much as one (≥ 1.7×: met)."
    assert "given 0.7 of a processor" in sentences(shown)[1]
    assert sentences(shown)[1].endswith("had the other 0.6 and took 0.20: the workers' processors were free.")
    assert sentences(replace(scaling(harness=(0.1, 0.7)), share=0.7))[1].endswith("processors were not free.")


def groups(root, first):
    """What control groups of a version look like before anybody made any."""
    place = root / "cpu" if first else root
    place.mkdir(exist_ok=True)
    for name in ("cgroup.procs", *([] if first else ["cgroup.subtree_control"])):
        (place / name).write_text("")
    return place


@pytest.mark.parametrize(
    ("first", "limits"),
    [(True, {"cpu.cfs_period_us": "5000", "cpu.cfs_quota_us": "3500"}), (False, {"cpu.max": "3500 5000"})],
)
def test_each_process_gets_its_part(tmp_path, monkeypatch, first, limits):
    place = groups(tmp_path, first)
    monkeypatch.setattr(Path, "rmdir", shutil.rmtree)  # these files are real
    with shares(0.7, tmp_path) as part:
        part.give(1234)
        (group,) = place.glob("joytoken-bench-*/1234")
        assert {file.name: file.read_text() for file in group.iterdir()} == {**limits, "cgroup.procs": "1234"}
        if not first:
            assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
            assert (group.parent / "cgroup.subtree_control").read_text() == "+cpu"
    assert not list(place.glob("joytoken-bench-*"))


def test_without_control_groups_nobody_is_limited(tmp_path):
    with shares(0.7, tmp_path) as part:
        assert part is None
    assert not list(tmp_path.iterdir())


def test_on_this_machine_it_is_done_or_not_and_nothing_is_left():
    with shares(0.5) as part, subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        if part is not None:
            part.give(process.pid)
            assert f"/{part.folder.name}/{process.pid}" in Path(f"/proc/{process.pid}/cgroup").read_text()
        process.communicate(b"\n")
    assert part is None or not part.folder.exists()


def test_the_section_stands_in_the_document():
    block = run.docs_block(replace(report(), workers=scaling()), [])
    assert table(scaling()) in block
    assert "| 2 workers | 1,800/s | 100.0 µs/request |" in block
    assert run.parse(["--only", "workers"]).only == ["workers"]


@pytest.mark.parametrize(
    ("usable", "expected"), [({0, 1, 2, 3}, ("0,1", "2,3")), ({0, 1}, ("0,1", "0,1")), ({5}, ("5", "5"))]
)
def test_the_workers_have_cores_of_their_own_where_there_are_enough(usable, expected, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: usable)
    assert cores_of_many(2) == expected


def test_a_gateway_of_many_workers_is_started_so(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.subjects.SETUP", {})
    assert JoyToken(tmp_path, 1, "0,1", workers=2).command()[-2:] == ["--workers", "2"]
