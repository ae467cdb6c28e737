"""Compatible vendors as data: what `presets.toml` knows of each, and which of them there is a credential for."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

import msgspec

from joytoken.domain.catalog import Disconnect, Provider


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor, or a kind of local server; `presets.toml` says what each field means."""

    name: str
    title: str
    base_url: str
    kind: str = "openai"
    api_key_env: tuple[str, ...] = ()
    prices: str | None = None
    models: tuple[str, ...] = ("*",)
    skip: tuple[str, ...] = ()
    upstream_prefix: str = ""
    on_disconnect: Disconnect = "close"
    local: bool = False
    docs: str = ""
    quirks: tuple[str, ...] = ()

    def credential_env(self, environ: Mapping[str, str]) -> str | None:
        """The first of the vendor's environment variables that holds something, or None."""
        return next((name for name in self.api_key_env if environ.get(name, "").strip()), None)

    def provider(self, environ: Mapping[str, str] | None = None) -> Provider:
        """The provider to put into the catalog; it names the variable of its credential, and never the credential."""
        found = self.credential_env(environ or {})
        return Provider(
            name=self.name,
            kind=self.kind,
            base_url=self.base_url,
            api_key_env=found or next(iter(self.api_key_env), None),
            on_disconnect=self.on_disconnect,
        )


@cache
def presets() -> dict[str, Preset]:
    """All presets by name, in the order of the file."""
    text = resources.files(__package__).joinpath("presets.toml").read_text("utf-8")
    return {name: msgspec.convert({"name": name, **table}, Preset) for name, table in tomllib.loads(text).items()}


def offered(environ: Mapping[str, str]) -> list[Preset]:
    """The vendors whose credential is in the environment, in the order of the file."""
    return [preset for preset in presets().values() if preset.credential_env(environ)]
