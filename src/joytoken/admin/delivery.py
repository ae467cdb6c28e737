"""Delivering an event: where it may go, how it is signed, and what an answer means.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 by the secret after `whsec_`,
over `id.timestamp.body`, in the header `webhook-signature` as `v1,` and base64. Every address that a receiver's name
has must be allowed.
"""

import asyncio
import base64
import hmac
from collections.abc import Sequence

import msgspec

from joytoken.config.settings import Webhooks as WebhookSettings
from joytoken.providers.addresses import Address, Network, inner, look_up, networks_of, within
from joytoken.providers.transport import Deadlines, Limits, Pool, UpstreamError, build_head, parse_origin, render

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
ANSWER_BYTES_MAX = 64 * 1024
_GONE = 410
_LIMITS = Limits(connections_max=4, keepalive_ms=0, header_bytes_max=16 * 1024, body_bytes_max=ANSWER_BYTES_MAX)


class Sent(msgspec.Struct, frozen=True):
    """What came of one attempt. `status` is 0 where no answer came."""

    ok: bool
    status: int = 0
    error: str = ""

    @property
    def gone(self) -> bool:
        """Whether the receiver said that it wants nothing more."""
        return self.status == _GONE


class Forbidden(Exception):
    """Nothing is sent to this address."""


def make_webhook_secret(entropy: bytes) -> str:
    """A secret to sign with, from random bytes."""
    return SECRET_PREFIX + base64.b64encode(entropy).decode()


def secret_bytes(secret: str) -> bytes:
    """The bytes of a secret as Standard Webhooks spells it. Raises ValueError, which does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"a secret is {SECRET_PREFIX} and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64")
    return key


def signature(secret: str, event_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = hmac.digest(secret_bytes(secret), f"{event_id}.{timestamp_s}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(signed).decode()


def allowed(address: Address, private: Sequence[Network]) -> bool:
    """Whether events may go there: to the public internet, and to the networks that a setting names."""
    meant = inner(address)
    return within(address, private) or (meant.is_global and not meant.is_multicast)


async def resolve(host: str, port: int, private: Sequence[Network]) -> str:
    """An address of this host that events may be sent to. Raises Forbidden where any of them is none, and OSError."""
    addresses = await look_up(host, port)
    for address in addresses:
        if not allowed(address, private):
            raise Forbidden(f"{host} is {address}, which is not public: webhooks.private_networks does not name it")
    return str(addresses[0])


async def send(url: str, secret: str, event_id: str, body: bytes, now_s: int, settings: WebhookSettings) -> Sent:
    """Send one event. Every failure is an outcome; none says anything of the secret."""
    private = networks_of(settings.private_networks)
    within_s = settings.timeout_ms / 1000
    pool = Pool(_LIMITS)
    try:
        async with asyncio.timeout(within_s):
            origin, path = parse_origin(url)
            origin = msgspec.structs.replace(origin, address=await resolve(origin.host, origin.port, private))
            headers = [
                ("content-type", "application/json"),
                ("user-agent", "joytoken-webhooks"),
                ("webhook-id", event_id),
                ("webhook-timestamp", str(now_s)),
                ("webhook-signature", signature(secret, event_id, now_s, body)),
            ]
            data = render(build_head("POST", origin, path or "/", headers), body)
            response = await pool.send(origin, data, whole=True, deadlines=_deadlines(settings.timeout_ms))
    except TimeoutError:
        return Sent(ok=False, error=f"no answer within {settings.timeout_ms} ms")
    except (Forbidden, UpstreamError, OSError, ValueError) as error:
        return Sent(ok=False, error=str(error)[:300])
    finally:
        await pool.aclose()
    ok = 200 <= response.status < 300
    return Sent(ok=ok, status=response.status, error="" if ok else f"HTTP {response.status}")


def _deadlines(timeout_ms: int) -> Deadlines:
    return Deadlines(connect_ms=timeout_ms, first_byte_ms=timeout_ms, idle_ms=timeout_ms, total_ms=timeout_ms)
