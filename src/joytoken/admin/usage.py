"""Usage: sums by any grouping, in any time zone, and how long requests took."""

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.requests import UsageFilter, store_query, zone_of
from joytoken.admin.times import spell_optional
from joytoken.domain.errors import InvalidRequest
from joytoken.domain.latency import quantile
from joytoken.domain.money import format_amount
from joytoken.store.usage_latency import LATENCY_DIMENSIONS, LatencyRow, merged
from joytoken.store.usage_query import DIMENSIONS, TAG
from joytoken.store.usage_summary import UsageRow, totals

GROUPS_MAX = 4


class UsageSummaryQuery(UsageFilter, kw_only=True):
    """What to sum and how to group it: `by` names dimensions, such as model, key, project, day or tag:NAME."""

    by: list[str] = []


class UsageSum(msgspec.Struct, kw_only=True):
    """Sums of one group. Credits and dollars are decimal strings."""

    group: dict[str, str]
    label: str  # the group's values for people: a key by its name
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    charged: str
    refunded: str  # of that, given back by now
    shortfall: str
    charged_usd: str
    provider_cost_usd: str
    first_token_ms: float | None


class UsageReport(msgspec.Struct, kw_only=True):
    """Sums by group, and of everything together. Days and hours are those of `zone`."""

    by: list[str]
    zone: str
    since: str | None
    until: str | None
    rows: list[UsageSum]
    total: UsageSum


class UsageLatencyQuery(UsageFilter, kw_only=True):
    """Whose times, and how to group them: `by` names some of provider, model, day and hour."""

    by: list[str] = []


class Quantiles(msgspec.Struct, kw_only=True):
    """Times in milliseconds within which 50, 95 and 99 of 100 requests were done, to within 10 percent."""

    requests: int  # that have such a time
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class UsageTimes(msgspec.Struct, kw_only=True):
    """How long the requests of one group took."""

    group: dict[str, str]
    label: str  # the group's values for people
    requests: int
    errors: int
    total: Quantiles
    first_token: Quantiles


class LatencyReport(msgspec.Struct, kw_only=True):
    """Times by group, and of everything together. Days and hours are those of `zone`."""

    by: list[str]
    zone: str
    since: str | None
    until: str | None
    rows: list[UsageTimes]
    total: UsageTimes


def summarise_usage(desk: Desk, request: UsageSummaryQuery) -> UsageReport:
    """Sum up usage. Raises InvalidRequest, or NotFound for an unknown key."""
    by = _names(request.by)
    unknown = [name for name in by if name not in DIMENSIONS and not (name.startswith(TAG) and name != TAG)]
    if unknown:
        said = f"{unknown[0]!r} is no dimension; they are {', '.join(DIMENSIONS)} and tag:NAME"
        raise InvalidRequest(said, "unknown_dimension", param="by")
    zone, query = zone_of(desk, request), store_query(desk, request)
    rows = desk.store.usage.summary(query, by, zone)
    names = {key.key_id: key.name for key in desk.store.keys.list()} if "key" in by else {}
    return UsageReport(
        by=by,
        zone=zone,
        since=spell_optional(query.since_us),
        until=spell_optional(query.until_us),
        rows=[_sum(row, by, names) for row in rows],
        total=_sum(totals(rows), [], names),
    )


def summarise_latency(desk: Desk, request: UsageLatencyQuery) -> LatencyReport:
    """Say how long requests took. Raises InvalidRequest, or NotFound for an unknown key."""
    by = _names(request.by)
    unknown = [name for name in by if name not in LATENCY_DIMENSIONS]
    if unknown:
        said = f"times are not grouped by {unknown[0]!r}; they are by {', '.join(LATENCY_DIMENSIONS)}"
        raise InvalidRequest(said, "unknown_dimension", param="by")
    zone, query = zone_of(desk, request), store_query(desk, request)
    rows = desk.store.usage.latency(query, by, zone)
    return LatencyReport(
        by=by,
        zone=zone,
        since=spell_optional(query.since_us),
        until=spell_optional(query.until_us),
        rows=[_times(row, by) for row in rows],
        total=_times(merged(rows), []),
    )


def _names(texts: list[str]) -> list[str]:
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    if len(names) > GROUPS_MAX:
        raise InvalidRequest(f"usage is grouped by at most {GROUPS_MAX} dimensions", param="by")
    return names


def _times(row: LatencyRow, by: list[str]) -> UsageTimes:
    return UsageTimes(
        group=dict(zip(by, row.keys, strict=True)),
        label=" · ".join(value or "—" for value in row.keys),
        requests=row.requests,
        errors=row.errors,
        total=_quantiles(row.total),
        first_token=_quantiles(row.first_token),
    )


def _quantiles(counts: dict[int, int]) -> Quantiles:
    p50, p95, p99 = (quantile(counts, share) for share in (0.5, 0.95, 0.99))
    return Quantiles(requests=sum(counts.values()), p50_ms=_rounded(p50), p95_ms=_rounded(p95), p99_ms=_rounded(p99))


def _rounded(milliseconds: float | None) -> float | None:
    """Three digits that say something: more than the slots know."""
    return None if milliseconds is None else float(f"{milliseconds:.3g}")


def _sum(row: UsageRow, by: list[str], names: dict[str, str]) -> UsageSum:
    return UsageSum(
        group=dict(zip(by, row.keys, strict=True)),
        label=" · ".join(names.get(value, value) or "—" for value in row.keys),
        requests=row.requests,
        errors=row.errors,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_input_tokens=row.cached_input_tokens,
        reasoning_tokens=row.reasoning_tokens,
        charged=format_amount(row.charged),
        refunded=format_amount(row.refunded),
        shortfall=format_amount(row.shortfall),
        charged_usd=format_amount(row.charged_usd),
        provider_cost_usd=format_amount(row.provider_cost_usd),
        first_token_ms=None if row.first_token_ms is None else round(row.first_token_ms, 3),
    )
