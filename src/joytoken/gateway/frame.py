"""The frame of a stream's text chunks: what stays the same from one to the next, so that only the text between is read.

Most providers repeat every byte of a chunk but its text. Such chunks are told from all others, counted and cut to their
text by one search through a block, however many of them it holds.
"""

import msgspec
from msgspec import Raw

from joytoken.gateway.wire import UNREADABLE

_decode_string = msgspec.json.Decoder(str).decode


class _TextDelta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None


class _TextChoice(msgspec.Struct, gc=False):
    delta: _TextDelta


class _TextChunk(msgspec.Struct, gc=False):
    """A chunk of text alone: nearly all chunks are, and are decoded in a tenth of the time."""

    choices: list[_TextChoice]


decode_text = msgspec.json.Decoder(_TextChunk).decode


class _FramedDelta(msgspec.Struct, gc=False):
    content: Raw
    reasoning_content: None = None
    reasoning: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None


class _FramedChoice(msgspec.Struct, gc=False):
    delta: _FramedDelta
    finish_reason: None = None


class _FramedChunk(msgspec.Struct, gc=False):
    """A chunk of text alone, whose text is to be found in its bytes."""

    choices: list[_FramedChoice]
    usage: None = None
    error: None = None


_decode_framed = msgspec.json.Decoder(_FramedChunk).decode


class TextFrame:
    """The bytes around the text of a stream's chunks."""

    __slots__ = ("_after", "_after_bytes", "_before", "_before_bytes", "_between")

    def last_in(self, block: bytes) -> int:
        """Where the last chunk that ends like this frame's does ends in a block; 0 where there is none."""
        at = block.rfind(self._after)
        return at + self._after_bytes if at >= 0 else 0

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before, self._before_bytes = before, len(before)
        self._after, self._after_bytes = after, len(after)
        self._between = after + before

    def run_of(self, block: bytes) -> tuple[bytes, int, int]:
        """The chunks of this frame that a block begins with: what they say, their number, and where they end.

        What they say is as it stands in the JSON. Where the block begins with anything else, all is empty.
        """
        if not block.startswith(self._before):
            return _NO_RUN
        if block.endswith(self._after):
            text = block[self._before_bytes : -self._after_bytes]
            if not _more_than_text(text):
                return _NO_RUN if text.endswith(b"\\") else (text, 1, len(block))
        texts = block[self._before_bytes :].split(self._between)
        end = texts[-1].find(self._after)
        if end < 0 or _more_than_text(texts[-1][:end]):
            texts.pop()  # it only begins like the others
        else:
            texts[-1] = texts[-1][:end]
        text = b"".join(texts)
        if _more_than_text(text):
            return _NO_RUN
        if b"\\" in text and any(part.endswith(b"\\") for part in texts):  # the quote behind it might be escaped
            return _NO_RUN
        return text, len(texts), len(text) + len(texts) * len(self._between)


_NO_RUN = (b"", 0, 0)


def _more_than_text(text: bytes) -> bool:
    """Whether there is a quote (which would end a string, or is an escaped one: not worth telling apart), or a line."""
    return b'"' in text or b"\n" in text


def text_frame(event: bytes) -> TextFrame | None:
    """The frame of an event `data: {…}`, if it is a chunk with one choice that holds text and nothing else."""
    if not event.startswith(b"data: {") or event.find(b"\n") != len(event) - 2:
        return None
    try:
        chunk = _decode_framed(event[6:])
    except UNREADABLE:
        return None
    if len(chunk.choices) != 1:
        return None
    text = bytes(chunk.choices[0].delta.content)
    if text[:1] != b'"' or event.count(text) != 1:
        return None
    before, after = event.split(text)
    return TextFrame(before + b'"', b'"' + after)


def text_within(texts: list[bytes]) -> str:
    """What the texts of a frame say, one after the other."""
    if not texts:
        return ""
    joined = b"".join(texts)
    try:
        return _decode_string(b'"%b"' % joined)
    except UNREADABLE:
        return joined.decode("utf-8", "replace")
