"""`joytoken init`: set up a data folder."""

import click
import msgspec

from joytoken.admin import setup
from joytoken.admin.setup import Prepared, prepare
from joytoken.cli.output import Output
from joytoken.cli.session import json_option, place_options, settings_for
from joytoken.config.settings import Settings


class Initialised(msgspec.Struct, kw_only=True):
    """What `joytoken init --json` prints. Credentials are null where the folder was set up before."""

    api_key: str | None
    admin_key: str | None
    data_dir: str
    url: str
    created: bool
    offers: list[str]  # vendors whose credential is in the environment: joytoken providers add NAME


@click.command()
@place_options
@click.option("--new-admin-key", is_flag=True, help="Make one more admin key for a folder that is there.")
@json_option
def init(*, data_dir: str | None, config: str | None, new_admin_key: bool, as_json: bool) -> None:
    """Set up a data folder, and show its first credentials this once.

    Wallets with starter credits, a first key, an admin key and the built-in models. Again, it changes nothing.
    """
    settings = settings_for(data_dir, config).settings
    prepared = prepare(settings)
    try:
        made = initialised(prepared, settings, another_admin=new_admin_key)
    finally:
        prepared.desk.store.close()
    out = Output(as_json=as_json)
    if out.as_json:
        out.document(made)
        return
    if made.created:
        out.say("These credentials are shown once; store them now.")
    elif made.admin_key is None:
        out.say("This folder was set up before: nothing was changed. Another key: joytoken keys create NAME")
    out.facts([(name, getattr(made, name)) for name in ("api_key", "admin_key", "data_dir", "url")])
    say_offers(out, made.offers)
    if made.created:
        out.say("Next: joytoken serve")


def initialised(prepared: Prepared, settings: Settings, *, another_admin: bool = False) -> Initialised:
    """What to tell of a folder that is ready."""
    first = prepared.first
    admin_key = first.admin_key if first else None
    if admin_key is None and another_admin:
        admin_key = setup.new_admin_key(prepared.desk)
    return Initialised(
        api_key=first.api_key if first else None,
        admin_key=admin_key,
        data_dir=str(settings.data_dir),
        url=url_of(settings.server.host, settings.server.port),
        created=first is not None,
        offers=prepared.offers,
    )


def url_of(host: str, port: int) -> str:
    """Where a gateway that listens here is reached from this machine."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def say_offers(out: Output, offers: list[str]) -> None:
    """Tell which vendors could be added, since their credentials are there."""
    for name in offers:
        out.say(f"Found a credential for {name}: joytoken providers add {name}")
