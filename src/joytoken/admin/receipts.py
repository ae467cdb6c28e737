"""Receipts: what one request was, how it was routed, what it cost, and by which rule."""

from typing import Any

import msgspec

from joytoken.admin.prices import PriceDocument, price_document
from joytoken.admin.times import spell_time
from joytoken.domain.ending import RULES
from joytoken.domain.money import format_amount
from joytoken.domain.price import Price
from joytoken.domain.record import Attempt, Detail, UsageRecord
from joytoken.domain.route import Candidate

_CREDITS = ("hold", "cost", "charged", "shortfall")
_DOLLARS = ("provider_cost_usd", "charged_usd", "margin_usd")
_decode_detail = msgspec.json.Decoder(Detail).decode
_decode_candidates = msgspec.json.Decoder(list[Candidate]).decode
_decode_tags = msgspec.json.Decoder(dict[str, Any]).decode


class PlaceInRun(msgspec.Struct, frozen=True):
    """Of which workflow and step a request is: the part of its details that lists show."""

    workflow: str = ""
    step: str = ""


_NOWHERE = PlaceInRun()
_decode_place = msgspec.json.Decoder(PlaceInRun).decode


class RequestDocument(msgspec.Struct, kw_only=True):
    """A usage record: one for each request that was held for. Credits and dollars are decimal strings."""

    request_id: str
    billing_id: str
    correlation_id: str
    started_at: str
    finished_at: str
    ending: str
    usage_source: str
    http_status: int
    error_code: str
    endpoint: str
    streamed: bool
    model_requested: str
    model: str
    provider: str
    deployment: str
    provider_request_id: str
    tier: str
    organisation: str
    owner: str
    key_id: str
    project: str
    application: str
    environment: str
    task: str
    end_user: str
    run: str
    parent_run: str
    workflow: str  # of the run
    step: str  # of the run, by its caller's word
    tags: dict[str, Any]
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    reasoning_tokens: int | None
    price_id: str
    hold: str
    cost: str
    charged: str
    refunded: str
    shortfall: str
    provider_cost_usd: str | None
    charged_usd: str | None
    margin_usd: str | None
    attempts: int
    routing_ms: float
    first_token_ms: float | None
    stream_ms: float | None
    total_ms: float


class EndingDocument(msgspec.Struct, kw_only=True):
    """How a request ended, and what that ending charges."""

    name: str
    rule: str
    usage_source: str


class RouteDocument(msgspec.Struct, kw_only=True):
    """How the model was found: by which rule, and every candidate with its reason."""

    rule: str
    requested_model: str
    requested_tier: str
    tier: str
    tier_fallbacks: list[str]
    candidates: list[Candidate]


class MoneyDocument(msgspec.Struct, kw_only=True):
    """What happened to the money: frozen, then settled, and the rest released. Credits as decimal strings."""

    accounts: list[str]
    hold: str
    settled: str
    released: str
    refunded: str  # of what was settled, given back later
    shortfall: str
    cost: str
    input_bound: int
    output_bound: int
    clamped: bool
    usd_per_credit: str
    charged_usd: str | None
    provider_cost_usd: str | None
    margin_usd: str | None


class AttemptDocument(msgspec.Struct, kw_only=True):
    """One call of a deployment. `status` is the provider's, 0 where none came."""

    provider: str
    deployment: str
    model: str
    status: int
    error: str
    started_ms: float
    first_byte_ms: float | None
    ended_ms: float
    provider_request_id: str


class Receipt(msgspec.Struct, kw_only=True):
    """The receipt of one request. Times are milliseconds since it began."""

    request: RequestDocument
    ending: EndingDocument
    money: MoneyDocument
    price: PriceDocument | None
    route: RouteDocument
    attempts: list[AttemptDocument]
    timings: dict[str, float]
    notes: list[str]


def receipt(record: UsageRecord, price: Price | None, refunded: int = 0) -> Receipt:
    """The receipt of a usage record; `price` is the row of the price book that the record names.

    `refunded`: nanocredits of its charge that were given back.
    """
    detail = _detail(record)
    return Receipt(
        request=request_document(record, refunded),
        ending=EndingDocument(name=record.ending, rule=RULES[record.ending], usage_source=record.usage_source),
        money=MoneyDocument(
            accounts=list(detail.hold_accounts),
            hold=format_amount(record.hold),
            settled=format_amount(record.charged),
            released=format_amount(max(record.hold - record.charged, 0)),
            refunded=format_amount(refunded),
            shortfall=format_amount(record.shortfall),
            cost=format_amount(record.cost),
            input_bound=detail.input_bound,
            output_bound=detail.output_bound,
            clamped=detail.clamped,
            usd_per_credit=format_amount(record.usd_per_credit),
            charged_usd=_optional(record.charged_usd),
            provider_cost_usd=_optional(record.provider_cost_usd),
            margin_usd=_optional(record.margin_usd),
        ),
        price=None if price is None else price_document(price),
        route=RouteDocument(
            rule=detail.rule,
            requested_model=record.model_requested,
            requested_tier=detail.requested_tier,
            tier=record.tier,
            tier_fallbacks=list(detail.tier_fallbacks),
            candidates=_decode_candidates(detail.candidates),
        ),
        attempts=[_attempt(attempt) for attempt in detail.attempts],
        timings={} if detail.timings is None else _milliseconds(msgspec.structs.asdict(detail.timings)),
        notes=list(detail.notes),
    )


def request_document(record: UsageRecord, refunded: int = 0) -> RequestDocument:
    """A usage record as it is shown in lists and exports."""
    shown = {name: getattr(record, name) for name in RequestDocument.__struct_fields__ if hasattr(record, name)}
    shown |= {name: format_amount(getattr(record, name)) for name in _CREDITS}
    shown |= {name: _optional(getattr(record, name)) for name in _DOLLARS}
    place = place_in_run(record)
    shown["tags"] = _decode_tags(record.tags) if record.tags else {}
    return RequestDocument(
        **shown,
        owner=record.owner_id,
        run=record.run_id,
        parent_run=record.parent_run_id,
        workflow=place.workflow,
        step=place.step,
        refunded=format_amount(refunded),
        started_at=spell_time(record.started_us),
        finished_at=spell_time(record.finished_us),
    )


def place_in_run(record: UsageRecord) -> PlaceInRun:
    """Of which workflow and step a record is. The details are looked into only where it belongs to a run."""
    return _decode_place(record.detail) if record.run_id and record.detail else _NOWHERE


def _attempt(attempt: Attempt) -> AttemptDocument:
    return AttemptDocument(
        provider=attempt.provider,
        deployment=attempt.deployment,
        model=attempt.model,
        status=attempt.status,
        error=attempt.error,
        started_ms=attempt.started_us / 1000,
        first_byte_ms=None if attempt.first_byte_us is None else attempt.first_byte_us / 1000,
        ended_ms=attempt.ended_us / 1000,
        provider_request_id=attempt.provider_request_id,
    )


def _milliseconds(timings: dict[str, int]) -> dict[str, float]:
    return {step: micro / 1000 for step, micro in timings.items() if micro}


def _detail(record: UsageRecord) -> Detail:
    return _decode_detail(record.detail) if record.detail else Detail()


def _optional(nano: int | None) -> str | None:
    return None if nano is None else format_amount(nano)
