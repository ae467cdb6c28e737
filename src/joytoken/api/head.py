"""The head of a request: its limits, its framing, and the few headers that the gateway reads."""

import httptools
import msgspec

from joytoken.gateway.budgets import RUN_BUDGET
from joytoken.gateway.call import Call
from joytoken.gateway.runs import PARENT_RUN_ID, RUN_ID, STEP, WORKFLOW

_LENGTH_DIGITS_MAX = 18  # fits 64 bits


class HeadLimits(msgspec.Struct, frozen=True):
    """What a client may send, and how slowly. Sizes in bytes, times in milliseconds."""

    header_bytes_max: int = 32_768
    header_count_max: int = 100
    target_bytes_max: int = 8_192
    body_bytes_max: int = 8 * 1024 * 1024
    head_ms: int = 10_000
    body_ms: int = 60_000
    keepalive_ms: int = 75_000
    write_stall_ms: int = 60_000
    write_buffer_bytes_max: int = 262_144
    connections_max: int = 10_000


class HeadError(Exception):
    """A head that is not accepted; the connection ends with it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Framing:
    """How a request's body is framed."""

    __slots__ = ("content_length", "expects_continue", "_seen")

    def __init__(self) -> None:
        self.content_length = 0
        self.expects_continue = False
        self._seen = b""

    def read(self, name: bytes, value: bytes) -> None:
        """Take one header (lower-case name) that says how the request is framed. Raises HeadError."""
        if name == b"host":
            if b"h" in self._seen:
                raise HeadError("conflicting_headers", "the request names more than one Host")
            self._seen += b"h"
        elif name == b"content-length":
            self._one_length()
            if not value.isdigit() or len(value) > _LENGTH_DIGITS_MAX:
                raise HeadError("conflicting_framing", "the Content-Length is not a number")
            self.content_length = int(value)
        elif name == b"transfer-encoding":
            self._one_length()
            if value.strip().lower() != b"chunked":
                raise HeadError("conflicting_framing", "the only Transfer-Encoding that is accepted is chunked")
        elif name == b"expect":
            self.expects_continue = value.lower() == b"100-continue"
        elif value.lower() not in (b"identity", b""):
            raise HeadError("content_encoding_unsupported", "send the body without a content encoding", 415)

    @property
    def names_host(self) -> bool:
        """Whether the request names its Host, as HTTP/1.1 demands."""
        return b"h" in self._seen

    def _one_length(self) -> None:
        if b"l" in self._seen:
            raise HeadError("conflicting_framing", "the request must have one Content-Length or one Transfer-Encoding")
        self._seen += b"l"


class KnownHead:
    """A head that was read on this connection: what comes in the same bytes but for its length need not be read anew.

    Most clients send the same head with every request of a connection. Nothing is guessed: every byte but the digits
    of `Content-Length` is compared, and a request that did not come whole in one piece is read as any other.
    """

    __slots__ = ("_after", "_before", "_digits_at", "_body_bytes_max", "call")

    def __init__(self, before: bytes, after: bytes, call: Call, body_bytes_max: int) -> None:
        self._before = before
        self._digits_at = len(before)
        self._after = after
        self._body_bytes_max = body_bytes_max
        self.call = call

    def body_of(self, data: bytes) -> bytes | None:
        """The body of a whole request with this head; None for anything else."""
        if not data.startswith(self._before):
            return None
        end = data.find(b"\r", self._digits_at, self._digits_at + _LENGTH_DIGITS_MAX + 1)
        digits = data[self._digits_at : end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        body = data[end + len(self._after) :]
        return body if len(body) == int(digits) <= self._body_bytes_max else None


def known_head(data: bytes, framing: Framing, call: Call, limits: HeadLimits) -> KnownHead | None:
    """Remember the head of a request that came whole in `data`; None where its next ones will differ anyway."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4 or framing.expects_continue or call.correlation is not None or call.idempotency_key is not None:
        return None
    at = data[:end].lower().find(b"\r\ncontent-length:") + 17
    stop = data.find(b"\r", at)
    digits = data[at:stop].lstrip(b" \t")
    if at < 17 or not digits.isdigit() or int(digits) != framing.content_length or len(data) - end != int(digits):
        return None
    return KnownHead(data[: stop - len(digits)], data[stop:end], call, limits.body_bytes_max)


# Headers that may stand once, and those of which the last counts, by their lower-case name.
_ONCE = {
    b"authorization": "authorization",
    b"x-api-key": "api_key",
    b"idempotency-key": "idempotency_key",
    b"x-joytoken-on-disconnect": "on_disconnect",
}
_RUN = {name.lower().encode(): name for name in (RUN_ID, PARENT_RUN_ID, RUN_BUDGET, WORKFLOW, STEP)}
_LAST = {b"x-request-id": "correlation", b"x-real-ip": "real_ip"}
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"content-encoding", b"host", b"expect"))
_READ = frozenset((*_ONCE, *_LAST, *_RUN, *_FRAMING, b"x-forwarded-for"))
_SPELLINGS_MAX = 1024
# Header names as clients spell them, with the name that is meant (None: not read). Clients spell few names in few ways.
_spellings: dict[bytes, bytes | None] = {}


def _meant(name: bytes) -> bytes | None:
    lowered = name.lower()
    meant = lowered if lowered in _READ else None
    if len(_spellings) < _SPELLINGS_MAX:
        _spellings[name] = meant
    return meant


def read_head(headers: list[tuple[bytes, bytes]], call: Call) -> Framing:
    """Check a head, and hand the headers that the gateway reads to the call. Raises HeadError.

    A body has exactly one length: two `Content-Length`, or one beside `Transfer-Encoding`, are how requests are
    smuggled, and so are two `Host`.
    """
    framing = Framing()
    for name, value in headers:
        meant = _spellings[name] if name in _spellings else _meant(name)
        if meant is None:
            continue
        if meant in _FRAMING:
            framing.read(meant, value)
        elif meant in _LAST:
            setattr(call, _LAST[meant], value)
        elif meant == b"x-forwarded-for":
            # Several lines are one list: the nearest proxy's is last.
            call.forwarded_for = value if call.forwarded_for is None else call.forwarded_for + b"," + value
        elif meant in _RUN:
            call.run = call.run or {}
            if _RUN[meant] in call.run:
                raise _twice(meant)
            call.run[_RUN[meant]] = value
        elif getattr(call, _ONCE[meant]) is not None:
            raise _twice(meant)
        else:
            setattr(call, _ONCE[meant], value)
    return framing


def _twice(name: bytes) -> HeadError:
    return HeadError("conflicting_headers", f"the header {name.decode()} stands in the request twice")


def check_size(headers: list[tuple[bytes, bytes]], limits: HeadLimits) -> None:
    """Check the number and the size of a head's headers. Raises HeadError."""
    if len(headers) > limits.header_count_max:
        raise HeadError("too_many_headers", f"the request has more than {limits.header_count_max} headers", 431)
    if sum([len(name) + len(value) + 4 for name, value in headers]) > limits.header_bytes_max:
        raise HeadError("headers_too_large", f"the headers are larger than {limits.header_bytes_max} bytes", 431)


def path_of(target: bytes) -> bytes:
    """The path of a request's target, also of one in absolute form (`http://host/path`). Raises HeadError."""
    if target[:1] == b"/":
        return target.partition(b"?")[0]
    try:
        return httptools.parse_url(target).path or b"/"
    except httptools.HttpParserInvalidURLError:
        raise HeadError("invalid_target", "the request target is not valid") from None
