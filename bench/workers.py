"""What a second worker is worth, and how soon a killed one is replaced.

With three cores or more, the workers have two of them, and the stub and the load have the others. With two, all of them
share both. Then each worker is given 0.7 of a processor, where that can be done: the stub and the load have the rest,
and the workers' processors are free. Elsewhere, what the stub and the load take is counted, and the rates are also told
by the processors that they leave.

All gateways run at once and are measured in turns, so that they see the same machine; the others are idle meanwhile. In
each turn two gateways of one worker, which share nothing, are loaded at the same time: what they serve together is what
a second processor of this machine is worth. Two processors that are threads of one core, or that neighbours use, slow
each other down whatever runs on them, and the load and the stub take their part of both.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figures, Load, median_figures
from bench.processes import BenchError, Process, Stub, cores_of_many, run_load
from bench.shares import Shares, shares
from bench.subjects import JoyToken

LOAD = Load("plain", 64)
WORKERS = 2
SHARE = 0.7  # of a processor for each worker, where the stub and the load are on the same
TIMES_WANTED = 1.7
IDLE_MAX = 0.1  # of a processor that a gateway leaves, for which rates are taken as all that it can serve
KILLS = 3
WINDOW_SECONDS_MAX = 2.0
SPARE_SECONDS = 2.0  # in which a spare has its imports done
WAIT_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """One worker and two, measured in turns; and how long after a `kill -9` the replacement listened."""

    one: Figures
    two: Figures
    ratios: list[float]  # of the two in each turn: a machine whose speed moves is nearly the same for both
    apart: float  # requests a second that as many gateways of one worker served together, which share nothing
    replaced_ms: list[float]
    cores: int  # that the gateway could use
    shared: bool  # with the stub and the load
    share: float | None = None  # of a processor that each worker was given, for the others to have the rest

    @property
    def times(self) -> float:
        """How many times as much two workers served: the median of the turns."""
        return statistics.median(self.ratios)

    @property
    def free_times(self) -> float:
        """The same, of the processors that the stub and the load left: two of them beside one."""
        return WORKERS * self.times * self.left(self.one, 1) / self.left(self.two, WORKERS)

    @property
    def cpu_times(self) -> float:
        """The same by the CPU time of a request alone, as if neither worker ever waited for the other."""
        return WORKERS * self.one.cpu_us / self.two.cpu_us

    def left(self, figures: Figures, workers: int) -> float:
        """How many processors so many workers could use."""
        return min(workers, self.cores - figures.harness_share if self.shared else self.cores)


def table(scaling: Scaling) -> str:
    """Lay both out as a table in Markdown."""
    lines = [
        f"| {LOAD.title} | rate | CPU | processors used | by stub and load | p50 | p99 | errors |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, figures in (("1 worker", scaling.one), (f"{WORKERS} workers", scaling.two)):
        lines.append(
            f"| {name} | {figures.rate_s:,.0f}/s | {figures.cpu_us:.1f} µs/request | {figures.cpu_share:.2f}"
            f" | {figures.harness_share:.2f} | {figures.p50_ms:.2f} ms | {figures.p99_ms:.2f} ms | {figures.errors} |"
        )
    return "\n".join(lines)


def sentences(scaling: Scaling) -> list[str]:
    """Say what it comes to."""
    good = not scaling.one.errors + scaling.two.errors

    def verdict(times: float) -> str:
        return f"(≥ {TIMES_WANTED:g}×: {'met' if times >= TIMES_WANTED and good else 'missed'})"

    said = [f"{WORKERS} workers served {scaling.times:.2f}× as much as one {verdict(scaling.times)}."]
    if scaling.share is not None:
        rest, took = scaling.cores - WORKERS * scaling.share, scaling.two.harness_share
        said.append(
            f"Each worker was given {scaling.share:g} of a processor. The stub and the load ran on the same"
            f" {_cores(scaling.cores)}, had the other {rest:g} and took {took:.2f}: the workers' processors were"
            f" {'free' if took < rest else 'not free'}."
        )
    elif scaling.shared:
        left_one, left_two = scaling.left(scaling.one, 1), scaling.left(scaling.two, WORKERS)
        said.append(
            f"The stub and the load ran on the same {_cores(scaling.cores)}, and left {left_one:.2f} processors to one"
            f" worker and {left_two:.2f} to {WORKERS}: for as many processors as workers, that is"
            f" {scaling.free_times:.2f}× {verdict(scaling.free_times)}."
        )
        lacking = max(left_one - scaling.one.cpu_share, left_two - scaling.two.cpu_share)
        if lacking > IDLE_MAX:
            said.append(
                f"Up to {lacking:.2f} of these the gateway did not get or use: other programs ran, or it waited."
            )
    else:
        said.append(f"They had {_cores(scaling.cores)}; the stub and the load had others.")
    said.append(f"By the CPU time of a request alone it is {scaling.cpu_times:.2f}×.")
    said.append(
        f"{WORKERS} gateways of one worker with a database each, loaded at once by half as many connections, served"
        f" {scaling.apart / scaling.one.rate_s:.2f}× as much as one: of what this machine gives to processes that share"
        f" nothing, {WORKERS} workers on one database reached {scaling.two.rate_s / scaling.apart:.0%}."
    )
    middle, most = statistics.median(scaling.replaced_ms), max(scaling.replaced_ms)
    said.append(
        f"After a `kill -9` of a worker, its replacement listened within {middle:.0f} ms (at most {most:.0f} ms)."
    )
    return said


def _cores(count: int) -> str:
    return f"{count} cores" if count > 1 else "core"


def measure_workers(warm_s: float, window_s: float, runs: int) -> Scaling:
    """Measure; each start ends with the proof of its books and a count of its usage records. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="joytoken-bench-") as folder, ExitStack() as stack:
        own, others = cores_of_many(WORKERS)
        stub = stack.enter_context(Stub(others, Path(folder) / "stub.log"))
        subjects = []
        for number, workers in enumerate((1, WORKERS, *[1] * WORKERS)):
            place = Path(folder) / str(number)
            place.mkdir()
            subjects.append(JoyToken(place, stub.port, own, workers=workers))
        part = stack.enter_context(shares(SHARE)) if own == others and len(own.split(",")) >= WORKERS else None
        processes = [stack.enter_context(subject.start()) for subject in subjects]
        for subject, process in zip(subjects, processes, strict=True):
            _wait(process, lambda process=process: b"JoyToken listens on" in process.log.read_bytes())
            if part is not None:
                _limit(part, subject, process)
        window_s = min(window_s, WINDOW_SECONDS_MAX)
        samples: list[list[dict[str, float]]] = [[] for _ in subjects]

        def run(at: int, connections: int) -> None:
            samples[at].append(_run(subjects[at], processes[at], stub, connections, warm_s, window_s))

        with ThreadPoolExecutor(WORKERS) as threads:
            for turn in range(runs):
                for at in (0, 1) if turn % 2 else (1, 0):
                    run(at, LOAD.connections)
                for waiting in [threads.submit(run, 2 + n, LOAD.connections // WORKERS) for n in range(WORKERS)]:
                    waiting.result()
        replaced_ms = [_replaced_ms(processes[1]) for _ in range(KILLS)]
        for process in processes:
            process.stop()
        figures = [median_figures(found, stream=False) for found in samples]
        for subject, found, made in zip(subjects, samples, figures, strict=True):
            subject.verify(None if made.errors else int(sum(sample["completed"] for sample in found)))
    apart = sum(made.rate_s for made in figures[2:])
    share = part.share if part is not None else None
    ratios = [two["rps"] / one["rps"] for one, two in zip(samples[0], samples[1], strict=True)]
    return Scaling(figures[0], figures[1], ratios, apart, replaced_ms, len(own.split(",")), own == others, share)


def _limit(part: Shares, subject: JoyToken, process: Process) -> None:
    """Give each worker its part of a processor."""
    pids = [process.child.pid] if subject.workers == 1 else [int(pid) for _, pid in _listened(process)]
    if len(pids) != subject.workers:
        raise BenchError(f"{subject.workers} workers were started, and {len(pids)} listen:\n{process.said()}")
    for pid in pids:
        part.give(pid)


def _run(
    subject: JoyToken, process: Process, stub: Stub, connections: int, warm_s: float, window_s: float
) -> dict[str, float]:
    door = subject.door()
    sample, complaint = run_load(
        cores_of_many(WORKERS)[1],
        subject.port,
        connections=connections,
        seconds=window_s,
        warm=warm_s,
        path=door.path,
        model=door.model,
        key=door.key,
        needle=door.needle,
        measured=process.pids,
        helpers=stub.pids,
    )
    process.check_alive()
    if sample["errors"] >= sample["completed"]:
        raise BenchError(f"{subject.workers} workers gave no good answer:\n{complaint}\n{process.said()}")
    return sample


def _replaced_ms(process: Process) -> float:
    """Kill a worker, and time until another listens in its place."""
    before = _listened(process)
    number, pid = before[-1]
    time.sleep(SPARE_SECONDS)
    began = time.monotonic()
    os.kill(int(pid), signal.SIGKILL)
    _wait(process, lambda: [one for one, _ in _listened(process)[len(before) :] if one == number])
    return (time.monotonic() - began) * 1000


def _listened(process: Process) -> list[tuple[str, str]]:
    """The workers that listen or did, each with its process."""
    return re.findall(r"worker (\d+) \(process (\d+)\) listens", process.log.read_text(errors="replace"))


def _wait(process: Process, done: Callable[[], object]) -> None:
    until = time.monotonic() + WAIT_SECONDS_MAX
    while not done():
        process.check_alive()
        if time.monotonic() > until:
            raise BenchError(f"waited {WAIT_SECONDS_MAX:g} s in vain:\n{process.said()}")
        time.sleep(0.002)
