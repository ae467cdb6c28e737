"""What the gateway says of an answer: tier, billing, latency, request id; and the tokens of an answer."""

from collections.abc import Mapping
from typing import Any

from joytoken_sdk.json_value import JsonObject, number_of, object_of, objects_of
from joytoken_sdk.record import Record

FINAL_TASK_ID = "__final__"


class CallLatency(Record):
    """Milliseconds, with at most three decimals."""

    routing_ms: float | None = None
    """Until a model was chosen and the credits were held."""
    first_token_ms: float | None = None
    """Until the first token; on streams only."""
    stream_ms: float | None = None
    """From the first token to the last; on streams only."""
    total_ms: float | None = None


class CallBilling(Record):
    """What a call cost. Amounts are decimal texts, exact; tokens that the provider did not report are None."""

    credits_used: str | None = None
    """Credits, such as `"0.041016667"`."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cached_output_tokens: int | None = None
    reasoning_tokens: int | None = None
    usd_cost: str | None = None
    """US dollars that the credits are worth."""
    ending: str | None = None
    """The rule by which it was billed, such as `completed` or `client_gone`."""
    usage_source: str | None = None
    """Whose figures these are: `reported`, `estimated`, `recovered` or `none`."""


class CallMetadata(Record):
    """What the gateway says of an answer. Fields that are not named here are kept."""

    request_id: str | None = None
    """The id under which the receipt is kept."""
    billing_id: str | None = None
    model: str | None = None
    provider: str | None = None
    tier: str | None = None
    tag: list[str] | None = None
    score: float | None = None
    latency: CallLatency | None = None
    billing: CallBilling | None = None


def call_metadata(answer: object) -> CallMetadata | None:
    """Return what the gateway says of an answer or a chunk: of the `openai` package's, or of plain JSON.

    Of an orchestrated answer it is the row of its final stage, else the first one. None where there is none, as on all
    chunks of a stream but the last.
    """
    raw = raw_metadata(answer)
    return None if raw is None else CallMetadata.read(raw)


def raw_metadata(answer: object) -> JsonObject | None:
    """Return the same as plain JSON."""
    fields = object_of(answer)
    metadata = getattr(answer, "metadata", None) if fields is None else fields.get("metadata")
    if (one := object_of(metadata)) is not None:
        return one
    rows = objects_of(metadata)
    final = [row for row in rows if row.get("task_id") == FINAL_TASK_ID]
    return next(iter(final + rows), None)


def usage_of(answer: Mapping[str, Any]) -> JsonObject | None:
    """Return the tokens of a plain answer: its `usage`, else what it was billed for; None where neither is known.

    A total that is missing or zero is the sum.
    """
    usage = object_of(answer.get("usage"))
    if usage is None:
        usage = _billed(answer.get("metadata"))
    if usage is None:
        return None
    if not usage.get("total_tokens"):
        usage = {**usage, "total_tokens": (usage.get("prompt_tokens") or 0) + (usage.get("completion_tokens") or 0)}
    return usage


def _billed(metadata: object) -> JsonObject | None:
    one = object_of(metadata)
    rows = [one] if one is not None else objects_of(metadata)
    billings = [billing for billing in (object_of(row.get("billing")) for row in rows) if billing is not None]
    tokens_in = [count for count in (_count(billing.get("input_tokens")) for billing in billings) if count is not None]
    tokens_out = [
        count for count in (_count(billing.get("output_tokens")) for billing in billings) if count is not None
    ]
    if not tokens_in and not tokens_out:
        return None
    return {"prompt_tokens": sum(tokens_in), "completion_tokens": sum(tokens_out)}


def _count(value: object) -> int | None:
    """Read a number of tokens, also where it is a text."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
    number = number_of(value)
    return int(number) if number is not None and number == int(number) else None
