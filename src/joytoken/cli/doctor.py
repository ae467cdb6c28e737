"""`joytoken doctor`: look for what is wrong, with next steps."""

import os

import click

from joytoken.admin.doctor import examine
from joytoken.admin.doctor_workers import Finding
from joytoken.cli.failure import FAILED, Stop
from joytoken.cli.output import Output
from joytoken.cli.session import json_option, place_options, settings_for


@click.command()
@place_options
@json_option
def doctor(*, data_dir: str | None, config: str | None, as_json: bool) -> None:
    """Look for what is wrong, with next steps; changes nothing. Exit code 1 where something failed."""
    loaded = settings_for(data_dir, config)
    diagnosis = examine(loaded.settings, dict(os.environ))
    for warning in loaded.warnings:
        found = Finding(name="configuration", state="warning", detail=str(warning), next="joytoken config check")
        diagnosis.findings.insert(0, found)
    out = Output(as_json=as_json)
    if out.as_json:
        out.document(diagnosis)
    else:
        rows = [(finding.name, finding.state, finding.detail, finding.next) for finding in diagnosis.findings]
        out.table(("look", "state", "found", "next"), rows)
    if not diagnosis.ok:
        raise Stop(FAILED)
