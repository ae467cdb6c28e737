"""`joytoken usage`: where the money went."""

import csv
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec

from joytoken.admin.months import MonthsDrop, MonthsQuery
from joytoken.admin.operations import REQUESTS_LIST, USAGE_LATENCY, USAGE_SUMMARY
from joytoken.admin.operations_months import USAGE_DROP, USAGE_MONTHS
from joytoken.admin.receipts import RequestDocument
from joytoken.admin.requests import PAGE_MAX, RequestQuery
from joytoken.admin.usage import UsageLatencyQuery, UsageSummaryQuery, UsageTimes
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing

# A spreadsheet takes a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which requests count."""
    for option in reversed(
        (
            click.option("--since", metavar="WHEN", help="24h, 30d, 2026-11-01 or an ISO 8601 time."),
            click.option("--until", metavar="WHEN", help="The same; not included."),
            click.option("--zone", metavar="Z", help="Time zone of days. [default: the reporting zone]"),
            click.option("--key", metavar="ID", help="Only of this key."),
            click.option("--model", metavar="M", help="Only of this model."),
            click.option("--provider", metavar="NAME", help="Only through this provider."),
            click.option("--tier", metavar="T", help="Only in this tier."),
            click.option("--project", metavar="NAME", help="Only of this project."),
            click.option("--application", metavar="NAME", help="Only of this application."),
            click.option("--environment", metavar="NAME", help="Only of this environment."),
            click.option("--task", metavar="NAME", help="Only of this task."),
            click.option("--end-user", metavar="NAME", help="Only for this user of the caller's."),
            click.option("--run", metavar="ID", help="Only of this run of an agent."),
            click.option("--workflow", metavar="NAME", help="Only of runs of this workflow."),
            click.option("--ending", metavar="NAME", help="Only those that ended so."),
            click.option("--correlation-id", metavar="ID", help="Only with this X-Request-ID."),
        )
    ):
        command = option(command)
    return command


@click.group()
def usage() -> None:
    """Where the money went."""


@usage.command()
@click.option("--by", multiple=True, metavar="D", help="model, key, project, day, hour, tier, …, tag:NAME. Repeat.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values on stdout.")
@filter_options
@managing
def summary(admin: Admin, out: Output, *, by: tuple[str, ...], as_csv: bool, **filters: Any) -> None:
    """Sums by any grouping, in any time zone."""
    report = admin.call(USAGE_SUMMARY, UsageSummaryQuery(by=list(by), **filters))
    if out.as_json:
        out.document(report)
        return
    sums = ("requests", "errors", "input_tokens", "output_tokens", "charged", "charged_usd")
    if as_csv:
        rows: Iterator[dict[str, object]] = ({**row.group, **_values(row, sums)} for row in report.rows)
        _write_csv([*report.by, *sums], rows)
        return
    heads = (", ".join(report.by) or "everything", "requests", "errors", "input", "output", "credits", "USD")
    lines = [(row.label or "all", *_values(row, sums).values()) for row in report.rows]
    if len(lines) > 1:
        lines.append(("total", *_values(report.total, sums).values()))
    out.table(heads, lines, right=heads[1:])
    if {"day", "hour"} & set(report.by):
        out.say(f"Times of {report.zone}.")


@usage.command()
@click.option("--by", multiple=True, metavar="D", help="provider, model, day, hour. Repeat. [default: provider, model]")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values on stdout.")
@filter_options
@managing
def latency(admin: Admin, out: Output, *, by: tuple[str, ...], as_csv: bool, **filters: Any) -> None:
    """How long requests took: milliseconds, to within 10 %."""
    report = admin.call(USAGE_LATENCY, UsageLatencyQuery(by=list(by or ("provider", "model")), **filters))
    if out.as_json:
        out.document(report)
        return
    if as_csv:
        _write_csv([*report.by, *_TIMES], ({**row.group, **_times(row)} for row in report.rows))
        return
    heads = (", ".join(report.by), "requests", "errors", "p50", "p95", "p99", "first p50", "first p95", "first p99")
    lines = [(row.label, *_times(row).values()) for row in report.rows]
    if len(lines) > 1:
        lines.append(("total", *_times(report.total).values()))
    out.table(heads, lines, right=heads[1:])
    if {"day", "hour"} & set(report.by):
        out.say(f"Times of {report.zone}.")


_SHARES = ("p50_ms", "p95_ms", "p99_ms")
_TIMES = ("requests", "errors", *_SHARES, *(f"first_token_{share}" for share in _SHARES))


def _times(row: UsageTimes) -> dict[str, object]:
    shown = [getattr(part, share) for part in (row.total, row.first_token) for share in _SHARES]
    return dict(zip(_TIMES, (row.requests, row.errors, *shown), strict=True))


@usage.command()
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values on stdout, instead of JSON lines.")
@filter_options
@managing
def export(admin: Admin, out: Output, *, as_csv: bool, **filters: Any) -> None:
    """Every request, newest first: one JSON document a line, or --csv."""
    found = _all(admin, filters)
    if as_csv:
        names = list(RequestDocument.__struct_fields__)
        _write_csv(names, (_flat(request) for request in found))
        return
    for request in found:
        out.line(request)


@usage.command()
@managing
def months(admin: Admin, out: Output) -> None:
    """The months of requests that there are, and those that were dropped."""
    found = admin.call(USAGE_MONTHS, MonthsQuery())
    if out.as_json:
        out.document(found)
        return
    rows = [
        (
            *(m.month, str(m.requests), "" if m.bytes is None else str(m.bytes)),
            *(m.first or "", m.last or "", m.dropped or ""),
        )
        for m in found.months
    ]
    out.table(("month", "requests", "bytes", "first", "last", "dropped"), rows, right=("requests", "bytes"))


@usage.command()
@click.option("--before", required=True, metavar="MONTH", help="Months before this one, such as 2026-01.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@managing
def drop(admin: Admin, out: Output, *, before: str, yes: bool) -> None:
    """Drop the requests of old months for good. Sums stay, receipts go, and the books are proved without them."""
    if not yes:
        there = [m for m in admin.call(USAGE_MONTHS, MonthsQuery()).months if m.dropped is None and m.month < before]
        count, names = sum(month.requests for month in there), ", ".join(month.month for month in there)
        if there:
            click.confirm(f"Drop {count} requests of {names} for good?", abort=True, err=True)
    done = admin.call(USAGE_DROP, MonthsDrop(before=before))
    if out.as_json:
        out.document(done)
        return
    out.table(("month", "requests"), [(one.month, str(one.requests)) for one in done.months], right=("requests",))
    out.say(f"{len(done.months)} months dropped.")


def _all(admin: Admin, filters: dict[str, Any]) -> Iterator[RequestDocument]:
    before: str | None = None
    while True:
        page = admin.call(REQUESTS_LIST, RequestQuery(limit=PAGE_MAX, before=before, **filters))
        yield from page.requests
        if page.next is None:
            return
        before = page.next


def _values(row: Any, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(row, name) for name in names}


def _flat(request: RequestDocument) -> dict[str, object]:
    values = msgspec.structs.asdict(request)
    values["tags"] = msgspec.json.encode(request.tags).decode() if request.tags else ""
    return values


def _write_csv(names: list[str], rows: Iterator[dict[str, object]]) -> None:
    line = io.StringIO()
    writer = csv.DictWriter(line, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
        sys.stdout.write(line.getvalue())
        line.seek(0)
        line.truncate()
    sys.stdout.write(line.getvalue())


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()
