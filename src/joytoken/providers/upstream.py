"""What is said to a provider's server, how long and how much it may answer, and what can go wrong.

    UpstreamError.kind
      no answer begun     connect_failed · connect_timeout · tls_failed · pool_full · first_byte_timeout · reset
      an answer broken    cut · idle_timeout · total_timeout · protocol_error · header_too_large · body_too_large

Nothing here touches a socket: `transport` does.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from joytoken.providers.interface import ProviderFailure

UpstreamKind = Literal[
    "connect_failed",
    "connect_timeout",
    "tls_failed",
    "pool_full",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
    "reset",
    "cut",
    "protocol_error",
    "header_too_large",
    "body_too_large",
]

# Another attempt, here or elsewhere, may well succeed. The others repeat themselves or come from a begun answer.
_RETRYABLE = frozenset({"connect_failed", "connect_timeout", "pool_full", "first_byte_timeout", "reset"})

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

# The client writes these itself: a second one would let the two ends disagree about where a request ends.
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


# What a failure is for the caller: 503 where nothing was reached, 504 where a deadline passed, else 502.
_STATUS: dict[UpstreamKind, int] = {
    "connect_failed": 503,
    "pool_full": 503,
    "tls_failed": 503,
    "connect_timeout": 504,
    "first_byte_timeout": 504,
    "idle_timeout": 504,
    "total_timeout": 504,
}


class UpstreamError(ProviderFailure):
    """A request that got no whole answer.

    `kind` is one of `UpstreamKind`; `sent` tells that bytes of the request may have left this machine, so that the
    provider may have worked (and may bill); `retryable` that no head of an answer arrived and that another attempt
    may succeed. The message names no header, no body and no credential.
    """

    def __init__(self, kind: UpstreamKind, message: str, *, sent: bool) -> None:
        super().__init__(kind, message, status=_STATUS.get(kind, 502))
        self.sent = sent
        self.retryable = kind in _RETRYABLE


class Deadlines(msgspec.Struct, frozen=True):
    """How long a request may take, in milliseconds; each is kept to within about 0.2 s.

    `connect_ms` bounds the wait for a free connection and, apart from it, the opening of one (name, TCP, TLS);
    `first_byte_ms` the silence after the request was written, `idle_ms` any later silence while the reader is
    willing, `total_ms` everything from the writing to the last byte.
    """

    connect_ms: int = 5_000
    first_byte_ms: int = 60_000
    idle_ms: int = 30_000
    total_ms: int = 600_000


class Limits(msgspec.Struct, frozen=True):
    """How much a pool holds.

    `connections_max` and `waiters_max` count per origin; `keepalive_ms` is how long an unused connection is kept;
    `stale_ms` how soon after the writing the loss of a reused connection still means that the provider had closed it
    before. `header_bytes_max` bounds an answer's head (with interim answers before it), `body_bytes_max` a whole body
    (with its framing, while it arrives), and `buffer_bytes_max` what a stream may hold unread before the connection
    is read no further.
    """

    connections_max: int = 512
    waiters_max: int = 4_096
    keepalive_ms: int = 30_000
    stale_ms: int = 1_000
    header_bytes_max: int = 65_536
    body_bytes_max: int = 64 * 1024 * 1024
    buffer_bytes_max: int = 1024 * 1024


class Origin(msgspec.Struct, frozen=True, cache_hash=True):
    """A server: `scheme` is `http` or `https`, `host` a name or address (IPv6 without brackets).

    Certificates are always verified, against the system's authorities or those in `ca_file` (a PEM file's path).
    `address`: connect there, whatever the host's name resolves to by then; the certificate is still the host's.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    ca_file: str | None = None
    address: str | None = None

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_origin(url: str, *, ca_file: str | None = None) -> tuple[Origin, str]:
    """Split a base URL into its origin and its path without a closing slash (`""` or `/v1`).

    Raises `ValueError`, whose message does not repeat the URL, where it is not a plain http or https URL.
    """
    if not url.isascii() or any(character <= " " or character in '\\"<>^`{|}\x7f' for character in url):
        raise ValueError("a URL has no spaces, control characters, or characters beyond ASCII")
    for mark, name in (("?", "query"), ("#", "fragment")):
        if mark in url:
            raise ValueError(f"a base URL has no {name}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("the host of a base URL is not an IPv6 address") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("a base URL begins with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a base URL carries no user name or password")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the port of a base URL is a number from 1 to 65535")
    if not _BASE_PATH.fullmatch(parts.path):
        raise ValueError("the path of a base URL has characters that a path does not have")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    origin = Origin(scheme, _host(parts.hostname or ""), port or _DEFAULT_PORTS[scheme], ca_file)
    return origin, parts.path.rstrip("/")


def _host(host: str) -> str:
    """Return a host name in lower case, or an address; raise `ValueError` for anything else."""
    if ":" in host:
        if "%" in host:
            raise ValueError("the host of a base URL has no zone")
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError("the host of a base URL is not an IPv6 address") from None
    if not _HOST_NAME.fullmatch(host) or len(host) > 253:
        raise ValueError("the host of a base URL is missing or is no host name")
    return host


def header_line(name: str, value: str) -> bytes:
    """Return one header line with its line end; raise `ValueError` where name or value could break the framing."""
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header's name is a token: letters, digits and a few signs")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"the header {name} is written by the client itself")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of header {name} has control characters or characters beyond Latin-1")
    return f"{name}: {value.strip()}\r\n".encode("latin-1")


def build_head(method: str, origin: Origin, path: str, headers: Sequence[tuple[str, str]]) -> bytes:
    r"""Return the part of a request that is the same for all requests of a deployment, ending in `Content-Length: `.

    A request is `head + b"%d\r\n" + further lines (header_line) + b"\r\n" + body`, as `render` puts it together.
    Raises `ValueError` for a method, path, name or value that does not belong in a request.
    """
    if not _TOKEN.fullmatch(method) or method != method.upper():
        raise ValueError("a method is a token in capitals")
    if method in ("HEAD", "CONNECT"):
        raise ValueError(f"the client does not speak {method}: its answers are framed in another way")
    if not _PATH.fullmatch(path):
        raise ValueError("a path begins with / and has no spaces, control characters, or characters beyond ASCII")
    lines = [f"{method} {path} HTTP/1.1\r\nHost: {origin.authority}\r\nAccept-Encoding: identity\r\n".encode("ascii")]
    lines += [header_line(name, value) for name, value in headers]
    return b"".join(lines) + b"Content-Length: "


def render(head: bytes, body: bytes, extra: bytes = b"") -> bytes:
    """Return a whole request from `build_head`'s bytes, a body, and further lines made by `header_line`."""
    return b"%b%d\r\n%b\r\n%b" % (head, len(body), extra, body)
