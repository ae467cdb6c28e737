"""A real gateway for a journey: its own data folder, its own process, killed or stopped as the journey wants."""

import contextlib
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from joytoken.domain.money import parse_amount
from tests.journeys.wire import Client, Reply

PATIENCE_S = 60.0
LOOKS = 24  # at a gateway with many workers: two of which do not answer a share of them once in 2^23 times
_LISTENS = "JoyToken listens on "
# Quick to notice and quick to give back, so that a journey need not wait; each can be set otherwise.
_SETTINGS = {
    "gateway.keyring_poll_ms": 20,
    "money.flush_ms": 10,
    "money.lease_idle_ms": 50,
    "money.starter_credits": "1000",
}


def wait_for(what: Any, message: str, patience_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true, and give it; fail with the message when patience ends."""
    end = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < end, message
        time.sleep(0.01)
    return found


@dataclass
class Customer(Client):
    """A key with wallets of its own, and what it asks of the gateway."""

    gateway: "Gateway | None" = None
    key_id: str = ""
    owner: str = ""

    def balance(self, tier: str = "standard") -> int:
        """What is left in a wallet, in nanocredits, once nothing of it is frozen any more."""
        return self.at_rest(tier)

    def at_rest(self, tier: str) -> int:
        def look() -> dict[str, str] | None:
            assert self.gateway is not None
            (wallet,) = self.gateway.manage("GET", f"/wallets?owner={self.owner}&tier={tier}")["wallets"]
            return wallet if parse_amount(wallet["frozen"]) == 0 else None

        return parse_amount(wait_for(look, f"something stays frozen in the {tier} wallet of {self.owner}")["balance"])

    def receipt(self, reply: Reply | str) -> dict[str, Any]:
        """The receipt of an answer, or of a request id, as the payer sees it."""
        own = reply if isinstance(reply, str) else id_of(reply)
        found = self.get(f"/api/v1/requests/{own}")
        assert found.status == 200, found.body
        return found.json

    def records(self) -> list[dict[str, Any]]:
        """The usage records of this key, newest first. Read `balance` before: then everything is written."""
        assert self.gateway is not None
        return self.gateway.manage("GET", f"/requests?key={self.key_id}")["requests"]


def id_of(reply: Reply) -> str:
    """The gateway's own id of the request that this answers."""
    if reply.status >= 400:
        return reply.error["request_id"]
    return reply.metadata["request_id"]


class Gateway:
    """`joytoken serve` on a folder of its own. `settings` are by their dotted names.

    `environment` comes on top of them; `prefix` is a command that becomes the one that follows it.
    """

    def __init__(
        self,
        command: Path,
        folder: Path,
        settings: dict[str, Any] | None = None,
        *,
        first: bool = True,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.command = [*prefix, str(command)]
        self.folder = folder
        self.log_file = folder / "gateway.log"
        self.data_dir = folder / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self._log_from = 0
        self.url = ""
        given = {**_SETTINGS, **(settings or {})}
        self.env = {name: value for name, value in os.environ.items() if not _foreign(name)}
        self.env |= {f"JOY_TOKEN_{name.replace('.', '_').upper()}": str(value) for name, value in given.items()}
        self.env |= {"JOY_TOKEN_DATA_DIR": str(self.data_dir), **(environment or {})}
        self._customers = 0
        self.looks = 1 if given.get("server.workers", 1) == 1 else LOOKS
        folder.mkdir(parents=True, exist_ok=True)
        made = self.cli("init") if first else {"api_key": "", "admin_key": ""}  # the first one sets the database up
        self.api_key: str = made["api_key"]
        self.admin_key: str = made["admin_key"]

    # -- the process --------------------------------------------------------------------------------------------------

    def start(self) -> "Gateway":
        """Start serving on a free port, and wait until it listens."""
        begin = self._log_from = len(self.log) if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "serve", "--port", "0"], env=self.env, stdout=log, stderr=log, cwd=self.folder
            )

        def listening() -> str:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            said = self.log_file.read_text()[begin:]
            return said.partition(_LISTENS)[2].partition("\n")[0] if _LISTENS in said and said.endswith("\n") else ""

        self.url = wait_for(listening, "the gateway does not listen")
        return self

    def kill(self) -> None:
        """End it without a warning (SIGKILL)."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        """Stop it (SIGTERM): it must succeed and leave no lease."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        assert code == 0, f"exit code {code}: {self.log}"
        assert self.leases() == []

    def restart(self) -> None:
        """Stop it and start it again, on another port."""
        self.stop()
        self.start()

    def end(self) -> None:
        """Whatever became of it: nothing of it is left running."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def workers(self) -> dict[int, int]:
        """The processes of its workers by their slots, as its log tells."""
        said = re.findall(r"worker (\d+) \(process (\d+)\) listens", self.log[self._log_from :])
        return {int(slot): int(pid) for slot, pid in said}

    @property
    def log(self) -> str:
        """Everything that it printed."""
        return self.log_file.read_text()

    def leases(self) -> list[tuple[Any, ...]]:
        """The lease rows of its database."""
        return self.rows("SELECT account, worker FROM lease")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What its database answers, whichever it is."""
        url = self.env.get("JOY_TOKEN_DATABASE_URL")
        made: Any = psycopg.connect(url) if url else sqlite3.connect(self.data_dir / "joytoken.db", timeout=30)
        with contextlib.closing(made) as database:
            return database.execute(query).fetchall()

    # -- management ---------------------------------------------------------------------------------------------------

    def cli(self, *args: str, code: int = 0) -> Any:
        """Run a command with `--json`; gives its document. It must end with this exit code."""
        done = subprocess.run([*self.command, *args, "--json"], env=self.env, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        return json.loads(done.stdout) if done.stdout.strip() else None

    def manage(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        """Call the management API of the running gateway."""
        client = Client(self.url, self.admin_key)
        body = None if document is None else json.dumps(document).encode()
        reply = client.request(method, "/api/v1/manage" + path, body, Content_Type="application/json", **headers)
        assert reply.status in (200, 201), reply.body
        return reply.json

    def provider(self, name: str, base_url: str, **fields: Any) -> None:
        """Add a provider that speaks the OpenAI protocol."""
        self.manage("POST", "/providers", {"name": name, "kind": "openai", "base_url": base_url, **fields})

    def model(self, name: str, provider: str, upstream: str | None = None, **fields: Any) -> None:
        """Add a model, or one more deployment of it. Without a price it costs 100 credits a Mtok in, 200 out."""
        document = {"name": name, "provider": provider, "upstream": upstream, **fields}
        if "input_mtok" not in fields and not any(m["name"] == name for m in self.manage("GET", "/models")["models"]):
            document |= {"input_mtok": "100", "output_mtok": "200"}
        self.manage("POST", "/models", {key: value for key, value in document.items() if value is not None})

    def customer(self, wallets: dict[str, str] | None = None, **policy: Any) -> Customer:
        """A new owner with these wallets (default: 100 credits each) and a key; live when this returns."""
        self._customers += 1
        owner = policy.pop("owner", f"owner{self._customers}")
        default = dict.fromkeys(("economy", "standard", "premium"), "100")
        for tier, amount in (default if wallets is None else wallets).items():
            given = {"amount": amount, "owner": owner}
            self.manage("POST", f"/wallets/{tier}/top-up", given, Idempotency_Key=f"{owner}-{tier}")
        made = self.manage("POST", "/keys", {"name": f"key{self._customers}", "owner": owner, **policy})
        customer = Customer(self.url, made["api_key"], gateway=self, key_id=made["id"], owner=owner)
        # A connection for each look: the kernel deals them out, so that so many in a row come to every worker.
        wait_for(lambda: all(_known(customer) for _ in range(self.looks)), "the key does not become live")
        return customer

    def sync(self) -> None:
        """Wait until everything that was configured before is in force.

        A key that is live proves that the configuration was read after it was made; the models are read just before the
        keys, so only a second key proves them too.
        """
        for _ in range(2):
            self.customer({})

    def at_rest(self) -> None:
        """Wait until no account has anything leased or frozen."""
        wait_for(lambda: self.leases() == [], "leases are kept")

    def verify(self) -> None:
        """Let the gateway prove its books."""
        proof = self.manage("GET", "/verify")
        assert proof["ok"], proof


def _known(customer: Customer) -> bool:
    reply = customer.get("/openai/v1/models")
    return reply.status != 403 or reply.error["code"] != "invalid_api_key"


def _foreign(name: str) -> bool:
    """Whether a variable of this environment could change the gateway: its settings, and vendors' credentials."""
    return name.startswith("JOY_TOKEN_") or name.endswith(("_API_KEY", "_TOKEN"))


@contextlib.contextmanager
def gateway(command: Path, folder: Path, settings: dict[str, Any] | None = None) -> Iterator[Gateway]:
    """A gateway that serves for as long as the block runs, and ends as it should."""
    made = Gateway(command, folder, settings)
    try:
        yield made.start()
        if made.process is not None and made.process.poll() is None:
            made.stop()
    finally:
        made.end()


def answered(url: str) -> bool:
    """Whether a gateway is alive."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return Client(url).get("/health").status == 200
    return False


__all__: Sequence[str] = ["Customer", "Gateway", "answered", "gateway", "id_of", "wait_for"]
