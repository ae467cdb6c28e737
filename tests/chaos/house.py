"""A gateway, its database, its provider and its customers: everything that a scene plays with, and puts in order again.

The customers have what finds mistakes: a rich wallet, one wallet that three keys share and that is nearly dry, and keys
whose limits are soon used up.
"""

import contextlib
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from joytoken.domain.money import parse_amount
from tests.chaos.crowd import Ask, Crowd, Told
from tests.chaos.provider import Provider
from tests.chaos.world import World
from tests.journeys.gateway import Customer, Gateway, wait_for
from tests.journeys.wire import Client

PLENTY = "1000"
DRIP = "0.05"  # what a dry wallet is given between two accidents
LIMITS = ("0.05", "1")
TIER = "standard"

QUICK = "quick?words=3"
SLOW = "slow?words=40&pause_ms=20"
USUAL = (Ask("chaos/quick"), Ask("chaos/quick", stream=True), Ask("chaos/slow", stream=True))


_ELSEWHERE = """
import json, sqlite3, sys
print(json.dumps(sqlite3.connect(sys.argv[1], timeout=60).execute(sys.argv[2]).fetchall()))
"""


class Books:
    """The database, read past the gateway."""

    def __init__(self, url: str, file: Path, prefix: Sequence[str] = ()) -> None:
        self.url = url
        self._file = file
        self._prefix = prefix

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        if self.url:
            with psycopg.connect(self.url, autocommit=True) as opened:
                return opened.execute(query).fetchall()
        if self._prefix:  # the file is where the gateway is
            command = [*self._prefix, sys.executable, "-c", _ELSEWHERE, str(self._file), query]
            done = subprocess.run(command, check=True, capture_output=True)
            return [tuple(row) for row in json.loads(done.stdout)]
        with contextlib.closing(sqlite3.connect(self._file, timeout=60)) as opened:
            return opened.execute(query).fetchall()

    @contextlib.contextmanager
    def locked(self):
        """Hold SQLite's one write lock, as another program would."""
        with contextlib.closing(sqlite3.connect(self._file, timeout=60, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")


class ChaosGateway(Gateway):
    """A gateway on either database, whose start can be broken off too."""

    def __init__(
        self, command: Path, folder: Path, settings: dict[str, Any], world: World, url: str, *, first: bool = True
    ) -> None:
        super().__init__(command, folder, settings, first=first, environment=world.environment, prefix=world.prefix)
        self.books = Books(url, self.data_dir / "joytoken.db", world.prefix)

    def leases(self) -> list[tuple[Any, ...]]:
        """Its own workers' alone: a replica may be at work."""
        own = (self.data_dir / "instance").read_text().strip() + ":"
        return [row for row in self.books.rows("SELECT account, worker FROM lease") if row[1].startswith(own)]

    def stillborn(self, after_s: float) -> None:
        """Start it and kill it so soon that it may be in the middle of its recovery."""
        with self.log_file.open("ab") as log:
            born = subprocess.Popen(
                [*self.command, "serve", "--port", "0"], env=self.env, stdout=log, stderr=log, cwd=self.folder
            )
        time.sleep(after_s)
        born.kill()
        born.wait(60)


class House:
    """One gateway at work for a scene. `funds` and `limits` are what was given out, by owner and by key."""

    def __init__(
        self, command: Path, world: World, dice: random.Random, settings: dict[str, Any] | None = None
    ) -> None:
        folder, server = world.folder, world.server
        self.folder, self.server, self.world, self.dice = folder, server, world, dice
        self.kills = self.requests = 0
        self.told: list[Told] = []
        self.funds: dict[str, int] = {}
        self.limits: dict[str, int] = {}
        self.customers: list[Customer] = []
        self._url = server.create() if server is not None else ""
        self._drips = 0
        self._open = contextlib.ExitStack()
        try:
            self.provider = Provider(folder)
            self._open.callback(self.provider.close)
            self.settings = {"gateway.progress_ms": 50, **(settings or {})}
            if server is not None:
                self.settings["database.url"] = world.reached(self._url)
            self.gateway = ChaosGateway(command, folder / "gateway", self.settings, world, self._url)
            self.gateways = [self.gateway]
            self._open.callback(self.gateway.end)
            self.gateway.start()
            self.books = self.gateway.books
            self.gateway.provider("provider", self.provider.url)
            self.model("quick", QUICK)
            self.model("slow", SLOW)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every process, and remove what the scene wrote."""
        self._open.close()
        if self.server is not None:
            self.server.drop(self._url)
        shutil.rmtree(self.folder)

    def replica(self) -> ChaosGateway:
        """One more gateway on the same database, which serves when this returns."""
        folder = self.folder / f"replica-{len(self.gateways)}"
        (folder / "data").mkdir(parents=True, mode=0o700)
        shutil.copy(self.gateway.data_dir / "secret", folder / "data" / "secret")  # a database belongs to one secret
        made = ChaosGateway(Path(self.gateway.command[-1]), folder, self.settings, self.world, self._url, first=False)
        made.admin_key = self.gateway.admin_key
        self._open.callback(made.end)
        self.gateways.append(made)
        made.start()
        return made

    # -- who asks ------------------------------------------------------------------------------------------------------

    def model(self, name: str, upstream: str, **fields: Any) -> str:
        """Offer a model of the provider."""
        self.gateway.model(f"chaos/{name}", "provider", upstream, **fields)
        return f"chaos/{name}"

    def customer(self, funds: str, owner: str, **policy: Any) -> Customer:
        """A key of an owner, whose wallet gets these funds where it is new."""
        wallets = {} if owner in self.funds else {TIER: funds}
        made = self.gateway.customer(wallets, owner=owner, **policy)
        self.funds.setdefault(owner, parse_amount(funds))
        if "limit_daily" in policy:
            self.limits[made.key_id] = parse_amount(policy["limit_daily"])
        self.customers.append(made)
        return made

    def people(self) -> list[Customer]:
        """The usual customers: rich, three keys of a shared and nearly dry wallet, two with limits."""
        rich = self.customer(PLENTY, "rich")
        dry = [self.customer("0.1", "dry") for _ in range(3)]
        limited = [self.customer(PLENTY, "limited", limit_daily=limit) for limit in LIMITS]
        self.gateway.sync()
        return [rich, rich, *dry, *limited]

    def crowd(
        self,
        callers: Sequence[Customer],
        asks: Sequence[Ask] = USUAL,
        each: int = 3,
        gateways: Sequence[Gateway] = (),
    ) -> Crowd:
        """Let each of these ask, `each` times at once, at any of the gateways, until the crowd is ended."""
        made = Crowd(gateways or [self.gateway], list(callers) * each, asks, self.dice)
        self._open.callback(made.go)
        return made

    def heard(self, crowd: Crowd) -> None:
        """End a crowd and keep what it was told."""
        told = crowd.end()
        self.told += told
        self.requests += len(told)

    def drip(self) -> None:
        """Give the dry wallet a little, so that money is always nearly gone but never quite."""
        if "dry" in self.funds:
            self._drips += 1
            given = {"amount": DRIP, "owner": "dry"}
            self.gateway.manage("POST", f"/wallets/{TIER}/top-up", given, Idempotency_Key=f"drip-{self._drips}")
            self.funds["dry"] += parse_amount(DRIP)

    # -- accidents -----------------------------------------------------------------------------------------------------

    def served(self, calls: int = 3) -> None:
        """Wait until the provider is called again, so often."""
        mark = self.provider.size()
        wait_for(lambda: self.provider.size() > mark + 400 * calls, "no request reaches the provider")

    def ready(self) -> None:
        """Wait until the gateway says that it can serve."""
        wait_for(lambda: Client(self.gateway.url).get("/ready").status == 200, "it does not become ready again")

    def kill(self, which: Gateway | None = None) -> None:
        """End a gateway without a warning: the first, where none is named."""
        (which or self.gateway).kill()
        self.kills += 1

    def kill_everything(self) -> None:
        """The same for the gateway and its provider, in either order."""
        for end in self.dice.sample([self.kill, self.provider.kill], 2):
            end()
        self.kills += 1
        self.provider.start()

    def revive(self) -> None:
        """Start the gateway again; at times its start is killed too."""
        while self.dice.random() < 0.3:
            self.gateway.stillborn(self.dice.uniform(0.2, 0.9))
            self.kills += 1
        self.gateway.start()

    def rest(self) -> None:
        """Restart, and wait until nothing is leased or held: then each request that was ever begun has ended."""
        for one in self.gateways:
            one.end()
            one.start()
        for one in self.gateways:
            one.at_rest()
            one.stop()

    def verify(self) -> str:
        """Let `joytoken wallet verify` prove the books; gives what it has against them."""
        command = [*self.gateway.command, "wallet", "verify", "--json"]
        done = subprocess.run(command, env=self.gateway.env, capture_output=True, check=False, text=True)
        return "" if done.returncode == 0 and json.loads(done.stdout)["ok"] else done.stdout + done.stderr

    def holds(self) -> int:
        """What is leased in all accounts together, in nanocredits."""
        return int(self.books.rows("SELECT COALESCE(SUM(outstanding), 0) FROM lease")[0][0])
