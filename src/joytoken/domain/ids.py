"""Identifiers. Time and randomness are handed in, so that the same inputs give the same id."""

import hashlib
import re
import zlib

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_PREFIX = "jt_live_"
ADMIN_PREFIX = "jt_admin_"
SECRET_BYTES = 32
_BODY_DIGITS = 43  # 62**43 > 2**256
_CHECK_DIGITS = 6  # 62**6 > 2**32


_REQUEST_ID = re.compile(r"req-[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
_UUID7_RANDOM = 0x0FFF_3FFF_FFFF_FFFF_FFFF  # what stays of the lower 80 bits beside …
_UUID7_MARKS = 0x7000_8000_0000_0000_0000  # … version 7 and the variant


def uuid7_hex(time_ms: int, entropy: int) -> str:
    """A UUID version 7 (RFC 9562) in 32 hex digits from a unix time in milliseconds and 80 random bits."""
    return f"{(time_ms & 0xFFFF_FFFF_FFFF) << 80 | entropy & _UUID7_RANDOM | _UUID7_MARKS:032x}"


def request_id(time_ms: int, entropy: int) -> str:
    """The gateway's own id of one request, for example ``req-0197…``; also the key of its usage record."""
    value = (time_ms & 0xFFFF_FFFF_FFFF) << 80 | entropy & _UUID7_RANDOM | _UUID7_MARKS
    return f"req-{value:032x}"


def request_time_ms(request: str) -> int | None:
    """When the gateway made a request's id, in unix milliseconds; None for an id that it did not make."""
    return int(request[4:16], 16) if _REQUEST_ID.fullmatch(request) else None


def billing_id(request: str) -> str:
    """The billing id of a request id: ``bill-`` and the same 32 hex digits, so that each can be found by the other."""
    return "bill-" + request[4:]


def _base62(value: int, digits: int) -> str:
    out = []
    for _ in range(digits):
        value, rest = divmod(value, 62)
        out.append(_BASE62[rest])
    return "".join(reversed(out))


def make_secret(prefix: str, entropy: bytes) -> str:
    """A credential from 32 random bytes: prefix, 43 base-62 digits, and 6 digits of checksum.

    The checksum lets a typing error or a truncated paste be told apart from a revoked key, without a look-up.
    """
    if len(entropy) != SECRET_BYTES:
        raise ValueError(f"a secret is made of {SECRET_BYTES} random bytes")
    body = _base62(int.from_bytes(entropy, "big"), _BODY_DIGITS)
    return f"{prefix}{body}{_check(prefix + body)}"


def _check(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECK_DIGITS)


def well_formed(secret: str, prefix: str) -> bool:
    """Whether the text has the shape and the checksum of a credential with this prefix."""
    if len(secret) != len(prefix) + _BODY_DIGITS + _CHECK_DIGITS or not secret.startswith(prefix):
        return False
    return secret.isascii() and _check(secret[:-_CHECK_DIGITS]) == secret[-_CHECK_DIGITS:]


def secret_digest(secret: bytes, pepper: bytes) -> bytes:
    """The keyed digest (BLAKE2b, RFC 7693) under which a credential is stored and found; the secret is not kept.

    Not HMAC by OpenSSL: that gives up the interpreter's lock for each call, and waits to get it back.
    """
    return hashlib.blake2b(secret, key=pepper, digest_size=32).digest()


def secret_hint(secret: str) -> str:
    """What may be shown of a credential after its creation: the prefix, three digits and the last four."""
    prefix = next((p for p in (KEY_PREFIX, ADMIN_PREFIX) if secret.startswith(p)), "")
    return f"{secret[: len(prefix) + 3]}…{secret[-4:]}"
