"""Two gateways on one PostgreSQL database, two workers each: one wallet, one limit, one truth."""

import asyncio
import shutil
import subprocess

import psycopg
import pytest

from joytoken.domain.money import NANO, format_amount
from tests.journeys.crowd import ask as ask_once
from tests.journeys.crowd import request, run, tally
from tests.journeys.gateway import LOOKS, Customer, Gateway, wait_for
from tests.journeys.stub import USAGE, Stub, answer, completion

CALLERS = 1_000
BOUND = 50
HOLD = BOUND * 1_000 * NANO // 10**6
# Who waits does so for as long as four workers of a busy machine may need to pass the last credits to and fro.
SETTINGS = {"server.workers": 2, "money.hold_wait_ms": 3_000}


@pytest.fixture
def replicas(postgres, joytoken_command, tmp_path):
    url = postgres.create()
    made = []
    try:
        for name in ("one", "other"):
            folder = tmp_path / name
            if made:  # a database belongs to one secret
                (folder / "data").mkdir(parents=True, mode=0o700)
                shutil.copy(made[0].data_dir / "secret", folder / "data" / "secret")
            made.append(Gateway(joytoken_command, folder, {**SETTINGS, "database.url": url}, first=not made))
            made[-1].database = url
            made[-1].admin_key = made[0].admin_key
            made[-1].start()
        yield made
    finally:
        for replica in made:
            replica.end()
        postgres.drop(url)


def test_a_thousand_at_two_replicas_get_what_a_limit_allows(replicas, stub: Stub):
    one, other = replicas
    one.provider("stub", stub.url)
    one.model("stub/slow", "stub", "slow", input_mtok="0", output_mtok="1000")
    usage = {**USAGE, "completion_tokens": BOUND}
    stub.says("slow", [0.2, *answer(completion("x", usage))])
    one.sync()
    customer = one.customer({"standard": format_amount(10 * HOLD)}, limit_daily=format_amount(5 * HOLD))
    there = Customer(other.url, customer.api_key, gateway=other, key_id=customer.key_id, owner=customer.owner)
    wait_for(
        lambda: {there.chat("nobody/s").status for _ in range(LOOKS)} == {404},
        "the other replica does not know the key",
    )
    wait_for(
        lambda: all("stub/slow" in there.get("/openai/v1/models").body.decode() for _ in range(LOOKS)), "nor the model"
    )
    data = request(customer, model="stub/slow", max_tokens=BOUND)

    async def all_of_them():
        async with asyncio.timeout(60):
            return await asyncio.gather(*[ask_once((customer, there)[n % 2], data) for n in range(CALLERS)])

    heard = run(all_of_them())
    counted = tally(heard)
    assert counted[(200, "")] == 5
    assert set(counted) <= {(200, ""), (402, "daily_limit"), (402, "wallet_empty")}
    assert len(stub.calls("slow")) == 5
    assert customer.balance() == 5 * HOLD
    names = {(replica.data_dir / "instance").read_text().strip() for replica in replicas}
    assert len(names) == 2
    with psycopg.connect(one.database) as database:
        workers = {row[0] for row in database.execute("SELECT id FROM worker")}
    assert workers == {f"{name}:{slot}" for name in names for slot in (0, 1)}
    other.verify()
    for replica in replicas:
        replica.stop()
    assert one.leases() == []
    assert one.cli("wallet", "verify")["ok"]


def test_a_folder_with_another_secret_is_refused(postgres, joytoken_command, tmp_path):
    url = postgres.create()
    Gateway(joytoken_command, tmp_path / "one", {"database.url": url})
    stranger = Gateway(joytoken_command, tmp_path / "other", {"database.url": url}, first=False)
    done = subprocess.run([*stranger.command, "serve"], env=stranger.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "copy that file" in done.stderr
    postgres.drop(url)
