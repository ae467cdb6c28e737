"""What the commands print: data on standard output, everything else on standard error.

A person at a terminal gets tables; a pipe gets tab-separated lines with a heading; `--json` gives one JSON document.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

Row = Sequence[object]


class Output:
    """Where a command's results go."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.terminal = sys.stdout.isatty()

    def document(self, document: Any) -> None:
        """Print one JSON document; indented for eyes, on one line for programs."""
        encoded = msgspec.json.encode(document)
        click.echo(msgspec.json.format(encoded, indent=2) if self.terminal else encoded)

    def line(self, document: Any) -> None:
        """Print one JSON document of many, on one line."""
        click.echo(msgspec.json.encode(document))

    def table(self, heads: Sequence[str], rows: Sequence[Row], *, right: Sequence[str] = ()) -> None:
        """Print rows under their heads; columns named in `right` hold numbers."""
        if not self.terminal:
            click.echo("\t".join(heads))
            for row in rows:
                click.echo("\t".join(_cell(value).replace("\t", " ").replace("\n", " ") for value in row))
            return
        if not rows:
            self.say("Nothing there yet.")
            return
        # rich is loaded for a terminal alone: a pipe need not wait for it.
        table = importlib.import_module("rich.table").Table(box=importlib.import_module("rich.box").SIMPLE_HEAD)
        for head in heads:
            table.add_column(head, justify="right" if head in right else "left", overflow="fold")
        escape = importlib.import_module("rich.markup").escape
        for row in rows:
            table.add_row(*(escape(_cell(value)) for value in row))
        importlib.import_module("rich.console").Console(highlight=False).print(table)

    def facts(self, facts: Sequence[tuple[str, object]]) -> None:
        """Print named values, one a line; those that are not there are left out."""
        shown = [(name, _cell(value)) for name, value in facts if value not in (None, "", [], ())]
        width = max((len(name) for name, _ in shown), default=0) + 2 if self.terminal else 0
        for name, value in shown:
            click.echo(f"{name:<{width}}{value}" if self.terminal else f"{name}\t{value}")

    def text(self, text: str) -> None:
        """Print text as it is."""
        click.echo(text)

    def say(self, text: str) -> None:
        """Tell a person something that is no data."""
        click.echo(text, err=True)

    def warn(self, warnings: Sequence[str]) -> None:
        """Tell a person what looks like a mistake."""
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)


def _cell(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)
