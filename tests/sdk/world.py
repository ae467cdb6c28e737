"""One real gateway for the tests of an SDK in any language.

    python -m tests.sdk.world -- COMMAND [ARGUMENT…]

starts a gateway with the model `echo` and a scripted provider behind it, runs the command with the variables that
`tests/sdk/README.md` lists, stops everything, and exits with the command's code.
"""

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.journeys.gateway import Customer, Gateway, gateway
from tests.sdk.scripted import scripted

MODELS = tuple(f"stub/{letter}" for letter in "abcdefghijklmnop")  # made at start; more on demand
ECONOMY_MODEL = "stub/economy"
_ALLOWED = ["echo/echo", "stub/*"]  # who names the echo gets it for `auto`, though there are other models
# Poor and dear by score, so that `auto` is the echo, which answers without a script.
_LAST = {"mci_score": 0, "input_mtok": "10000", "output_mtok": "20000"}
_GIVEN = ("JOY_TOKEN_OPENAI_BASE_URL", "JOY_TOKEN_ANTHROPIC_BASE_URL")  # would lead an SDK elsewhere
_WALLETS = dict.fromkeys(("economy", "standard", "premium"), "100000")


@dataclass(frozen=True)
class World:
    """A gateway, the provider behind it, and the keys of its users."""

    gateway: Gateway
    stub_url: str
    rich: Customer
    keys: dict[str, str]  # by the names of their variables

    @property
    def environment(self) -> dict[str, str]:
        """What a test finds in its environment."""
        return {
            "JOYTOKEN_TEST_URL": self.gateway.url,
            "JOYTOKEN_TEST_ADMIN_KEY": self.gateway.admin_key,
            "JOYTOKEN_TEST_OWNER": self.rich.owner,
            "JOYTOKEN_TEST_STUB_URL": self.stub_url,
            "JOY_TOKEN_API_BASE_URL": self.gateway.url,
            "JOY_TOKEN_API_KEY": self.rich.api_key or "",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **self.keys,
        }

    def run(self, command: list[str]) -> int:
        """Run a command in this world; gives its exit code. An interruption is passed on to it."""
        inherited = {name: value for name, value in os.environ.items() if name not in _GIVEN}
        child = subprocess.Popen(command, env=inherited | self.environment)
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        try:
            return child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def world(command: Path, folder: Path) -> Iterator[World]:
    """A world for as long as the block runs; its books are proved at the end."""
    with scripted() as stub, gateway(command, folder) as made:
        made.provider("stub", stub.url + "/v1")

        def make(name: str, fields: dict[str, Any]) -> None:
            made.model(name, "stub", name, **{"tier": "standard", **_LAST, **fields})
            made.sync()

        able = {"features": ["tools", "json_schema", "vision"], **_LAST}
        for name in MODELS:
            made.model(name, "stub", name, tier="standard", **able)
        made.model(ECONOMY_MODEL, "stub", ECONOMY_MODEL, tier="economy", **able)
        rich = made.customer(_WALLETS, allow_models=_ALLOWED)
        keys = {
            "JOYTOKEN_TEST_KEY": rich.api_key,
            "JOYTOKEN_TEST_EMPTY_KEY": made.customer({}, allow_models=_ALLOWED).api_key,
            "JOYTOKEN_TEST_ECONOMY_KEY": made.customer(_WALLETS, allowed_tiers=["economy"]).api_key,
            "JOYTOKEN_TEST_RUN_KEY": made.customer(_WALLETS, allow_models=_ALLOWED, run_budget=True).api_key,
        }
        stub.make_model = make
        yield World(made, stub.url, rich, {name: key or "" for name, key in keys.items()})
        made.verify()


def main() -> int:
    """Run the command of this command line in a world of its own."""
    _, *rest = sys.argv
    if rest[:1] != ["--"] or not rest[1:]:
        print("usage: python -m tests.sdk.world -- COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    joytoken = Path(sysconfig.get_path("scripts")) / "joytoken"
    with tempfile.TemporaryDirectory(prefix="joytoken-world-") as folder, world(joytoken, Path(folder)) as made:
        return made.run(rest[1:])


if __name__ == "__main__":
    sys.exit(main())
