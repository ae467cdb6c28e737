"""The settings as a flat list of fields, derived from their structs: names, types, defaults, units, help."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from joytoken.config.settings import ModelOverride, Settings

ENV_PREFIX = "JOY_TOKEN_"

# Names that are worth typing without their section.
SHORT_NAMES = {
    "JOY_TOKEN_DATA_DIR": "server.data_dir",
    "JOY_TOKEN_HOST": "server.host",
    "JOY_TOKEN_PORT": "server.port",
    "JOY_TOKEN_DEFAULT_MODEL": "gateway.default_model",
}

# The last words of a name that tell its unit; the longest that fits counts.
_UNITS = {
    "ms": "ms",
    "ms_max": "ms",
    "bytes": "bytes",
    "bytes_max": "bytes",
    "seconds": "s",
    "hours": "h",
    "tokens": "tokens",
    "tokens_max": "tokens",
    "tokens_min": "tokens",
    "chars_max": "characters",
    "credits": "credits",
    "usd_max": "US dollars",
    "bps": "basis points",
    "input_mtok": "credits",
    "output_mtok": "credits",
}


class Field(NamedTuple):
    """One setting."""

    path: tuple[str, ...]  # ("server", "port")
    hint: Any  # the annotated type, as msgspec.convert takes it
    default: Any
    help: str
    unit: str

    @property
    def name(self) -> str:
        """The dotted name, as in the file: ``server.port``."""
        return ".".join(self.path)

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + "_".join(self.path).upper()

    @property
    def many(self) -> bool:
        """Whether it holds a list."""
        return get_origin(_bare(self.hint)) is tuple

    @property
    def kind(self) -> str:
        """The type in words, such as ``integer``, ``text`` or ``one of a, b``."""
        return _kind(self.hint)


@lru_cache(maxsize=1)
def fields() -> dict[str, Field]:
    """Every setting by its dotted name, in the order of the structs. Model overrides are not among them."""
    return {field.name: field for field in _walk(Settings, ())}


@lru_cache(maxsize=1)
def model_fields() -> dict[str, Field]:
    """What a table under `[models."NAME"]` may set."""
    return {field.path[-1]: field for field in _walk(ModelOverride, ("models", "NAME"))}


@lru_cache(maxsize=1)
def env_names() -> dict[str, str]:
    """Environment variable to dotted name, the short spellings included."""
    return {field.env: name for name, field in fields().items()} | SHORT_NAMES


def sections() -> list[tuple[tuple[str, ...], type[msgspec.Struct]]]:
    """The tables of the file that hold settings, each with its struct."""
    return list(_sections(Settings, ()))


def _sections(struct: type[msgspec.Struct], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, hint in get_type_hints(struct).items():
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield (*path, name), hint
            yield from _sections(hint, (*path, name))


def _walk(struct: type[msgspec.Struct], path: tuple[str, ...]) -> Iterator[Field]:
    hints = get_type_hints(struct, include_extras=True)
    for info in msgspec.structs.fields(struct):
        hint, here = hints[info.name], (*path, info.name)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from _walk(hint, here)
        elif get_origin(hint) is Annotated:
            yield Field(here, hint, info.default, hint.__metadata__[0].description, _unit(here))


def _unit(path: tuple[str, ...]) -> str:
    if "usd_per_credit" in path:
        return "US dollars"
    fits = [end for end in _UNITS if path[-1] == end or path[-1].endswith("_" + end)]
    return _UNITS[max(fits, key=len)] if fits else ""


def _bare(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = hint.__origin__
    return hint


def _kind(hint: Any) -> str:
    bare = _bare(hint)
    args = [arg for arg in get_args(bare) if arg is not type(None)]
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(f"`{arg}`" for arg in args)
    if get_origin(bare) is tuple:
        return "list of text"
    if len(args) == 1 and type(None) in get_args(bare):
        return _kind(args[0])
    pattern = any(getattr(meta, "pattern", None) for meta in getattr(hint, "__metadata__", ()))
    if bare is str and pattern:
        return "decimal text"
    return {int: "integer", float: "number", bool: "boolean", str: "text"}[bare]
