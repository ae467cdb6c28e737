"""The arithmetic and the layout of the benchmark's report, on made-up numbers."""

import pytest

from bench import figures
from bench.figures import BEGIN, END, LOADS, Figures, Load, Row, Target

PLAIN = Load("plain", 32, target=Target(cpu_us=150, times_proxy=7))
PACED = Load("paced", 64, stream=True, gap_ms=10, target=Target(cpu_us=45))


def sample(**changed: float) -> dict[str, float]:
    told = {"cpu_us": 100.0, "cpu_us_chunk": 10.0, "rps": 1000.0, "chunks_s": 5000.0, "p50_ms": 1.0, "p99_ms": 9.0}
    told |= {"ttfb_p50_ms": 0.5, "errors": 0, "rss_mb": 80.0, "cpu_share": 0.9}
    return told | {"helpers_share": 0.3, "load_share": 0.2} | changed


def figures_of(cpu_us: float) -> Figures:
    return figures.median_figures([sample(cpu_us=cpu_us, cpu_us_chunk=cpu_us)], stream=False)


def test_a_figure_is_the_median_of_its_runs_and_errors_are_added_up():
    runs = [sample(cpu_us=120, rps=900, errors=1), sample(cpu_us=90, rps=700), sample(cpu_us=500, rps=800, errors=2)]
    joined = figures.median_figures(runs, stream=False)
    assert (joined.cpu_us, joined.cpu_us_min, joined.cpu_us_max) == (120, 90, 500)
    assert (joined.rate_s, joined.errors) == (800, 3)


def test_a_stream_is_counted_in_chunks():
    joined = figures.median_figures([sample(cpu_us_chunk=7.5, chunks_s=4321)], stream=True)
    assert (joined.cpu_us, joined.rate_s) == (7.5, 4321)


def test_no_runs_have_no_median():
    with pytest.raises(ValueError, match="no runs"):
        figures.median_figures([], stream=False)


@pytest.mark.parametrize(("helpers", "load", "limited"), [(0.3, 0.3, False), (0.5, 0.48, True), (0.95, 0.0, False)])
def test_a_busy_harness_is_known(helpers, load, limited):
    runs = [sample(), sample(helpers_share=helpers, load_share=load)]
    assert figures.median_figures(runs, stream=False).limited_by_harness is limited


@pytest.mark.parametrize(
    ("load", "gateway_us", "proxy_us", "said"),
    [
        (PLAIN, 150, 25, "≤ 150 µs, ≤ 7×: met"),
        (PLAIN, 140, 20.0, "≤ 150 µs, ≤ 7×: met"),
        (PLAIN, 151, 40, "≤ 150 µs, ≤ 7×: missed"),
        (PLAIN, 140, 19, "≤ 150 µs, ≤ 7×: missed"),
        (PLAIN, 140, None, "≤ 150 µs, ≤ 7×: met"),
        (PACED, 45, 1, "≤ 45 µs: met"),
        (PACED, 45.1, 40, "≤ 45 µs: missed"),
        (Load("plain", 1), 1e6, 1, ""),
    ],
)
def test_a_target_is_met_or_missed(load, gateway_us, proxy_us, said):
    row = Row(load, figures_of(gateway_us), figures_of(proxy_us) if proxy_us else None)
    assert figures.verdict(row) == said


def test_a_row_with_errors_misses_its_target():
    cheap = figures.median_figures([sample(cpu_us=1, errors=1)], stream=False)
    assert figures.verdict(Row(PLAIN, cheap, None)).endswith("missed")


def test_a_row_tells_cost_ratio_and_all_errors():
    gateway = figures.median_figures([sample(cpu_us=123.44, rps=7654.3, errors=2)], stream=False)
    proxy = figures.median_figures([sample(cpu_us=20.0, p50_ms=0.25, errors=1)], stream=False)
    told = dict(zip(figures.HEADINGS, figures.cells(Row(PLAIN, gateway, proxy)), strict=True))
    assert told == {
        "load": "plain, 32 connections",
        "CPU": "123.4 µs/request",
        "nginx": "20.0 µs",
        "ratio": "6.2×",
        "target": "≤ 150 µs, ≤ 7×: missed",
        "rate": "7,654/s",
        "p50": "1.00 ms",
        "p99": "9.00 ms",
        "nginx p50": "0.25 ms",
        "nginx p99": "9.00 ms",
        "errors": "3",
    }


def test_without_a_proxy_its_cells_hold_a_dash():
    row = Row(PACED, figures_of(40), None)
    told = dict(zip(figures.HEADINGS, figures.cells(row), strict=True))
    assert [told[name] for name in ("nginx", "ratio", "nginx p50", "nginx p99")] == ["–"] * 4
    assert told["load"] == "paced streams, 64 callers, a chunk each 10 ms"


def test_every_line_of_a_table_has_every_column():
    rows = [Row(load, figures_of(100), figures_of(20)) for load in LOADS]
    markdown = figures.markdown_table(rows).splitlines()
    assert len(markdown) == len(LOADS) + 2
    assert {line.count("|") for line in markdown} == {len(figures.HEADINGS) + 1}
    assert len({len(line) for line in figures.plain_table(rows).splitlines()}) == 1


def test_the_block_between_the_markers_is_replaced_and_nothing_else():
    text = f"before\n{BEGIN}\nold\nlines\n{END}\nafter\n"
    once = figures.replace_between_markers(text, "new\n")
    assert once == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert figures.replace_between_markers(once, "new") == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{END}"])
def test_a_document_without_its_markers_is_refused(text):
    with pytest.raises(ValueError, match="needs"):
        figures.replace_between_markers(text, "new")
