"""One stub and one gateway for each file of journeys; each test takes customers of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.gateway import Customer, Gateway, gateway
from tests.journeys.stub import Stub, running


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    """A provider that says what a test wants."""
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def open_gateway(joytoken_command: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gateway]]:
    """Start further gateways: `open_gateway(**{"server.body_ms": 500})`. They are stopped with the file's last test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Gateway:
            return stack.enter_context(gateway(joytoken_command, tmp_path_factory.mktemp("gateway"), settings))

        yield start


@pytest.fixture(scope="module")
def server(joytoken_command: Path, tmp_path_factory: pytest.TempPathFactory, stub: Stub) -> Iterator[Gateway]:
    """A gateway with the provider `stub` and the models that most journeys use."""
    with gateway(joytoken_command, tmp_path_factory.mktemp("server")) as made:
        made.provider("stub", stub.url)
        made.model("stub/plain", "stub", "plain", tier="standard")
        made.sync()
        yield made


@pytest.fixture
def customer(server: Gateway) -> Customer:
    """A key with wallets of its own."""
    return server.customer()
