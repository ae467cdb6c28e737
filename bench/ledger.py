"""What a large database answers in: a right one is made by the ledger itself, then proved, summed and copied.

    python bench/ledger.py [--records N] [--batch N] [--months N] [--keep FILE] [--database URL]

Nothing is asserted: figures depend on the machine. A file that is there already is measured as it is.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from joytoken.domain.ledger import Want, quota_account, wallet_account
from joytoken.domain.record import UsageRecord, close_record
from joytoken.store.ledger import Batch
from joytoken.store.open import Store, open_store
from joytoken.store.usage_query import UsageQuery

CREDIT = 10**9
MONTH_US = 30 * 86_400_000_000
START_US = 1_790_812_800_000_000  # 2026-10-01T00:00Z
OWNERS, KEYS, MODELS, PROJECTS = 8, 40, 12, 10
ENDINGS = ("completed",) * 46 + ("completed_counted", "client_gone", "provider_failed", "timed_out")
TIERS = ("economy", "standard", "premium")
WORKER = "bench:0"
_DETAIL = b'{"rule":"auto","candidates":[' + b'{"model":"bench-model","chosen":true},' * 8 + b"{}]}"


def a_record(number: int, started_us: int, chance: random.Random) -> UsageRecord:
    """A record as full as a real one. Few keys and models have most of the requests."""
    key = min(int(chance.paretovariate(0.7)) - 1, KEYS - 1)
    model = min(int(chance.paretovariate(0.8)) - 1, MODELS - 1)
    ending = chance.choice(ENDINGS)
    total_ms = chance.lognormvariate(6.5, 0.8)
    record = UsageRecord(
        request_id=f"req-{started_us // 1000:012x}{number:020x}",
        billing_id=f"bill-{number:032x}",
        correlation_id=f"mine-{number}" if number % 10 == 0 else "",
        started_us=started_us,
        finished_us=started_us + int(total_ms * 1000),
        organisation="default",
        owner_id=f"owner-{key % OWNERS}",
        key_id=f"key-{key:030d}",
        project=f"project-{key % PROJECTS}",
        application=f"app-{key % 5}",
        environment="live" if key % 3 else "test",
        end_user=f"user-{min(int(chance.paretovariate(0.5)), 2_000)}",
        tags='{"team":"search"}' if number % 4 == 0 else "",
        streamed=number % 2 == 0,
        model_requested="auto",
        model=f"vendor-{model % 4}/model-{model}",
        deployment=f"vendor-{model % 4}/model-{model}",
        provider=f"vendor-{model % 4}",
        tier=TIERS[model % 3],
        input_tokens=chance.randrange(20, 4_000),
        output_tokens=chance.randrange(1, 900),
        price_id=f"price-{model:016d}",
        usd_per_credit=2_000_000,
        hold=40_000_000,
        attempts=1,
        http_status=200,
        routing_ms=0.05,
        total_ms=total_ms,
        detail=_DETAIL,
    )
    paid = ending != "provider_failed"
    record.ending = ending  # type: ignore[assignment]
    record.error_code = "" if ending.startswith("completed") else "upstream_error"
    record.first_token_ms = round(total_ms / 3, 3) if paid else None
    record.cost = chance.randrange(100_000, 30_000_000) if paid else 0
    record.provider_cost_usd = record.cost // 700 if number % 20 else None
    short = record.cost // 10 if number % 5_000 == 0 else 0
    close_record(record, record.cost - short, short)
    return record


def fill(store: Store, records: int, batch: int, months: int) -> None:
    """Bring so many records over so many months through the real ledger, as one worker does."""
    ledger = store.ledger
    tiers = [wallet_account(f"owner-{n}", tier) for n in range(OWNERS) for tier in ("economy", "standard", "premium")]
    for name in tiers:
        ledger.top_up(name, 100 * records * CREDIT, "bench", f"bench-{name}", "bench", START_US)
    epoch = ledger.register(WORKER, "bench", START_US)
    ledger.grant(WORKER, epoch, [(Want(name), 0, 20 * records * CREDIT) for name in tiers], START_US)
    leased: set[str] = set(tiers)
    for rows in _batches(records, batch, months):
        wanted = {account for _, accounts, _, _ in rows for account in accounts} - leased
        if wanted:
            wants = [(Want(name, 10**15), 0, 10**14) for name in sorted(wanted)]
            ledger.grant(WORKER, epoch, wants, rows[0][3].started_us)
            leased |= wanted
        ledger.flush(WORKER, epoch, Batch(rows[-1][0], rows, {}, rows[-1][3].finished_us))
    ledger.finish(WORKER, epoch)


def _batches(records: int, batch: int, months: int) -> Iterator[list[tuple[int, tuple[str, ...], int, UsageRecord]]]:
    chance = random.Random(7)
    step = months * MONTH_US // records
    day_us = 86_400_000_000
    rows = []
    for number in range(1, records + 1):
        record = a_record(number, START_US + number * step, chance)
        day = quota_account(record.key_id, f"D:{record.started_us // day_us}")
        rows.append((number, (wallet_account(record.owner_id, record.tier), day), record.charged, record))  # type: ignore[arg-type]
        if len(rows) == batch:
            yield rows
            rows = []
    if rows:
        yield rows


QUESTIONS = (
    ("everything", ()),
    ("key", ("key",)),
    ("model", ("model",)),
    ("project, tier", ("project", "tier")),
    ("day in UTC", ("day",)),
    ("day in Berlin", ("day",)),
    ("day in Kolkata", ("day",)),
    ("model, day in Berlin", ("model", "day")),
    ("project, day in Kolkata", ("project", "day")),
    ("hour in Berlin", ("hour",)),
    ("end_user", ("end_user",)),
    ("tag:team", ("tag:team",)),
    ("tag:team, day in Berlin", ("tag:team", "day")),
)
TIMES = (
    ("provider, model", ("provider", "model")),
    ("model, day in Berlin", ("model", "day")),
    ("day in Kolkata", ("day",)),
    ("model, day in Kolkata", ("model", "day")),
    ("hour in Berlin", ("hour",)),
)
ZONES = {"Berlin": "Europe/Berlin", "Kolkata": "Asia/Kolkata"}


def roll(store: Store) -> None:
    """Bring the sums up to date, as the gateway's roller does."""
    began, cpu, count, longest = time.perf_counter(), time.process_time(), 0, 0.0
    while True:
        started = time.perf_counter()
        part = store.usage.roll()
        longest = max(longest, time.perf_counter() - started)
        if not part:
            break
        count += part
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    if count:
        each = f"{cpu / count * 1e6:.1f} CPU µs a record, longest transaction {longest * 1000:.0f} ms"
        print(f"{count} records added to their sums   {took:6.2f} s   {each}")


def ask(store: Store, months: int) -> None:
    """A month's sums by each kind of grouping."""
    from_us = START_US + (months - 1) * MONTH_US + 1
    query = UsageQuery(since_us=from_us, until_us=from_us + MONTH_US)
    for said, questions, answer in (
        ("by", QUESTIONS, store.usage.summary),
        ("of times by", TIMES, store.usage.latency),
    ):
        for name, by in questions:
            zone = ZONES.get(name.rpartition(" ")[2], "UTC")
            walls, cpus, count = [], [], 0
            for _ in range(3):
                began, cpu = time.perf_counter(), time.process_time()
                count = len(answer(query, by, zone))
                walls.append(time.perf_counter() - began)
                cpus.append(time.process_time() - cpu)
            took = f"{min(walls) * 1000:8.1f} ms   {min(cpus) * 1000:8.1f} ms CPU   {count} rows"
            print(f"a month {said + ' ' + name:36} {took}")


def measure(store: Store, months: int) -> None:
    """Say how long each kind of question takes."""
    roll(store)
    ask(store, months)
    began = time.perf_counter()
    report = store.ledger.verify()
    took = time.perf_counter() - began
    said = "every invariant holds" if report.ok else report.first_bad
    print(f"verify of {report.records} records   {took:6.2f} s   {said}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--records", type=int, default=100_000)
    arguments.add_argument("--batch", type=int, default=200)
    arguments.add_argument("--months", type=int, default=1)
    arguments.add_argument("--keep", type=Path, help="the SQLite file to make, or to measure where it is there")
    arguments.add_argument("--database", help="the URL of an empty PostgreSQL database, instead of a file")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="joytoken-bench-") as name:
        path = (chosen.keep or Path(name) / "joytoken.db").absolute()
        there = path.exists()
        store = open_store(chosen.database or f"sqlite:///{path}")
        if not there:
            began = time.perf_counter()
            fill(store, chosen.records, chosen.batch, chosen.months)
            took = time.perf_counter() - began
            print(f"{chosen.records} records brought in batches of {chosen.batch}   {took:6.2f} s")
        measure(store, chosen.months)
        store.close()


if __name__ == "__main__":
    main()
