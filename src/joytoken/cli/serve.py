"""`joytoken serve`: run the gateway."""

import importlib
from typing import Any

import click

from joytoken.admin.setup import Prepared
from joytoken.cli.init import say_offers
from joytoken.cli.output import Output
from joytoken.cli.session import place_options, settings_for


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
    """Run the gateway until it is told to stop (SIGTERM, or Ctrl-C), which drains and settles what is under way."""
    chosen: dict[str, Any] = {
        "server__host": host,
        "server__port": port,
        "server__workers": workers,
        "log__level": log_level,
    }
    loaded = settings_for(data_dir, config, **chosen)
    if loaded.settings.server.workers > 1:
        raise click.UsageError("this version serves with one worker process; leave --workers and server.workers at 1")
    out = Output()
    out.warn([str(warning) for warning in loaded.warnings])
    # The server's libraries are loaded by this command alone.
    importlib.import_module("joytoken.app").serve(loaded.settings, announce)


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
