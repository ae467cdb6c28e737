"""What is made of the numbers: medians, ratios, targets and the table. Pure functions over plain values."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Sample: TypeAlias = Mapping[str, float]  # one run of the load generator: the fields of its JSON line

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"


@dataclass(frozen=True, slots=True)
class Target:
    """What a row ought to cost: CPU microseconds per unit, and how many times the bare proxy's cost (None: no say)."""

    cpu_us: float
    times_proxy: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """One row of the table: how the callers behave. `gap_ms` is the stub's pause between two chunks of a stream."""

    name: str
    connections: int
    stream: bool = False
    gap_ms: int = 0
    target: Target | None = None

    @property
    def short(self) -> str:
        """The name on the command line: `plain-32`, `paced`."""
        return self.name if self.stream else f"{self.name}-{self.connections}"

    @property
    def title(self) -> str:
        if not self.stream:
            return f"plain, {self.connections} connection{'s' if self.connections != 1 else ''}"
        pace = f"a chunk each {self.gap_ms} ms" if self.gap_ms else "chunks back to back"
        return f"{self.name} streams, {self.connections} callers, {pace}"

    @property
    def unit(self) -> str:
        return "chunk" if self.stream else "request"


LOADS: tuple[Load, ...] = (
    Load("plain", 1),
    Load("plain", 32, target=Target(cpu_us=150, times_proxy=7)),
    Load("plain", 256),
    Load("paced", 64, stream=True, gap_ms=10, target=Target(cpu_us=45)),
    Load("burst", 64, stream=True, target=Target(cpu_us=8)),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """The median of several runs of one load. CPU is in microseconds per unit, of the whole process tree."""

    cpu_us: float
    cpu_us_min: float
    cpu_us_max: float
    rate_s: float
    p50_ms: float
    p99_ms: float
    ttfb_p50_ms: float
    errors: int
    rss_mb: float
    cpu_share: float
    harness_share: float  # processors that the stub and the load took
    harness_share_max: float

    @property
    def limited_by_harness(self) -> bool:
        """True where the stub and the load had no time left: throughput is then theirs, CPU per unit still holds."""
        return self.harness_share_max > 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """One load, measured on the gateway and, in turn with it, on the bare proxy (None where there is no nginx)."""

    load: Load
    gateway: Figures
    proxy: Figures | None

    @property
    def times_proxy(self) -> float | None:
        return self.gateway.cpu_us / self.proxy.cpu_us if self.proxy and self.proxy.cpu_us else None


def median_figures(samples: Sequence[Sample], *, stream: bool) -> Figures:
    """Join the runs of one load: the median of each field, the sum of the errors, the range of the CPU cost.

    Raises `ValueError` when there are no runs.
    """
    if not samples:
        raise ValueError("no runs to take a median of")
    cost, rate = ("cpu_us_chunk", "chunks_s") if stream else ("cpu_us", "rps")

    def middle(field: str) -> float:
        return statistics.median(sample[field] for sample in samples)

    return Figures(
        cpu_us=middle(cost),
        cpu_us_min=min(sample[cost] for sample in samples),
        cpu_us_max=max(sample[cost] for sample in samples),
        rate_s=middle(rate),
        p50_ms=middle("p50_ms"),
        p99_ms=middle("p99_ms"),
        ttfb_p50_ms=middle("ttfb_p50_ms"),
        errors=int(sum(sample["errors"] for sample in samples)),
        rss_mb=middle("rss_mb"),
        cpu_share=middle("cpu_share"),
        harness_share=middle("helpers_share") + middle("load_share"),
        harness_share_max=max(sample["helpers_share"] + sample["load_share"] for sample in samples),
    )


def verdict(row: Row) -> str:
    """Say what a row was meant to cost, and whether it did; empty where nothing was promised.

    A row with errors misses its target whatever it cost: a refusal is cheap.
    """
    target = row.load.target
    if target is None:
        return ""
    wanted, met = f"≤ {target.cpu_us:g} µs", row.gateway.cpu_us <= target.cpu_us and not row.gateway.errors
    if target.times_proxy is not None:
        wanted += f", ≤ {target.times_proxy:g}×"
        times = row.times_proxy
        met = met and (times is None or times <= target.times_proxy)
    return f"{wanted}: {'met' if met else 'missed'}"


HEADINGS = ("load", "CPU", "nginx", "ratio", "target", "rate", "p50", "p99", "nginx p50", "nginx p99", "errors")


def cells(row: Row) -> tuple[str, ...]:
    """Give one row's text, column by column as `HEADINGS` names them."""
    gateway, proxy, times = row.gateway, row.proxy, row.times_proxy
    return (
        row.load.title,
        f"{gateway.cpu_us:.1f} µs/{row.load.unit}",
        f"{proxy.cpu_us:.1f} µs" if proxy else "–",
        f"{times:.1f}×" if times is not None else "–",
        verdict(row),
        f"{gateway.rate_s:,.0f}/s",
        f"{gateway.p50_ms:.2f} ms",
        f"{gateway.p99_ms:.2f} ms",
        f"{proxy.p50_ms:.2f} ms" if proxy else "–",
        f"{proxy.p99_ms:.2f} ms" if proxy else "–",
        str(gateway.errors + (proxy.errors if proxy else 0)),
    )


def plain_table(rows: Sequence[Row]) -> str:
    """Lay the rows out for a terminal: columns padded, the first to the left and the others to the right."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown_table(rows: Sequence[Row]) -> str:
    """Lay the rows out as a table in Markdown."""
    lines = [HEADINGS, ("---", *("---:",) * (len(HEADINGS) - 1)), *map(cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def replace_between_markers(text: str, block: str) -> str:
    """Put a block between the two marker lines of a document, in place of what stood there.

    Raises `ValueError` unless each marker stands in the document once, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the document needs {BEGIN} and, after it, {END}, once each")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{after}"
