"""Records are found, followed and carried out: each once, none left out."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from joytoken.store import usage as usage_module
from joytoken.store.budgets import Budgets, Run
from joytoken.store.usage import UsageTable
from joytoken.store.usage_query import UsageQuery
from tests.store import making

NOON = making.NOON_US


@pytest.fixture
def usage(database):
    return UsageTable(database)


def newest_first(records):
    return sorted(records, key=lambda made: (made.started_us, made.request_id), reverse=True)


def test_one_record(database, usage):
    making.fill(database, [making.record(1), making.record(2)])
    assert usage.get(making.record(2).request_id) == making.record(2)
    assert usage.get("req-none") is None


FILTERS = [
    {"key_id": "k2"},
    {"model": "other"},
    {"provider": "openai"},
    {"tier": "premium"},
    {"project": ""},
    {"application": "desk"},
    {"environment": "test"},
    {"task": "think"},
    {"end_user": "u-8"},
    {"ending": "provider_cut"},
    {"correlation_id": "theirs"},
    {"run_id": "run-9"},
]


@pytest.mark.parametrize("wanted", FILTERS, ids=lambda wanted: next(iter(wanted)))
def test_each_filter_finds_its_own(database, usage, wanted):
    making.fill(database, [making.record(1), making.record(2, **wanted), making.record(3)])
    assert [made.request_id for made in usage.list(UsageQuery(**wanted))] == [making.record(2).request_id]


def test_every_filter_is_tested():
    fields = set(UsageQuery.__struct_fields__) - {"since_us", "until_us", "workflow"}
    assert {next(iter(wanted)) for wanted in FILTERS} == fields


@pytest.fixture
def workflows(database):
    """Runs of two owners: those of one name are of different workflows."""
    budgets = Budgets(database)
    for owner, run_id, workflow in (("o", "r1", "nightly"), ("o", "r2", ""), ("other", "r1", "hourly")):
        budgets.place(Run(owner, run_id, workflow=workflow))
    runs = [("o", "r1"), ("o", "r2"), ("other", "r1"), ("o", "unplaced"), ("o", "")]
    making.fill(database, [making.record(n, owner_id=owner, run_id=run) for n, (owner, run) in enumerate(runs)])


@pytest.mark.parametrize(("workflow", "numbers"), [("nightly", {0}), ("hourly", {2}), ("none", set()), ("", {1, 3, 4})])
def test_the_workflow_of_a_record_is_that_of_its_owners_run(workflows, usage, workflow, numbers):
    query = UsageQuery(workflow=workflow)
    wanted = {making.record(n).request_id for n in numbers}
    assert (
        {made.request_id for made in usage.list(query)} == {made.request_id for made in usage.export(query)} == wanted
    )
    assert sum(row.requests for row in usage.summary(query)) == len(numbers)
    assert sum(row.requests for row in usage.latency(query)) == len(numbers)


def test_usage_by_workflow(workflows, usage):
    usage.roll()  # the sums know no workflows
    found = {row.keys: row.requests for row in usage.summary(UsageQuery(), ["workflow", "day"])}
    assert found == {("nightly", "2026-11-22"): 1, ("hourly", "2026-11-22"): 1, ("", "2026-11-22"): 3}
    found = {row.keys: row.requests for row in usage.summary(UsageQuery(workflow="nightly"), ["run", "workflow"])}
    assert found == {("r1", "nightly"): 1}


def test_the_requests_of_runs(workflows, database, usage):
    """Oldest first, of one owner, and no more than were asked for."""
    making.fill(database, [making.record(9, owner_id="o", run_id="r1", started_us=NOON - 1)])
    named = {making.record(n).request_id: n for n in range(10)}
    found = [named[made.request_id] for made in usage.of_runs(["r1", "r2"], owner="o", limit=9)]
    assert found == [9, 0, 1]
    assert len(usage.of_runs(["r1", "r2"], owner="o", limit=2)) == 2
    assert usage.of_runs(["", "r3"], owner="o", limit=9) == []


def test_runs_are_summed_as_many_as_asked_for(database, usage):
    making.fill(database, [making.record(n, run_id=f"r{n}", parent_run_id="top") for n in range(4)])
    assert len(usage.runs(["top"], below=True)) == 4
    assert len(usage.runs(["top"], below=True, limit=3)) == 3


def test_an_empty_correlation_id_is_a_value_too(database, usage):
    making.fill(database, [making.record(1), making.record(2, correlation_id="")])
    assert [made.correlation_id for made in usage.list(UsageQuery(correlation_id=""))] == [""]


def test_a_range_has_its_first_moment_and_not_its_last(database, usage):
    making.fill(database, [making.record(n) for n in range(5)])
    found = usage.list(UsageQuery(since_us=NOON + 1, until_us=NOON + 3))
    assert [made.started_us - NOON for made in found] == [2, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(starts=st.lists(st.integers(0, 4), max_size=30), limit=st.integers(1, 7), upto=st.integers(0, 5))
def test_pages_are_complete_and_do_not_overlap(database, starts, limit, upto):
    making.wipe(database)
    usage = UsageTable(database)
    records = [making.record(number, started_us=NOON + start) for number, start in enumerate(starts)]
    making.fill(database, records)
    query = UsageQuery(until_us=NOON + upto)
    seen, before, arrivals = [], None, 1000
    while page := usage.list(query, limit=limit, before=before):
        assert len(page) <= limit
        seen += page
        before = (page[-1].started_us, page[-1].request_id)
        # What arrives meanwhile, later than all of these, moves no page.
        making.fill(database, [making.record(arrivals, started_us=NOON + 100)])
        arrivals += 1
    assert seen == newest_first(made for made in records if made.started_us < NOON + upto)


def test_following_sees_each_arrival_once_and_in_order(database, usage):
    assert usage.last_seq() == 0
    making.fill(database, [making.record(n) for n in range(3)])
    cursor, seen = 0, []
    for wave in range(3):
        while rows := usage.since(cursor, limit=2):
            seen += [made.request_id for _, made in rows]
            cursor = rows[-1][0]
        assert cursor == usage.last_seq()
        # Older by their start than what was seen: order is that of arrival.
        making.fill(database, [making.record(10 - wave, started_us=NOON - wave)])
    assert seen == [making.record(n).request_id for n in (0, 1, 2, 10, 9)]
    assert usage.since(0, limit=50, query=UsageQuery(model="none")) == []


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_an_export_is_everything_that_was_there(database, usage, monkeypatch, page):
    monkeypatch.setattr(usage_module, "EXPORT_PAGE", page)
    records = [making.record(n, started_us=NOON + n % 3) for n in range(12)]
    making.fill(database, records)
    exported = []
    for made in usage.export():
        exported.append(made)
        if len(exported) == 2:
            making.fill(database, [making.record(50, started_us=NOON + 2)])
    assert exported == newest_first(records)[::-1]
    assert [made.started_us for made in usage.export(UsageQuery(since_us=NOON + 2))] == [NOON + 2] * 5


def test_readers_beside_a_writer(database, usage):
    """Eight threads read while records arrive: every view is whole batches, never a part of one."""

    def read(_):
        return [sum(row.requests for row in usage.summary(UsageQuery())) for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        reading = pool.map(read, range(8))
        for batch in range(10):
            making.fill(database, [making.record(batch * 10 + n) for n in range(10)])
        counts = list(reading)
    assert all(count % 10 == 0 and seen == sorted(seen) for seen in counts for count in seen)
    assert len(list(usage.export())) == 100
