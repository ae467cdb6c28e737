"""Server-sent events, as providers stream them: cut into whole events, and read.

`EventSplitter` turns pieces as they come off the wire into blocks of whole events with their bytes unchanged, so that
a block can be forwarded as it is; `events` and `data_of` look into a block. The format is WHATWG's (HTML, section
9.2.6): a line ends in LF, CRLF or CR, and an empty line ends an event. Only `data` matters to a provider's stream;
comments and the fields `event`, `id` and `retry` are passed on and not read.
"""

from collections.abc import Iterator

from joytoken.providers.interface import ProviderFailure

DONE = b"[DONE]"  # the data of the last event of an OpenAI stream

_EVENT_BYTES_MAX = 16 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventSplitter:
    """Holds back the beginning of an event until its end has come, up to `event_bytes_max` bytes.

    However an input is cut into pieces, the events are the same, and the work is in proportion to its length.
    """

    __slots__ = ("_begun", "_event_bytes_max", "_rest")

    def __init__(self, event_bytes_max: int = _EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._rest = bytearray()
        self._begun = False

    @property
    def held_bytes(self) -> int:
        """How many bytes of an unfinished event are held back."""
        return len(self._rest)

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return all events that are now whole, or `b""`.

        A byte order mark at the start of the stream is left out; every other byte comes out as it went in. Raises
        `ProviderFailure` of the kind `event_too_large`.
        """
        rest = self._rest
        if not rest and self._begun and data.endswith(b"\n\n"):
            return data
        # An end begun in an earlier piece lacks at most its second line end, so one byte of the past is enough.
        past = 1 if rest else 0
        end = _end_of_last_event(bytes(rest[-1:]) + data if rest else data)
        if not end:
            rest += data
            self._check()
            return b""
        block = bytes(rest) + data[: end - past] if rest else data[:end]
        rest[:] = data[end - past :]
        self._check()
        if not self._begun:
            self._begun = True
            block = block.removeprefix(_BYTE_ORDER_MARK)
        return block

    def finish(self) -> bytes:
        """At the end of the stream, return a last event that lacked its empty line, with that line; or `b""`."""
        return self.feed(b"\n\n") if self._rest else b""

    def _check(self) -> None:
        if len(self._rest) > self._event_bytes_max:
            raise ProviderFailure(
                "event_too_large", f"an event of the provider's stream is over {self._event_bytes_max} bytes"
            )


def _end_of_last_event(data: bytes) -> int:
    """Return the offset just behind the last empty line, or 0.

    A carriage return ends its line at once, though a line feed may follow: that one then stands before the next
    event, where it is one more empty line and means nothing. So no event waits for the byte after it.
    """
    end = data.rfind(b"\n\n") + 2
    if end == 1:
        end = 0
    if b"\r" in data:
        for pair in (b"\n\r", b"\r\r"):
            at = data.rfind(pair)
            if at >= 0:
                end = max(end, at + (3 if data[at + 2 : at + 3] == b"\n" else 2))
    return end


def events(block: bytes) -> Iterator[bytes]:
    r"""Give the events of a block of whole events, one by one, each with its empty line.

    The bytes are unchanged where lines end in `\n`; other line ends are given as `\n`. Empty lines between events
    are left out, and so is a last event without its end.
    """
    if b"\r" in block:
        block = _with_line_feeds(block)
    start = 0
    while (end := block.find(b"\n\n", start) + 2) > 1:
        event = block[start:end]
        start = end
        if event[:1] == b"\n":
            event = event.lstrip(b"\n")
            if not event:
                continue
        yield event


def data_of(event: bytes) -> bytes | None:
    r"""Return the data of an event, several `data` lines joined by `\n`; None where it has no such line."""
    if event[:6] == b"data: " and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    values = []
    for line in _with_line_feeds(event).split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            values.append(value.removeprefix(b" "))
    return b"\n".join(values) if values else None


def _with_line_feeds(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
