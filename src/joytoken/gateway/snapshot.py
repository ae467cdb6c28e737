"""The configuration as one worker knows it: keys, catalog and adapters, at most a poll behind the store.

Whoever changes a key, a provider or a model raises the store's configuration generation. A thread looks at that number
and reads what changed; the event loop then takes it over between two requests.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from joytoken.domain.apikey import ApiKey
from joytoken.domain.budget import Budget
from joytoken.domain.catalog import Catalog
from joytoken.domain.catalog import Provider as ProviderConfig
from joytoken.gateway.keyring import Keyring
from joytoken.providers.interface import Provider

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the configuration is read from. Called from threads."""

    def generation(self) -> int:
        """The configuration generation."""
        ...

    def keys_since(self, generation: int) -> tuple[int, list[ApiKey]]:
        """The keys that changed after a generation, and the generation that they belong to."""
        ...

    def budgets(self) -> list[Budget]:
        """All budgets."""
        ...

    def catalog(self) -> Catalog:
        """Providers and models."""
        ...


Build = Callable[[ProviderConfig], Provider]


class Adapters:
    """The adapters of all enabled providers, each made anew only when its configuration changed."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._made: dict[str, tuple[ProviderConfig, Provider]] = {}

    def get(self, name: str) -> Provider | None:
        """The adapter of a provider; None where there is none."""
        made = self._made.get(name)
        return made[1] if made is not None else None

    def take_over(self, providers: dict[str, ProviderConfig]) -> None:
        """Follow a new catalog. A provider that cannot be set up is left out and logged; the others go on."""
        kept: dict[str, tuple[ProviderConfig, Provider]] = {}
        for name, config in providers.items():
            if not config.enabled:
                continue
            made = self._made.get(name)
            if made is not None and made[0] == config:
                kept[name] = made
                continue
            try:
                kept[name] = (config, self._build(config))
            except (ValueError, OSError) as error:
                _log.error("provider %s cannot be used: %s", name, error)
        self._made = kept


class Snapshot:
    """Follows the store's configuration."""

    def __init__(
        self,
        source: Source,
        keyring: Keyring,
        adapters: Adapters,
        *,
        poll_ms: int,
        prepare: Callable[[Catalog], None] = lambda _: None,
    ) -> None:
        """`prepare` is called with each new catalog, in a thread, before it is taken over."""
        self._source = source
        self._prepare = prepare
        self._keyring = keyring
        self._adapters = adapters
        self._poll_s = poll_ms / 1000
        self._task: asyncio.Task[None] | None = None
        self.catalog = Catalog(generation=-1, providers={}, models={}, usd_per_credit={})
        self.generation = -1

    def current(self) -> Catalog:
        """The catalog; the same object for as long as nothing changed."""
        return self.catalog

    async def start(self) -> None:
        """Read everything once, then follow."""
        await self.refresh()
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Look for changes now."""
        found = await asyncio.to_thread(self._read)
        if found is None:
            return
        generation, keys, budgets, catalog = found
        self._keyring.take_over(generation, keys, budgets)
        self._adapters.take_over(catalog.providers)
        self.catalog = catalog
        self.generation = generation

    def _read(self) -> tuple[int, list[ApiKey], list[Budget], Catalog] | None:
        if self._source.generation() == self.generation:
            return None
        # The catalog is read first: what changes in between is seen again at the next poll, never missed.
        catalog = self._source.catalog()
        budgets = self._source.budgets()
        generation, keys = self._source.keys_since(self._keyring.generation)
        self._prepare(catalog)
        return min(generation, catalog.generation), keys, budgets, catalog

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - the store may be away: what is known stays in force
                _log.warning("the configuration could not be read: %s", error)
