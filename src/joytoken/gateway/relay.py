"""Relay: pass the answer on, feed the meter, and settle before the last byte goes to the caller."""

from time import monotonic

import msgspec
from msgspec import Raw

from joytoken.domain.ending import Ending, UsageSource
from joytoken.domain.errors import GatewayError, UpstreamFailed
from joytoken.domain.usage import Usage
from joytoken.escrow.engine import Escrow
from joytoken.gateway.call import encode
from joytoken.gateway.caller import Caller
from joytoken.gateway.completion import complete_body
from joytoken.gateway.invoke import Served
from joytoken.gateway.meter import StreamMeter
from joytoken.gateway.record import metadata_of
from joytoken.gateway.settle import Settler
from joytoken.gateway.trail import Trail
from joytoken.gateway.wire import wire_usage
from joytoken.providers.interface import ProviderFailure

_decode_top = msgspec.json.Decoder(dict[str, Raw]).decode
_JSON = b"content-type: application/json\r\n"
_SSE = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
_DEADLINES = frozenset(("idle_timeout", "total_timeout", "first_byte_timeout"))


class Relay:
    """What `relay` leans on."""

    def __init__(self, *, settler: Settler, escrow: Escrow, progress_ms: int, progress_tokens: int) -> None:
        self._settler = settler
        self._escrow = escrow
        self._progress_s = progress_ms / 1000
        self._progress_tokens = progress_tokens

    async def whole(self, served: Served, trail: Trail, caller: Caller) -> None:
        """Send a whole answer to the caller, and settle before it."""
        completion = served.completion
        assert completion is not None
        usage, source = self.received(served, trail)
        ending: Ending = "completed" if source == "reported" else "completed_counted"
        if not completion.finished and (completion.failed or not completion.output):
            ending = "empty"
        elif caller.gone:
            ending = "client_gone"
        missing = self._settler.try_settle(trail, ending, usage, source)
        if missing:
            await self._settler.cover(trail, missing)
            self._settler.settle(trail, ending, usage, source)
        if self._escrow.secures:
            await self._escrow.secure_settle()
        assert trail.record is not None
        body = complete_body(
            completion, created=trail.call.started_us // 1_000_000, fallback_id=trail.request_id, usage=usage
        )
        caller.reply(200, _JSON + head_of(trail), with_metadata(body, encode(metadata_of(trail, trail.record))))

    async def stream(self, served: Served, meter: StreamMeter, trail: Trail, caller: Caller) -> None:
        """Send a stream to the caller, and settle before its last events."""
        caller.start(200, _SSE + head_of(trail))
        failure: ProviderFailure | None = None
        try:
            await self._pump(served, meter, trail, caller)
        except ProviderFailure as error:
            # Behind a finish reason and the usage comes nothing that could be missed.
            failure = None if meter.finished and meter.usage is not None else error
        failure = failure or meter.failure
        if meter.error is not None and failure is None:
            failure = ProviderFailure("error_in_stream", meter.error[1][:500])
        ending, usage, source = self._reading(served, meter, trail, failure)
        if caller.gone and failure is None and ending != "empty":
            ending = "client_gone"
        if failure is not None:
            trail.error = UpstreamFailed(failure.message, f"provider_{failure.kind}", status=failure.status)
            trail.attempts[-1].error = failure.kind
        trail.timings.relay = trail.at()
        if usage is not None and failure is None:
            missing = self._settler.try_settle(trail, ending, usage, source)
            if missing:
                await self._settler.cover(trail, missing)
        if trail.hold is not None and trail.hold.open:
            self._settler.settle(trail, ending, usage, source)
        if self._escrow.secures:
            await self._escrow.secure_settle()
        caller.write(self._last_events(meter, trail, usage))
        caller.finish()

    async def _pump(self, served: Served, meter: StreamMeter, trail: Trail, caller: Caller) -> None:
        """Pass events on until the stream ends; the cost so far goes into the journal now and then."""
        if served.first:
            trail.timings.first_token = trail.at()
            caller.write(served.first)
        next_progress = monotonic() + self._progress_s

        def take(data: bytes) -> bool:
            nonlocal next_progress
            out = meter.feed(data)
            if out:
                caller.write(out)
            now = monotonic()
            if now >= next_progress or meter.events_since >= self._progress_tokens:
                self.progress(meter, trail)
                next_progress = now + self._progress_s
            return not (meter.ended or caller.paused)

        while not meter.ended:
            if caller.paused:
                await caller.drain()
            if not await served.answer.pass_on(take):
                tail = meter.rest()
                if tail:
                    caller.write(tail)
                if not meter.finished:
                    raise ProviderFailure("cut", "the provider's stream broke off")
                return

    def progress(self, meter: StreamMeter, trail: Trail) -> None:
        """Journal what the stream has cost so far, in case this process dies."""
        hold, choice = trail.hold, trail.choice
        assert hold is not None
        assert choice is not None
        usage = self._settler.counted(trail, meter.output_tokens())
        self._escrow.progress(hold, min(hold.amount, choice.model.price.charge(usage)))

    def _reading(
        self, served: Served, meter: StreamMeter, trail: Trail, failure: ProviderFailure | None
    ) -> tuple[Ending, Usage | None, UsageSource]:
        """The ending of a stream, and the usage that it is billed by."""
        usage, source = self.received(served, trail)
        if failure is not None:
            if not meter.said:
                return "provider_failed", None, "none"
            return ("timed_out" if failure.kind in _DEADLINES else "provider_cut"), usage, source
        if (not meter.said and not meter.finished) or meter.failed_finish:
            return "empty", usage, source
        return ("completed" if source == "reported" else "completed_counted"), usage, source

    def received(self, served: Served | None, trail: Trail) -> tuple[Usage, UsageSource]:
        """The usage of an answer so far: what the provider reported already, else what was received from it."""
        settler = self._settler
        if served is None:
            return settler.counted(trail, 0), "estimated"
        meter, completion = served.meter, served.completion
        if meter is not None:
            if meter.usage is not None:
                return settler.bound(trail, meter.usage, meter.output_bytes), "reported"
            return settler.counted(trail, meter.output_tokens()), "estimated"
        assert completion is not None
        if completion.usage is not None:
            return settler.bound(trail, completion.usage, len(completion.body)), "reported"
        count = completion.count_output(settler.counter, served.choice.model.tokenizer)
        return settler.counted(trail, count), "estimated"

    def _last_events(self, meter: StreamMeter, trail: Trail, usage: Usage | None) -> bytes:
        """An error (where there was one), the metadata with the usage (where it was asked for), and the end."""
        chat, record = trail.chat, trail.record
        assert chat is not None
        assert record is not None
        base = {
            "id": meter.template.get("id", trail.request_id),
            "object": "chat.completion.chunk",
            "created": meter.template.get("created", trail.call.started_us // 1_000_000),
            "model": meter.template.get("model", record.model),
            "choices": [],
        }
        events: list[dict[str, object]] = []
        options = chat.stream_options
        if trail.error is not None:
            events.append({"error": error_object(trail.error, trail.request_id), "choices": []})
        last = {**base, "metadata": metadata_of(trail, record)}
        if options is not None and options.include_usage and usage is not None:
            # In the last chunk, as OpenAI has it: clients take the usage of the last chunk for the whole stream's.
            last["usage"] = wire_usage(usage)
        events.append(last)
        return b"".join([b"data: " + encode(event) + b"\n\n" for event in events]) + b"data: [DONE]\n\n"


def head_of(trail: Trail) -> bytes:
    """The header lines that name the request and who served it."""
    choice = trail.choice
    head = ids_head(trail)
    if choice is not None:
        head += b"x-daoe-used-model: %b\r\nx-daoe-used-provider: %b\r\n" % (
            choice.model.name.encode("ascii", "replace"),
            choice.provider.name.encode("ascii", "replace"),
        )
    if trail.failover:
        head += b"x-daoe-failover: true\r\n"
    if trail.clamped:
        head += b"x-joytoken-output-clamped: %d\r\n" % trail.output_bound
    return head


def ids_head(trail: Trail) -> bytes:
    """The header lines that every answer carries."""
    name = (trail.correlation_id or trail.request_id).encode()
    return b"x-request-id: %b\r\nx-daoe-request-id: %b\r\n" % (name, name)


def with_metadata(body: bytes, metadata: bytes) -> bytes:
    """A JSON object with `metadata` as its last field, in place of any that it has."""
    if b'"metadata"' in body:
        top = _decode_top(body)
        top["metadata"] = Raw(metadata)
        return encode(top)
    return b'%b,"metadata":%b}' % (body[: body.rindex(b"}")], metadata)


def error_object(error: GatewayError, request_id: str) -> dict[str, object]:
    """An error in the contract's shape."""
    made: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "code": error.code,
        "param": error.param,
        "request_id": request_id,
    }
    if error.details:
        made["details"] = error.details
    return made
