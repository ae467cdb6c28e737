"""What the tests of this package stand on: a gateway that is a fake, and no way out to the network."""

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from fake_gateway import FakeGateway

from joytoken_sdk.openai_clients import JoyTokenOpenAI

KEY = "jt_live_0123456789abcdef"


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse every connection beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            assert ipaddress.ip_address(address[0]).is_loopback, f"tests reach only loopback, not {address!r}"
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment leads a client elsewhere, unless a test says so."""
    for name in ("JOY_TOKEN_API_KEY", "JOY_TOKEN_API_BASE_URL", "JOY_TOKEN_OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(autouse=True)
def closed_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test leaves open: a socket that is found later would be another test's warning."""
    opened: list[JoyTokenOpenAI] = []
    begin = JoyTokenOpenAI.__init__

    def remembered(self: JoyTokenOpenAI, **options: Any) -> None:
        begin(self, **options)
        opened.append(self)

    monkeypatch.setattr(JoyTokenOpenAI, "__init__", remembered)
    yield
    for client in opened:
        client.close()


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    """A gateway that answers as it is told."""
    gateway = FakeGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def options(fake: FakeGateway) -> dict[str, Any]:
    """What a client of the fake is made with."""
    return {"api_key": KEY, "api_base_url": fake.url}
