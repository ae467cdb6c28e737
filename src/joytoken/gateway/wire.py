"""The OpenAI chat completions protocol, as far as money looks into an answer: usage, errors, and what was said."""

from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from joytoken.domain.usage import Usage

NULL = Raw(b"null")
ERROR_FINISHES = frozenset(("error", "malformed_function_call", "malformed_response"))
_EMPTY = (b"null", b'""', b"[]", b"{}")


class InputDetails(msgspec.Struct, gc=False):
    """What part of the input was cached, written to a cache, or audio."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    audio_tokens: int | None = None


class OutputDetails(msgspec.Struct, gc=False):
    """What part of the output was reasoning, or audio."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    """The `usage` object of the OpenAI chat completions protocol; its buckets are inclusive already."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int | None = None
    prompt_tokens_details: InputDetails | UnsetType | None = None
    completion_tokens_details: OutputDetails | UnsetType | None = None
    prompt_cache_hit_tokens: int | None = None  # another vendor's name of the cached tokens

    def usage(self) -> Usage:
        """The same in the house's own words."""
        inputs, outputs = self.prompt_tokens_details, self.completion_tokens_details
        if not inputs and not outputs:
            return Usage(self.prompt_tokens, self.completion_tokens, self.prompt_cache_hit_tokens)
        inputs = inputs or InputDetails()
        outputs = outputs or OutputDetails()
        written = inputs.cache_write_tokens
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            inputs.cached_tokens if inputs.cached_tokens is not None else self.prompt_cache_hit_tokens,
            written if written is not None else inputs.cache_creation_tokens,
            inputs.audio_tokens,
            outputs.audio_tokens,
            outputs.reasoning_tokens,
        )


class _Function(msgspec.Struct, gc=False):
    name: Raw = NULL
    arguments: Raw = NULL


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: Raw = NULL


class Said(msgspec.Struct, gc=False):
    """A message or a delta: what in it is output."""

    content: Raw = NULL
    reasoning_content: Raw = NULL
    reasoning: Raw = NULL
    refusal: Raw = NULL
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    audio: Raw = NULL


class Choice(msgspec.Struct, gc=False):
    """One choice of an answer or a chunk."""

    finish_reason: str | None = None
    message: Said | None = None
    delta: Said | None = None


class Body(msgspec.Struct, gc=False):
    """An answer or a chunk."""

    choices: list[Choice] | None = None
    usage: Raw = NULL
    error: Raw = NULL


# What decoding raises on bytes that are not what they should be: a provider's fault, never a defect here.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
decode_body = msgspec.json.Decoder(Body).decode
_decode_usage = msgspec.json.Decoder(WireUsage, strict=False).decode
decode_any = msgspec.json.Decoder().decode


def output_of(said: Said | None) -> list[Raw]:
    """The parts of a message or a delta that are output."""
    if said is None:
        return []
    reasoning = said.reasoning_content if said.reasoning_content != NULL else said.reasoning
    parts = [said.content, reasoning, said.refusal, said.audio]
    functions = [call.function for call in said.tool_calls or ()]
    for function in (*functions, said.function_call):
        if function is not None:
            parts += (function.name, function.arguments)
    parts += [call.custom for call in said.tool_calls or ()]
    return [part for part in parts if bytes(part) not in _EMPTY]


def text_of(parts: list[Raw]) -> str:
    """The text of output parts: strings as they read, everything else as its JSON."""
    texts = []
    for part in parts:
        raw = bytes(part)
        texts.append(str(decode_any(raw)) if raw[:1] == b'"' else raw.decode("utf-8", "replace"))
    return "".join(texts)


def read_usage(raw: Raw) -> Usage | None:
    """The usage that a provider reported; None where it is absent or makes no sense."""
    if raw == NULL:
        return None
    try:
        wire = _decode_usage(raw)
    except UNREADABLE:
        return None
    if wire.prompt_tokens == 0 and wire.completion_tokens == 0 and not wire.total_tokens:
        return None
    return wire.usage()


def error_of(raw: Raw) -> tuple[str, str] | None:
    """The type and the message of an `error` value inside a 200; None where there is none."""
    if bytes(raw) in (b"null", b"{}", b'""'):
        return None
    value = decode_any(raw)
    if isinstance(value, dict):
        return str(value.get("type") or value.get("code") or "error"), str(value.get("message") or "provider error")
    return "error", str(value)


def wire_usage(usage: Usage) -> dict[str, Any]:
    """A usage in the OpenAI chat completions protocol."""
    made: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_input_tokens is not None:
        made["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        made["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return made
