"""`joytoken config`: check and show the settings."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
import msgspec

from joytoken.cli.failure import USAGE, Stop
from joytoken.cli.output import Output
from joytoken.cli.session import json_option, place_options, settings_for
from joytoken.config.fields import fields
from joytoken.config.load import ConfigError, Problem, read
from joytoken.config.reference import reference
from joytoken.config.settings import Settings


class Checked(msgspec.Struct):
    """What `joytoken config check --json` prints."""

    ok: bool
    file: str | None
    problems: list[dict[str, str | None]]


@click.group()
def config() -> None:
    """Check and show the settings."""


@config.command()
@click.argument("file", required=False)
@place_options
@json_option
def check(*, file: str | None, data_dir: str | None, config: str | None, as_json: bool) -> None:
    """Name every mistake in FILE, or the file in use, and in the environment; exit code 2 where there is one."""
    path = file or config
    problems: list[Problem] = []
    used: Path | None = Path(path) if path else None
    try:
        loaded = read(os.environ, used, {"server.data_dir": data_dir})
        problems, used = loaded.warnings, loaded.file
    except ConfigError as error:
        problems = error.problems
    out = Output(as_json=as_json)
    if out.as_json:
        out.document(Checked(not problems, str(used) if used else None, [problem._asdict() for problem in problems]))
    else:
        for problem in problems:
            out.say(str(problem))
        if not problems:
            out.text(f"{used or 'No file'}: no mistakes")
    if problems:
        raise Stop(USAGE)


@config.command()
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@place_options
@json_option
def show(*, changed: bool, data_dir: str | None, config: str | None, as_json: bool) -> None:
    """Every setting, its value, and where that came from."""
    loaded = settings_for(data_dir, config)
    out = Output(as_json=as_json)
    rows = [
        (name, _value(loaded.settings, name), loaded.origins.get(name, "default"))
        for name in fields()
        if not changed or name in loaded.origins
    ]
    if out.as_json:
        document: dict[str, Any] = {name: {"value": value, "from": origin} for name, value, origin in rows}
        out.document(document)
    else:
        out.table(("setting", "value", "from"), rows)


@config.command("reference")
def reference_() -> None:
    """The reference of all settings as Markdown: docs/configuration.md."""
    click.echo(reference(), nl=False)


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return _without_password(value) if name == "database.url" else value


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if not parts.password:
        return url
    place = parts.netloc.replace(f":{parts.password}@", ":…@")
    return urlunsplit(parts._replace(netloc=place))
