"""Where a command does its work: on the data folder itself, or on a gateway by its management API.

Commands see one method and one set of documents, and do not know which it is.
"""

import functools
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click

from joytoken.admin.operation import Operation, Req, Res
from joytoken.cli.output import Output
from joytoken.config.load import Loaded, read

URL_ENV = "JOY_TOKEN_URL"
ADMIN_KEY_ENV = "JOY_TOKEN_ADMIN_KEY"


class Admin(Protocol):
    """Management, wherever it happens."""

    def call(self, operation: Operation[Req, Res], request: Req) -> Res:
        """Do one act. Raises GatewayError."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


def settings_for(data_dir: str | None = None, config: str | None = None, **overrides: Any) -> Loaded:
    """The settings of this environment with a command's options. Raises ConfigError."""
    chosen = {"server.data_dir": data_dir, **{name.replace("__", "."): value for name, value in overrides.items()}}
    return read(os.environ, Path(config) if config else None, chosen)


@contextmanager
def open_admin(url: str | None, admin_key: str | None, data_dir: str | None, config: str | None) -> Iterator[Admin]:
    """Management by the API where an address and an admin key are given, else on the data folder."""
    key = admin_key or os.environ.get(ADMIN_KEY_ENV)
    address = url or (os.environ.get(URL_ENV) if data_dir is None else None)
    admin: Admin
    if address and key:
        admin = importlib.import_module("joytoken.cli.remote").Remote(address, key)
    elif url:
        raise click.UsageError(f"--url needs an admin key: --admin-key, or the variable {ADMIN_KEY_ENV}")
    else:
        loaded = settings_for(data_dir, config)
        Output().warn([str(warning) for warning in loaded.warnings])
        # The database's libraries are loaded only when a database is opened.
        admin = importlib.import_module("joytoken.cli.direct").Direct(loaded.settings)
    try:
        yield admin
    finally:
        admin.close()


def json_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which data folder is meant."""
    command = click.option("--config", metavar="FILE", help="Settings file. [default: joytoken.toml]")(command)
    return click.option("--data-dir", metavar="DIR", help="Data folder. [env: JOY_TOKEN_DATA_DIR]")(command)


def managing(command: Callable[..., None]) -> Callable[..., None]:
    """Make a function `(admin, out, …)` into one that takes the options of where and how."""

    @functools.wraps(command)
    def run(
        *,
        as_json: bool,
        url: str | None,
        admin_key: str | None,
        data_dir: str | None,
        config: str | None,
        **given: Any,
    ) -> None:
        with open_admin(url, admin_key, data_dir, config) as admin:
            command(admin, Output(as_json=as_json), **given)

    decorated = place_options(run)
    decorated = click.option("--admin-key", metavar="KEY", help=f"Admin key for --url. [env: {ADMIN_KEY_ENV}]")(
        decorated
    )
    decorated = click.option(
        "--url", metavar="URL", help=f"Gateway to manage, instead of a data folder. [env: {URL_ENV}]"
    )(decorated)
    return json_option(decorated)
