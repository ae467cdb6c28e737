"""The clients of this folder talk to the gateway that the journeys use."""

from tests.journeys.conftest import customer, open_gateway, server, stub

__all__ = ["customer", "open_gateway", "server", "stub"]
