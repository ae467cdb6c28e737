"""`joytoken db`: the database: its schema, its copies."""

import importlib

import click
import msgspec

from joytoken.cli.db_files import backup, copy, restore
from joytoken.cli.failure import FAILED, Failure, Stop
from joytoken.cli.output import Output
from joytoken.cli.session import json_option, place_options, settings_for


class Schema(msgspec.Struct):
    """The state of a database's schema: current, empty, older, newer or foreign."""

    state: str
    newest: str
    database: str


@click.group()
def db() -> None:
    """The database: its schema, copies and backups. `joytoken serve` migrates by itself."""


@db.command()
@place_options
@json_option
def status(*, data_dir: str | None, config: str | None, as_json: bool) -> None:
    """How the schema stands to this version; exit code 1 where it must be migrated first."""
    found = _state(data_dir, config)
    _show(Output(as_json=as_json), found)
    if found.state != "current":
        raise Stop(FAILED)


@db.command()
@place_options
@json_option
def migrate(*, data_dir: str | None, config: str | None, as_json: bool) -> None:
    """Bring the schema to this version. It changes nothing where that is done."""
    found = _state(data_dir, config)
    if found.state in {"newer", "foreign"}:
        raise Failure(f"the database is {found.state}: this version must not touch it", FAILED, "joytoken db status")
    settings = settings_for(data_dir, config).settings
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Loads Alembic, which nothing else of the command line needs.
    importlib.import_module("joytoken.store.migrate").upgrade(settings.database_url)
    _show(Output(as_json=as_json), _state(data_dir, config))


# The store's own messages call it an upgrade.
db.add_command(migrate, "upgrade")
db.add_command(copy)
db.add_command(backup)
db.add_command(restore)


def _state(data_dir: str | None, config: str | None) -> Schema:
    settings = settings_for(data_dir, config).settings
    version = importlib.import_module("joytoken.store.version")
    if settings.database_url.startswith("sqlite:") and not (settings.data_dir.is_dir() or settings.database.url):
        return Schema("empty", version.HEAD, str(settings.data_dir))
    database = importlib.import_module("joytoken.store.engine").Database(settings.database_url)
    try:
        with database.read() as conn:
            return Schema(version.schema_state(conn), version.HEAD, database.engine.url.render_as_string())
    finally:
        database.close()


def _show(out: Output, found: Schema) -> None:
    if out.as_json:
        out.document(found)
    else:
        out.facts([(name, getattr(found, name)) for name in found.__struct_fields__])
