"""Two gateways on one PostgreSQL database, two workers each: one wallet, one limit, one truth."""

import asyncio
import shutil
import subprocess

import pytest

from joytoken.domain.money import NANO, format_amount
from tests.journeys.crowd import ask as ask_once
from tests.journeys.crowd import request as chat
from tests.journeys.crowd import run as run_on_loop
from tests.journeys.crowd import tally
from tests.journeys.gateway import LOOKS, Customer, Gateway, wait_for
from tests.journeys.stub import USAGE, Stub, answer, completion

BOUND = 50
HOLD = BOUND * 1_000 * NANO // 10**6
# Who waits does so for as long as four workers of a busy machine may need to pass the last credits to and fro.
SETTINGS = {"server.workers": 2, "money.hold_wait_ms": 3_000}


@pytest.fixture(scope="module")
def replicas(postgres, joytoken_command, tmp_path_factory):
    url = postgres.create()
    made = []
    try:
        for name in ("one", "other"):
            folder = tmp_path_factory.mktemp(name)
            if made:  # a database belongs to one secret
                (folder / "data").mkdir(parents=True, mode=0o700)
                shutil.copy(made[0].data_dir / "secret", folder / "data" / "secret")
            made.append(Gateway(joytoken_command, folder, {**SETTINGS, "database.url": url}, first=not made))
            made[-1].admin_key = made[0].admin_key
            made[-1].start()
        yield made
    finally:
        for replica in made:
            replica.end()
        postgres.drop(url)


@pytest.fixture(scope="module")
def serving(replicas, stub: Stub):
    """Both of them, with a model that costs a hold."""
    one, _ = replicas
    one.provider("stub", stub.url)
    one.model("stub/slow", "stub", "slow", input_mtok="0", output_mtok="1000")
    usage = {**USAGE, "completion_tokens": BOUND}
    stub.says("slow", [0.2, *answer(completion("x", usage))])
    one.sync()
    return replicas


# For how many holds there is money, in each place; and what is said of the tightest one.
@pytest.mark.parametrize(
    ("callers", "wallet", "limit", "project", "run", "code"),
    [
        pytest.param(1_000, 10, 5, 3, None, "budget_exceeded", id="project"),
        pytest.param(300, 10, 5, None, None, "daily_limit", id="limit"),
        pytest.param(300, 3, 5, 10, None, "wallet_empty", id="wallet"),
        pytest.param(300, 10, 5, 3, 2, "budget_exceeded", id="run"),
    ],
)
def test_crowds_at_two_replicas_get_what_the_tightest_allows(
    serving, stub: Stub, request, callers, wallet, limit, project, run, code
):
    one, other = serving
    name, served = request.node.callspec.id, min(n for n in (wallet, limit, project, run) if n is not None)
    if project is not None:
        made = {"project": name, "window": "month", "limit": format_amount(project * HOLD), "zone": "Asia/Shanghai"}
        one.manage("PUT", f"/budgets/{name}", made)
    policy = {"limit_daily": format_amount(limit * HOLD), "project": name, "run_budget": run is not None}
    customer = one.customer({"standard": format_amount(wallet * HOLD)}, owner=name, **policy)
    there = Customer(other.url, customer.api_key, gateway=other, key_id=customer.key_id, owner=customer.owner)
    wait_for(
        lambda: all(there.chat("nobody/s").status == 404 for _ in range(LOOKS)),
        "the other replica does not know the key",
    )
    wait_for(
        lambda: all("stub/slow" in there.get("/openai/v1/models").body.decode() for _ in range(LOOKS)), "nor the model"
    )
    before = len(stub.calls("slow"))
    data = chat(customer, model="stub/slow", max_tokens=BOUND)
    if run is not None:
        lines = f"X-JoyToken-Run-Id: {name}\r\nX-JoyToken-Run-Budget: {format_amount(run * HOLD)}\r\n"
        data = data.replace(b"\r\n", b"\r\n" + lines.encode(), 1)
    counted = tally(run_on_loop(all_of_them((customer, there), data, callers)))
    assert counted[(200, "")] == served
    # Four workers ask for parts of each account at once. To one of them, another account than the tightest may have
    # nothing left at that moment, since the others have not given back what they cannot use: it is a limit too.
    assert (402, code) in counted
    assert set(counted) <= {(200, ""), (402, "wallet_empty"), (402, "daily_limit"), (402, "budget_exceeded")}
    assert len(stub.calls("slow")) - before == served
    assert customer.balance() == (wallet - served) * HOLD
    other.verify()


async def all_of_them(doors, data, callers):
    async with asyncio.timeout(120):
        return await asyncio.gather(*[ask_once(doors[n % len(doors)], data) for n in range(callers)])


def test_replicas_that_stop_leave_nothing_leased(serving):
    one, other = serving
    names = {(replica.data_dir / "instance").read_text().strip() for replica in serving}
    assert len(names) == 2
    workers = {row[0] for row in one.rows("SELECT id FROM worker")}
    assert workers == {f"{name}:{slot}" for name in names for slot in (0, 1)}
    one.stop()
    other.verify()
    other.stop()
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
