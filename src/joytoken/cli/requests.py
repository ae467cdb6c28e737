"""`joytoken requests`: requests and their receipts."""

import time
from typing import Any

import click

from joytoken.admin.operations import REQUESTS_LIST, REQUESTS_SHOW, REQUESTS_TAIL
from joytoken.admin.receipts import Receipt, RequestDocument
from joytoken.admin.requests import RequestQuery, RequestRef, TailQuery
from joytoken.cli.output import Output
from joytoken.cli.session import Admin, managing
from joytoken.cli.usage import filter_options

_HEADS = ("request", "started", "ending", "model", "provider", "tier", "in", "out", "credits", "ms")


@click.group()
def requests() -> None:
    """Requests and their receipts."""


@requests.command("list")
@click.option("--limit", default=20, show_default=True, help="Requests of a page.")
@click.option("--before", metavar="CURSOR", help="Go on from the `next` of the page before.")
@filter_options
@managing
def list_(admin: Admin, out: Output, *, limit: int, before: str | None, **filters: Any) -> None:
    """Requests, newest first."""
    page = admin.call(REQUESTS_LIST, RequestQuery(limit=limit, before=before, **filters))
    if out.as_json:
        out.document(page)
        return
    out.table(_HEADS, [_row(request) for request in page.requests], right=("in", "out", "credits", "ms"))
    if page.next is not None:
        out.say(f"More: --before {page.next}")


@requests.command()
@click.argument("request_id", metavar="ID")
@managing
def show(admin: Admin, out: Output, *, request_id: str) -> None:
    """The receipt of a request, by its id or the X-Request-ID that its caller gave it."""
    receipt = admin.call(REQUESTS_SHOW, RequestRef(request_id))
    if out.as_json:
        out.document(receipt)
    else:
        _print_receipt(out, receipt)


@requests.command()
@click.option("--poll-ms", default=500, show_default=True, help="How often to look.")
@click.option("--after", type=int, metavar="N", help="Begin after this cursor; 0: with the first ever recorded.")
@click.option("--count", type=int, metavar="N", help="End after so many requests.")
@click.option("--once", is_flag=True, help="Show what is there after the cursor, and end.")
@managing
def tail(admin: Admin, out: Output, *, poll_ms: int, after: int | None, count: int | None, once: bool) -> None:
    """Requests as they are recorded, until interrupted; with --json one document a line."""
    seen, cursor = 0, after
    while True:
        found = admin.call(REQUESTS_TAIL, TailQuery(after=cursor))
        cursor = found.next
        for request in found.requests:
            if out.as_json:
                out.line(request)
            else:
                out.text("  ".join("—" if value is None else str(value) for value in _row(request)))
            seen += 1
            if count is not None and seen >= count:
                return
        if found.requests:
            continue
        if once:
            return
        time.sleep(poll_ms / 1000)


def _row(request: RequestDocument) -> tuple[object, ...]:
    return (
        request.request_id,
        request.started_at,
        request.ending,
        request.model,
        request.provider,
        request.tier,
        request.input_tokens,
        request.output_tokens,
        request.charged,
        round(request.total_ms, 1),
    )


def _print_receipt(out: Output, receipt: Receipt) -> None:
    request, money = receipt.request, receipt.money
    out.facts(
        [
            ("request", request.request_id),
            ("correlation id", request.correlation_id),
            ("billing id", request.billing_id),
            ("started", request.started_at),
            ("ending", receipt.ending.name),
            ("charged by rule", receipt.ending.rule),
            ("usage", receipt.ending.usage_source),
            ("status", request.http_status),
            ("error", request.error_code),
            ("key", request.key_id),
            ("project", request.project),
            ("end user", request.end_user),
            ("run", " under ".join(run for run in (request.run, request.parent_run) if run)),
            ("workflow", request.workflow or None),
            ("step", request.step or None),
            (
                "asked for",
                " ".join(part for part in (request.model_requested or "auto", receipt.route.requested_tier) if part),
            ),
            ("served by", f"{request.model} at {request.provider}, tier {request.tier}" if request.model else None),
            ("found by", receipt.route.rule),
            ("tier fallbacks", receipt.route.tier_fallbacks),
            ("tokens in", request.input_tokens),
            ("tokens out", request.output_tokens),
            ("frozen", f"{money.hold} (for at most {money.input_bound} in, {money.output_bound} out)"),
            ("settled", money.settled),
            ("released", money.released),
            ("refunded", money.refunded if money.refunded.strip("0.") else None),
            ("shortfall", money.shortfall if money.shortfall.strip("0.") else None),
            ("in US dollars", money.charged_usd),
            ("notes", receipt.notes),
        ]
    )
    if receipt.price is not None:
        rates = receipt.price.credits
        out.facts([("price", f"{rates.input_mtok} in, {rates.output_mtok} out a million ({receipt.price.price_id})")])
    if receipt.timings:
        out.facts(
            [("timings", " · ".join(f"{name} {value:.2f}" for name, value in receipt.timings.items() if value) + " ms")]
        )
    if receipt.attempts:
        heads = ("attempt", "provider", "model", "status", "error", "first byte ms", "ended ms")
        attempts: list[tuple[object, ...]] = [
            (n, a.provider, a.model, a.status, a.error or None, a.first_byte_ms, a.ended_ms)
            for n, a in enumerate(receipt.attempts, 1)
        ]
        out.table(heads, attempts, right=("attempt", "status", "first byte ms", "ended ms"))
    if receipt.route.candidates:
        out.table(
            ("", "candidate", "deployment", "score", "why"),
            [("→" if c.chosen else "", c.model, c.deployment, c.score, c.reason) for c in receipt.route.candidates],
            right=("score",),
        )
