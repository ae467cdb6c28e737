"""Batches reach the store once, whatever happens to the answers."""

import asyncio

import msgspec

from joytoken.store.engine import StoreUnavailable
from tests.escrow.making import SMALL, WORKER, Accidents, a_record, an_escrow, fund, row, settle, usage, wants


async def test_a_batch_whose_answer_was_lost_is_sent_again_unchanged(store, tmp_path):
    fund(store.ledger, 1_000_000)
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path)
    ledger.lose_flush = 3
    for number in range(50):
        settle(escrow, await escrow.hold(a_record(number), wants(10**6), 1_000, 0), 10)
    await escrow.flush_now()
    assert ledger.flushes[0] is ledger.flushes[1] is ledger.flushes[2] is ledger.flushes[3]
    assert row(store.ledger).balance == 1_000_000 - 500
    await escrow.stop()
    report = store.ledger.verify()
    assert (report.first_bad, report.records) == (None, 50)


async def test_returns_whose_answer_was_lost_are_returned_once(store, tmp_path):
    fund(store.ledger, 1_000_000)
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path, msgspec.structs.replace(SMALL, idle_ms=20))
    settle(escrow, await escrow.hold(a_record(1), wants(), 1_000, 0), 10)
    await escrow.flush_now()
    ledger.lose_flush = 2
    for _ in range(3_000):
        found = row(store.ledger)
        if not (found.leased or escrow.stats().free or ledger.lose_flush):
            break
        await asyncio.sleep(0.01)
    assert (found.balance, found.leased, ledger.lose_flush) == (999_990, 0, 0)
    await escrow.flush_now()
    hold = await escrow.hold(a_record(2), wants(), 1_000, 0)
    assert row(store.ledger).leased == escrow.stats().free + escrow.stats().held
    escrow.release(hold, hold.record)
    await escrow.stop()
    assert store.ledger.verify().first_bad is None


async def test_a_stop_without_a_store_leaves_the_journal_to_the_next_start(store, tmp_path):
    fund(store.ledger, 100_000)
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path, msgspec.structs.replace(SMALL, stop_wait_ms=100))
    hold = await escrow.hold(a_record(1), wants(), 1_000, 0)
    ledger.away = True
    settle(escrow, hold, 400)
    await escrow.stop()
    ledger.away = False
    assert store.ledger.state(WORKER)[1] == "live"
    again = await an_escrow(ledger, tmp_path)
    await again.stop()
    assert usage(store, hold.request_id).charged == 400
    assert store.ledger.verify().first_bad is None


async def test_many_settles_do_not_wait_for_the_clock(store, tmp_path):
    fund(store.ledger, 10**9)
    escrow = await an_escrow(store.ledger, tmp_path, msgspec.structs.replace(SMALL, flush_ms=60_000, flush_records=10))
    for number in range(10):
        settle(escrow, await escrow.hold(a_record(number), wants(), 1_000, 0), 10)
    for _ in range(300):
        if escrow.stats().flushes:
            break
        await asyncio.sleep(0.01)
    assert escrow.stats().flushes == 1
    await escrow.stop()


async def test_a_batch_that_the_store_refuses_is_told_and_tried_again(store, tmp_path, caplog, monkeypatch):
    fund(store.ledger, 100_000)
    escrow = await an_escrow(store.ledger, tmp_path)
    hold = await escrow.hold(a_record(1), wants(), 1_000, 0)
    flush, refused = type(store.ledger).flush, iter([True, True])

    def defective(ledger, *args, **more):
        if next(refused, False):
            raise ValueError("a defect")
        return flush(ledger, *args, **more)

    monkeypatch.setattr(type(store.ledger), "flush", defective)
    settle(escrow, hold, 400)
    await escrow.flush_now()
    assert [record.levelname for record in caplog.records].count("ERROR") == 2
    assert "a flush failed" in caplog.text
    await escrow.stop()
    assert usage(store, hold.request_id).charged == 400


async def test_a_stop_without_a_store_ends_also_where_nothing_is_left_to_bring(store, tmp_path):
    ledger = Accidents(store.ledger)
    escrow = await an_escrow(ledger, tmp_path, msgspec.structs.replace(SMALL, stop_wait_ms=100))
    ledger.away = True
    await escrow.stop()
    ledger.away = False
    assert store.ledger.state(WORKER)[1] == "live"
    again = await an_escrow(ledger, tmp_path)
    await again.stop()
    assert store.ledger.state(WORKER)[1] == "dead"


async def test_a_defect_in_hearing_is_told_and_stops_nothing(store, tmp_path, caplog, monkeypatch):
    fund(store.ledger, 1_000_000)
    settings = msgspec.structs.replace(SMALL, flush_ms=60_000, recall_ms=10, idle_ms=60_000)
    escrow = await an_escrow(store.ledger, tmp_path, settings)
    heard = []

    def defective(ledger):
        heard.append(1)
        raise StoreUnavailable("away") if len(heard) < 3 else ValueError("a defect")

    monkeypatch.setattr(type(store.ledger), "recalls", defective)
    settle(escrow, await escrow.hold(a_record(1), wants(), 1_000, 0), 10)
    for _ in range(500):
        if len(heard) > 3:
            break
        await asyncio.sleep(0.01)
    assert "it was not heard who needs money" in caplog.text
    told = [record.levelname for record in caplog.records].count("ERROR")
    assert 1 <= told <= len(heard) - 2  # of the store's absence, flushes tell
    await escrow.flush_now()
    assert row(store.ledger).balance == 999_990
    await escrow.stop()
