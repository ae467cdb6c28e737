"""A worker that is killed: it serves made-up requests, and writes a provider's bill beside the gateway's books."""

import asyncio
import os
import random
import sys
from pathlib import Path

from joytoken.escrow.engine import Closed, Escrow, EscrowSettings, Short
from joytoken.store.open import open_store
from tests.escrow.making import WORKER, a_record, wants


async def serve(escrow, bill, number, chance):
    amount = chance.randrange(500, 5_000)
    record = a_record(number)
    try:
        hold = await escrow.hold(record, wants(), amount, 50)
    except (Short, Closed):
        await asyncio.sleep(0.005)
        return
    escrow.called(hold)
    os.write(bill, f"C {record.request_id} 50\n".encode())
    cost = chance.randrange(200, int(amount * 1.05))
    if chance.random() < 0.5:
        await asyncio.sleep(chance.random() / 100)
    if chance.random() < 0.5:
        escrow.progress(hold, cost // 2)
        await asyncio.sleep(0)
    os.write(bill, f"E {record.request_id} {cost}\n".encode())
    record.cost = cost
    record.ending = "completed"
    escrow.settle(hold, record)


async def work(url, folder, bill, life):
    chance = random.Random(life)
    store = open_store(url)
    settings = EscrowSettings(flush_ms=10, journal_segment_bytes=64 << 10)
    escrow = Escrow(store.ledger, worker=WORKER, journal_dir=Path(folder), settings=settings)
    await escrow.start()
    number = (life + 1) << 32

    async def stream():
        nonlocal number
        while True:
            number += 1
            await serve(escrow, bill, number, chance)
            await asyncio.sleep(0)

    await asyncio.gather(*[stream() for _ in range(20)])


if __name__ == "__main__":
    descriptor = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND)
    asyncio.run(work(sys.argv[1], sys.argv[2], descriptor, int(sys.argv[4])))
