"""The stream meter: reads what a stream costs from what passes by, without decoding what is only text to the gateway.

It also makes good what a compatible provider leaves out of its chunks and the OpenAI specification requires.
"""

from typing import Any

import msgspec

from joytoken.domain.catalog import Tokenizer
from joytoken.domain.usage import Usage
from joytoken.gateway.conform import complete_chunk, is_whole_chunk
from joytoken.gateway.count import Counter
from joytoken.gateway.frame import TextFrame, decode_text, text_frame, text_within
from joytoken.gateway.wire import (
    ERROR_FINISHES,
    UNREADABLE,
    decode_any,
    decode_body,
    error_of,
    output_of,
    read_usage,
    text_of,
)
from joytoken.providers.interface import ProviderFailure
from joytoken.providers.sse import EventSplitter, data_of, events

_encode = msgspec.json.Encoder().encode
_UNREAD_EVENTS_MAX = 1_000  # of a stream, before they are counted
_UNREAD_BYTES_MAX = 1_048_576
_FRAMINGS = 4  # how often a stream's frame is looked for
_PARTS_MAX = 8  # of a block, between which text in a row is looked for


class StreamMeter:
    """Reads a stream as it passes. `feed` gives the bytes to forward: whole events, the usage event held back."""

    __slots__ = (
        "_counted",
        "_frame",
        "_framings",
        "_texts",
        "_counter",
        "_named",
        "_splitter",
        "_tokenizer",
        "_unread",
        "_read_bytes",
        "_unread_events",
        "_whole",
        "_uncounted_bytes",
        "done",
        "error",
        "failure",
        "finished",
        "failed_finish",
        "output_bytes",
        "said",
        "template",
        "usage",
    )

    def __init__(
        self,
        counter: Counter,
        tokenizer: Tokenizer | None,
        *,
        event_bytes_max: int,
        names: dict[str, Any] | None = None,
    ) -> None:
        """`names` are the id, created and model that the chunks get where the provider gives them none."""
        self._splitter = EventSplitter(event_bytes_max)
        self._counter = counter
        self._tokenizer = tokenizer
        self._unread: list[bytes] = []
        self._texts: list[bytes] = []  # said as well, as the insides of JSON strings
        self._frame: TextFrame | None = None
        self._framings = _FRAMINGS
        self._unread_events = 0
        self._read_bytes = 0  # of `output_bytes`, up to where the output was counted
        self._counted = 0
        self._uncounted_bytes = 0
        self.usage: Usage | None = None
        self.done = False  # `[DONE]` was seen
        self.said = False  # some content was seen
        self.finished = False  # some choice has a finish reason
        self.failed_finish = False  # … and it is an error's
        self.error: tuple[str, str] | None = None  # the type and the message of an error that was streamed
        self.failure: ProviderFailure | None = None  # the stream holds what is no chunk; nothing behind it counts
        self.output_bytes = 0
        self.template: dict[str, Any] = names or {}  # id, created and model of the stream's chunks
        self._named = False  # … as the provider named them
        self._whole = True  # no chunk so far lacked anything

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the provider; give the events that are whole, ready to forward."""
        block = self._splitter.feed(data)
        if not block:
            return b""
        self.output_bytes += len(block)
        frame = self._frame
        if frame is not None:
            text, count, end = frame.run_of(block)
            if end == len(block):
                self._texts.append(text)
                self._passed(count)
                return block
        count = block.count(b"\n\n")
        if self.said and self._whole and _only_text(block, count):
            self._unread.append(block)
            self._passed(count)
            if self._framings:
                self._framings -= 1
                self._frame = text_frame(block[: block.index(b"\n\n") + 2])
            return block
        return self._feed_mixed(block)

    def _feed_mixed(self, block: bytes) -> bytes:
        """A block of several kinds of events: text in a row is passed on at once, all else is read event by event."""
        out: list[bytes] = []
        for _ in range(_PARTS_MAX):
            end = self._pass_text(block) if self._frame is not None else 0
            if not end:
                end = block.find(b"\n\n") + 2
                if end < 2:
                    break
                event = block[:end]
                out.append(self._feed_events(event))
                if self._frame is None and self.said and self._whole:
                    self._frame = text_frame(event)
            else:
                out.append(block[:end])
            block = block[end:]
            if not block or self.ended:
                return b"".join(out)
        return b"".join(out) + self._feed_events(block)

    def _pass_text(self, block: bytes) -> int:
        """Pass on the text that a block begins with, unread; gives its bytes."""
        frame = self._frame
        assert frame is not None
        text, count, end = frame.run_of(block)
        if end:
            self._texts.append(text)
        else:
            end = frame.last_in(block)
            text = block[:end]
            count = text.count(b"\n\n")
            if not self._whole or not _only_text(text, count):
                return 0
            self._unread.append(text)
        self._passed(count)
        return end

    def _passed(self, count: int) -> None:
        """So many events were passed on unread; what is kept of them has a bound."""
        self._unread_events += count
        if self._unread_events > _UNREAD_EVENTS_MAX or self.output_bytes - self._read_bytes > _UNREAD_BYTES_MAX:
            self.output_tokens()

    def rest(self) -> bytes:
        """The stream ended: what is to forward of a last event that lacked its empty line."""
        block = self._splitter.finish()
        return self._feed_events(block) if block else b""

    def _feed_events(self, block: bytes) -> bytes:
        out: list[bytes] = []
        for event in events(block):
            data = data_of(event)
            if data is None:
                continue  # a comment or an empty event: the caller needs none of the provider's
            if data == b"[DONE]":
                self.done = True
                continue
            try:
                forwarded = self._read_event(event, data)
            except UNREADABLE as error:
                # What stood before it was received, and is passed on.
                self.failure = ProviderFailure(
                    "garbage", f"the provider's stream holds an event that is no chunk: {error}"
                )
                break
            if self.error is not None:
                break
            if forwarded is not None:
                out.append(forwarded)
        return b"".join(out)

    def _read_event(self, event: bytes, data: bytes) -> bytes | None:
        """Look into one event; give what to forward of it, or None."""
        chunk = decode_body(data)
        self.error = error_of(chunk.error)
        if self.error is not None:
            return None
        usage = read_usage(chunk.usage)
        if usage is not None:
            self.usage = usage
        if not chunk.choices:
            self._take_template(data)
            return None  # a usage event, or one without content: the gateway sends its own
        for choice in chunk.choices:
            if choice.finish_reason is not None:
                self.finished = True
                self.failed_finish = self.failed_finish or choice.finish_reason in ERROR_FINISHES
            if not self.said and output_of(choice.delta):
                self.said = True
        self._take_template(data)
        self._unread.append(event)
        self._unread_events += 1
        if is_whole_chunk(data):
            # One line of data, whatever its event was made of: between JSON's tokens a line end is as good as a space.
            return b"data: " + data.replace(b"\n", b" ") + b"\n\n"
        self._whole = False
        top = decode_any(data)
        complete_chunk(top, self.template)
        return b"data: " + _encode(top) + b"\n\n"

    def _take_template(self, data: bytes) -> None:
        if not self._named:
            self._named = True
            top = decode_any(data)
            given = {name: top[name] for name in ("id", "created", "model") if top.get(name) is not None}
            self.template = {**self.template, **given}

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be read: `[DONE]`, an error or garbage was seen."""
        return self.done or self.error is not None or self.failure is not None

    @property
    def events_since(self) -> int:
        """Events with content since the last count: about as many tokens."""
        return self._unread_events

    def output_tokens(self) -> int:
        """The output tokens so far, as the gateway counts them."""
        if self._unread_events:
            text = text_within(self._texts) + _said_in(b"".join(self._unread))
            self._unread.clear()
            self._texts.clear()
            self._unread_events = 0
            self._read_bytes = self.output_bytes
            self._count(text)
        return self._counted + self._counter.estimate(self._uncounted_bytes)

    def _count(self, text: str) -> None:
        encoding = self._counter.encoding(self._tokenizer) if text else None
        if encoding is not None:
            self._counted += encoding.count(text)
        else:  # estimated over the whole stream: rounding each part up would make many small parts dear
            self._uncounted_bytes += len(text.encode("utf-8", "replace"))


def _only_text(block: bytes, count: int) -> bool:
    """Whether a block of `count` events holds only chunks that nothing but their text is in, by its bytes alone.

    What a text says is no concern: its quotes are escaped, so that none of these names can stand in it.
    """
    if not count or block.count(b"data: {") != count:
        return False
    if block.count(b'"finish_reason":null') != count and block.count(b'"finish_reason": null') != count:
        return False
    told = block.count(b'"usage"')
    if told and told != block.count(b'"usage":null') and told != block.count(b'"usage": null'):
        return False
    return b'"error"' not in block


def _said_in(block: bytes) -> str:
    """The output in events that were passed on unread."""
    said: list[str] = []
    for event in block.split(b"\n\n"):
        if not event:
            continue
        try:
            for choice in decode_text(event[6:]).choices:
                delta = choice.delta
                said.append(delta.content or "")
                if delta.reasoning_content:
                    said.append(delta.reasoning_content)
        except UNREADABLE:
            said.append(_output_in(event))
    return "".join(said)


def _output_in(event: bytes) -> str:
    """The output in one event of any kind; none where nobody could read it."""
    data = data_of(event + b"\n\n")
    if data is None:
        return ""
    try:
        return text_of([part for choice in decode_body(data).choices or () for part in output_of(choice.delta)])
    except UNREADABLE:
        return ""
