"""What money costs in process: a hold, a call and a settle over three accounts, the flush behind it, the loop's lag.

    python bench/escrow.py [--rounds N]

Prints microseconds. Nothing is asserted: figures depend on the machine.
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from joytoken.domain.ledger import Want, quota_account, wallet_account
from joytoken.domain.record import UsageRecord
from joytoken.escrow.engine import Escrow, EscrowSettings
from joytoken.store.ledger import Batch
from joytoken.store.open import Store, open_store

CREDIT = 10**9
AMOUNT = 2_000_000
WANTS = (
    Want(wallet_account("bench", "standard")),
    Want(quota_account("key-bench", "D:2026-11-22"), 10**15),
    Want(quota_account("key-bench", "W:2026-W47"), 10**15),
)


def a_record(number: int) -> UsageRecord:
    """A record as full as a real one."""
    return UsageRecord(
        request_id=f"req-{number:032x}",
        billing_id=f"bill-{number:032x}",
        started_us=1_700_000_000_000_000 + number,
        organisation="default",
        owner_id="bench",
        key_id="key-bench",
        project="demo",
        endpoint="chat",
        model_requested="auto",
        model="bench-model",
        deployment="bench/upstream",
        provider="bench",
        tier="standard",
        input_tokens=812,
        output_tokens=204,
        price_id="price-0123456789abcdef",
        usd_per_credit=2_000_000,
        attempts=1,
        http_status=200,
        detail=b'{"rule":"auto","candidates":[' + b'{"model":"bench-model","chosen":true},' * 8 + b"{}]}",
    )


async def hot_path(store: Store, folder: Path, rounds: int) -> None:
    """The loop's side alone: batches of the journal's size, flushed outside of the measured time."""
    escrow = Escrow(store.ledger, worker="bench:0", journal_dir=folder, settings=EscrowSettings(flush_ms=10_000))
    await escrow.start()
    held = await escrow.hold(a_record(0), WANTS, 100 * CREDIT, 0)
    escrow.release(held, held.record)
    times = []
    for start in range(1, rounds, 100):
        records = [a_record(start + n) for n in range(100)]
        for record in records:
            began = time.perf_counter_ns()
            hold = escrow.try_hold(record, WANTS, AMOUNT, 1_000)
            if hold is None:
                raise RuntimeError("the lease ran dry")
            escrow.called(hold)
            record.cost = 1_234_567
            record.ending = "completed"
            escrow.settle(hold, record)
            times.append(time.perf_counter_ns() - began)
        await escrow.flush_now()
    times.sort()
    median, high = statistics.median(times) / 1000, times[len(times) * 99 // 100] / 1000
    print(f"hold + called + settle, 3 accounts   median {median:6.2f} µs   p99 {high:7.2f} µs   ({len(times)} rounds)")
    await escrow.stop()


def flushes(store: Store) -> None:
    """The store's side alone: one thread, batches of one size."""
    ledger = store.ledger
    epoch = ledger.register("bench:1", "bench", 0)
    ledger.grant("bench:1", epoch, [(want, 0, 1_000 * CREDIT) for want in WANTS], 0)
    accounts = tuple(want.account for want in WANTS)
    seq = 10**9
    for size in (1, 16, 64, 200, 1_000):
        batches = []
        for _ in range(max(20, 4_000 // size)):
            rows = []
            for _ in range(size):
                seq += 1
                record = a_record(seq)
                record.cost = record.charged = 1_000
                rows.append((seq, accounts, 1_000, record))
            batches.append(Batch(seq, rows, {}, 1))
        cpu, wall = time.thread_time(), time.perf_counter()
        for batch in batches:
            ledger.flush("bench:1", epoch, batch)
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
        count = size * len(batches)
        print(
            f"flush of {size:5}   {cpu / count * 1e6:7.1f} CPU µs a record   {wall / count * 1e6:7.1f} µs wall   "
            f"{count / wall:9.0f} records a second"
        )
    ledger.finish("bench:1", epoch)


async def lag(store: Store, folder: Path, per_second: int = 2_000, seconds: float = 4.0) -> None:
    """How late the loop's timers are while the flusher works beside it."""
    escrow = Escrow(store.ledger, worker="bench:2", journal_dir=folder, settings=EscrowSettings())
    await escrow.start()
    held = await escrow.hold(a_record(1 << 40), WANTS, 100 * CREDIT, 0)
    escrow.release(held, held.record)
    late: list[float] = []

    async def measure() -> None:
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - due)

    watch = asyncio.create_task(measure())
    number, began = 1 << 41, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        while number - (1 << 41) < passed * per_second:
            number += 1
            record = a_record(number)
            hold = escrow.try_hold(record, WANTS, AMOUNT, 1_000) or await escrow.hold(record, WANTS, AMOUNT, 1_000)
            escrow.called(hold)
            record.cost = 1_000_000
            escrow.settle(hold, record)
        await asyncio.sleep(0.002)
    watch.cancel()
    late.sort()
    middle, high = late[len(late) // 2] * 1e3, late[len(late) * 99 // 100] * 1e3
    flushed = escrow.stats().flushes
    print(f"loop lag at {per_second} settles a second   p50 {middle:.2f} ms   p99 {high:.2f} ms   {flushed} flushes")
    await escrow.stop()


async def bench(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="joytoken-bench-") as name:
        folder = Path(name)
        store = open_store(f"sqlite:///{folder / 'joytoken.db'}")
        store.ledger.top_up(WANTS[0].account, 1_000_000 * CREDIT, "bench", "bench", "bench", 0)
        gc.freeze()
        await hot_path(store, folder, rounds)
        await asyncio.to_thread(flushes, store)
        await lag(store, folder)
        report = store.ledger.verify()
        print(f"{report.records} records verified: {'every invariant holds' if report.ok else report.first_bad}")
        store.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=20_000)
    uvloop.run(bench(arguments.parse_args().rounds))
