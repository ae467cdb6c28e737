"""Where a power cut is to be survived: the disk comes before the provider, and before the caller."""

import msgspec
import pytest

from joytoken.escrow import durability
from tests.gateway.test_exchange import SCENES, hang_up_everywhere
from tests.gateway.worlds import SETTINGS, FakeAnswer, FakeCaller, FakeProvider, World, chat, stream


class Said:
    """What happened, in order."""

    def __init__(self, monkeypatch):
        self.said = []
        self.failure = None
        real = durability.sync

        def sync(files):
            if self.failure is not None:
                raise self.failure
            real(files)
            self.said.append("disk")

        monkeypatch.setattr(durability, "sync", sync)


class Provider(FakeProvider):
    def __init__(self, said, *answers):
        super().__init__(*answers)
        self.said = said

    async def invoke(self, choice, body, **more):
        self.said.append("provider")
        return await super().invoke(choice, body, **more)


class Caller(FakeCaller):
    def __init__(self, said):
        super().__init__()
        self.said = said

    def reply(self, *answer):
        self.said.append("answer")
        super().reply(*answer)

    def write(self, data):
        if b"[DONE]" in data:
            self.said.append("answer")
        super().write(data)


@pytest.fixture
async def powered(store, tmp_path, monkeypatch):
    """A data plane that survives a power cut."""
    said = Said(monkeypatch)
    made = World(store, tmp_path / "journal", msgspec.structs.replace(SETTINGS, durability="power"))
    made.said = said
    await made.start()
    yield made
    await made.stop()
    assert store.ledger.verify().first_bad is None
    assert all(row.leased == 0 for row in store.ledger.accounts())


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_disk_comes_before_the_provider_and_before_the_answer(powered, streamed):
    powered.key("ann")
    said = powered.said.said
    answers = [FakeAnswer(stream())] if streamed else []
    powered.providers["acme"] = Provider(said, *answers)
    await powered.serve(chat(stream=streamed), caller=Caller(said))
    assert said == ["disk", "provider", "disk", "answer"]


async def test_a_fallback_waits_for_nothing_more(powered):
    powered.key("ann")
    said = powered.said.said
    powered.providers["acme"] = Provider(said, FakeAnswer(b'{"error":{}}', 500))
    powered.providers["bolt"] = Provider(said)
    await powered.serve(chat("pair"), caller=Caller(said))
    assert said == ["disk", "provider", "provider", "disk", "answer"]


@pytest.mark.parametrize("status", [500, 400])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failure_is_told_when_the_disk_knows_of_it(powered, streamed, status):
    """After a power cut the input of a call that began is charged: not of one whose caller heard that it failed."""
    powered.key("ann")
    said = powered.said.said
    powered.providers["acme"] = Provider(said, FakeAnswer(b'{"error":{}}', status))
    caller = Caller(said)
    await powered.serve(chat(stream=streamed), caller=caller)
    assert caller.status == (502 if status == 500 else 400)
    assert said == ["disk", "provider", "disk", "answer"]


async def test_without_a_disk_no_provider_is_called(powered):
    powered.key("ann")
    powered.said.failure = OSError(28, "no space left")
    caller = Caller(powered.said.said)
    trail = (await powered.serve(chat(), caller=caller))[1]
    assert (caller.status, caller.error["code"]) == (503, "store_away")
    assert powered.providers["acme"].calls == []
    powered.said.failure = None
    await powered.escrow.flush_now()
    record = powered.store.usage.get(trail.request_id)
    assert (record.cost, record.ending) == (0, "provider_failed")


@pytest.mark.parametrize("scene", SCENES[:4])
async def test_a_hang_up_while_the_disk_works_closes_the_hold_once(powered, scene):
    done = await hang_up_everywhere(powered, scene, "rich", late=False)
    await powered.escrow.flush_now()
    called = {given for fake in powered.providers.values() for given in fake.request_ids}
    for _, trail, holds in done:
        record = powered.store.usage.get(trail.request_id)
        assert (record is not None) == bool(holds)
        if record is not None and trail.request_id not in called:
            assert (record.ending, record.cost) == ("client_gone", 0)
