"""Settings from four sources, each stronger than the one before: defaults, `joytoken.toml`, environment, options."""

import difflib
import ipaddress
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from joytoken.config.fields import ENV_PREFIX, SHORT_NAMES, Field, env_names, fields, model_fields, sections
from joytoken.config.lines import key_lines
from joytoken.config.settings import Settings
from joytoken.domain.money import parse_amount

FILE_NAME = "joytoken.toml"
CONFIG_ENV = "JOY_TOKEN_CONFIG"

# Variables with our prefix that are not settings of the gateway: those of its clients, and of the tests.
OTHER_ENV = (
    "JOY_TOKEN_ADMIN_KEY",
    "JOY_TOKEN_ANTHROPIC_BASE_URL",
    "JOY_TOKEN_API_BASE_URL",
    "JOY_TOKEN_API_KEY",
    CONFIG_ENV,
    "JOY_TOKEN_OPENAI_BASE_URL",
    "JOY_TOKEN_SHARED",
    "JOY_TOKEN_URL",
)
TEST_ENV_PREFIX = "JOY_TOKEN_TEST_"

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Problem(NamedTuple):
    """One thing that is wrong with the configuration."""

    where: str  # "joytoken.toml:12", "environment" or "command line"
    field: str  # as it was written
    message: str
    nearest: str | None = None  # the valid name that was probably meant

    def __str__(self) -> str:
        hint = f" (did you mean {self.nearest}?)" if self.nearest else ""
        return f"{self.where}: {self.field}: {self.message}{hint}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has everything that is wrong with it, not just the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Loaded(NamedTuple):
    """Settings, where each that is not a default came from, and what looks like a mistake but harms nothing."""

    settings: Settings
    file: Path | None
    origins: dict[str, str]  # dotted name to "joytoken.toml:12", "JOY_TOKEN_PORT" or "command line"
    warnings: list[Problem]


def load(env: Mapping[str, str], file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this environment; see `read`. Raises ConfigError."""
    return read(env, file, overrides).settings


def read(env: Mapping[str, str], file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Loaded:
    """Read all sources and say where each value came from.

    `file` names the TOML file; without it JOY_TOKEN_CONFIG does, else `joytoken.toml` in the working folder or in the
    data folder is read where there is one. `overrides` maps dotted names to values (None: not given).
    Raises ConfigError with every problem of every source.
    """
    reader = _Reader(env, {name: value for name, value in (overrides or {}).items() if value is not None})
    path = reader.find_file(file)
    if path is not None:
        reader.read_file(path)
    reader.read_env()
    reader.read_overrides()
    settings = reader.build()
    reader.check(settings)
    if reader.problems or settings is None:
        raise ConfigError(reader.problems)
    return Loaded(settings, path, reader.origins, reader.warnings)


class _Reader:
    def __init__(self, env: Mapping[str, str], overrides: Mapping[str, Any]) -> None:
        self.env = env
        self.overrides = overrides
        self.values: dict[str, Any] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def find_file(self, named: Path | None) -> Path | None:
        asked = named or (Path(self.env[CONFIG_ENV]) if self.env.get(CONFIG_ENV) else None)
        if asked is not None:
            return asked.expanduser()
        data_dir = (
            self.overrides.get("server.data_dir")
            or self.env.get("JOY_TOKEN_SERVER_DATA_DIR")
            or self.env.get("JOY_TOKEN_DATA_DIR")
            or fields()["server.data_dir"].default
        )
        places = (Path(FILE_NAME), Path(data_dir).expanduser() / FILE_NAME)
        return next((place for place in places if place.is_file()), None)

    # ── the file ──────────────────────────────────────────────────────────────────────────────────────────────────

    def read_file(self, path: Path) -> None:
        try:
            text = path.read_bytes().decode()
            document = tomllib.loads(text)
        except OSError as error:
            self.problems.append(Problem(str(path), "file", f"cannot be read: {error.strerror}"))
            return
        except UnicodeDecodeError:
            self.problems.append(Problem(str(path), "file", "is not UTF-8 text"))
            return
        except tomllib.TOMLDecodeError as error:
            # The message ends in "(at line 3, column 5)" or "(at end of document)".
            message, _, place = str(error).rpartition(" (at ")
            line = place.removeprefix("line ").partition(",")[0]
            where = f"{path}:{line}" if line.isdigit() else str(path)
            self.problems.append(Problem(where, "file", f"is not TOML: {message or error}"))
            return
        lines = key_lines(text.replace("\r\n", "\n"))
        self._read_table(str(path), document, (), lines)

    def _read_table(
        self, file: str, table: dict[str, Any], path: tuple[str, ...], lines: dict[tuple[str, ...], int]
    ) -> None:
        tables = {section for section, _ in sections()}
        for key, value in table.items():
            here = (*path, key)
            name, where = ".".join(here), f"{file}:{lines.get(here, 1)}"
            if here == ("models",):
                self._read_models(file, where, value, lines)
            elif here in tables:
                if isinstance(value, dict):
                    self._read_table(file, value, here, lines)
                else:
                    self.problems.append(Problem(where, name, "is a section: write it as a table"))
            elif name in fields():
                self._take(fields()[name], value, where)
            else:
                self.problems.append(Problem(where, name, "no such setting", _nearest_setting(here)))

    def _read_models(self, file: str, where: str, value: Any, lines: dict[tuple[str, ...], int]) -> None:
        if not isinstance(value, dict):
            self.problems.append(Problem(where, "models", "is a section: write it as a table"))
            return
        for model, table in value.items():
            spot = f"{file}:{lines.get(('models', model), 1)}"
            if not isinstance(table, dict):
                self.problems.append(Problem(spot, f'models."{model}"', "is a section: write it as a table"))
                continue
            for key, item in table.items():
                spot = f"{file}:{lines.get(('models', model, key), 1)}"
                name = f'models."{model}".{key}'
                if key not in model_fields():
                    nearest = _nearest(key, list(model_fields()))
                    self.problems.append(Problem(spot, name, "no such setting", nearest))
                    continue
                self._convert(model_fields()[key], item, spot, name, self.models.setdefault(model, {}), key)

    # ── environment and options ───────────────────────────────────────────────────────────────────────────────────

    def read_env(self) -> None:
        known = env_names()
        # Short names first: where both are set, the full name, being more particular, wins.
        for variable in sorted(self.env, key=lambda name: name not in SHORT_NAMES):
            if not variable.startswith(ENV_PREFIX) or variable.startswith(TEST_ENV_PREFIX) or variable in OTHER_ENV:
                continue
            if variable not in known:
                nearest = _nearest(variable, [*known, *OTHER_ENV])
                self.warnings.append(Problem("environment", variable, "no such setting", nearest))
                continue
            text = self.env[variable].strip()
            field = fields()[known[variable]]
            if text or field.default == "" or field.many:
                self._take(field, _from_text(field, text), variable)

    def read_overrides(self) -> None:
        for name, value in self.overrides.items():
            if name not in fields():
                nearest = _nearest(name, list(fields()))
                self.problems.append(Problem("command line", name, "no such setting", nearest))
                continue
            field = fields()[name]
            self._take(field, _from_text(field, value) if isinstance(value, str) else value, "command line")

    def _take(self, field: Field, value: Any, where: str) -> None:
        if self._convert(field, value, where, field.name, self.values, field.name):
            self.origins[field.name] = where

    def _convert(self, field: Field, value: Any, where: str, name: str, into: dict[str, Any], key: str) -> bool:
        """Convert one value to its field's type, or note what is wrong with it."""
        if "decimal" in field.kind and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # a whole amount may be written without quotes; 0.1 as a float is not exact
        try:
            into[key] = msgspec.convert(value, field.hint)
        except msgspec.ValidationError as error:
            self.problems.append(Problem(where, name, _reason(field, value, error)))
            return False
        return True

    # ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self) -> Settings | None:
        tree: dict[str, Any] = {}
        for name, value in self.values.items():
            *path, last = name.split(".")
            node = tree
            for part in path:
                node = node.setdefault(part, {})
            node[last] = value
        return msgspec.convert({**tree, "models": self.models}, Settings)

    def check(self, settings: Settings | None) -> None:
        """What a type cannot say: networks, zones, and settings that must fit each other."""
        if settings is None:
            return
        for name, networks in (
            ("server.trusted_proxies", settings.server.trusted_proxies),
            ("webhooks.private_networks", settings.webhooks.private_networks),
            ("upstream.networks_denied", settings.upstream.networks_denied),
        ):
            for text in networks:
                if not _is_network(text):
                    self._wrong(name, f"{text!r} is not an address or a network such as 10.0.0.0/8")
        try:
            zoneinfo.ZoneInfo(settings.money.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            nearest = _nearest(settings.money.zone, sorted(zoneinfo.available_timezones()))
            self._wrong("money.zone", f"{settings.money.zone!r} is not a time zone", nearest)
        gateway = settings.gateway
        if gateway.default_output_tokens > gateway.output_tokens_max:
            self._wrong("gateway.default_output_tokens", "is larger than gateway.output_tokens_max")
        if parse_amount(gateway.hold_least_credits) <= 0:
            self._wrong("gateway.hold_least_credits", "must be more than 0")
        routing = settings.routing
        if parse_amount(routing.economy_usd_max) > parse_amount(routing.standard_usd_max):
            self._wrong("routing.economy_usd_max", "is larger than routing.standard_usd_max")
        if routing.breaker_open_ms > routing.breaker_open_ms_max:
            self._wrong("routing.breaker_open_ms", "is larger than routing.breaker_open_ms_max")
        if routing.weight_price + routing.weight_capability + routing.weight_latency <= 0:
            self._wrong("routing.weight_price", "all three weights are 0, so nothing could be preferred")
        if settings.database.url and "://" not in settings.database.url:
            self._wrong("database.url", "is not a URL such as sqlite:////var/lib/joytoken/joytoken.db")

    def _wrong(self, name: str, message: str, nearest: str | None = None) -> None:
        self.problems.append(Problem(self.origins.get(name, "defaults"), name, message, nearest))


def _from_text(field: Field, text: str) -> Any:
    """A value from its spelling in a variable or an option; what cannot be read is left for the type check to name."""
    if field.many:
        return [part.strip() for part in text.split(",") if part.strip()]
    if field.kind == "boolean":
        return _WORDS.get(text.lower(), text)
    if field.kind in {"integer", "number"}:
        try:
            return int(text.replace("_", "")) if field.kind == "integer" else float(text)
        except ValueError:
            return text
    return text


def _reason(field: Field, value: Any, error: msgspec.ValidationError) -> str:
    unit = f" ({field.unit})" if field.unit else ""
    shown = "a table" if isinstance(value, dict) else repr(value)
    if field.kind.startswith("one of"):
        return f"must be {field.kind.replace('`', '')}; not {shown}"
    if field.kind == "decimal text":
        return f'must be a decimal in quotes with at most 9 decimals, such as "12.5"{unit}; not {shown}'
    detail = str(error)
    if "Expected `int`" in detail and ("<=" in detail or ">=" in detail):
        bound = "at least" if ">=" in detail else "at most"
        return f"must be {bound} {detail.rpartition('=')[2].strip().rstrip('`')}{unit}; not {shown}"
    article = "an" if field.kind[0] in "aeiou" else "a"
    return f"must be {article} {field.kind}{unit}; not {shown}"


def _nearest(word: str, names: list[str]) -> str | None:
    found = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return found[0] if found else None


def _nearest_setting(path: tuple[str, ...]) -> str | None:
    """The nearest valid name: the same last word in one other section is nearest."""
    name = ".".join(path)
    names = [*fields(), *(".".join(section) for section, _ in sections()), "models"]
    moved = [known for known in names if known.rpartition(".")[2] == path[-1]]
    return moved[0] if len(moved) == 1 else _nearest(name, names)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
