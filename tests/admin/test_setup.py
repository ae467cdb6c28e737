import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from joytoken.admin.setup import new_admin_key, prepare
from joytoken.admin.wallets import VerifyQuery, WalletQuery, show_wallets, verify
from joytoken.config.settings import ModelOverride, Money, Server, Settings
from joytoken.domain.ids import ADMIN_PREFIX, KEY_PREFIX, secret_digest, well_formed


@pytest.fixture
def settings(tmp_path):
    return Settings(server=Server(data_dir=str(tmp_path / "a" / "data")))


def test_a_first_run_leaves_everything_ready(settings):
    desk, first, offers = prepare(settings, {"GROQ_API_KEY": "x"})
    assert well_formed(first.api_key, KEY_PREFIX)
    assert well_formed(first.admin_key, ADMIN_PREFIX)
    assert desk.store.keys.by_digest(secret_digest(first.api_key.encode(), desk.vault.pepper)).name == "first"
    assert desk.store.keys.admins() == [secret_digest(first.admin_key.encode(), desk.vault.pepper)]
    assert {w.balance for w in show_wallets(desk, WalletQuery()).wallets} == {"1000.000000"}
    assert {m.tier for m in desk.store.catalog.models()} == {"economy", "standard", "premium"}
    assert desk.store.catalog.usd_per_credit() == settings.usd_per_credit
    assert offers == ["groq"]
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    desk.store.close()


def test_the_next_run_changes_nothing(settings):
    desk, _, _ = prepare(settings, {})
    generation = desk.store.generation()
    again, first, _ = prepare(settings, {})
    assert (first, again.store.generation(), len(again.store.keys.list())) == (None, generation, 1)
    desk.store.close()
    again.store.close()


def test_an_interrupted_first_run_is_completed_and_credits_nothing_twice(settings, monkeypatch):
    def fail(*_):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("joytoken.admin.setup.create_key", fail)
        with pytest.raises(RuntimeError):
            prepare(settings, {})
    desk, first, _ = prepare(settings, {})
    assert first is not None
    assert {w.balance for w in show_wallets(desk, WalletQuery()).wallets} == {"1000.000000"}
    assert verify(desk, VerifyQuery()).ok
    desk.store.close()


def test_of_all_who_start_at_once_one_makes_the_first_key(settings):
    with ThreadPoolExecutor(4) as threads:
        prepared = list(threads.map(lambda _: prepare(settings, {}), range(4)))
    assert sum(one.first is not None for one in prepared) == 1
    assert len(prepared[0].desk.store.keys.list()) == 1
    for one in prepared:
        one.desk.store.close()


def test_no_starter_credits_where_none_are_wanted(tmp_path):
    settings = Settings(server=Server(data_dir=str(tmp_path)), money=Money(starter_credits="0"))
    desk, _, _ = prepare(settings, {})
    assert {w.balance for w in show_wallets(desk, WalletQuery()).wallets} == {"0.000000"}
    desk.store.close()


def test_configured_overrides_are_written_into_the_catalog_once(tmp_path):
    override = ModelOverride(tier="economy", mci_score=12.0, input_mtok="1.5")
    settings = Settings(
        server=Server(data_dir=str(tmp_path)), models={"echo/echo": override, "nobody": ModelOverride(enabled=False)}
    )
    desk, _, _ = prepare(settings, {})
    model = next(m for m in desk.store.catalog.models() if m.name == "echo/echo")
    assert (model.tier, model.mci_score, model.price.credits.input) == ("economy", 12.0, 1_500_000_000)
    assert model.price.credits.output == 300 * 10**9
    generation = desk.store.generation()
    again, _, _ = prepare(settings, {})
    assert again.store.generation() == generation
    desk.store.close()
    again.store.close()


def test_one_more_admin_key(desk):
    made = new_admin_key(desk)
    assert secret_digest(made.encode(), desk.vault.pepper) in desk.store.keys.admins()
    assert made not in str(desk.store.audit.list(3))
