"""What is measured: the gateway itself with everything on, nginx as a bare proxy beside it, or any other command."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError, Process, free_port

MODEL = "openai/gpt-4o-mini"
SETUP_SECONDS_MAX = 120
# Variables that would give the measured gateway a provider, a database or a limit that the benchmark did not choose.
HIDDEN_PREFIXES = ("JOY_TOKEN_",)
HIDDEN_SUFFIXES = ("_API_KEY", "_API_BASE", "_BASE_URL", "_proxy", "_PROXY")


@dataclass(frozen=True, slots=True)
class Door:
    """Where and how the callers ask: every answer of status 200 must hold the bytes of `needle`."""

    path: str = "/openai/v1/chat/completions"
    model: str = MODEL
    key: str = "none"
    needle: str = ""


class Subject(ABC):
    """A server that can be started in front of a stub. One object is one start; `folder` is its own and empty."""

    name: str

    def __init__(self, folder: Path, upstream_port: int, core: int | str) -> None:
        self.folder = folder
        self.upstream_port = upstream_port
        self.core = core
        self.port = free_port()
        self.startup_s = 0.0

    @abstractmethod
    def command(self) -> list[str]:
        """Prepare what the server needs and give the command that starts it."""

    @abstractmethod
    def door(self) -> Door: ...

    def environment(self) -> dict[str, str]:
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(HIDDEN_PREFIXES) and not name.endswith(HIDDEN_SUFFIXES)
        }

    def start(self) -> Process:
        """Start the server and wait until it listens; `startup_s` then says how long that took."""
        command = self.command()
        process = Process(self.core, command, self.folder / f"{self.name}.log", self.environment())
        try:
            self.startup_s = process.wait_listening(self.port)
        except BaseException:
            process.stop()
            raise
        return process

    def verify(self, answers: int | None) -> str | None:
        """Check what the run left behind, after the stop, given how many answers the callers got (None: do not count).

        Gives a sentence, or None where there is nothing to check.
        """
        return None


NGINX_CONFIGURATION = """\
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 64k;
    keepalive_requests 1000000000;
    upstream stub {{
        server 127.0.0.1:{upstream_port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://stub;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering {buffering};
        }}
    }}
}}
"""


class Nginx(Subject):
    """nginx passing bytes on and doing nothing else: the floor that a gateway's own work is measured from."""

    name = "nginx"

    def __init__(self, folder: Path, upstream_port: int, core: int, *, stream: bool) -> None:
        super().__init__(folder, upstream_port, core)
        self.stream = stream

    @staticmethod
    def program() -> str | None:
        """Find nginx, also where only an administrator's PATH would have it."""
        return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")

    @staticmethod
    def version() -> str:
        done = subprocess.run([Nginx.program() or "nginx", "-v"], capture_output=True, text=True, check=False)
        return done.stderr.strip().removeprefix("nginx version: ").replace("/", " ")

    def command(self) -> list[str]:
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            NGINX_CONFIGURATION.format(
                folder=self.folder,
                port=self.port,
                upstream_port=self.upstream_port,
                buffering="off" if self.stream else "on",  # a stream held back until a buffer is full is no stream
            )
        )
        return [self.program() or "nginx", "-p", str(self.folder), "-c", str(configuration), "-g", "daemon off;"]

    def door(self) -> Door:
        return Door(needle='"usage"')


class Command(Subject):
    """Any server that is started by a command, with {port} and {upstream} in it filled in."""

    name = "command"

    def __init__(self, folder: Path, upstream_port: int, core: int, text: str, given_door: Door) -> None:
        super().__init__(folder, upstream_port, core)
        self.text = text
        self.given_door = given_door

    def command(self) -> list[str]:
        upstream = f"http://127.0.0.1:{self.upstream_port}"
        return [
            word.replace("{port}", str(self.port)).replace("{upstream}", upstream) for word in shlex.split(self.text)
        ]

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def door(self) -> Door:
        return self.given_door


# Set-up as an operator would do it, through the documented commands: every limit is on, and none is ever reached.
SETUP: Mapping[str, str] = {
    "init": "init --json",
    "provider": "providers add stub --kind openai --base-url http://127.0.0.1:{upstream_port}/v1",
    "model": (
        "models add openai/gpt-4o-mini --provider stub --upstream gpt-4o-mini --tier standard"
        " --input-mtok 75 --output-mtok 300 --context 128000"
    ),
    "wallet": "wallet top-up 1000000 --tier standard --idempotency-key bench",
    "key": (
        "keys create bench --allowed-tier standard --limit-daily 100000000 --limit-weekly 700000000"
        " --rpm 100000000 --tpm 2000000000 --concurrency 100000 --project bench --json"
    ),
}


class JoyToken(Subject):
    """The gateway with key, policy, limits, hold, journal and usage records all on, in a data folder of its own."""

    name = "joytoken"

    def __init__(self, folder: Path, upstream_port: int, core: int | str, under: str = "", *, workers: int = 1) -> None:
        super().__init__(folder, upstream_port, core)
        self.data = folder / "data"
        self.under = under
        self.workers = workers
        self.key = ""

    @staticmethod
    def program() -> list[str]:
        """Find the gateway that belongs to the Python this runs in."""
        beside = Path(sys.executable).with_name("joytoken")
        return [str(beside)] if beside.exists() else [sys.executable, "-m", "joytoken"]

    @staticmethod
    def version() -> str:
        done = subprocess.run([*JoyToken.program(), "--version"], capture_output=True, text=True, check=False)
        return done.stdout.strip().replace(", version", "") or "joytoken"

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "JOY_TOKEN_DATA_DIR": str(self.data)}

    def run(self, arguments: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of the CLI on this data folder."""
        done = subprocess.run(
            [*self.program(), *shlex.split(arguments)],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SETUP_SECONDS_MAX,
            check=False,
        )
        if check and done.returncode:
            raise BenchError(
                f"joytoken {arguments}\nended with {done.returncode}: {done.stderr.strip() or done.stdout}"
            )
        return done

    def command(self) -> list[str]:
        for name, arguments in SETUP.items():
            printed = self.run(arguments.format(upstream_port=self.upstream_port)).stdout
            if name == "key":
                self.key = json.loads(printed)["api_key"]
        many = ["--workers", str(self.workers)] if self.workers > 1 else []
        return [*shlex.split(self.under), *self.program(), "serve", "--port", str(self.port), *many]

    def door(self) -> Door:
        return Door(key=self.key, needle='"metadata"')

    def verify(self, answers: int | None) -> str:
        """Have the wallets' invariants proved, and the usage records counted against the answers callers got.

        Raises `BenchError` when the books do not hold or a record is missing or too many.
        """
        done = self.run("wallet verify --json", check=False)
        books = json.loads(done.stdout) if done.stdout.strip() else {}
        if done.returncode or not books.get("ok"):
            raise BenchError(f"joytoken wallet verify --json found the books wrong:\n{done.stdout}{done.stderr}")
        if answers is None:
            return "joytoken wallet verify --json is clean"
        if books["records"] != answers:
            raise BenchError(f"{answers:,} answers were given, and {books['records']:,} usage records were written")
        return "joytoken wallet verify --json is clean, with one usage record for each answer"
