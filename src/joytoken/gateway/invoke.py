"""Invoke: call the plan's deployments in order until one answers; nothing has reached the caller yet.

A retry or a fallback belongs to the same hold. The health of each deployment is told what came of its attempt; a caller
who hangs up says nothing about it.
"""

import asyncio
from typing import Protocol

import msgspec
from msgspec import Raw

from joytoken.domain.errors import GatewayError, InvalidRequest, UpstreamFailed
from joytoken.domain.record import Attempt
from joytoken.domain.route import Choice, Plan
from joytoken.escrow.engine import Escrow
from joytoken.escrow.terms import Closed
from joytoken.gateway.admit import store_away
from joytoken.gateway.call import Chat, encode, read_top
from joytoken.gateway.completion import Completion, read_completion
from joytoken.gateway.count import Counter
from joytoken.gateway.meter import StreamMeter
from joytoken.gateway.trail import Trail
from joytoken.providers.interface import Answer, CancelledUnsent, Provider, ProviderFailure
from joytoken.routing.health import Health

_OK = 200
_CALLERS_FAULT = (400, 413, 422)
_TEXT_CHARS_MAX = 500
_HELD_BYTES_MAX = 2_048
_decode_error = msgspec.json.Decoder(dict[str, object]).decode


class Providers(Protocol):
    """The adapters by the name of their provider."""

    def get(self, name: str) -> Provider | None:
        """The adapter of a provider; None where it was removed meanwhile."""
        ...


class Served(msgspec.Struct, gc=False):
    """What an attempt that succeeded gave: a completion, or a stream with its meter and its first bytes."""

    choice: Choice
    answer: Answer
    first_byte_us: int = 0  # since the request began
    completion: Completion | None = None
    meter: StreamMeter | None = None
    first: bytes = b""


class Invoker:
    """What `invoke` leans on."""

    def __init__(
        self,
        *,
        providers: Providers,
        health: Health,
        escrow: Escrow,
        counter: Counter,
        attempts_max: int,
        event_bytes_max: int,
    ) -> None:
        self._providers = providers
        self._health = health
        self._escrow = escrow
        self._counter = counter
        self._attempts_max = attempts_max
        self._event_bytes_max = event_bytes_max

    async def invoke(self, plan: Plan, chat: Chat, trail: Trail) -> Served:
        """Call the choices in order.

        Raises UpstreamFailed where all fail, and InvalidRequest where a provider refuses the body.
        """
        last: GatewayError | None = None
        hold, stream, request_id = trail.hold, bool(chat.stream), trail.request_id
        assert hold is not None
        for choice in plan.choices[: self._attempts_max]:
            provider = self._providers.get(choice.provider.name)
            if provider is None:
                continue
            if not hold.called:
                self._escrow.called(hold)
            if self._escrow.secures and not trail.attempts:
                await self._secure()
            attempt = self._begin(choice, trail)
            try:
                body = provider_body(provider, choice, chat, read_top(trail.call.body), trail.output_bound)
                answer = await provider.invoke(choice, body, stream=stream, request_id=request_id)
                served = self._read(answer, choice, trail, attempt, stream=stream)
                if stream and isinstance(served, Served):
                    await self._read_first(served, trail, attempt)
            except asyncio.CancelledError as cancelled:
                trail.unsent = isinstance(cancelled, CancelledUnsent)
                self._health.abandoned(choice.deployment.deployment_id)
                raise
            except ProviderFailure as failure:
                attempt.error = failure.kind
                attempt.ended_us = trail.at()
                self._health.failed(choice.deployment.deployment_id, failure.kind)
                last = UpstreamFailed(failure.message, f"provider_{failure.kind}", status=failure.status)
                continue
            if isinstance(served, Served):
                return served
            last = served
            if isinstance(last, InvalidRequest):
                break
        raise last or UpstreamFailed("no provider of this plan is configured any more", "provider_gone", status=503)

    async def _secure(self) -> None:
        """Wait until the hold survives what it is to survive: only then may the call cost something."""
        try:
            await self._escrow.secure_hold()
        except Closed as closed:
            raise store_away(closed) from None

    def _begin(self, choice: Choice, trail: Trail) -> Attempt:
        attempt = Attempt(choice.provider.name, choice.deployment.deployment_id, choice.model.name)
        if trail.attempts:
            trail.failover = True
            attempt.started_us = trail.at()
        else:
            attempt.started_us = trail.timings.freeze
        trail.attempts.append(attempt)
        trail.choice = choice
        return attempt

    def _read(
        self, answer: Answer, choice: Choice, trail: Trail, attempt: Attempt, *, stream: bool
    ) -> Served | GatewayError:
        """What an answer gives: what can be served, or the error that another status means."""
        try:
            attempt.status = answer.status
            given = answer.header(b"x-request-id")
            if given is not None:
                attempt.provider_request_id = given.decode("latin-1")[:128]
            if answer.status != _OK:
                return self._refused(answer, choice, trail, attempt)
            served = Served(choice, answer)
            if stream:
                served.meter = self._meter(choice, trail)
            else:
                served.completion = read_completion(answer.content, model=choice.model.name)
                self._answered(served, trail, attempt)
        except BaseException:
            answer.close()
            raise
        return served

    def _refused(self, answer: Answer, choice: Choice, trail: Trail, attempt: Attempt) -> GatewayError:
        deployment = choice.deployment.deployment_id
        error = _refusal(answer, choice, attempt)
        attempt.ended_us = trail.at()
        if isinstance(error, InvalidRequest):
            self._health.succeeded(deployment, (attempt.ended_us - attempt.started_us) / 1000)
        else:
            self._health.failed(deployment, "model_not_found" if answer.status == 404 else answer.status)
        answer.close()
        return error

    async def _read_first(self, served: Served, trail: Trail, attempt: Attempt) -> None:
        assert served.meter is not None
        try:
            served.first = await _first_events(served.answer, served.meter)
        except BaseException:
            served.answer.close()
            raise
        self._answered(served, trail, attempt)

    def _answered(self, served: Served, trail: Trail, attempt: Attempt) -> None:
        served.first_byte_us = attempt.first_byte_us = at = trail.at()
        self._health.succeeded(served.choice.deployment.deployment_id, (at - attempt.started_us) / 1000)

    def _meter(self, choice: Choice, trail: Trail) -> StreamMeter:
        names = {"id": trail.request_id, "created": trail.call.started_us // 1_000_000, "model": choice.model.name}
        return StreamMeter(self._counter, choice.model.tokenizer, event_bytes_max=self._event_bytes_max, names=names)


async def _first_events(answer: Answer, meter: StreamMeter) -> bytes:
    """Read until the stream says something, so that a failure before that can still fall back.

    What it sends before (the role alone, mostly) is held so long, but not more of it than `_HELD_BYTES_MAX`: it may be
    content of a kind that is not known here.
    """
    held = b""
    while True:
        data = await answer.read()
        held += meter.feed(data) if data else meter.rest()
        if not meter.said:
            if meter.error is not None:
                message = f"the provider's stream began with an error: {meter.error[1][:500]}"
                raise ProviderFailure("error_in_stream", message)
            if meter.failure is not None:
                raise meter.failure
            if not data and not meter.finished and meter.usage is None:
                raise ProviderFailure("cut", "the provider's stream ended before it began")
        if not data or meter.said or meter.finished or meter.done or len(held) > _HELD_BYTES_MAX:
            return held


def provider_body(provider: Provider, choice: Choice, chat: Chat, top: dict[str, Raw], output_bound: int) -> bytes:
    """The body for one provider: the caller's own, with its model, the output bound, and usage asked of streams."""
    top.pop("tier", None)  # the gateway's own field; no provider knows it
    if not provider.takes_metadata:
        top.pop("metadata", None)
    top["model"] = Raw(encode(choice.deployment.upstream_model))
    bound = Raw(b"%d" % output_bound)
    if "max_completion_tokens" in top:
        top["max_completion_tokens"] = bound
        if "max_tokens" in top:
            top["max_tokens"] = bound
    elif "max_tokens" in top:
        top["max_tokens"] = bound
    else:
        top[provider.output_bound_field] = bound
    if chat.tools is None:
        top.pop("tools", None)
    if chat.stream:
        options = top.get("stream_options")
        if options is None or bytes(options) == b"null":
            top["stream_options"] = Raw(b'{"include_usage":true}')
        else:
            asked = msgspec.json.decode(options)
            top["stream_options"] = Raw(encode({**asked, "include_usage": True}))
    else:
        top.pop("stream_options", None)
    return encode(top)


def _refusal(answer: Answer, choice: Choice, attempt: Attempt) -> GatewayError:
    """What an answer other than 200 means for the caller."""
    kind, text = _error_of(answer.content)
    attempt.error = kind[:64]
    name = choice.provider.name
    status = answer.status
    if status in _CALLERS_FAULT:
        return InvalidRequest(f"the provider refused the request: {text}", "provider_rejected")
    if status in (401, 403):
        return UpstreamFailed(f"the provider {name} refused the gateway's credential", "provider_auth_failed")
    if status == 404:
        return UpstreamFailed(f"the provider {name} does not know the model", "provider_model_missing")
    if status == 429:
        error = UpstreamFailed(f"the provider {name} is at its rate limit", "provider_rate_limited", status=503)
        error.retry_after_s = _retry_after(answer)
        return error
    if status in (502, 503, 504):
        return UpstreamFailed(
            f"the provider {name} is not available (status {status})", "provider_unavailable", status=status
        )
    return UpstreamFailed(f"the provider {name} failed with status {status}", "provider_failed")


def _error_of(content: bytes) -> tuple[str, str]:
    """The type and the text of a provider's error body, whatever shape it has."""
    try:
        value = _decode_error(content)
    except msgspec.MsgspecError:
        return "error", "no reason given"
    error = value.get("error", value)
    if isinstance(error, dict):
        text = str(error.get("message") or "no reason given")
        return str(error.get("type") or error.get("code") or "error"), text[:_TEXT_CHARS_MAX]
    return "error", str(error)[:_TEXT_CHARS_MAX]


def _retry_after(answer: Answer) -> int | None:
    value = answer.header(b"retry-after")
    return min(int(value), 3600) if value is not None and value.isdigit() else None
