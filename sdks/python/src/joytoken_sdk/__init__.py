"""JoyToken for Python: the `openai` package on a gateway, what the gateway adds to it, and agents.

Names are loaded when they are first used, so that importing this costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from joytoken_sdk.version import __version__

if TYPE_CHECKING:
    from joytoken_sdk.openai_clients import async_openai_client, openai_client

_HOMES = {
    "async_openai_client": "openai_clients",
    "openai_client": "openai_clients",
}

__all__ = ["__version__", "async_openai_client", "openai_client"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
