"""Who is calling: the key in `X-API-Key`, else in `Authorization: Bearer`."""

from joytoken.domain.errors import InvalidKey, MissingKey
from joytoken.gateway.call import Call
from joytoken.gateway.keyring import Keyring, Principal

_SCHEME = b"bearer "


def authenticate(call: Call, keyring: Keyring) -> Principal:
    """The principal of a request. `X-API-Key` wins where both headers are present, even if it is wrong.

    Raises MissingKey (401) where no key came and InvalidKey (403) where it is unknown, revoked or expired; which of
    the three it is, the answer does not tell.
    """
    digest = call.digest
    if digest is None:
        digest = call.digest = keyring.digest(_secret_of(call))
    principal = keyring.find(digest, call.started_us)
    if principal is None:
        raise InvalidKey("invalid api key: it is unknown, revoked or expired")
    return principal


def _secret_of(call: Call) -> bytes:
    secret = call.api_key
    if secret is not None:
        secret = secret.strip()
    if not secret and call.authorization is not None:
        value = call.authorization
        if value[:7].lower() == _SCHEME:
            secret = value[7:].strip()
    if not secret:
        raise MissingKey("missing api key: send `Authorization: Bearer <key>` or `X-API-Key: <key>`")
    return secret
