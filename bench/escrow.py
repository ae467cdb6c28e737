"""What money costs in process: a hold, a call and a settle over three accounts, the flush behind it, the loop's lag.

    python -m bench.escrow [--rounds N] [--folder PATH]

Prints each figure beside what is aimed at. Nothing is asserted: figures depend on the machine, and those with a disk in
them on the disk of the folder.
"""

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from joytoken.domain.ledger import Want, quota_account, wallet_account
from joytoken.domain.record import UsageRecord, close_record
from joytoken.escrow.engine import Escrow, EscrowSettings
from joytoken.escrow.journal import Journal
from joytoken.escrow.recovery import Slot, recover
from joytoken.serve import GC_THRESHOLDS
from joytoken.store.ledger import Batch
from joytoken.store.open import Store, open_store
from tests.postgres import PostgresServer

CREDIT = 10**9
AMOUNT = 2_000_000
PER_SECOND = 2_000
WANTS = (
    Want(wallet_account("bench", "standard")),
    Want(quota_account("key-bench", "D:2026-11-22"), 10**15),
    Want(quota_account("key-bench", "W:2026-W47"), 10**15),
)


DETAIL = b'{"rule":"auto","candidates":[' + b'{"model":"bench-model","chosen":true},' * 8 + b"{}]}"


def a_record(number: int, detail: bytes = DETAIL) -> UsageRecord:
    """A record as full as a real one, which has no detail yet when it is held."""
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
        detail=detail,
    )


def plain() -> int:
    """Work of the interpreter alone, about as long as a hold and a settle."""
    found = 0
    for number in range(300):
        found += number & 7
    return found


def spread(times: list[int]) -> tuple[float, float]:
    """The median and the 99th percentile, in microseconds."""
    ordered = sorted(times)
    return statistics.median(ordered) / 1000, ordered[len(ordered) * 99 // 100] / 1000


async def hot_path(store: Store, folder: Path, rounds: int, *, apart: bool) -> None:
    """The loop's side alone: as many between two flushes as at 2,000 a second, flushed outside of the measured time.

    The first one behind each flush finds the processor's caches cold, and is told by itself, too. Before each
    flush, plain Python of about the same length is timed: by how much that scatters is the machine's doing.

    `apart`: the call is journalled by itself, as it is behind a hold that had to wait; else with the hold.
    """
    quiet = EscrowSettings(flush_ms=10_000, flush_records=10_000)
    escrow = Escrow(store.ledger, worker="bench:0", journal_dir=folder, settings=quiet)
    await escrow.start()
    held = await escrow.hold(a_record((1 << 40) - apart), WANTS, 100 * CREDIT, 0)
    escrow.release(held, held.record)
    times, firsts, plains = [], [], []
    first = 1 + apart * rounds
    between = PER_SECOND * EscrowSettings().flush_ms // 1_000
    for start in range(first, first + rounds, between):
        records = [a_record(start + n, b"") for n in range(between)]
        for record in records:
            began = time.perf_counter_ns()
            hold = escrow.try_hold(record, WANTS, AMOUNT, 1_000, called=not apart)
            if hold is None:
                raise RuntimeError("the lease ran dry")
            if apart:
                escrow.called(hold)
            record.cost = 1_234_567
            record.ending = "completed"
            record.detail = DETAIL
            escrow.settle(hold, record)
            times.append(time.perf_counter_ns() - began)
        for _ in records:
            began = time.perf_counter_ns()
            plain()
            plains.append(time.perf_counter_ns() - began)
        firsts.append(times[-between])
        await escrow.flush_now()
    median, high = spread(times)
    cold = statistics.median(firsts) / 1000
    name = "hold, call apart, settle" if apart else "hold with call, settle"
    beside = "median {:.2f} µs   p99 {:.2f} µs".format(*spread(plains))
    print(f"{name}, 3 accounts   median {median:6.2f} µs   p99 {high:7.2f} µs   (aim: 20, 60)")
    print(f"    first of {between}: {cold:.0f} µs; plain Python beside it: {beside}")
    await escrow.stop()


def flushes(store: Store, name: str) -> None:
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
            f"{name} flush of {size:4}   {cpu / count * 1e6:7.1f} CPU µs a record   {wall / count * 1e6:7.1f} µs wall "
            f"{count / wall:9.0f} records a second   (aim: {10_000 if name == 'SQLite' else 5_000} in the largest)"
        )
    ledger.finish("bench:1", epoch)


async def lag(store: Store, folder: Path, per_second: int = PER_SECOND, seconds: float = 4.0) -> None:
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
    told = f"p50 {middle:.2f} ms   p99 {high:.2f} ms (aim: 5)   {flushed} flushes"
    print(f"loop lag at {per_second} settles a second   {told}")
    await escrow.stop()


def recovery(store: Store, folder: Path, settles: int = 100_000) -> None:
    """A start after a life whose settles are all in the journal and none in the store."""
    epoch = store.ledger.register("bench:3", "bench", 0)
    store.ledger.grant("bench:3", epoch, [(want, 0, 10_000 * CREDIT) for want in WANTS], 0)
    accounts = tuple(want.account for want in WANTS)
    slot = Slot(folder, "bench:3")
    slot.take()
    size = {"segment_bytes": 256 << 20, "segments": 2}
    journal = Journal(folder, slot.name, "bench:3", epoch, **size, carry=lambda: ())
    for number in range(settles):
        record = a_record((1 << 42) + number, b"")
        record.model = f"bench-model-{number % 3}"  # what differs between the requests of one key
        record.input_tokens, record.output_tokens = number % 997, number % 331
        reserve = journal.hold((AMOUNT, 1_000, accounts, True, -1, record))
        record.cost, record.ending = 1_000 + number % 991, "completed"
        record.detail = DETAIL.replace(b"chosen", b"chose%d" % (number % 10))
        record.finished_us = record.started_us + 1_000_000 + number % 883
        record.routing_ms, record.total_ms = number % 13 / 1_000, number % 1_009 / 10
        close_record(record, record.cost, 0)
        journal.settle((accounts, record), reserve)
    journal.close()
    cpu, wall = sum(os.times()[:4]), time.perf_counter()
    report = recover(store.ledger, slot, 1)
    cpu, wall = sum(os.times()[:4]) - cpu, time.perf_counter() - wall  # with the process that reads
    print(f"recovery of {report.settled} settles   {wall:.2f} s, {cpu:.2f} s of CPU   (aim: 2)")
    slot.free()


async def levels(store: Store, folder: Path, name: str, streams: int = 32, each: int = 40) -> None:
    """What a request waits for what it survives, with so many at once."""
    for number, level in enumerate(("process", "power", "central")):
        settings = EscrowSettings(durability=level, hold_wait_ms=5_000)
        escrow = Escrow(store.ledger, worker=f"bench:{level}", journal_dir=folder, settings=settings)
        await escrow.start()
        held = await escrow.hold(a_record((1 << 50) + number), WANTS, 100 * CREDIT, 0)
        escrow.release(held, held.record)
        waits: list[tuple[float, float]] = []

        async def stream(first: int, escrow: Escrow = escrow, waits: list[tuple[float, float]] = waits) -> None:
            for n in range(each):
                record = a_record(first + n)
                hold = await escrow.hold(record, WANTS, AMOUNT, 1_000)
                escrow.called(hold)
                began = time.perf_counter()
                if escrow.secures:
                    await escrow.secure_hold()
                called = time.perf_counter()
                record.cost, record.ending = 1_000_000, "completed"
                escrow.settle(hold, record)
                if escrow.secures:
                    await escrow.secure_settle()
                waits.append((called - began, time.perf_counter() - called))
                await asyncio.sleep(0)

        began = time.perf_counter()
        start = (1 << 43) + (number << 30)
        await asyncio.gather(*[stream(start + (n << 16)) for n in range(streams)])
        rate = streams * each / (time.perf_counter() - began)
        hold_ms, settle_ms = (sorted(part * 1e3 for part in parts) for parts in zip(*waits, strict=True))
        middle, high = len(waits) // 2, len(waits) * 99 // 100
        print(
            f"{name} {level:8} {streams} at once   hold {hold_ms[middle]:6.2f} ms, p99 {hold_ms[high]:6.2f}   "
            f"settle {settle_ms[middle]:6.2f} ms, p99 {settle_ms[high]:6.2f}   {rate:7.0f} requests a second   "
            f"{escrow.stats().syncs} syncs"
        )
        await escrow.stop()
        store.ledger.durable = False


async def measure(store: Store, folder: Path, name: str, rounds: int) -> None:
    """Everything on one database."""
    store.ledger.top_up(WANTS[0].account, 1_000_000 * CREDIT, "bench", "bench", "bench", 0)
    if store.database.sqlite:
        for apart in (False, True):
            await hot_path(store, folder, rounds, apart=apart)
    await asyncio.to_thread(flushes, store, name)
    await lag(store, folder)
    await asyncio.to_thread(recovery, store, folder)
    await levels(store, folder, name)
    report = store.ledger.verify()
    print(f"{report.records} records verified: {'every invariant holds' if report.ok else report.first_bad}")


def bench(rounds: int, base: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="joytoken-bench-", dir=base) as name:
        folder = Path(name)
        store = open_store(f"sqlite:///{folder / 'joytoken.db'}")
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        uvloop.run(measure(store, folder, "SQLite", rounds))
        store.close()
        server = PostgresServer(durable=True)
        try:
            store = open_store(server.create())
            uvloop.run(measure(store, folder / "postgres", "PostgreSQL", rounds))
            store.close()
        finally:
            server.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=20_000)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    bench(given.rounds, given.folder)
