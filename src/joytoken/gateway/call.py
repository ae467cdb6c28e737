"""One request as it arrived, and the chat completion that stands in it.

The body is read as far as policy, routing and money need it; everything else stays the caller's own bytes and is
passed on untouched.
"""

import re
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from joytoken.domain.errors import InvalidRequest


class Call:
    """One request. Header values are the raw bytes of the first header of that name, or None."""

    # What most requests leave as it is stands on the class.
    endpoint: str = "chat"
    body: bytes = b""
    authorization: bytes | None = None
    api_key: bytes | None = None
    correlation: bytes | None = None
    forwarded_for: bytes | None = None
    real_ip: bytes | None = None
    idempotency_key: bytes | None = None
    on_disconnect: bytes | None = None  # what becomes of an idempotent request whose caller hangs up
    run: dict[str, bytes] | None = None  # the headers that name its run, by their names
    digest: bytes | None = None  # of the credential, once it was looked at

    def __init__(self, started: float, started_us: int, peer_ip: str) -> None:
        self.started = started  # monotonic seconds
        self.started_us = started_us  # unix microseconds
        self.peer_ip = peer_ip


class Part(msgspec.Struct, gc=False):
    """One part of a message's content; only text is read."""

    type: str = ""
    text: str | None = None


class Message(msgspec.Struct, gc=False):
    """One message, as far as counting and routing look into it."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: Raw = Raw(b"")


class ResponseFormat(msgspec.Struct, gc=False):
    """The kind of structured output that was asked for."""

    type: str = ""


class StreamOptions(msgspec.Struct, gc=False):
    """What the caller wants beside a stream's chunks."""

    include_usage: bool | None = None


Tokens = Annotated[int, Meta(ge=1, le=2**31)]


class Chat(msgspec.Struct, gc=False):
    """A chat completion request, as far as the gateway looks into it."""

    messages: list[Message]
    model: str | None = None
    tier: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    response_format: ResponseFormat | None = None
    metadata: dict[str, Any] | UnsetType | None = UNSET
    service_tier: str | None = None

    @property
    def output_asked(self) -> int | None:
        """The caller's own output bound in tokens, for each of the `n` choices."""
        if self.max_completion_tokens is not None and self.max_tokens is not None:
            return min(self.max_completion_tokens, self.max_tokens)
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


_decode = msgspec.json.Decoder(Chat).decode
_decode_top = msgspec.json.Decoder(dict[str, Raw]).decode
encode = msgspec.json.Encoder().encode

_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_ESCAPES = re.compile(rb"\\.", re.DOTALL)
_STRINGS = re.compile(rb'"[^"]*"')
_OTHER = bytes(c for c in range(256) if c not in b'[]{}"')
_SERVICE_TIERS = (None, "auto", "default", "flex")


def read_chat(body: bytes, *, json_depth_max: int, messages_max: int) -> Chat:
    """Decode a chat completion request. Raises InvalidRequest, naming the field at fault."""
    if not body:
        raise InvalidRequest("the body is empty; send a JSON object with `messages`", "invalid_json")
    if body.count(b"[") + body.count(b"{") > json_depth_max and json_depth(body) > json_depth_max:
        raise InvalidRequest(f"the body is nested deeper than {json_depth_max} levels", "json_too_deep")
    try:
        if not body.isascii():
            body.decode()
        chat = _decode(body)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not valid UTF-8 (at byte {error.start})", "invalid_utf8") from None
    except msgspec.ValidationError as error:
        raise _invalid_field(str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", "invalid_json") from None
    if not chat.messages:
        raise InvalidRequest("`messages` must hold at least one message", "messages_empty", param="messages")
    if len(chat.messages) > messages_max:
        message = f"`messages` holds {len(chat.messages)} messages; at most {messages_max} are allowed"
        raise InvalidRequest(message, "too_many_messages", param="messages")
    if chat.service_tier not in _SERVICE_TIERS:
        message = "`service_tier` must be one of auto, default, flex: the price book knows no other"
        raise InvalidRequest(message, "service_tier_unknown", param="service_tier")
    return chat


def read_top(body: bytes) -> dict[str, Raw]:
    """The top-level fields of a body that `read_chat` has accepted, each as the caller's own bytes."""
    return _decode_top(body)


def _invalid_field(text: str) -> InvalidRequest:
    """Turn msgspec's message into one that names the field first."""
    match = _PATH.search(text)
    if match is None:
        missing = re.search(r"required field `([^`]+)`", text)
        if missing is not None:
            name = missing[1]
            return InvalidRequest(f"`{name}` is required", f"{name}_missing", param=name)
        return InvalidRequest(f"the body must be a JSON object: {text}", "invalid_json")
    path = match[1]
    missing = re.search(r"required field `([^`]+)`", text)
    name = f"{path}.{missing[1]}" if missing is not None else path
    return InvalidRequest(f"`{name}`: {text[: match.start()]}", "invalid_field", param=name)


def json_depth(body: bytes) -> int:
    """How deeply the arrays and objects of a JSON text are nested; strings do not count."""
    depth = deepest = 0
    if b"\\" in body:
        body = _ESCAPES.sub(b"", body)
    for byte in _STRINGS.sub(b"", body.translate(None, _OTHER)):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


_IMAGE_PARTS = frozenset(("image_url", "input_image", "image"))
_AUDIO_PARTS = frozenset(("input_audio", "audio"))


class Content(msgspec.Struct, gc=False):
    """What the messages hold: their text, and how many parts are something else."""

    texts: list[str]
    messages: int
    images: int = 0
    audios: int = 0
    files: int = 0
    opaque_bytes: int = 0  # JSON that is counted by its size: earlier tool calls


def content_of(chat: Chat) -> Content:
    """Collect the texts of all messages, and what else they carry."""
    messages = chat.messages
    contents = list(map(_content, messages))
    found = Content(contents, len(messages), 0, 0, 0, sum(map(len, map(_tool_calls, messages))))
    if set(map(type, contents)) != _TEXT_ALONE:
        found.texts = []
        for content in contents:
            if type(content) is str:
                found.texts.append(content)
            elif content is not None:
                for part in content:
                    _add_part(found, part)
    return found


_content = attrgetter("content")
_tool_calls = attrgetter("tool_calls")
_TEXT_ALONE = {str}


def _add_part(found: Content, part: Part | str) -> None:
    if type(part) is not Part:
        return
    if part.text is not None:
        found.texts.append(part.text)
    elif part.type in _IMAGE_PARTS:
        found.images += 1
    elif part.type in _AUDIO_PARTS:
        found.audios += 1
    else:
        found.files += 1
