"""The table of a run, for a terminal and for docs/reliability.md."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.chaos.stage import Outcome

BEGIN = "<!-- chaos:begin -->"
END = "<!-- chaos:end -->"
HEAD = (
    *("scene", "database", "seconds", "requests", "provider calls", "kills"),
    *("lost", "billed twice", "overspent", "inexact", "verify"),
)


def rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row for each scene that was played, and their sums."""
    made, sums = [], [0.0] * 8
    for one in outcomes:
        if one.not_run:
            continue
        found = one.finding
        figures = [one.seconds, one.requests, found.calls, one.kills]
        figures += [found.lost, found.twice, found.overspent, found.inexact]
        sums = [total + figure for total, figure in zip(sums, figures, strict=True)]
        made.append([one.scene, one.database, *(f"{figure:,.0f}" for figure in figures), _verdict([one])])
    return [*made, ["all", "", *(f"{figure:,.0f}" for figure in sums), _verdict(outcomes)]]


def _verdict(outcomes: Sequence[Outcome]) -> str:
    if not all(one.finding.verified for one in outcomes if not one.not_run):
        return "WRONG"
    return "clean" if all(one.ok for one in outcomes) else "clean, but see below"


def plain(outcomes: Sequence[Outcome]) -> str:
    """For a terminal: columns, then what was noted and what is wrong."""
    table = [list(HEAD), *rows(outcomes)]
    widths = [max(len(row[at]) for row in table) for at in range(len(HEAD))]
    lines = ["  ".join(_aligned(cell, width, at) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
             for row in table]  # fmt: skip
    return "\n".join([*[line.rstrip() for line in lines], "", *_remarks(outcomes)])


def _aligned(cell: str, width: int, at: int) -> str:
    return cell.ljust(width) if at < 2 or at == len(HEAD) - 1 else cell.rjust(width)


def _remarks(outcomes: Sequence[Outcome]) -> list[str]:
    made = []
    for one in outcomes:
        name = f"{one.scene}, {one.database}" if one.database else one.scene
        if one.not_run:
            made.append(f"- {name}: not run: {one.not_run}.")
            continue
        found = one.finding
        made += [f"- {name}: {note}." for note in one.notes]
        if found.unknown:
            made.append(f"- {name}: unknown: {found.unknown} calls whose record was destroyed with the journal.")
        if found.assumed:
            made.append(f"- {name}: {found.assumed} charged for the input of a call that a death came before.")
        if found.left:
            made.append(f"- {name}: {found.left} charged for the input of a call before which its caller hung up.")
        if found.capped:
            made.append(
                f"- {name}: {found.capped} charged less than their answer said: their worker had been given up, "
                "and the money lent to others."
            )
        made += [f"- **{name}: {problem}**" for problem in found.problems]
    return made


def markdown(outcomes: Sequence[Outcome], command: str, version: str) -> str:
    """What stands between the two marks of docs/reliability.md."""
    today = datetime.now(UTC).date()
    where = f"{os.cpu_count()} cores; joytoken {version}, Python {platform.python_version()}, {platform.system()}"
    head = [BEGIN, f"Run on {today}: {where}. `{command}`", ""]
    table = ["| " + " | ".join(HEAD) + " |", "| --- | --- |" + " ---: |" * (len(HEAD) - 3) + " --- |"]
    table += ["| " + " | ".join(row) + " |" for row in rows(outcomes)]
    return "\n".join([*head, *table, "", *_remarks(outcomes), END])


def into(document: str, made: str) -> str:
    """The document with this between its marks. Raises ValueError where it has none."""
    before, begun, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return before + made + after
