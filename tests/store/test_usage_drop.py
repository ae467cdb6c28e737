"""A month goes whole, and the books are proved without it; what belongs to others stays."""

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.ids import request_id
from joytoken.domain.ledger import Want
from joytoken.store.copy import copy
from joytoken.store.engine import Database
from joytoken.store.ledger import Batch, Ledger
from joytoken.store.open import Store
from joytoken.store.usage_drop import NotSettled, WrongBooks, drop_month
from joytoken.store.usage_months import MonthRow, drop_table, month_of, months, span_of
from joytoken.store.usage_query import UsageQuery
from tests.store.making import NOON_US, record

W = "wallet:owner:standard"
DAY_US = 86_400_000_000
START_US = NOON_US - 22 * DAY_US  # the last day of October
LATER_US = NOON_US + 60 * DAY_US
ALL = UsageQuery()


def silent(*_):
    pass


def flush(ledger, seq, starts):
    """One batch with a record for each of these moments."""
    rows = []
    for number, start in enumerate(starts, seq - len(starts) + 1):
        made = record(number, started_us=start, charged=10, shortfall=number % 2)
        rows.append((number, (W,), 10, made))
    ledger.flush("h:0", 1, Batch(seq, rows, {}, 1))


@pytest.fixture
def filled(database):
    """Batches of October, of November, and of both; and one that comes late."""
    ledger = Ledger(database)
    ledger.top_up(W, 100_000, "r", "k1", "root", 1)
    ledger.register("h:0", "h", 1)
    ledger.grant("h:0", 1, [(Want(W), 50_000, 50_000)], 1)
    flush(ledger, 3, [START_US, START_US + 1, START_US + 2])
    ledger.top_up(W, 1, "r", "k2", "root", 1)
    flush(ledger, 5, [START_US + 3, START_US + 4])
    flush(ledger, 9, [START_US + DAY_US, START_US + 5, START_US + 2 * DAY_US, START_US + 6])
    flush(ledger, 11, [NOON_US, NOON_US + 1])
    flush(ledger, 12, [START_US + 7])
    return database


def held(database):
    report = Ledger(database).verify()
    assert report.first_bad is None
    return report.records


@pytest.mark.parametrize(
    ("time_us", "month"),
    [(0, "1970-01"), (NOON_US, "2026-11"), (span_of("2026-12")[0], "2026-12"), (span_of("2026-12")[0] - 1, "2026-11")],
)
def test_months_are_those_of_utc(time_us, month):
    assert month_of(time_us) == month
    low, high = span_of(month)
    assert low <= time_us < high
    assert (month_of(low), month_of(high - 1)) == (month, month)
    assert month_of(high) != month


@pytest.mark.parametrize("text", ["2026", "2026-1", "2026-13", "x", "2026-11-01", ""])
def test_what_is_no_month(text):
    with pytest.raises(ValueError):
        span_of(text)


def test_records_keep_the_order_of_their_arrival_whatever_their_month(filled):
    starts = [made.started_us - START_US for _, made in Store(filled).usage.since(0, 100)]
    day = DAY_US
    assert starts == [0, 1, 2, 3, 4, day, 5, 2 * day, 6, NOON_US - START_US, NOON_US - START_US + 1, 7]
    assert held(filled) == 12


def test_a_month_goes_and_the_rest_stays(filled):
    store = Store(filled)
    before = store.usage.summary(ALL, ["key", "day"], "Europe/Berlin"), store.usage.last_seq()
    done = drop_month(filled, "2026-10", "root", LATER_US, silent)
    assert (done.month, done.records, done.last_seq) == ("2026-10", 8, 12)
    assert (done.first_us, done.last_us) == (START_US, START_US + 7)
    assert [(len(done.whole), [count for _, count, _ in done.parts])] == [(2, [2])]
    assert held(filled) == 4
    assert store.usage.get(record(1).request_id) is None
    assert store.usage.get(record(10).request_id) is not None
    assert store.usage.summary(ALL, ["key", "day"], "Europe/Berlin") == before[0]  # the sums outlive their records
    with filled.read() as conn:
        assert months(conn) == ["2026-11"]
    flush(Ledger(filled), 13, [NOON_US + 2])
    assert store.usage.last_seq() == before[1] + 1  # no number is given again
    assert held(filled) == 5


def test_all_months_may_go(filled):
    for month in ("2026-11", "2026-10"):
        drop_month(filled, month, "root", LATER_US, silent)
    assert held(filled) == 0
    flush(Ledger(filled), 13, [LATER_US])
    assert held(filled) == 1
    assert Store(filled).usage.last_seq() == 13


def balance(database):
    return next((row.balance, row.leased) for row in Ledger(database).accounts(W))


def test_what_comes_for_a_dropped_month_is_refused_by_an_incident(filled, url):
    """A worker that knew the month, and another process that dropped it: nothing is recorded or charged twice."""
    ledger, other = Ledger(filled), Database(url)
    flush(ledger, 13, [START_US + 8])
    drop_month(other, "2026-10", "root", LATER_US, silent)
    other.close()
    before = balance(filled)
    flush(ledger, 16, [START_US + 9, NOON_US + 2, START_US + 10])  # of the middle one, the month is there
    assert held(filled) == 5
    # The lease of those that were refused went back, uncharged.
    assert balance(filled) == (before[0] - 10, before[1] - 30)
    flush(Ledger(filled), 17, [START_US + 11])  # a process that never knew it
    assert held(filled) == 5
    assert balance(filled) == (before[0] - 10, before[1] - 40)
    with filled.read() as conn:
        assert months(conn) == ["2026-11"]
    told = Store(filled).incidents.list()
    assert [(row.kind, row.subject, row.closed_us) for row in told] == [("month_dropped", "h:0/1", None)] * 2
    lost = [one["request_id"] for row in told for one in msgspec.json.decode(row.detail)]
    assert lost == [record(number).request_id for number in (17, 14, 16)]
    ledger.finish("h:0", 1)
    assert balance(filled) == (before[0] - 10, 0)
    assert held(filled) == 5


def test_a_recovery_meets_a_dropped_month(filled):
    ledger = Ledger(filled)
    drop_month(filled, "2026-10", "root", LATER_US, silent)
    ledger.claim("h:0")
    before = balance(filled)
    rows = [(13, (W,), 10, record(1, started_us=START_US, charged=10, shortfall=1))]  # which was dropped
    ledger.flush("h:0", 1, Batch(13, rows, {}, 1), recovering=True)
    ledger.finish("h:0", 1)
    assert balance(filled) == (before[0], 0)
    assert held(filled) == 4
    assert [row.kind for row in Store(filled).incidents.list()] == ["month_dropped"]


def test_a_lost_workers_journal_comes_after_its_month_was_dropped(filled):
    ledger, incidents = Ledger(filled), Store(filled).incidents
    ledger.abandon("h:0", 1, ledger.workers()[0].deadline_us)
    with pytest.raises(NotSettled, match=r"h:0/1.*may still come back"):
        drop_month(filled, "2026-10", "root", LATER_US, silent)
    assert held(filled) == 12
    incidents.close(incidents.list()[0].id)  # its disk is gone, somebody thought
    drop_month(filled, "2026-10", "root", LATER_US, silent)
    before = balance(filled)
    late = Batch(13, [(13, (W,), 10, record(3, started_us=START_US + 2, charged=10, shortfall=1))], {}, 1)
    for _ in range(2):  # it is brought again where the answer was lost
        ledger.flush_late("h:0", 1, late)
    assert (held(filled), balance(filled)) == (4, before)
    assert [row.kind for row in incidents.list()] == ["month_dropped", "abandoned"]
    there = record(14, started_us=NOON_US + 4, charged=10, shortfall=0)
    ledger.flush_late("h:0", 1, Batch(14, [(14, (W,), 10, there)], {}, 1))
    assert held(filled) == 5


def test_a_month_is_kept_while_a_journal_is_out(filled):
    ledger = Ledger(filled)
    ledger.claim("h:0")
    with pytest.raises(NotSettled, match="worker h:0 of h has not brought"):
        drop_month(filled, "2026-10", "root", LATER_US, silent)
    ledger.finish("h:0", 1)
    ledger.register("h:1", "h", 1, lease_us=-1)  # silent for longer than its leases allow
    with pytest.raises(NotSettled, match="worker h:1"):
        drop_month(filled, "2026-10", "root", LATER_US, silent)
    ledger.register("h:2", "h", 1)  # a live one is no obstacle
    ledger.claim("h:1")
    ledger.finish("h:1", 1)
    assert drop_month(filled, "2026-10", "root", LATER_US, silent).records == 8
    assert drop_month(filled, "2026-10", "root", LATER_US, silent) is None


def test_a_refund_outlives_the_record_of_its_request(filled):
    ledger, now = Ledger(filled), 2
    for number in (1, 10):
        ledger.refund(record(number).request_id, 4, "r", f"refund {number}", "root", now)
    first = ledger.refund(record(1).request_id, 4, "r", "refund 1", "root", now)
    drop_month(filled, "2026-10", "root", LATER_US, silent)
    assert held(filled) == 4
    assert ledger.refund(record(1).request_id, 4, "r", "refund 1", "root", now) == first
    with pytest.raises(Conflict, match="used for another"):
        ledger.refund(record(1).request_id, 5, "r", "refund 1", "root", now)
    with pytest.raises(NotFound) as refused:
        ledger.refund(record(1).request_id, 6, "r", "another", "root", now)
    assert refused.value.code == "unknown_request"  # its id tells no time
    with pytest.raises(NotFound, match="requests of 2026-10 were dropped") as refused:
        ledger.refund(request_id(START_US // 1000, 5), 6, "r", "another", "root", now)
    assert refused.value.code == "month_dropped"
    assert Store(filled).usage.summary(ALL)[0].refunded == 4  # as far as their requests are there
    with filled.write(durable=False) as conn:
        conn.exec_driver_sql("UPDATE refund SET amount = amount + 7")
    bad = [check.name.split()[0] for check in ledger.verify().checks if not check.ok]
    assert "I13" in bad


def bad(database):
    report = Ledger(database).verify()
    return [check.name.split()[0] for check in report.checks if not check.ok], report.first_bad


@pytest.mark.parametrize(
    ("statement", "names", "said"),
    [
        # A record of a month that is there: of a batch of its own, and of one that the dropped month had a part of.
        ("DELETE FROM usage_record_202611 WHERE ingest_seq = 10", ["I3", "I6"], "h:0/1/11"),
        ("DELETE FROM usage_record_202611 WHERE ingest_seq = 6", ["I3", "I6"], "h:0/1/9"),
        ("UPDATE usage_record_202611 SET key_id = 'eve' WHERE ingest_seq = 6", ["I3"], "h:0/1/9"),
        # A whole month, as a table alone and without a trace.
        ("DROP TABLE usage_record_202611", ["I15"], "month 2026-11: its table is not there"),
        ("DELETE FROM usage_month WHERE month = '2026-11'", ["I15"], "table usage_record_202611: it is no month's"),
        ("UPDATE usage_month SET dropped_us = 1", ["I15"], "month 2026-11: whether it was dropped"),
        ("UPDATE usage_month SET dropped_us = NULL", ["I15"], "month 2026-10: its table is not there"),
        ("DELETE FROM usage_month WHERE dropped_us IS NOT NULL", ["I15"], "month 2026-10: a transaction dropped it"),
        # What the ledger says of the month that was dropped: a sum, a count of a batch.
        ("UPDATE ledger_tx SET terms = replace(terms, ',80,', ',81,')", ["I6", "I10"], "wallet:owner:standard"),
        ("UPDATE ledger_tx SET terms = replace(terms, ',2,', ',1,')", ["I3", "I10"], "h:0/1/9"),
        ("UPDATE ledger_tx SET terms = '{' WHERE kind = 'drop'", ["I15"], "its terms cannot be read"),
        ("UPDATE ledger_tx SET actor = 'nobody' WHERE kind = 'drop'", ["I10"], "hash"),
        ("UPDATE ledger_tx SET kind = 'open' WHERE kind = 'drop'", ["I15"], "month 2026-10: whether it was dropped"),
    ],
)
def test_a_dropped_month_is_no_excuse_for_anything_else(filled, statement, names, said):
    drop_month(filled, "2026-10", "root", LATER_US, silent)
    with filled.write(durable=False) as conn:
        conn.exec_driver_sql(statement)
    found, first = bad(filled)
    assert found == names
    assert said in first


def test_a_month_that_goes_without_a_trace_is_missed(filled):
    with filled.write(durable=False) as conn:
        drop_table(conn, "2026-10", 0, LATER_US)
        conn.exec_driver_sql("DELETE FROM usage_month WHERE month = '2026-10'")
    assert bad(filled)[0] == ["I3", "I6"]


def test_a_month_with_wrong_books_is_kept(filled):
    with filled.write(durable=False) as conn:
        conn.exec_driver_sql("UPDATE usage_record_202610 SET key_id = 'eve' WHERE ingest_seq = 2")
    with pytest.raises(WrongBooks, match="h:0/1/3"):
        drop_month(filled, "2026-10", "root", LATER_US, silent)
    assert Store(filled).usage.get(record(2).request_id) is not None
    drop_month(filled, "2026-11", "root", LATER_US, silent)


def test_a_month_that_is_hardly_over_is_kept(filled):
    with pytest.raises(NotSettled, match="still be running"):
        drop_month(filled, "2026-10", "root", span_of("2026-11")[0] + DAY_US - 1, silent)


def test_months_are_listed_also_when_they_were_dropped(filled):
    usage = Store(filled).usage
    drop_month(filled, "2026-10", "root", LATER_US, silent)
    gone, there = usage.months()
    assert gone == MonthRow("2026-10", 8, None, START_US, START_US + 7, LATER_US)
    assert (there.month, there.records, there.dropped_us) == ("2026-11", 4, None)
    assert (there.bytes is None) == filled.sqlite
    assert (there.first_us, there.last_us) == (START_US + DAY_US, NOON_US + 1)


def test_a_month_goes_beside_readers_and_flushes(filled):
    """On PostgreSQL the drop needs a moment without readers: it does not make those wait who come meanwhile."""
    ledger, done = Ledger(filled), []

    def drop():
        done.append(drop_month(filled, "2026-10", "root", LATER_US, silent))

    with filled.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM usage_record").scalar() == 12
        thread = threading.Thread(target=drop)
        thread.start()
        for number in range(13, 33):
            flush(ledger, number, [NOON_US + number])
            assert held(filled) in {number, number - 8}
        if not filled.sqlite:
            assert not done
        # What one has begun to read stays as it was.
        assert conn.exec_driver_sql("SELECT count(*) FROM usage_record").scalar() == 12
    thread.join()
    assert done[0].records == 8
    assert held(filled) == 24


def test_two_who_drop_the_same_month_drop_it_once(filled):
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: drop_month(filled, "2026-10", "root", LATER_US, silent), range(4)))
    assert [one.records for one in done if one is not None] == [8]
    assert held(filled) == 4


def test_months_are_made_ahead(filled):
    ledger = Ledger(filled)
    for _ in range(2):
        ledger.make_months([NOON_US, LATER_US])
    assert [(row.month, row.records) for row in Store(filled).usage.months()][-1] == ("2027-01", 0)
    flush(ledger, 13, [LATER_US])
    assert held(filled) == 13


def test_one_process_sees_to_old_months(filled):
    usage = Store(filled).usage
    assert [usage.take_retention(now, 100) for now in (1_000, 1_001, 1_099, 1_100, 1_150, 50)] == [
        True, False, False, True, False, True,
    ]  # fmt: skip


def test_a_request_is_settled_once_also_across_months(filled):
    ledger = Ledger(filled)
    first = [record(n, started_us=START_US + n - 1, charged=10, shortfall=n % 2) for n in (1, 2)]
    ledger.flush("h:0", 1, Batch(14, [(n, (W,), 10, made) for n, made in enumerate(first, 13)], {}, 1))
    assert held(filled) == 12
    assert Store(filled).usage.last_seq() == 12


@pytest.mark.parametrize("to", ["sqlite_url", "postgres_url"])
def test_a_copy_knows_the_months_and_what_was_dropped(filled, request, tmp_path, migrated_file, to):
    drop_month(filled, "2026-10", "root", LATER_US, silent)
    flush(Ledger(filled), 14, [LATER_US - DAY_US, NOON_US + 5])
    if to == "sqlite_url":
        (tmp_path / "copy.db").write_bytes(migrated_file.read_bytes())
        target = Database(f"sqlite:///{tmp_path}/copy.db")
    else:
        server = request.getfixturevalue("postgres")
        target = Database(server.create(request.getfixturevalue("migrated_name")))
    for replace in (False, True):
        copy(filled, target, silent, replace=replace, now_us=LATER_US)
        assert held(target) == 6
        with target.read() as conn:
            assert months(conn) == ["2026-11", "2027-01"]
    target.close()
