"""What is configured reaches a worker: read in a thread, taken over in the loop."""

import asyncio
import threading

import msgspec
import pytest

from joytoken.domain.catalog import Catalog, Provider
from joytoken.gateway.keyring import Keyring
from joytoken.gateway.snapshot import Adapters, Snapshot
from joytoken.gateway.windows import Windows
from tests.gateway.worlds import NOW_US, PEPPER, a_key


class Source:
    def __init__(self):
        self.number = 1
        self.keys = [a_key("ann")]
        self.providers = {"acme": Provider("acme", "openai")}
        self.reads = []
        self.given = []
        self.away = False
        self.between = lambda: None

    def generation(self):
        if self.away:
            raise OSError("away")
        self.reads.append(threading.current_thread() is threading.main_thread())
        return self.number

    def keys_since(self, generation):
        return self.number, [key for key in self.keys if key.generation > generation or generation < 0]

    def budgets(self):
        return list(self.given)

    def catalog(self):
        made = Catalog(self.number, dict(self.providers), {}, {})
        self.between()
        return made


class Made:
    def __init__(self, config):
        if config.kind == "broken":
            raise ValueError("no credential")
        self.config = config


@pytest.fixture
async def follower():
    source, keyring, adapters = Source(), Keyring(PEPPER, Windows("UTC")), Adapters(Made)
    made = Snapshot(source, keyring, adapters, poll_ms=5)
    made.source, made.keyring, made.adapters = source, keyring, adapters
    await made.start()
    yield made
    await made.stop()


async def until(what):
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


async def test_everything_is_there_when_it_has_started(follower):
    assert follower.keyring.find(follower.keyring.digest(b"ann"), NOW_US) is not None
    assert follower.adapters.get("acme") is not None
    assert follower.current() is follower.catalog
    assert not any(follower.source.reads)  # never in the event loop's thread


async def test_a_change_is_followed(follower):
    before = follower.catalog
    follower.source.keys.append(msgspec.structs.replace(a_key("bob"), generation=2))
    follower.source.number = 2
    await until(lambda: follower.generation == 2)
    assert follower.keyring.find(follower.keyring.digest(b"bob"), NOW_US) is not None
    assert follower.catalog is not before


async def test_nothing_changed_is_the_same_catalog(follower):
    before, looked = follower.catalog, len(follower.source.reads)
    await until(lambda: len(follower.source.reads) > looked + 3)
    assert follower.catalog is before


async def test_a_store_that_is_away_leaves_what_is_known_in_force(follower, caplog):
    follower.source.away = True
    await until(lambda: "could not be read" in caplog.text)
    assert follower.keyring.find(follower.keyring.digest(b"ann"), NOW_US) is not None
    follower.source.away = False
    follower.source.number = 5
    await until(lambda: follower.generation == 5)


async def test_a_change_between_two_reads_is_seen_at_the_next_look(follower):
    """The catalog was read, and then somebody added a provider: it must not be taken for seen."""

    def somebody():
        follower.source.between = lambda: None
        follower.source.number = 3
        follower.source.providers["bolt"] = Provider("bolt", "openai")

    follower.source.between = somebody
    follower.source.number = 2
    await until(lambda: follower.adapters.get("bolt") is not None)
    assert follower.generation == 3


def test_adapters_are_made_anew_only_where_something_changed(caplog):
    adapters = Adapters(Made)
    acme, bolt = Provider("acme", "openai"), Provider("bolt", "openai")
    adapters.take_over({"acme": acme, "bolt": bolt})
    first = adapters.get("acme")
    adapters.take_over({"acme": acme, "bolt": msgspec.structs.replace(bolt, base_url="http://127.0.0.1")})
    assert adapters.get("acme") is first
    assert adapters.get("bolt").config.base_url
    adapters.take_over({"acme": msgspec.structs.replace(acme, enabled=False), "bad": Provider("bad", "broken")})
    assert adapters.get("acme") is adapters.get("bolt") is adapters.get("bad") is None
    assert "bad" in caplog.text
