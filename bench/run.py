"""Measure what a request costs the gateway, in CPU time, beside nginx as a bare proxy in the same run.

    make bench                            everything, about five minutes
    make bench ARGS=--quick               the same rows, one short run each: a look, not a figure
    make bench ARGS=--write-docs          the whole table, and docs/benchmarks.md rewritten with it
    make bench ARGS="--json FILE"         everything as JSON too
    make bench ARGS="--only plain-32 --runs 1 --seconds 5 --under 'perf record -g -o FILE'"
                                          one row, once, the gateway under a profiler of yours
    make bench ARGS="--against 'COMMAND'" any other gateway: {port} is where it must listen on loopback, {upstream} the
                                          stub's base URL (http://127.0.0.1:PORT, any path is answered)

The measured server runs on one core; the stub provider and the load generator on another. CPU microseconds per request
(or per streamed chunk) of the server's whole process tree is the figure to compare: a busy machine changes throughput
and latency, and hardly this. Runs of the gateway and of nginx take turns, and each figure is the median of its runs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bench.figures import (
    LOADS,
    Figures,
    Load,
    Row,
    cells,
    markdown_table,
    median_figures,
    plain_table,
    replace_between_markers,
)
from bench.processes import BenchError, Process, Stub, compiled, cores, resident_mb, run_load
from bench.subjects import MODEL, SETUP, Command, Door, JoyToken, Nginx, Subject
from bench.workers import Scaling, measure_workers, sentences, table

WORKERS = "workers"  # a section of its own, by this name on the command line
DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
NGINX_ADVICE = (
    "nginx is not installed, so there is nothing to compare with: apt install nginx-light (or: brew install nginx)"
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often: seconds before the measured window, seconds of it, and runs of each load."""

    warm_s: float = 1
    window_s: float = 3
    runs: int = 3


FULL, QUICK = Pace(), Pace(warm_s=0.3, window_s=1.5, runs=1)


@dataclass(slots=True)
class Report:
    """All that one run of the benchmark found out."""

    title: str
    pace: Pace
    rows: list[Row] = field(default_factory=list)
    startup_s: list[float] = field(default_factory=list)
    rss_idle_mb: list[float] = field(default_factory=list)
    rss_after_mb: list[float] = field(default_factory=list)
    books: list[str] = field(default_factory=list)
    provider_calls: int = 0
    answers: int = 0
    notes: list[str] = field(default_factory=list)
    workers: Scaling | None = None

    def remark(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


MakeSubject = Callable[[Path, int, int], Subject]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure_once(
    subject: Subject, process: Process, stub: Stub, load: Load, pace: Pace, report: Report
) -> dict[str, float]:
    door = subject.door()
    sample, complaint = run_load(
        cores()[1],
        subject.port,
        connections=load.connections,
        stream=load.stream,
        seconds=pace.window_s,
        warm=pace.warm_s,
        path=door.path,
        model=door.model,
        key=door.key,
        needle=door.needle,
        measured=process.pids,
        helpers=stub.pids,
    )
    process.check_alive()
    if complaint:
        report.remark(f"{subject.name}, {load.title}: {complaint}")
    if sample["errors"] >= sample["completed"]:  # also where nothing was answered: no figure could be made of it
        raise BenchError(f"{subject.name} gave no good answer under {load.title}:\n{complaint}\n{process.said()}")
    return sample


def measure_group(make: MakeSubject, loads: Sequence[Load], pace: Pace, report: Report, folder: Path) -> None:
    """Measure the loads that share one stub: one start of the gateway and of nginx, whose runs take turns."""
    subject_core, harness_core = cores()
    with ExitStack() as stack:
        stub = stack.enter_context(Stub(harness_core, folder / "stub.log", gap_ms=loads[0].gap_ms))
        subjects: list[Subject] = []
        if Nginx.program():
            subjects.append(Nginx(folder, stub.port, subject_core, stream=loads[0].stream))
        gateway = make(folder, stub.port, subject_core)
        subjects.append(gateway)
        processes = [stack.enter_context(subject.start()) for subject in subjects]
        answers = dict.fromkeys((subject.name for subject in subjects), 0)
        report.startup_s.append(gateway.startup_s)
        say(f"  {gateway.name}: process {processes[-1].child.pid}, port {gateway.port}, key {gateway.door().key}")
        report.rss_idle_mb.append(resident_mb(processes[-1].pids))
        for load in loads:
            samples: list[list[dict[str, float]]] = [[] for _ in subjects]
            for _, (place, subject) in itertools.product(range(pace.runs), enumerate(subjects)):
                samples[place].append(measure_once(subject, processes[place], stub, load, pace, report))
                answers[subject.name] += int(samples[place][-1]["completed"])
            figures = [median_figures(runs, stream=load.stream) for runs in samples]
            report.rows.append(Row(load, figures[-1], figures[0] if len(figures) > 1 else None))
            say("  " + "  ".join(cells(report.rows[-1])[:4]))
        report.rss_after_mb.append(resident_mb(processes[-1].pids))
        processes[-1].stop()
    served = stub.served()
    report.provider_calls += served["plain"] + served["streams"] + served["cut_short"]
    report.answers += sum(answers.values())
    failed = any(row.gateway.errors for row in report.rows)  # a refusal need not leave a usage record
    books = gateway.verify(None if failed else answers[gateway.name])
    if books:
        report.books.append(books)


def measure(title: str, make: MakeSubject, pace: Pace, loads: Sequence[Load] = LOADS) -> Report:
    """Measure the loads. Those that need the same stub are neighbours in `LOADS` and share a start."""
    report = Report(title, pace)
    if not Nginx.program():
        report.remark(NGINX_ADVICE)
        say(NGINX_ADVICE)
    if len(set(cores())) == 1:
        report.remark("one core only: the gateway, the stub and the load shared it")
    for (name, gap_ms), group in itertools.groupby(loads, key=lambda load: (load.name, load.gap_ms)):
        with tempfile.TemporaryDirectory(prefix="joytoken-bench-") as folder:
            say(f"{name}, with {gap_ms} ms between chunks" if gap_ms else name)
            measure_group(make, list(group), pace, report, Path(folder))
    if any(_limited(row.gateway) for row in report.rows):
        report.remark("in at least one row the stub and the load were busy all the time: its rate is theirs")
    return report


def _limited(figures: Figures) -> bool:
    return figures.limited_by_harness


def processor() -> str:
    """Give the processor's name and the number of cores this may use."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def versions(title: str) -> str:
    nginx = f"nginx {Nginx.version().split()[-1]}" if Nginx.program() else "no nginx"
    return ", ".join((title, f"Python {platform.python_version()}", nginx, f"Linux {platform.release().split('-')[0]}"))


def summary(report: Report) -> list[str]:
    """Say in a few lines what the table does not."""
    startup_s, idle_mb = statistics.median(report.startup_s), statistics.median(report.rss_idle_mb)
    after_mb, errors = max(report.rss_after_mb), sum(row.gateway.errors for row in report.rows)
    calls = (
        f"Errors: {errors}. Answers to the callers, nginx's included: {report.answers:,}; "
        f"calls that reached the provider: {report.provider_calls:,}."
    )
    lines = [
        f"Listening {startup_s:.2f} s after the start.",
        f"Resident memory: {idle_mb:.0f} MB idle, at most {after_mb:.0f} MB after the load.",
        calls,
    ]
    if report.books:
        lines.append(f"After each of {len(report.books)} starts and stops: {'; '.join(sorted(set(report.books)))}.")
    return lines + report.notes


def docs_block(report: Report, arguments: Sequence[str]) -> str:
    """Compose what stands between the markers of docs/benchmarks.md."""
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    pace = report.pace
    commands = [f"make bench ARGS='{' '.join(arguments)}'"]
    commands += ["# which sets the gateway up, in an empty data folder, by", "export JOY_TOKEN_DATA_DIR=DIR"]
    commands += [f"joytoken {line.format(upstream_port='PORT')}" for line in SETUP.values()]
    commands += [f"taskset -c {cores()[0]} joytoken serve --port PORT"]
    runs = f"{pace.runs} runs" if pace.runs != 1 else "one run"
    return "\n".join(
        (
            f"Measured on {today}: {processor()}; {versions(report.title)}.",
            f"Each figure is the median of {runs} of {pace.window_s:g} s after {pace.warm_s:g} s of warm-up.",
            "",
            markdown_table(report.rows),
            "",
            *(f"- {line}" for line in summary(report)),
            *(["", table(report.workers), ""] if report.workers else ()),
            *(f"- {line}" for line in (sentences(report.workers) if report.workers else ())),
            "",
            "```sh",
            *commands,
            "```",
        )
    )


def as_json(report: Report) -> str:
    rows = [{**asdict(row), "title": row.load.title, "times_proxy": row.times_proxy} for row in report.rows]
    date = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
    machine = {"date": date, "processor": processor(), "versions": versions(report.title)}
    return json.dumps({**machine, **asdict(report), "rows": rows}, indent=2) + "\n"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short run of each load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument(
        "--only", action="append", choices=[*(load.short for load in LOADS), WORKERS], help="measure only this row"
    )
    parser.add_argument("--seconds", type=float, help="length of a measured window")
    parser.add_argument("--runs", type=int, help="runs of each load")
    parser.add_argument(
        "--under", metavar="COMMAND", default="", help="start the gateway by this, as its last arguments"
    )
    parser.add_argument("--write-docs", action="store_true", help="rewrite the table in docs/benchmarks.md")
    parser.add_argument("--against", metavar="COMMAND", help="measure this gateway instead")
    parser.add_argument(
        "--path", default=Door().path, help="with --against: where it takes chat completions (%(default)s)"
    )
    parser.add_argument("--model", default=MODEL, help="with --against: the model to ask for (%(default)s)")
    parser.add_argument("--key", default="none", help="with --against: the bearer key")
    parser.add_argument("--needle", default='"usage"', help="with --against: what each answer must hold (%(default)s)")
    parser.add_argument(
        "--build", action="store_true", help="compile bench/.build/stub and bench/.build/load, and stop"
    )
    options = parser.parse_args(arguments)
    if options.write_docs and (options.against or options.only or options.under):
        parser.error("--write-docs is for all of the gateway's own figures: not with --against, --only or --under")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit code: 0, or 1 with a sentence on stderr when it could not be run."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    try:
        for name in ("stub", "load"):
            program = compiled(name)
            if options.build:
                say(str(program))
        if options.build:
            return 0
        pace = QUICK if options.quick else FULL
        pace = replace(pace, window_s=options.seconds or pace.window_s, runs=options.runs or pace.runs)
        loads = [load for load in LOADS if not options.only or load.short in options.only]
        if options.against:
            door = Door(options.path, options.model, options.key, options.needle)
            make: MakeSubject = functools.partial(Command, text=options.against, given_door=door)
            report = measure(options.against, make, pace, loads)
        else:
            report = measure(JoyToken.version(), functools.partial(JoyToken, under=options.under), pace, loads)
            if not options.only or WORKERS in options.only:
                say(WORKERS)
                report.workers = measure_workers(pace.warm_s, pace.window_s, pace.runs)
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    said = [plain_table(report.rows), *summary(report)] if report.rows else []
    print(*said, *([table(report.workers), *sentences(report.workers)] if report.workers else []), sep="\n")
    if options.json:
        options.json.write_text(as_json(report), encoding="utf-8")
    if options.write_docs:
        DOCS.write_text(
            replace_between_markers(DOCS.read_text(encoding="utf-8"), docs_block(report, arguments)), encoding="utf-8"
        )
        say(f"written: {DOCS.relative_to(Path.cwd()) if DOCS.is_relative_to(Path.cwd()) else DOCS}")
    return 0
