"""Record: what the trail found, written onto the usage record. It never awaits: the record goes into the journal."""

import msgspec

from joytoken.domain.ending import UsageSource
from joytoken.domain.ids import billing_id
from joytoken.domain.money import format_amount
from joytoken.domain.record import UsageRecord
from joytoken.domain.usage import Usage
from joytoken.gateway.keyring import Principal
from joytoken.gateway.trail import Trail

_HTTP_OK = 200


def finish_record(trail: Trail, record: UsageRecord, usage: Usage | None, source: UsageSource, cost: int) -> None:
    """Fill in everything that is known when the hold is about to be closed."""
    total = trail.timings.settle
    record.finished_us = trail.call.started_us + total
    record.total_ms = total / 1000
    choice, attempts = trail.choice, trail.attempts
    plan = trail.plan
    if choice is not None and (plan is None or choice is not plan.choices[0]):  # which it was drafted with
        record.model = choice.model.name
        record.deployment = choice.deployment.deployment_id
        record.provider = choice.provider.name
        record.price_id = choice.model.price.price_id
    if attempts:
        record.attempts = len(attempts)
        last = attempts[-1]
        record.provider_request_id = last.provider_request_id
        if not last.ended_us:
            last.ended_us = total
    if usage is not None:
        record.input_tokens = usage.input_tokens
        record.output_tokens = usage.output_tokens
        record.cached_input_tokens = usage.cached_input_tokens
        record.cache_write_tokens = usage.cache_write_tokens
        record.audio_input_tokens = usage.audio_input_tokens
        record.audio_output_tokens = usage.audio_output_tokens
        record.reasoning_tokens = usage.reasoning_tokens
        if choice is not None and attempts:
            record.provider_cost_usd = choice.model.price.provider_cost(usage)
    record.usage_source = source
    record.cost = cost
    record.ending = trail.ending
    record.http_status = _HTTP_OK
    if trail.error is not None:
        record.http_status, record.error_code = trail.error.http_status, trail.error.code
    timings = trail.timings
    record.routing_ms = (timings.freeze - timings.authenticate) / 1000
    if record.streamed and timings.first_token:
        record.first_token_ms = timings.first_token / 1000
        record.stream_ms = (total - timings.first_token) / 1000
    record.detail = trail.detail()


def refused_record(trail: Trail, principal: Principal) -> UsageRecord:
    """The usage record of a request that was refused before anything was held for it."""
    key, call, chat, error = principal.key, trail.call, trail.chat, trail.error
    record = UsageRecord(
        trail.request_id,
        billing_id(trail.request_id),
        trail.correlation_id,
        call.started_us,
        call.started_us + trail.at(),
        key.organisation,
        key.owner_id,
        key.key_id,
        key.labels.project,
        key.labels.application,
        key.labels.environment,
        key.labels.task,
        endpoint=call.endpoint,
        streamed=chat is not None and bool(chat.stream),
        model_requested=(chat.model or "") if chat is not None else "",
        tier=trail.plan.tier if trail.plan is not None else "",
        ending="refused",
    )
    if trail.run is not None:
        record.run_id, record.parent_run_id = trail.run.run_id, trail.run.parent
    record.total_ms = trail.at() / 1000
    record.http_status = error.http_status if error is not None else 0
    record.error_code = error.code if error is not None else ""
    record.detail = trail.detail()
    return record


class _Latency(msgspec.Struct, omit_defaults=True, gc=False):
    routing_ms: float
    total_ms: float
    first_token_ms: float | None = None
    stream_ms: float | None = None


class _Billing(msgspec.Struct, gc=False):
    credits_used: str
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cached_output_tokens: int | None  # the contract's name of cache writes
    reasoning_tokens: int | None
    usd_cost: str
    ending: str
    usage_source: str


class Metadata(msgspec.Struct, gc=False):
    """The `metadata` of an answer: who served it, what it cost, and how long it took."""

    request_id: str
    billing_id: str
    model: str
    provider: str
    tier: str
    tag: tuple[str, ...]
    score: float
    latency: _Latency
    billing: _Billing


def metadata_of(trail: Trail, record: UsageRecord) -> Metadata:
    """The metadata of a request that is settled."""
    plan, choice = trail.plan, trail.choice
    assert plan is not None
    assert choice is not None
    model = choice.model
    return Metadata(
        record.request_id,
        record.billing_id,
        model.display_name or model.name,
        record.provider,
        record.tier,
        model.features,
        plan.score,
        _Latency(record.routing_ms, record.total_ms, record.first_token_ms, record.stream_ms),
        _Billing(
            format_amount(record.charged),
            record.input_tokens,
            record.output_tokens,
            record.cached_input_tokens,
            record.cache_write_tokens,
            record.reasoning_tokens,
            format_amount(record.charged_usd or 0),
            record.ending,
            record.usage_source,
        ),
    )
