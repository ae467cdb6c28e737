"""The usage record: one for each request that reached a hold, with full attribution, and its receipt's details."""

from typing import Any

import msgspec

from joytoken.domain.ending import Ending, UsageSource
from joytoken.domain.money import NANO


class Attempt(msgspec.Struct, omit_defaults=True, gc=False):
    """One call of a deployment within a request."""

    provider: str
    deployment: str
    model: str
    status: int = 0  # the provider's HTTP status; 0 where none came
    error: str = ""  # the transport's kind of failure, or the provider's error type; never the provider's text
    started_us: int = 0  # since the request began
    first_byte_us: int | None = None
    ended_us: int = 0
    provider_request_id: str = ""


class Timings(msgspec.Struct, omit_defaults=True, gc=False):
    """Microseconds since the request began at which each step was done; 0 where it did not run.

    `admit` and `route` are told apart from `freeze` only where the hold had to wait: the three take microseconds.
    """

    authenticate: int = 0
    admit: int = 0
    route: int = 0
    freeze: int = 0
    invoke: int = 0
    first_token: int = 0
    relay: int = 0
    settle: int = 0


class Detail(msgspec.Struct, omit_defaults=True):
    """The part of a receipt that is read, never queried: stored with the usage record as one JSON document."""

    rule: str = ""  # how the model was found
    requested_tier: str = ""
    candidates: msgspec.Raw = msgspec.Raw(b"[]")  # list of Candidate
    tier_fallbacks: tuple[str, ...] = ()  # tiers whose wallet could not carry the request, in order
    attempts: list[Attempt] = []
    timings: Timings | None = None
    hold_accounts: tuple[str, ...] = ()
    input_bound: int = 0  # tokens that the hold allowed for
    output_bound: int = 0
    clamped: bool = False
    notes: tuple[str, ...] = ()  # anything a payer should know: usage bounded, clamped, drained, …
    workflow: str = ""  # of its run
    step: str = ""  # which of its run's steps, by its caller's word


class UsageRecord(msgspec.Struct, array_like=True, gc=False):
    """One request's money and attribution. Money in nanocredits or nano-dollars, times in unix microseconds.

    The order of the fields is the format of the journal: only add at the end.
    """

    request_id: str
    billing_id: str = ""
    correlation_id: str = ""
    started_us: int = 0
    finished_us: int = 0
    organisation: str = ""
    owner_id: str = ""
    key_id: str = ""
    project: str = ""
    application: str = ""
    environment: str = ""
    task: str = ""
    end_user: str = ""
    tags: str = ""  # JSON object of the caller's metadata, or ""
    endpoint: str = "chat"
    streamed: bool = False
    model_requested: str = ""
    model: str = ""
    deployment: str = ""
    provider: str = ""
    provider_request_id: str = ""
    tier: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    reasoning_tokens: int | None = None
    price_id: str = ""
    usd_per_credit: int = 0
    hold: int = 0
    cost: int = 0  # by the price book; cost = charged + shortfall
    charged: int = 0
    shortfall: int = 0
    provider_cost_usd: int | None = None
    charged_usd: int | None = None
    margin_usd: int | None = None
    ending: Ending = "refused"
    usage_source: UsageSource = "none"
    http_status: int = 0
    error_code: str = ""
    attempts: int = 0
    routing_ms: float = 0.0
    first_token_ms: float | None = None
    stream_ms: float | None = None
    total_ms: float = 0.0
    detail: bytes = b""  # JSON of Detail
    run_id: str = ""
    parent_run_id: str = ""


EMPTY_FIELDS: tuple[Any, ...] = msgspec.structs.astuple(UsageRecord(""))  # what they are where nothing is said


def close_record(record: UsageRecord, charged: int, shortfall: int) -> None:
    """Write the outcome of a settle onto its record: what was charged, in credits and US dollars, and the margin."""
    record.charged = charged
    record.shortfall = shortfall
    record.charged_usd = charged * record.usd_per_credit // NANO
    if record.provider_cost_usd is not None:
        record.margin_usd = record.charged_usd - record.provider_cost_usd
