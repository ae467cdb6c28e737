"""`GET /metrics`: a worker's figures in the text format that Prometheus reads."""

from collections.abc import Awaitable, Callable, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from joytoken.escrow.terms import EscrowStats
from joytoken.gateway.sizing import EDGES, Row, Sizing

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_QUANTILES = (0.5, 0.9, 0.99)
# Of the escrow: the name, whether it only ever rises, and what it says. Amounts are nanocredits.
_STATS = (
    ("holds", True, "Holds that were made."),
    ("settles", True, "Holds that were settled."),
    ("shorts", True, "Holds that a wallet, limit or budget could not carry."),
    ("shortfall", True, "Nanocredits that calls cost beyond what could be charged."),
    ("open_holds", False, "Holds under way."),
    ("waiting", False, "Requests that wait for money."),
    ("pending_records", False, "Settled requests that the database does not have yet."),
    ("flush_failures", True, "Attempts to reach the database that failed."),
    ("journal_used_bytes", False, "Bytes of the journal that are in use."),
    ("flush_age_s", False, "Seconds since the database took something."),
)


def metrics_route(
    sizing: Sizing, stats: Callable[[], EscrowStats], permit: Callable[[Request], Awaitable[object]] | None
) -> Route:
    """The endpoint; `permit` raises GatewayError for whoever may not read it, None lets everybody."""

    async def metrics(request: Request) -> Response:
        if permit is not None:
            await permit(request)
        return Response("".join(exposition(sizing, stats())), media_type=_TYPE)

    return Route("/metrics", metrics, methods=["GET"])


def exposition(sizing: Sizing, stats: EscrowStats) -> Iterator[str]:
    """The lines of the text format, each with its end."""
    worker = _escaped(stats.worker)
    for name, rises, told in _STATS:
        full = f"joytoken_escrow_{name}" + ("_total" if rises else "")
        yield f"# HELP {full} {told}\n# TYPE {full} {'counter' if rises else 'gauge'}\n"
        yield f'{full}{{worker="{worker}"}} {getattr(stats, name)}\n'
    ratio = "joytoken_hold_to_charge_ratio"
    rows = (("asked", sizing.asked), ("default", sizing.default))
    yield f"# HELP {ratio} What was frozen for a request over what it cost.\n# TYPE {ratio} histogram\n"
    for bound, row in rows:
        yield from _histogram(ratio, f'worker="{worker}",bound="{bound}"', row)
    for name, told in (("held", "frozen for"), ("charged", "charged to")):
        full = f"joytoken_hold_{name}_nanocredits_total"
        yield f"# HELP {full} Nanocredits {told} requests that cost something.\n# TYPE {full} counter\n"
        for bound, row in rows:
            yield f'{full}{{worker="{worker}",bound="{bound}"}} {getattr(row, name)}\n'
    quantiles = f"{ratio}_quantile"
    yield f"# HELP {quantiles} Upper edge of the bucket of a quantile.\n# TYPE {quantiles} gauge\n"
    for bound, row in rows:
        for share in _QUANTILES:
            if (edge := row.quantile(share)) is not None:
                yield f'{quantiles}{{worker="{worker}",bound="{bound}",quantile="{share}"}} {edge:g}\n'


def _histogram(name: str, labels: str, row: Row) -> Iterator[str]:
    seen, total = 0, sum(row.counts)
    for edge, count in zip(EDGES, row.counts, strict=False):
        seen += count
        yield f'{name}_bucket{{{labels},le="{edge:g}"}} {seen}\n'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {total}\n'
    yield f"{name}_sum{{{labels}}} {row.ratios}\n"
    yield f"{name}_count{{{labels}}} {total}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
