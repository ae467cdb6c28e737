"""`joytoken serve`: run the gateway."""

import errno
import importlib
from typing import Any

import click

from joytoken.admin.folder import FolderServed
from joytoken.admin.setup import Prepared
from joytoken.cli.failure import REFUSED, Failure
from joytoken.cli.init import say_offers
from joytoken.cli.output import Output
from joytoken.cli.session import place_options, settings_for
from joytoken.config.settings import Settings
from joytoken.workers.supervisor import WorkersFailed


@click.command()
@click.option("--host", metavar="HOST", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: any. [default: 7410]")
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes. [default: 1]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [default: info]")
@place_options
def serve(
    *,
    host: str | None,
    port: int | None,
    workers: int | None,
    log_level: str | None,
    data_dir: str | None,
    config: str | None,
) -> None:
    """Run the gateway until it is told to stop (SIGTERM, or Ctrl-C), which drains and settles what is under way.

    With several workers, SIGHUP replaces them one after the other, without a failed request.
    """
    chosen: dict[str, Any] = {
        "server__host": host,
        "server__port": port,
        "server__workers": workers,
        "log__level": log_level,
    }
    out = Output()

    def read() -> Settings:
        loaded = settings_for(data_dir, config, **chosen)
        out.warn([str(warning) for warning in loaded.warnings])
        return loaded.settings

    settings = read()
    try:
        # The server's libraries are loaded by this command alone.
        if settings.server.workers > 1:
            importlib.import_module("joytoken.supervise").serve(settings, announce, read)
        else:
            importlib.import_module("joytoken.serve").serve(settings, announce)
    except WorkersFailed as error:
        raise Failure(f"the workers did not start: {error}", next_step="joytoken doctor") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        server = settings.server
        said = f"port {server.port} of {server.host} is in use"
        raise Failure(said, next_step="stop what listens there, or choose another one: --port N") from None
    except FolderServed as error:
        raise Failure(
            str(error), REFUSED, "stop that one first, or serve from another folder: --data-dir DIR"
        ) from None


def announce(url: str, prepared: Prepared) -> None:
    """Tell that the gateway listens; on a first run also the first credentials, with a request to try them."""
    out = Output()
    first = prepared.first
    if first is not None:
        out.say(
            f"\nYour first key, shown this once:  {first.api_key}"
            f"\nYour admin key, shown this once:  {first.admin_key}\n"
            f"\n  curl {url}/openai/v1/chat/completions \\"
            f"\n    -H 'Authorization: Bearer {first.api_key}' -H 'Content-Type: application/json' \\"
            '\n    -d \'{"model": "echo", "messages": [{"role": "user", "content": "Hello!"}]}\'\n'
        )
    say_offers(out, prepared.offers)
    out.say(f"JoyToken listens on {url}")
