"""What could be wrong with a gateway, looked for, each with what to do about it."""

import http.client
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.doctor_workers import Finding, look_at_workers
from joytoken.admin.vault import SECRET_FILE, VaultError, open_vault, secret_is_private
from joytoken.admin.wallets import VerifyQuery, verify
from joytoken.config.settings import Settings
from joytoken.domain.ledger import wallet_account
from joytoken.domain.tier import TIERS
from joytoken.store.engine import StoreError
from joytoken.store.open import open_store

DISK_BYTES_MIN = 256 * 1024 * 1024
HEALTH_S = 2.0


class Diagnosis(msgspec.Struct, kw_only=True):
    """All looks. `ok` is false where one failed."""

    ok: bool
    findings: list[Finding]


def examine(
    settings: Settings, environ: dict[str, str], health: Callable[[str, int], str | None] | None = None
) -> Diagnosis:
    """Look at everything that this machine can tell; changes nothing."""
    findings = [*_machine(settings), *_folder(settings, environ)]
    findings.append(_gateway(settings, health or answers))
    return Diagnosis(ok=all(finding.state != "failed" for finding in findings), findings=findings)


def answers(host: str, port: int) -> str | None:
    """None where a gateway answers here, else why not."""
    connection = http.client.HTTPConnection(host, port, timeout=HEALTH_S)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()
    return None if status == 200 else f"HTTP {status}"


def _machine(settings: Settings) -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(name="python", state="ok", detail=version)
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    enough = free >= DISK_BYTES_MIN
    yield Finding(
        name="disk",
        state="ok" if enough else "failed",
        detail=f"{free // 1024**2} MiB free at {folder}",
        next="" if enough else "make room: settlements are written before an answer is complete",
    )


def _folder(settings: Settings, environ: dict[str, str]) -> Iterator[Finding]:
    folder: Path = settings.data_dir
    if not (folder / SECRET_FILE).is_file():
        yield Finding(name="data folder", state="failed", detail=f"{folder} is not set up", next="joytoken init")
        return
    private = secret_is_private(folder)
    yield Finding(
        name="secret",
        state="ok" if private else "failed",
        detail="readable by its owner alone" if private else "readable by others",
        next="" if private else f"chmod 600 {folder / SECRET_FILE}",
    )
    try:
        vault = open_vault(folder)
        store = open_store(settings.database_url)
    except VaultError as error:
        yield Finding(name="secret", state="failed", detail=str(error), next="restore the data folder from a backup")
        return
    except StoreError as error:
        yield Finding(name="database", state="failed", detail=str(error), next="joytoken db status")
        return
    try:
        desk = Desk(store, settings, vault, environ=environ)
        yield Finding(name="database", state="ok", detail="schema is current")
        yield from _books(desk)
        yield from look_at_workers(desk)
        yield from _catalog(desk)
    except StoreError as error:
        yield Finding(name="database", state="failed", detail=str(error), next="joytoken db status")
    finally:
        store.close()


def _books(desk: Desk) -> Iterator[Finding]:
    proof = verify(desk, VerifyQuery())
    bad = [check for check in proof.checks if not check.ok]
    yield Finding(
        name="books",
        state="failed" if bad else "ok",
        detail=f"{bad[0].name}: {bad[0].detail}" if bad else f"proved over {proof.accounts} accounts",
        next="joytoken wallet verify" if bad else "",
    )
    rows = {row.account: row.available for row in desk.store.ledger.accounts("wallet:")}
    owners = sorted({key.owner_id for key in desk.store.keys.list(include_revoked=False)})
    for owner in owners:
        empty = [tier for tier in TIERS if rows.get(wallet_account(owner, tier), 0) <= 0]
        name = f"wallets of {owner}"
        if not empty:
            yield Finding(name=name, state="ok", detail="none is empty")
            continue
        command = f"joytoken wallet top-up 100 --owner {owner} --tier {empty[0]} --idempotency-key KEY"
        yield Finding(name=name, state="warning", detail=f"empty: {', '.join(empty)}", next=command)
    if not owners:
        yield Finding(name="keys", state="warning", detail="there is no active key", next="joytoken keys create NAME")


def _catalog(desk: Desk) -> Iterator[Finding]:
    for provider in desk.store.catalog.providers():
        variable, name = provider.api_key_env, f"provider {provider.name}"
        if variable and provider.sealed_key is None and not desk.environ.get(variable):
            said = f"{variable} is not set here"
            yield Finding(name=name, state="warning", detail=said, next=f"set {variable} where joytoken serve runs")
        else:
            yield Finding(name=name, state="ok", detail="has what it needs", next="")
    models = [model for model in desk.store.catalog.models() if model.enabled]
    lost = [model.name for model in models if not any(d.enabled for d in model.deployments)]
    if lost:
        said = f"{len(lost)} cannot be called, {lost[0]} among them"
        yield Finding(
            name="models", state="warning", detail=said, next=f"joytoken models add {lost[0]} --provider NAME"
        )
    elif models:
        yield Finding(name="models", state="ok", detail=f"{len(models)} can be called")
    else:
        yield Finding(name="models", state="warning", detail="there is none", next="joytoken providers add NAME")


def _gateway(settings: Settings, health: Callable[[str, int], str | None]) -> Finding:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104 - compared
    why = health(host, settings.server.port)
    place = f"{host}:{settings.server.port}"
    if why is None:
        return Finding(name="gateway", state="ok", detail=f"answers at {place}")
    return Finding(name="gateway", state="warning", detail=f"does not answer at {place}: {why}", next="joytoken serve")
