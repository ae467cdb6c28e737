"""What every test stands on: no way out to the network, and Hypothesis that repeats itself."""

import ipaddress
import os
import shutil
import socket
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from joytoken.store.engine import Database
from joytoken.store.migrate import upgrade_database
from tests.postgres import PostgresServer, database_name

# The same examples in every run, and no judgement about time: the machine may be slow and shared.
_STEADY: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=100, derandomize=True, database=None, **_STEADY)
settings.register_profile("explore", max_examples=2_000, print_blob=True, **_STEADY)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class NetworkForbiddenError(RuntimeError):
    """A test reached for something that is not on this machine."""


def _refuse_beyond_loopback(family: int, address: Any) -> None:
    """Raise unless `address` (as sockets take it: `(host, port, …)`) is on this machine."""
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return  # a Unix socket cannot leave the machine
    _refuse_foreign_host(address[0])


def _refuse_foreign_host(host: str | bytes | None) -> None:
    """Raise unless `host` is absent (a wildcard to listen on), `localhost` or a loopback address."""
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in {"", "localhost"}:
        return
    try:
        local = ipaddress.ip_address(name.partition("%")[0]).is_loopback or name in {"0.0.0.0", "::"}
    except ValueError:
        local = False
    if not local:
        msg = f"tests reach only loopback, not {name!r}"
        raise NetworkForbiddenError(msg)


def _guarded_method(method: Callable[..., Any], address_index: int) -> Callable[..., Any]:
    """Wrap a socket's method whose positional argument `address_index` is the peer's address."""

    def call(self: socket.socket, *args: Any) -> Any:
        if len(args) > address_index and args[address_index] is not None:
            _refuse_beyond_loopback(self.family, args[address_index])
        return method(self, *args)

    return call


def _guarded_send_to(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `sendto(data, address)` and `sendto(data, flags, address)`."""

    def call(self: socket.socket, *args: Any) -> Any:
        _refuse_beyond_loopback(self.family, args[-1])
        return method(self, *args)

    return call


def _guarded_look_up(look_up: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function whose first argument is a host."""

    def call(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_foreign_host(host)
        return look_up(host, *args, **kwargs)

    return call


def _guarded_uvloop(method: Callable[..., Any], host_index: int) -> Callable[..., Any]:
    """Wrap a coroutine method of uvloop's loop, which looks names up and connects in C, past Python's sockets."""

    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_foreign_host(args[host_index] if len(args) > host_index else kwargs.get("host"))
        return await method(self, *args, **kwargs)

    return call


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse every connection, datagram and name look-up beyond this machine, in all tests of this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, address_index in (("connect", 0), ("connect_ex", 0), ("sendmsg", 3)):
            patch.setattr(socket.socket, name, _guarded_method(getattr(socket.socket, name), address_index))
        patch.setattr(socket.socket, "sendto", _guarded_send_to(socket.socket.sendto))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, _guarded_look_up(getattr(socket, name)))
        for name, host_index in (("create_connection", 1), ("getaddrinfo", 0)):
            patch.setattr(uvloop.Loop, name, _guarded_uvloop(getattr(uvloop.Loop, name), host_index))
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the clone."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def joytoken_command() -> Path:
    """The `joytoken` executable of the environment that runs the tests: the clone's, or the installed wheel's."""
    return Path(sysconfig.get_path("scripts")) / "joytoken"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started by the first test that asks for it."""
    server = PostgresServer()
    yield server
    server.close()


def _migrate(url: str) -> None:
    made = Database(url)
    upgrade_database(made)
    made.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and nothing in them; copied, since migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "joytoken.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_name(postgres: PostgresServer) -> str:
    """The same on PostgreSQL, as a template."""
    url = postgres.create()
    _migrate(url)
    return database_name(url)


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The URL of an empty, current database in a file."""
    path = tmp_path / "joytoken.db"
    shutil.copyfile(migrated_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: PostgresServer, migrated_name: str) -> Iterator[str]:
    """The URL of an empty, current database on the server."""
    url = postgres.create(migrated_name)
    yield url
    postgres.drop(url)
