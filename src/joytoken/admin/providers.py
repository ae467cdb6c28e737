"""Providers: who answers. Their credentials come from the environment, or are kept sealed."""

import re
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from joytoken.admin.desk import Desk
from joytoken.admin.models import Removed
from joytoken.admin.reach import Reached, reach
from joytoken.admin.seeds import seed_provider
from joytoken.admin.vault import VaultError
from joytoken.domain.catalog import Disconnect, Model, Provider
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.providers.addresses import literal, networks_of, within
from joytoken.providers.presets import Preset, presets
from joytoken.providers.registry import KINDS
from joytoken.providers.transport import readable_authorities
from joytoken.providers.upstream import parse_origin

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OWN_VARIABLES = "JOY_TOKEN_"  # of the gateway itself: its database's password, its keys
CREDENTIAL_CHARS_MAX = 4096


class ProviderAdd(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A provider. Where the name is a preset's, only what differs from the preset needs to be said."""

    name: str
    kind: str | None = None
    base_url: str | None = None
    preset: str | None = None
    api_key_env: str | None = None  # name of the environment variable that holds the credential
    api_key: str | None = None  # or the credential itself, which is kept sealed
    on_disconnect: Disconnect | None = None
    ca_file: str | None = None
    enabled: bool | None = None
    seed: bool = True  # add the preset's models with their prices too


class ProviderRef(msgspec.Struct, kw_only=True):
    """A provider by name."""

    name: str


class ProviderRemove(msgspec.Struct, kw_only=True):
    """A provider to remove; `force` removes the deployments that name it too."""

    name: str
    force: bool = False


class ProviderQuery(msgspec.Struct):
    """Nothing can be chosen."""


class ProviderDocument(msgspec.Struct, kw_only=True):
    """A provider, without its credential. `credential` is environment, sealed or none."""

    name: str
    kind: str
    base_url: str
    credential: str
    api_key_env: str | None
    enabled: bool
    on_disconnect: str
    ca_file: str | None
    models: int  # that have a deployment here
    seeded: list[str] = []  # models that were added with it just now


class ProviderList(msgspec.Struct):
    """Providers by name."""

    providers: list[ProviderDocument]


class PresetDocument(msgspec.Struct, kw_only=True):
    """A vendor whose settings are known. `found` names the environment variable that holds its credential here."""

    name: str
    title: str
    kind: str
    base_url: str
    api_key_env: list[str]
    found: str | None
    priced: bool  # whether its models come with prices
    local: bool
    docs: str
    quirks: list[str]


class PresetList(msgspec.Struct):
    """Known vendors by name."""

    presets: list[PresetDocument]


class ProviderTest(msgspec.Struct, kw_only=True):
    """What a provider said when it was asked for its models."""

    name: str
    ok: bool
    status: int
    latency_ms: float
    models: list[str]
    message: str


def list_providers(desk: Desk, request: ProviderQuery) -> ProviderList:  # noqa: ARG001 - every operation takes a request
    """All providers."""
    models = desk.store.catalog.models()
    return ProviderList([_shown(provider, models) for provider in desk.store.catalog.providers()])


def list_presets(desk: Desk, request: ProviderQuery) -> PresetList:  # noqa: ARG001
    """All presets."""
    return PresetList(
        [
            PresetDocument(
                name=preset.name,
                title=preset.title,
                kind=preset.kind,
                base_url=preset.base_url,
                api_key_env=list(preset.api_key_env),
                found=preset.credential_env(desk.environ),
                priced=preset.prices is not None,
                local=preset.local,
                docs=preset.docs,
                quirks=list(preset.quirks),
            )
            for preset in presets().values()
        ]
    )


def add_provider(desk: Desk, request: ProviderAdd) -> ProviderDocument:
    """Add a provider, or write it anew. Raises InvalidRequest, and Conflict where a credential would go elsewhere."""
    if not _NAME.fullmatch(request.name):
        raise InvalidRequest("a provider's name has lower-case letters, digits, dots and dashes", param="name")
    preset = _preset_of(request)
    old = next((p for p in desk.store.catalog.providers() if p.name == request.name), None)
    base = old or Provider(name=request.name, kind="openai")
    if preset is not None and old is None:
        base = replace(preset.provider(desk.environ), name=request.name)
    provider = _checked(_with_request(base, request), desk.settings.upstream.networks_denied)
    if old is not None and request.api_key is None:
        _refuse_to_carry(old, provider)
    if request.api_key is not None:
        if not 1 <= len(request.api_key) <= CREDENTIAL_CHARS_MAX or not request.api_key.isascii():
            raise InvalidRequest("a credential is ASCII text", param="api_key")
        sealed = desk.vault.seal(request.api_key, request.name)
        provider = replace(provider, sealed_key=sealed, api_key_env=None)
    desk.store.catalog.put_provider(provider)
    seeded = seed_provider(desk, provider.name, preset) if preset is not None and request.seed else []
    after = _document(desk, provider)
    desk.note("provider.add", provider.name, None if old is None else _document(desk, old), after)
    after.seeded = seeded
    return after


def remove_provider(desk: Desk, request: ProviderRemove) -> Removed:
    """Remove a provider. Raises NotFound, or Conflict while models are served through it."""
    provider = find_provider(desk, request.name)
    models = [m for m in desk.store.catalog.models() if any(d.provider == provider.name for d in m.deployments)]
    if models and not request.force:
        said = (
            f"{len(models)} models are served through {provider.name}, {models[0].name} among them: remove with force"
        )
        raise Conflict(said, "provider_in_use", param="name")
    for model in models:
        for deployment in model.deployments:
            if deployment.provider == provider.name:
                desk.store.catalog.remove_deployment(deployment.deployment_id)
        if all(deployment.provider == provider.name for deployment in model.deployments):
            desk.store.catalog.remove_model(model.name)
    before = _document(desk, provider)
    desk.store.catalog.remove_provider(provider.name)
    desk.note("provider.remove", provider.name, before)
    return Removed(provider.name)


def check_provider(desk: Desk, request: ProviderRef) -> ProviderTest:
    """Ask a provider for its models. Raises NotFound; a provider that fails is a result, not an error."""
    provider = find_provider(desk, request.name)
    try:
        credential = credential_of(desk, provider)
    except VaultError as error:
        reached = Reached(ok=False, message=str(error))
    else:
        reached = reach(provider, credential, networks_of(desk.settings.upstream.networks_denied))
    return ProviderTest(
        name=provider.name,
        ok=reached.ok,
        status=reached.status,
        latency_ms=reached.latency_ms,
        models=reached.models,
        message=reached.message,
    )


def credential_of(desk: Desk, provider: Provider) -> str | None:
    """The credential in clear, from the environment or unsealed. Raises VaultError."""
    if provider.sealed_key is not None:
        return desk.vault.open(provider.sealed_key, provider.name)
    return desk.environ.get(provider.api_key_env) if provider.api_key_env else None


def find_provider(desk: Desk, name: str) -> Provider:
    """A provider by name. Raises NotFound."""
    found = next((provider for provider in desk.store.catalog.providers() if provider.name == name), None)
    if found is None:
        raise NotFound(f"there is no provider {name!r}", "unknown_provider", param="name")
    return found


def _preset_of(request: ProviderAdd) -> Preset | None:
    if request.preset is not None:
        preset = presets().get(request.preset)
        if preset is None:
            raise InvalidRequest(
                f"there is no preset {request.preset!r}; see: joytoken providers presets", param="preset"
            )
        return preset
    # A base URL of one's own means a server of one's own, whatever it is called.
    return presets().get(request.name) if request.base_url is None and request.kind is None else None


def _with_request(base: Provider, request: ProviderAdd) -> Provider:
    wanted = {
        "kind": request.kind,
        "base_url": request.base_url,
        "api_key_env": request.api_key_env,
        "on_disconnect": request.on_disconnect,
        "ca_file": request.ca_file,
        "enabled": request.enabled,
    }
    changed = replace(base, **{name: value for name, value in wanted.items() if value is not None})
    return replace(changed, sealed_key=None) if request.api_key_env is not None else changed


def _refuse_to_carry(old: Provider, new: Provider) -> None:
    """A kept credential is for the origin that it was given for: whoever may change a URL need not know it."""
    if new.sealed_key is None or new.base_url == old.base_url or _same_origin(old.base_url, new.base_url):
        return
    message = (
        "base_url leads to another origin than the one that the kept credential was given for: send api_key again"
        f" (joytoken providers add {new.name} --base-url URL --api-key-stdin), or name api_key_env"
    )
    raise Conflict(message, "credential_needed", param="base_url")


def _same_origin(one: str, other: str) -> bool:
    try:
        return parse_origin(one)[0] == parse_origin(other)[0]
    except ValueError:  # the built-in echo has none
        return False


def _checked(provider: Provider, denied: Sequence[str]) -> Provider:
    if provider.kind not in KINDS:
        raise InvalidRequest(f"{provider.kind!r} is not a kind; they are {', '.join(KINDS)}", param="kind")
    if provider.kind != "echo":
        if not provider.base_url:
            raise InvalidRequest("a provider needs a base URL, or the name of a preset", param="base_url")
        try:
            host = parse_origin(provider.base_url)[0].host
        except ValueError as error:
            raise InvalidRequest(str(error), param="base_url") from None
        if (address := literal(host)) is not None and within(address, networks_of(denied)):
            message = f"no provider may be at {address}: upstream.networks_denied names its network"
            raise InvalidRequest(message, param="base_url")
    if provider.api_key_env is not None and not _VARIABLE.fullmatch(provider.api_key_env):
        # Most often the credential itself was put here: do not repeat it.
        raise InvalidRequest("this is the name of an environment variable, not a credential", param="api_key_env")
    if provider.api_key_env is not None and provider.api_key_env.upper().startswith(_OWN_VARIABLES):
        message = f"the variables {_OWN_VARIABLES}… are the gateway's own: put the credential into one of another name"
        raise InvalidRequest(message, param="api_key_env")
    if provider.ca_file is not None and not readable_authorities(provider.ca_file):
        # The same whatever is or is not there: an admin key does not read the host's files.
        message = "no certificate authorities can be read there: name a PEM file where the gateway runs"
        raise InvalidRequest(message, param="ca_file")
    return provider


def _document(desk: Desk, provider: Provider) -> ProviderDocument:
    return _shown(provider, desk.store.catalog.models())


def _shown(provider: Provider, models: list[Model]) -> ProviderDocument:
    served = [m for m in models if any(d.provider == provider.name for d in m.deployments)]
    return ProviderDocument(
        name=provider.name,
        kind=provider.kind,
        base_url=provider.base_url,
        credential="sealed" if provider.sealed_key else "environment" if provider.api_key_env else "none",
        api_key_env=provider.api_key_env,
        enabled=provider.enabled,
        on_disconnect=provider.on_disconnect,
        ca_file=provider.ca_file,
        models=len(served),
    )
