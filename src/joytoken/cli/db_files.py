"""`joytoken db copy`, `backup`, `restore`: a database carried to another one, or to a file and back."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from joytoken.admin.desk import wall_us
from joytoken.admin.vault import SECRET_FILE
from joytoken.cli.failure import FAILED, NOT_FOUND, REFUSED, UNREACHABLE, Failure
from joytoken.cli.output import Output
from joytoken.cli.progress import Progress
from joytoken.cli.session import json_option, place_options, settings_for


class Copied(msgspec.Struct, kw_only=True):
    """What a copy came to; the books of the target were proved."""

    source: str
    target: str
    rows: int
    accounts: int
    records: int
    tables: list[Any]


@click.command()
@click.argument("source", metavar="FROM-URL")
@click.argument("target", metavar="TO-URL")
@click.option("--live", is_flag=True, help="Copy one moment of a gateway that runs; it goes on without the copy.")
@json_option
def copy(*, source: str, target: str, live: bool, as_json: bool) -> None:
    """Copy a whole database into an empty one, of either kind.

    URLs are such as sqlite:////data/joytoken.db and postgresql://user@host/name. Every row is counted and compared, and
    the books of the copy are proved.
    """
    out = Output(as_json=as_json)
    with _told() as progress, _opened(source) as from_store, _opened(target, migrate=True) as to_store:
        if from_store.database.engine.url == to_store.database.engine.url:
            raise Failure("a database cannot be copied into itself", REFUSED)
        _at_rest(from_store, live=live)
        copying = importlib.import_module("joytoken.store.copy")
        tables = copying.copy(from_store.database, to_store.database, progress, replace=False, now_us=wall_us())
        report = to_store.ledger.verify(progress)
        if not report.ok:
            raise Failure(f"the books of the copy are wrong: {report.first_bad}", REFUSED, "joytoken wallet verify")
        places = [store.database.engine.url.render_as_string() for store in (from_store, to_store)]
    made = Copied(
        source=places[0],
        target=places[1],
        rows=sum(table.rows for table in tables),
        accounts=report.accounts,
        records=report.records,
        tables=tables,
    )
    if as_json:
        out.document(made)
        return
    out.table(("table", "rows", "digest"), [(t.name, t.rows, t.digest) for t in tables], right=("rows",))
    out.say(f"Copied and proved: {made.rows} rows, {made.accounts} accounts, {made.records} requests.")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@place_options
@json_option
def backup(*, file: Path, force: bool, data_dir: str | None, config: str | None, as_json: bool) -> None:
    """Write the database into FILE, while a gateway may run, and prove what was written.

    FILE.sha256 gets its checksum. What sealed the providers' keys is not in it: keep the data folder's secret too.
    """
    out = Output(as_json=as_json)
    settings = settings_for(data_dir, config).settings
    with _told() as progress, _opened(settings.database_url) as store:
        backing = importlib.import_module("joytoken.store.backup")
        made = backing.back_up(store.database, file.absolute(), progress, wall_us(), force=force)
    if as_json:
        out.document(made)
    else:
        out.facts([(name, getattr(made, name)) for name in made.__struct_fields__])
        out.say(f"Written and proved. Keep {settings.data_dir / SECRET_FILE} as well: keys are of no use without it.")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace what is there; a file is kept under another name.")
@place_options
@json_option
def restore(*, file: Path, force: bool, data_dir: str | None, config: str | None, as_json: bool) -> None:
    """Put a backup in the database's place. The gateway is stopped.

    The file is checked and its books are proved first; then it takes its place in one step. What was settled after the
    backup is not in it, and the journals of that time are of no use any more: no start will read them.
    """
    out = Output(as_json=as_json)
    settings = settings_for(data_dir, config).settings
    with _told() as progress:
        backing = importlib.import_module("joytoken.store.backup")
        done = backing.restore(file.absolute(), settings.database_url, progress, wall_us(), force=force)
    if as_json:
        out.document(done)
        return
    out.facts([(name, getattr(done, name)) for name in done.__struct_fields__])
    if done.ended:
        out.say(f"{done.ended} workers had not ended at the backup's moment; what was held for them is free again.")
    out.say("Restored and proved.")


@contextmanager
def _told() -> Iterator[Progress]:
    """Progress; and the store's errors with a next step."""
    progress = Progress()
    engine = importlib.import_module("joytoken.store.engine")
    nexts = {
        "NotEmpty": (REFUSED, "choose another place, or say --force where a command has it"),
        "InUse": (REFUSED, "stop the gateway, and try again"),
        "Damaged": (FAILED, "take another backup"),
        "SchemaMismatch": (FAILED, "joytoken db status"),
        "StoreUnavailable": (UNREACHABLE, "check that the database runs, and its address"),
    }
    try:
        yield progress
    except engine.StoreError as error:
        code, next_step = nexts.get(type(error).__name__, (FAILED, "joytoken doctor"))
        raise Failure(str(error), code, next_step) from error
    finally:
        progress.end()


@contextmanager
def _opened(url: str, *, migrate: bool = False) -> Iterator[Any]:
    if url.startswith("sqlite:") and not migrate and not Path(url.removeprefix("sqlite:///")).is_file():
        raise Failure(f"there is no database at {url}", NOT_FOUND, "joytoken init, or check the address")
    try:
        store = importlib.import_module("joytoken.store.open").open_store(url, migrate=migrate)
    except (ImportError, ValueError) as error:
        raise Failure(f"{url.partition(':')[0]!r} is not a database's address: {error}", FAILED) from error
    try:
        yield store
    finally:
        store.close()


def _at_rest(store: Any, *, live: bool) -> None:
    """Refuse a source whose journals hold what it does not have, unless one moment of it is what is wanted."""
    if live:
        return
    with store.database.read() as conn:
        open_ones = importlib.import_module("joytoken.store.copy").unended(conn)
    if open_ones:
        said = f"worker {open_ones[0]} has not ended, and its journal may hold what the database does not"
        raise Failure(said, REFUSED, "stop the gateway (after a crash: start it and stop it), or copy with --live")
