"""A restored database and the journals of its earlier lives: nothing that they hold is settled again."""

import pytest

from joytoken.store.backup import back_up, restore
from joytoken.store.open import open_store
from tests.escrow.making import a_record, an_escrow, crash, fund, row, settle, wants

NOW_US = 1_795_348_800_000_000


def silent(*_):
    pass


async def live(store, folder, numbers, *, die):
    """A worker's life: so many requests of 100 each, and a death with them in the journal alone, or in the store."""
    escrow = await an_escrow(store.ledger, folder)
    for number in numbers:
        settle(escrow, await escrow.hold(a_record(number), wants(), 200, 0), 100)
        if die == "flushed":
            await escrow.flush_now()
    crash(escrow)


@pytest.mark.parametrize("lives", [1, 2, 3])
async def test_a_journal_of_before_is_not_applied_after_a_restore(sqlite_url, tmp_path, lives):
    """The backup's worker had not ended; since then it went on in the same epoch, or in later ones."""
    store, folder, file = open_store(sqlite_url), tmp_path / "journal", tmp_path / "a.db"
    fund(store.ledger, 10_000)
    await live(store, folder, [1, 2], die="flushed")
    back_up(store.database, file, silent, NOW_US)
    for life in range(1, lives):
        await live(store, folder, [10 * life, 10 * life + 1], die="unflushed")
    store.close()
    for again in range(2):  # a second restore meets the journals that the first one's life left
        restore(file, sqlite_url, silent, NOW_US + again, force=True)
        store = open_store(sqlite_url)
        assert (row(store.ledger).balance, row(store.ledger).leased) == (9_800, 0)
        escrow = await an_escrow(store.ledger, folder)
        assert row(store.ledger).balance == 9_800
        settle(escrow, await escrow.hold(a_record(90 + again), wants(), 200, 0), 100)
        await escrow.flush_now()
        assert row(store.ledger).balance == 9_700
        crash(escrow)
        assert store.ledger.verify().first_bad is None
        store.close()


async def test_without_a_restore_the_same_journal_is_applied(sqlite_url, tmp_path):
    store = open_store(sqlite_url)
    fund(store.ledger, 10_000)
    await live(store, tmp_path, [1, 2], die="unflushed")
    escrow = await an_escrow(store.ledger, tmp_path)
    assert row(store.ledger).balance == 9_800
    await escrow.stop()
    store.close()
