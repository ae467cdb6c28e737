"""The kinds of provider: a new one is one class and one line here."""

from collections.abc import Callable

from joytoken.domain.catalog import Provider as ProviderConfig
from joytoken.providers.echo import EchoProvider
from joytoken.providers.interface import Provider
from joytoken.providers.openai import OpenAIProvider
from joytoken.providers.transport import Deadlines, Pool

Builder = Callable[[ProviderConfig, str | None, Pool, Deadlines], Provider]

KINDS: dict[str, Builder] = {
    "openai": OpenAIProvider,
    "echo": EchoProvider,
}


def build_provider(config: ProviderConfig, credential: str | None, pool: Pool, deadlines: Deadlines) -> Provider:
    """The adapter for a configured provider. Raises ValueError for an unknown kind or a bad base URL."""
    builder = KINDS.get(config.kind)
    if builder is None:
        raise ValueError(f"provider {config.name!r} has the unknown kind {config.kind!r}; known: {', '.join(KINDS)}")
    return builder(config, credential, pool, deadlines)
