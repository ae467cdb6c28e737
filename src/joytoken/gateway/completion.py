"""A whole completion: what it cost is read in one decode, and what a compatible provider leaves out is made good."""

from typing import Any

import msgspec
from msgspec import Raw

from joytoken.domain.catalog import Tokenizer
from joytoken.domain.usage import Usage
from joytoken.gateway.conform import complete_usage, complete_whole, decode_whole
from joytoken.gateway.count import Counter
from joytoken.gateway.wire import (
    ERROR_FINISHES,
    UNREADABLE,
    decode_any,
    decode_body,
    error_of,
    output_of,
    read_usage,
    text_of,
    wire_usage,
)
from joytoken.providers.interface import ProviderFailure

_encode = msgspec.json.Encoder().encode
_COUNTS = ("prompt_tokens", "completion_tokens")
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Completion(msgspec.Struct, gc=False):
    """A whole answer, read as far as money needs it."""

    body: bytes
    usage: Usage | None
    finished: bool  # some choice has a finish reason that is not an error's
    failed: bool  # some choice has a finish reason that is an error's
    output: list[Raw]  # empty where usage was reported: nobody has to count it then
    model: str = ""  # the name to give it where it has none
    top: dict[str, Any] | None = None  # the body decoded, where something is missing in it

    def count_output(self, counter: Counter, tokenizer: Tokenizer | None) -> int:
        """The output tokens as the gateway counts them."""
        return counter.count(text_of(self.output), tokenizer) if self.output else 0


def read_completion(body: bytes, *, model: str = "") -> Completion:
    """Read a provider's JSON answer, so that nothing that comes after can fail on it. `model` is its public name.

    Raises ProviderFailure where it is not a completion, or holds an error.
    """
    try:
        if not body.isascii():
            body.decode()
        completion = _read_plain(body)
        if completion is None:
            completion = _read_any(body)
            completion.model = model
            completion.top = _decode_top(body)
    except UNREADABLE as error:
        raise ProviderFailure("garbage", f"the provider's answer is not a chat completion: {error}") from None
    return completion


def _read_plain(body: bytes) -> Completion | None:
    """Read an answer of the common kind, in one decode: it came to an end, says what it used, and lacks nothing."""
    try:
        plain = decode_whole(body)
    except UNREADABLE:
        return None
    for choice in plain.choices:
        if choice.finish_reason in ERROR_FINISHES:
            return None
    usage = plain.usage.usage()
    if not plain.choices or usage.input_tokens + usage.output_tokens == 0:
        return None
    return Completion(body, usage, True, False, [])


def _read_any(body: bytes) -> Completion:
    answer = decode_body(body)
    given = error_of(answer.error)
    if given is not None:
        raise ProviderFailure("error_in_answer", f"the provider answered with an error: {given[1][:500]}")
    if answer.choices is None:
        raise ProviderFailure("garbage", "the provider's answer holds no `choices`")
    output: list[Raw] = []
    finished = failed = False
    for choice in answer.choices:
        output += output_of(choice.message)
        if choice.finish_reason in ERROR_FINISHES:
            failed = True
        elif choice.finish_reason is not None:
            finished = True
    return Completion(body, read_usage(answer.usage), finished, failed, output)


def _decode_top(body: bytes) -> dict[str, Any]:
    top: dict[str, Any] = decode_any(body)
    for choice in top["choices"]:
        if choice.get("message") is None:
            choice["message"] = {}
        elif not isinstance(choice["message"], dict):
            raise ProviderFailure("garbage", "the provider's answer holds a message that is no object")
    return top


def complete_body(completion: Completion, *, created: int, fallback_id: str, usage: Usage) -> bytes:
    """The answer's body with every field that the specification requires; the same bytes where none is missing.

    `usage` is what is charged for; it takes the place of a report that was bounded, or that was missing.
    """
    top = completion.top
    if top is None:
        if usage is completion.usage:
            return completion.body
        fields = _decode_fields(completion.body)
        fields["usage"] = Raw(_encode(wire_usage(usage)))
        return _encode(fields)
    complete_whole(top, {"id": fallback_id, "created": created, "model": completion.model})
    shown = wire_usage(usage)
    if usage is completion.usage and all(isinstance(top["usage"].get(name), int) for name in _COUNTS):
        complete_usage(top["usage"])
        top["usage"].setdefault("total_tokens", shown["total_tokens"])
    else:
        top["usage"] = shown
    return _encode(top)
