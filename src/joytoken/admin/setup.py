"""The first run: a data folder that a gateway can serve from, made once, and the same for all who start at once."""

import fcntl
import hmac
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from joytoken.admin.admin_keys import AdminKeyCreate, create_admin_key
from joytoken.admin.desk import Desk
from joytoken.admin.folder import instance
from joytoken.admin.keys import KeyCreate, create_key
from joytoken.admin.models import ModelUpdate, update_model
from joytoken.admin.vault import SECRET_FILE, VaultError, open_vault
from joytoken.admin.wallets import WalletTopUp, top_up
from joytoken.config.settings import Settings
from joytoken.domain.apikey import DEFAULT_OWNER
from joytoken.domain.errors import Conflict
from joytoken.domain.money import parse_amount, short_amount
from joytoken.domain.tier import TIERS
from joytoken.providers.presets import offered
from joytoken.providers.seed import echo_models, echo_provider
from joytoken.store.open import open_store

LOCK_FILE = "setup.lock"
_DONE = "setup_done_us"
_SECRET = "secret_proof"
_ACTOR = "setup"
_FIRST_KEY = "first"


class FirstRun(msgspec.Struct, kw_only=True):
    """The credentials of a new data folder, shown this once."""

    api_key: str
    admin_key: str


class Prepared(NamedTuple):
    """A data folder that is ready. `first` is there on the first run alone."""

    desk: Desk
    first: FirstRun | None
    offers: list[str]  # presets whose credential is in the environment, and which are not providers yet


def prepare(settings: Settings, environ: Mapping[str, str] | None = None) -> Prepared:
    """Make the data folder and the database ready, and on the first run wallets, keys and the built-in models.

    Idempotent: an interrupted first run is completed by the next one, and credits nothing twice. Raises VaultError, or
    StoreError where the database cannot be used.
    """
    environ = os.environ if environ is None else environ
    data_dir = settings.data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(data_dir):
        vault = open_vault(data_dir)
        instance(data_dir)
        store = open_store(settings.database_url, migrate=True)
        try:
            desk = Desk(store, settings, vault, actor=_ACTOR, environ=environ)
            _check_secret(desk)
            first = None if store.setting(_DONE) is not None else _first_run(desk)
            _apply_overrides(desk)
            known = {provider.name for provider in store.catalog.providers()}
        except BaseException:
            store.close()
            raise
    offers = [preset.name for preset in offered(environ) if preset.name not in known]
    return Prepared(desk.acting("cli"), first, offers)


def take_desk(settings: Settings, environ: Mapping[str, str] | None = None) -> Desk:
    """The desk of a data folder that another process has just prepared. Raises VaultError, StoreError."""
    store = open_store(settings.database_url)
    try:
        return Desk(store, settings, open_vault(settings.data_dir), environ=os.environ if environ is None else environ)
    except BaseException:
        store.close()
        raise


def new_admin_key(desk: Desk, name: str = "init") -> str:
    """Make one more credential for the management API, and return it."""
    return create_admin_key(desk, AdminKeyCreate(name=name)).admin_key


def _first_run(desk: Desk) -> FirstRun:
    now = desk.now_us()
    known = desk.store.catalog.usd_per_credit()
    for tier, nano in desk.settings.usd_per_credit.items():
        if tier not in known:
            desk.store.catalog.put_usd_per_credit(tier, nano, now)
    if parse_amount(desk.settings.money.starter_credits) > 0:
        for wallet in TIERS:
            _starter(desk, wallet)
    desk.store.catalog.put_provider(echo_provider())
    for model in echo_models():
        desk.store.catalog.put_model(model)
    made = create_key(desk, KeyCreate(name=_FIRST_KEY))
    admin = new_admin_key(desk, _FIRST_KEY)
    desk.store.put_setting(_DONE, str(now))
    return FirstRun(api_key=made.api_key, admin_key=admin)


def _check_secret(desk: Desk) -> None:
    """A database belongs to one secret: with another one, none of its keys would be known."""
    proof = hmac.digest(desk.vault.pepper, b"joytoken secret of this database", "sha256").hex()
    known = desk.store.setting(_SECRET)
    if known is None:
        desk.store.put_setting(_SECRET, proof)
    elif known != proof:
        path = desk.settings.data_dir / SECRET_FILE
        raise VaultError(
            f"{path} is not the secret that this database was set up with; copy that file from the data folder of the"
            " gateway that uses the database already"
        )


def _starter(desk: Desk, tier: str) -> None:
    change = WalletTopUp(
        amount=desk.settings.money.starter_credits,
        idempotency_key=f"starter:{DEFAULT_OWNER}:{tier}",
        tier=tier,
        reason="starter credits",
    )
    try:
        top_up(desk, change)
    except Conflict:
        # An interrupted first run gave another amount: what was given once stays.
        return


def _apply_overrides(desk: Desk) -> None:
    """Write the configured overrides into the catalog, where they are not there yet."""
    models = {model.name: model for model in desk.store.catalog.models()}
    for name, override in desk.settings.models.items():
        if name not in models:
            continue
        model, rates = models[name], models[name].price.credits
        wanted: dict[str, Any] = {
            "tier": (override.tier, model.tier),
            "mci_score": (override.mci_score, model.mci_score),
            "enabled": (override.enabled, model.enabled),
            "input_mtok": (override.input_mtok, short_amount(rates.input)),
            "output_mtok": (override.output_mtok, short_amount(rates.output)),
        }
        changes = {field: value for field, (value, now) in wanted.items() if value is not None and value != now}
        if changes:
            update_model(desk, msgspec.convert({"name": name, **changes}, ModelUpdate))


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Let one process of this host at a time prepare the folder; the lock ends with the process that holds it."""
    with (data_dir / LOCK_FILE).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
