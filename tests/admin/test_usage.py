import pytest

from joytoken.admin.usage import UsageLatencyQuery, UsageSummaryQuery, summarise_latency, summarise_usage
from joytoken.domain.errors import InvalidRequest
from tests.admin.worlds import CREDIT, paid


@pytest.fixture
def used(desk):
    paid(desk, charged=CREDIT)
    paid(desk, charged=2 * CREDIT, project="red", tags='{"team":"x"}')
    paid(desk, charged=3 * CREDIT, ending="client_gone")
    return desk


@pytest.mark.parametrize(
    ("by", "rows"),
    (
        ([], [({}, 3, "6.000000")]),
        (["model"], [({"model": "echo/echo"}, 3, "6.000000")]),
        (["project"], [({"project": "blue"}, 2, "4.000000"), ({"project": "red"}, 1, "2.000000")]),
        (["tag:team"], [({"tag:team": ""}, 2, "4.000000"), ({"tag:team": "x"}, 1, "2.000000")]),
        (["day"], [({"day": "2026-11-22"}, 3, "6.000000")]),
        (["model,day"], [({"model": "echo/echo", "day": "2026-11-22"}, 3, "6.000000")]),
    ),
)
def test_sums(used, by, rows):
    report = summarise_usage(used, UsageSummaryQuery(by=by))
    assert [(row.group, row.requests, row.charged) for row in report.rows] == rows
    assert (report.total.requests, report.total.charged, report.total.charged_usd) == (3, "6.000000", "0.012000")
    assert (report.total.input_tokens, report.total.output_tokens) == (21, 15)


def test_a_key_is_shown_by_its_name(used):
    (row,) = summarise_usage(used, UsageSummaryQuery(by=["key"])).rows
    assert row.label == "first"


def test_days_are_those_of_the_zone(used):
    (row,) = summarise_usage(used, UsageSummaryQuery(by=["day"], zone="Pacific/Kiritimati")).rows
    assert row.group == {"day": "2026-11-23"}


def test_times_of_some_are_those_of_their_filter(used):
    paid(used, total_ms=40_000.0, project="slow")
    report = summarise_latency(used, UsageLatencyQuery(by=["model,day"], project="slow"))
    assert [(row.label, row.requests, row.errors) for row in report.rows] == [("echo/echo · 2026-11-22", 1, 0)]
    assert report.total.total.p50_ms == pytest.approx(40_000, rel=0.1)
    everything = summarise_latency(used, UsageLatencyQuery()).total
    assert (everything.requests, everything.errors, everything.group) == (4, 1, {})
    nothing = summarise_latency(used, UsageLatencyQuery(project="none"))
    assert (nothing.rows, nothing.total.requests, nothing.total.total.p50_ms) == ([], 0, None)


@pytest.mark.parametrize("by", (["nothing"], ["tag:"], ["model", "key", "day", "hour", "tier"]))
def test_a_wrong_grouping_is_refused(used, by):
    with pytest.raises(InvalidRequest) as caught:
        summarise_usage(used, UsageSummaryQuery(by=by))
    assert caught.value.param == "by"
    with pytest.raises(InvalidRequest) as caught:
        summarise_latency(used, UsageLatencyQuery(by=by))
    assert caught.value.param == "by"
