"""What OpenAI's specification requires of an answer: whether it is there, and made good where it is not.

Providers that call themselves compatible leave fields out, or send null where the specification knows only absence. An
answer that has everything is passed on as its own bytes; decoding it as `Whole` or as a chunk is the proof.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from joytoken.gateway.wire import UNREADABLE, InputDetails, OutputDetails, WireUsage

# Fields that may be absent, but not null.
_MESSAGE_NEVER_NULL = ("tool_calls", "function_call", "annotations")
_DELTA_NEVER_NULL = ("role", "tool_calls", "function_call")
_TOP_NEVER_NULL = ("system_fingerprint",)
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


class _Logprobs(msgspec.Struct, gc=False):
    content: Raw
    refusal: Raw


class _Message(msgspec.Struct, gc=False):
    role: Literal["assistant"]
    content: Raw
    refusal: Raw
    tool_calls: list[Raw] | UnsetType = UNSET
    function_call: dict[str, Raw] | UnsetType = UNSET
    annotations: list[Raw] | UnsetType = UNSET


class _WholeChoice(msgspec.Struct, gc=False):
    index: int
    finish_reason: str
    logprobs: _Logprobs | None
    message: _Message


class _WholeUsage(WireUsage, kw_only=True, gc=False):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: InputDetails | UnsetType = UNSET
    completion_tokens_details: OutputDetails | UnsetType = UNSET


class Whole(msgspec.Struct, gc=False):
    """A whole completion that lacks nothing."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[_WholeChoice]
    usage: _WholeUsage
    error: None = None
    system_fingerprint: str | UnsetType = UNSET


class _Delta(msgspec.Struct, gc=False):
    role: str | UnsetType = UNSET
    tool_calls: list[Raw] | UnsetType = UNSET
    function_call: dict[str, Raw] | UnsetType = UNSET


class _ChunkChoice(msgspec.Struct, gc=False):
    index: int
    finish_reason: str | None
    delta: _Delta
    logprobs: _Logprobs | None = None


class _Chunk(msgspec.Struct, gc=False):
    """A chunk that lacks nothing, and holds no usage: the gateway tells it itself, once."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[_ChunkChoice]
    usage: None = None
    system_fingerprint: str | UnsetType = UNSET


decode_whole = msgspec.json.Decoder(Whole).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode


def is_whole_chunk(data: bytes) -> bool:
    """Whether a chunk lacks nothing and may pass as it is."""
    try:
        _decode_chunk(data)
    except UNREADABLE:
        return False
    return True


def complete_whole(top: dict[str, Any], names: dict[str, Any]) -> None:
    """Make a whole completion good, all but its usage. `names` are the id, created and model to give it."""
    _complete_top(top, names, "chat.completion")
    for index, choice in enumerate(top["choices"]):
        _complete_choice(choice, index)
        if choice.get("finish_reason") is None:
            choice["finish_reason"] = "stop"
        choice.setdefault("logprobs", None)
        message = choice["message"]
        _drop_nulls(message, _MESSAGE_NEVER_NULL)
        if message.get("role") is None:
            message["role"] = "assistant"
        message.setdefault("content", None)
        message.setdefault("refusal", None)


def complete_usage(usage: dict[str, Any]) -> None:
    """Take the nulls out of a usage object."""
    for name in _DETAILS:
        if isinstance(usage.get(name), dict):
            _drop_nulls(usage[name], list(usage[name]))
    _drop_nulls(usage, list(usage))


def complete_chunk(top: dict[str, Any], names: dict[str, Any]) -> None:
    """Make a chunk good, and take its usage out. `names` are the id, created and model of its stream."""
    _complete_top(top, names, "chat.completion.chunk")
    top.pop("usage", None)
    for index, choice in enumerate(top["choices"]):
        _complete_choice(choice, index)
        choice.setdefault("finish_reason", None)
        if choice.get("delta") is None:
            choice["delta"] = {}
        _drop_nulls(choice["delta"], _DELTA_NEVER_NULL)


def _complete_top(top: dict[str, Any], names: dict[str, Any], kind: str) -> None:
    for name, value in names.items():
        if top.get(name) is None:
            top[name] = value
    top["object"] = kind
    _drop_nulls(top, _TOP_NEVER_NULL)


def _complete_choice(choice: dict[str, Any], index: int) -> None:
    if choice.get("index") is None:
        choice["index"] = index
    if isinstance(choice.get("logprobs"), dict):
        for name in ("content", "refusal"):
            choice["logprobs"].setdefault(name, None)


def _drop_nulls(fields: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if name in fields and fields[name] is None:
            del fields[name]
